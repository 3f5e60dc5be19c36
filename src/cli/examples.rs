//! What the help of each command ends with: examples, and where more is said.

pub(super) const RUN: &str = "\
Examples:
  regatta run my-race.toml
  regatta run scenarios/headline --quick
  regatta run my-race.toml --executor tokio,threads -P concurrency=1,16,64
  regatta run my-race.toml --cpus executor=0 --out reports/apart --format markdown
  regatta run --resume reports/apart

Exit codes: 0 fine, 1 a limit is violated, 3 not decided, 5 incomplete. See also:
regatta help list, regatta help report.";

pub(super) const FIND_RATE: &str = "\
Examples:
  regatta find-rate scenarios/questions/open-load.toml --limit 'request.latency.p99<25ms'
  regatta find-rate scenarios/questions/open-load.toml --start 1k/s --precision 2%
  regatta find-rate --resume reports/my-search

See also: regatta help run.";

pub(super) const LIST: &str = "\
Examples:
  regatta list scenarios/headline
  regatta list my-race.toml --filter tokio --rounds 3
  regatta list my-race.toml -P concurrency=1,16,64

See also: regatta help run, which takes the same options.";

pub(super) const CHECK: &str = "\
Examples:
  regatta check my-race.toml
  regatta check scenarios
  regatta check my-race.toml -p concurrency=4

See also: regatta help init, regatta help schema.";

pub(super) const DOCTOR: &str = "\
Examples:
  regatta doctor
  regatta doctor scenarios/headline
  regatta doctor my-race.toml --cpus executor=0 --format json

Exit codes: 0 fit for measuring, 69 not fit. See also: regatta help selftest.";

pub(super) const COMPARE: &str = "\
Examples:
  regatta compare reports/before reports/after
  regatta compare reports/before reports/after --format markdown

Better and worse is only what is beyond 5 % either way. Exit codes: 0 compared, 3 nothing
could be compared, 65 nothing in common. See also: regatta help report.";

pub(super) const REPORT: &str = "\
Examples:
  regatta report reports/my-run
  regatta report reports/my-run --format human --color always
  regatta report reports/my-run/run.jsonl --format csv
  regatta report reports/my-run --format json --strict

See also: regatta help compare.";

pub(super) const SELFTEST: &str = "\
Examples:
  regatta selftest
  regatta selftest --quick
  regatta selftest --rounds 20 --format json

Exit codes: 0 passed, 1 failed, 3 the host is too noisy to tell. See also: regatta help
doctor.";

pub(super) const INIT: &str = "\
Examples:
  regatta init
  regatta init my-race.toml --url http://127.0.0.1:3000
  regatta init -

See also: regatta help check, regatta help run.";

pub(super) const SCHEMA: &str = "\
Examples:
  regatta schema
  regatta schema --output
  regatta schema --protocol

An editor that knows the schema completes keys and marks errors. See also: regatta help check,
regatta help report.";

pub(super) const CONFORMANCE: &str = "\
Examples:
  regatta conformance python3 racer.py
  regatta conformance regatta race tokio

Exit codes: 0 it conforms, 1 it does not. See also: regatta help schema.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  regatta completions bash
  regatta completions zsh";

pub(super) const TRIAL: &str = "\
Examples:
  regatta trial --plan reports/my-run/plans/0001.json

`regatta run --verbose` writes the plans. See also: regatta help run.";
