//! Point reads through Regatta and through PostgreSQL's own `pgbench`: the same query, the same
//! table on the same server, eight connections that each ask again as soon as they have their
//! answer.
//!
//! Under `threads` there are eight threads in both, under `tokio` as many as tokio has workers.
//! pgbench waits for all connections of a thread at once, as a reactor does, and writes each query
//! into a buffer of libpq; it draws the key, measures each transaction's time, and does not look at
//! the rows. Nobody is kept on CPUs of its own: server and clients share all of them, so that the
//! throughput says what both cost together, and the CPU per query what the client does.
//!
//! `DATABASE_URL=… cargo bench --bench pgbench` shows times per query (skipped without a server or
//! without pgbench). `REGATTA_PAIRS=24` measures adjacent pairs as `cargo bench --bench http` does;
//! `REGATTA_WORKERS=1` is the number of tokio's workers and of pgbench's threads beside them,
//! `REGATTA_PGBENCH_THREADS=1` of pgbench's threads in any case; `REGATTA_AGAINST=hand-written` has
//! tokio-postgres in pgbench's place, in a loop written by hand on tokio.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be run may panic")]
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "benchmarks print, and start processes"
)]

#[path = "support/by_hand.rs"]
mod by_hand;
#[path = "support/pairs.rs"]
mod pairs;
#[path = "support/pgbench.rs"]
mod pgbench;
mod support;

use std::{process::Command, time::Duration};

use criterion::{Criterion, SamplingMode, Throughput};
use support::{Arm, Job, end_after, trial_of, was_child};

const EXECUTORS: [&str; 2] = ["threads", "tokio"];

const SCENARIO: &str = r#"
schema = 1
name = "point-read"
question = "What does the harness cost a query by key?"
[run]
warmup = "300ms"
duration = "2s"
[executors]
baseline = "threads"
workers = WORKERS
[targets.db]
sql = { url = "${env:DATABASE_URL}", schema = "regatta_pgbench", rows = 10000 }
[tasks.read]
steps = [ { sql = { target = "db", query = "SELECT price FROM items WHERE id = ?", args = ["${uniform(1,10000)}"] }, expect = { rows = 1 } } ]
[load.clients]
task = "read"
closed = { concurrency = 8 }
"#;

fn main() {
    if was_child(|_, plan| pgbench::run(plan)) {
        return;
    }
    let url = std::env::var("DATABASE_URL").unwrap_or_default();
    if !url.starts_with("postgres") || Command::new("pgbench").arg("--version").output().is_err() {
        println!("skipped: no PostgreSQL at DATABASE_URL, or no pgbench");
        return;
    }
    if let Some(count) = std::env::var("REGATTA_PAIRS").ok().and_then(|count| count.parse().ok()) {
        let (executors, other) = if pgbench::is_by_hand() {
            (&EXECUTORS[1..], "tokio-postgres by hand")
        } else {
            (&EXECUTORS[..], "pgbench")
        };
        println!("{}", pairs::race(executors, (Arm::Bare, other), count, job));
        return;
    }
    assert!(
        !pgbench::is_by_hand(),
        "the hand-written loop has no number of queries: set REGATTA_PAIRS"
    );
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    for executor in EXECUTORS {
        let mut group = criterion.benchmark_group(format!("point read/{executor}"));
        group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(1));
        for (name, arm) in [("pgbench", Arm::Bare), ("regatta", Arm::Regatta)] {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|queries| {
                    let mut job = job(executor, arm);
                    end_after(&mut job.plan, queries);
                    Duration::from_nanos(job.in_child().window_ns)
                });
            });
        }
        group.finish();
    }
    criterion.final_summary();
}

fn job(executor: &str, arm: Arm) -> Job {
    let workers = std::env::var("REGATTA_WORKERS").unwrap_or_else(|_| "2".into());
    Job { arm, plan: trial_of(&SCENARIO.replace("WORKERS", &workers), executor) }
}
