//! HTTP GET through Regatta and through a hand-written loop with the same client (hyper), on the
//! same runtime: 16 connections in a closed loop against the embedded server, which has the last
//! CPU; the clients have the others.
//!
//! The hand-written loop is what a competent user of hyper writes: the connection polled by the
//! task that waits for the answer, the same headers, the same checks of status, length and xxh3,
//! one clock reading per request. It uses the executor's stream and spawn, and none of Regatta's
//! steps, slots, recording and proof.
//!
//! `cargo bench --bench http` shows times per request. `REGATTA_PAIRS=24 cargo bench --bench http`
//! measures adjacent pairs of about a second per arm, in random order inside the pair, each arm in
//! a fresh process, and prints ratios with exact intervals (Hodges and Lehmann). The comparison
//! needs a target that is busy for at most 70 %, in both arms, so that it has a delay by default,
//! which `REGATTA_DELAY=0ms` takes away. It is drawn for each request: after a constant one answers
//! come in groups, how large depends on how the clients have begun, and what a request costs
//! depends on how many an executor is woken for at once. `REGATTA_BODY=8KiB` gives the clients more
//! to read and to check. `REGATTA_HTTP2=per-slot` has the same over HTTP/2, with the crate h2 in both
//! arms, and `REGATTA_HTTP2=4` over four connections that all share. `REGATTA_TLS=1` encrypts the connections in both
//! arms. With `REGATTA_SILENT=1` the other arm is Regatta itself without recording,
//! counters and watcher.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be run may panic")]
#![allow(clippy::disallowed_macros, reason = "benchmarks print")]

#[path = "support/hand_written.rs"]
mod hand_written;
#[path = "support/hand_written_http2.rs"]
mod hand_written_http2;
#[path = "support/pairs.rs"]
mod pairs;
#[path = "support/silent.rs"]
mod silent;
mod support;

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use support::{Arm, Job, Sample, end_after, trial_of, was_child};

/// Executors of three kinds: blocking, and two runtimes with a reactor of their own.
const EXECUTORS: [&str; 3] = ["threads", "tokio", "smol"];

const SCENARIO: &str = r#"
schema = 1
name = "get"
question = "What does the harness cost an HTTP GET?"
[run]
warmup = "200ms"
duration = "1s"
[executors]
baseline = "threads"
workers = 1
[targets.api]
http = { delay = "DELAY", body = "BODY"HTTP2TLS }
[tasks.get]
steps = [ { http = { target = "api", path = "/item" } } ]
[load.clients]
task = "get"
closed = { concurrency = 16 }
"#;

fn main() {
    if was_child(
        |arm, plan| if arm == Arm::Silent { silent::run(plan) } else { hand_written::run(plan) },
    ) {
        return;
    }
    if let Some(count) = std::env::var("REGATTA_PAIRS").ok().and_then(|count| count.parse().ok()) {
        let is_silent = std::env::var_os("REGATTA_SILENT").is_some();
        let other = if is_silent {
            (Arm::Silent, "itself without recording")
        } else {
            (Arm::Bare, "the hand-written loop")
        };
        let rest = pairs::race(&executors(), other, count, |executor, arm| Job {
            arm,
            plan: trial_of(&scenario(), executor),
        });
        println!("{rest}");
        return;
    }
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    for executor in executors() {
        let mut group = criterion.benchmark_group(format!("http get/{executor}"));
        group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(1));
        for (name, arm) in [("hand-written", Arm::Bare), ("regatta", Arm::Regatta)] {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|requests| elapsed(&job(executor, arm, requests).in_child()));
            });
        }
        group.finish();
    }
    criterion.final_summary();
}

/// What `REGATTA_HTTP2` says.
fn http2() -> Option<String> {
    std::env::var("REGATTA_HTTP2").ok().filter(|text| !text.is_empty())
}

/// Those that can: nobody drives a shared connection where all threads block.
fn executors() -> Vec<&'static str> {
    let is_shared = http2().is_some_and(|text| text != "per-slot");
    EXECUTORS.into_iter().filter(|name| !is_shared || *name != "threads").collect()
}

fn scenario() -> String {
    let set = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.into());
    let delay =
        if std::env::var_os("REGATTA_PAIRS").is_some() { "uniform(200us,600us)" } else { "0ms" };
    SCENARIO
        .replace("DELAY", &set("REGATTA_DELAY", delay))
        .replace("BODY", &set("REGATTA_BODY", "1KiB"))
        .replace("HTTP2", &http2().map(connections).unwrap_or_default())
        .replace("TLS", if is_encrypted() { ", tls = {}" } else { "" })
}

/// What `REGATTA_TLS` says.
fn is_encrypted() -> bool {
    std::env::var_os("REGATTA_TLS").is_some()
}

fn connections(text: String) -> String {
    let text = if text == "per-slot" { format!("\"{text}\"") } else { text };
    format!(", http2 = {{ connections = {text} }}")
}

/// A number of requests in place of a duration.
fn job(executor: &str, arm: Arm, requests: u64) -> Job {
    let mut plan = trial_of(&scenario(), executor);
    plan.warmup = Duration::from_millis(if requests < 1_000 { 0 } else { 50 });
    end_after(&mut plan, requests);
    Job { arm, plan }
}

/// The work of some iterations as criterion wants it.
fn elapsed(sample: &Sample) -> Duration {
    Duration::from_nanos(sample.window_ns)
}
