//! `regatta find-rate` against real servers: it ends with an answer, keeps what it measured, and
//! refuses what it cannot do.
//!
//! What a busy machine does to a search is not known, so that nothing here depends on rates that
//! pass. Limits that need no samples keep trials short.

use regatta::analysis::{RateState, rate_search};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    bench_dir::{BenchDir, Seen},
    exit_codes::batch,
    own_server::OwnServer,
};

/// Calls that take 20 ms each: one after another, a pool of one thread does 50 of them a second at
/// most.
fn calls(target: &str, executors: &str, more: &str) -> String {
    format!(
        r#"
schema = 1
name = "calls"
[run]
warmup = "100ms"
duration = "300ms"
timeout = "60s"
[executors]
use = [{executors}]
[executors.thread-pool]
size = 1
[targets.api]
http = {{ {target} }}
[tasks.request]
steps = [{{ http = {{ target = "api", path = "/" }} }}]
[load.arrivals]
task = "request"
open = {{ rate = "30/s", max_in_flight = 16, drain = "30s" }}
{more}"#
    )
}

/// Runs a command for as long as it takes: on a busy machine a search tries many rates, each
/// several times.
fn at_leisure(bench: &BenchDir, arguments: &str) -> Seen {
    let output = bench.command(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Seen {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

#[test]
fn a_rate_is_found_for_two_executors_side_by_side() {
    let slo = "[[slo]]\nassert = \"request.error_rate <= 50%\"\n";
    let bench = BenchDir::with(&calls("delay = \"20ms\"", "\"thread-pool\", \"tokio\"", slo));
    let command =
        "find-rate s.toml --out run --most 240/s --precision 50% --trials 3 --format json";
    let seen = at_leisure(&bench, command)
        .says(&["trial 1 ", "wrote run/index.html, with every rate that was tried"]);
    let run = bench.stored("run");
    assert!(run.finished && run.missing().is_empty());
    let found = rate_search(&run).unwrap();
    // Whatever the machine does, the exit code says what came of it.
    let expected = if found.has_failures() {
        5
    } else if found.has_nothing() {
        1
    } else if found.is_inconclusive() {
        3
    } else {
        0
    };
    let seen = seen.exits(expected);
    let told: Value = serde_json::from_str(&seen.out).unwrap();
    let cells = told["cells"].as_array().unwrap();
    let named: Vec<&str> = cells.iter().map(|cell| cell["executor"].as_str().unwrap()).collect();
    assert_eq!(named, ["thread-pool", "tokio"]);
    assert!(
        cells.iter().all(|cell| cell["rates"].as_array().is_some_and(|rates| !rates.is_empty())),
        "{told:#}"
    );
    // Of 100 arrivals a second the pool misses half, which are more than ten in every trial.
    let passes = cells[0]["passes_per_s"].as_f64().unwrap_or(0.0);
    assert!(passes < 100.0 && cells[0]["answer"] != "at-least", "{told:#}");
    // All of it follows from the run file.
    let again = bench
        .run("find-rate --resume run --format json")
        .exits(expected)
        .says(&["the search is finished"]);
    assert_eq!(again.out, seen.out);
    for format in ["human", "markdown"] {
        let again = bench.run(&format!("find-rate --resume run --format {format}")).exits(expected);
        assert!(
            again.out.contains("nothing dropped, VALID; two more trials pass than fail")
                && again.out.contains("thread-pool(1)"),
            "{again:#?}"
        );
    }
    let page = std::fs::read_to_string(bench.path("run/index.html")).unwrap();
    assert!(
        page.contains("<section id=\"rates\">")
            && page.contains("nothing dropped, VALID; two more trials pass than fail")
    );
    // The report shows the answer, and every rate that was tried; its exit code is the answer's.
    let answered = if found.has_nothing() { 1 } else { 3 * i32::from(found.is_inconclusive()) };
    for (format, answer) in [("human", true), ("markdown", true), ("json", false)] {
        let report = bench.run(&format!("report run --format {format}")).says(&[]);
        assert!(report.out.contains("rate=30/s") && report.code == answered, "{report:#?}");
        assert_eq!(report.out.contains("highest rate"), answer, "{report:#?}");
    }
}

#[test]
fn an_interrupted_search_goes_on_where_it_was() {
    let own = OwnServer::gated(40);
    let server = format!("url = \"{}\"", own.url());
    let bench = BenchDir::with(&calls(&server, "\"tokio\"", ""));
    let limit = "request.error_rate<=50%";
    let live = bench
        .start(&format!("find-rate s.toml --limit {limit} --out run --most 60/s --precision 50%"));
    own.wait_until_held();
    live.signal(Signal::INT);
    live.end()
        .exits(130)
        .says(&["SIGINT: what was measured is kept; go on with `regatta find-rate --resume run`"]);
    let stopped = bench.stored("run");
    assert!(!stopped.finished && stopped.interruptions == ["SIGINT"] && !stopped.trials.is_empty());
    bench.run("run --resume run").exits(65).says(&["regatta find-rate --resume"]);
    own.open();
    let seen = at_leisure(&bench, "find-rate --resume run").says(&["the search goes on"]);
    assert!(seen.out.contains(limit), "{seen:#?}");
    let run = bench.stored("run");
    assert!(run.finished && run.trials.starts_with(&stopped.trials));
    let state = &rate_search(&run).unwrap().cells[0].state;
    assert!(matches!(state, RateState::Answered(_)), "{state:?}");
}

/// Nothing was ever measured: one trial of each executor is enough.
#[test]
fn a_server_that_is_not_there_is_given_up() {
    let bench =
        BenchDir::with(&calls("url = \"http://127.0.0.1:1\"", "\"tokio\", \"threads\"", ""));
    let said = [
        "target `api` (http://127.0.0.1:1) is given up: 2 trials",
        "`regatta find-rate --resume run`",
    ];
    bench.run("find-rate s.toml --limit request.error_rate<=50% --out run").exits(5).says(&said);
    assert_eq!(bench.stored("run").trials.len(), 2);
}

#[test]
fn what_has_no_rate_is_refused_with_a_remedy() {
    let bench = BenchDir::with(&batch(""));
    bench
        .run("find-rate s.toml")
        .exits(2)
        .says(&["s.toml: a rate is found for an open load", "open = { rate ="]);
    bench.write("s.toml", calls("", "\"tokio\"", ""));
    for (flags, said) in [
        ("--rounds 3", "limit them with `--trials`"),
        ("--limit call.latency.p99<1s", "steps: request"),
        ("--limit request.latency.p99<1", "s.toml: the limit"),
        ("--limit request.throughput>1k/s", "does not hold at low rates"),
        ("--limit request.latency.p99>=1s", "such as `request.latency.p99 < 25ms`"),
        ("--most 999999999M/s", "1000M/s is the most"),
        ("--precision 90%", "from 1% to 50%"),
        ("--start 0/s", "above zero"),
    ] {
        bench.run(&format!("find-rate s.toml {flags}")).exits(2).says(&[said]);
    }
    assert!(!bench.path("reports").exists());
}
