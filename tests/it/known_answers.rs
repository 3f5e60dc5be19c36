//! Effects that are known beforehand, through the real binary: a server that stands still, and the self-test.

use std::collections::BTreeSet;

use regatta::{
    measure::Measurements,
    runtime::EXECUTORS,
    store::{Outcome, Run},
};

use crate::bench_dir::BenchDir;

/// How long the server stands still.
const STALL_MS: u64 = 100;

/// A scenario in which the embedded server stands still for a quarter of the time.
fn frozen(load: &str) -> String {
    format!(
        "schema = 1\nname = 'frozen'\n[run]\nrounds = 1\nwarmup = '0s'\nduration = '1200ms'\ntimeout = '60s'\n\
         [targets.api]\nhttp = {{ stall = {{ every = '400ms', for = '{STALL_MS}ms' }} }}\n\
         [tasks.call]\nsteps = [{{ http = {{ target = 'api', path = '/' }} }}]\n[load.l]\ntask = 'call'\n{load}\n"
    )
}

fn measured(run: &Run) -> impl Iterator<Item = (&str, &Measurements)> {
    run.trials.iter().map(|trial| match &trial.outcome {
        Outcome::Measured(measured) => (trial.cell.as_str(), measured.as_ref()),
        Outcome::Failed(failure) => panic!("{}: {}", trial.cell, failure.reason),
    })
}

/// The client's call that is under way when a standstill begins ends within it or after it; in the first case the next
/// call, which starts at that moment, waits for the rest. So one of them takes half of it, however slow this host is.
#[test]
fn a_standstill_is_seen_on_every_executor() {
    let bench = BenchDir::with(&frozen("closed = { concurrency = 1 }"));
    bench.run("run --quiet --out out s.toml").exits(0);
    let run = bench.stored("out");
    let mut cells = BTreeSet::new();
    for (cell, measured) in measured(&run) {
        let longest = measured.task.latency.0.max();
        assert!(longest >= STALL_MS * 1_000_000 / 2, "{cell}: {longest} ns");
        cells.insert(cell);
    }
    assert_eq!(cells.len(), EXECUTORS.len());
}

/// The lower bounds of the stall oracle. A request that is sent while the server stands still is answered after it, so of
/// arrivals every `gap` those in a standstill wait for what is left of it: q(p) is at least S − (1 − p)·P, but for the
/// gaps at both ends. Neither a slow host nor a slow executor can make them shorter. (Upper bounds need a quiet host.)
#[test]
fn arrivals_that_do_not_wait_see_the_whole_standstill_on_every_executor() {
    let (period_ms, gap_ms) = (400.0, 1.0);
    // Arrivals that find no room wait, and are timed all the same. After a warm-up of a period, standstills are
    // periodic over the window, which holds three whole ones, the ends of the window put together.
    let load = "open = { rate = '1k/s', max_in_flight = 200, overflow = 'delay' }";
    let bench = BenchDir::with(&frozen(load).replace("warmup = '0s'", "warmup = '400ms'"));
    bench.run("run --quiet --out out s.toml").exits(0);
    let run = bench.stored("out");
    let mut cells = BTreeSet::new();
    for (cell, measured) in measured(&run) {
        let latency = &measured.task.latency.0;
        for quantile in [0.80, 0.90, 0.95, 0.99, 1.0] {
            let bound = STALL_MS as f64 - (1.0 - quantile) * period_ms - 2.0 * gap_ms;
            let found = latency.value_at_quantile(quantile) as f64 / 1e6;
            assert!(found >= bound, "{cell}: p{} is {found} ms, not {bound} ms or more", quantile * 100.0);
        }
        cells.insert(cell);
    }
    assert_eq!(cells.len(), EXECUTORS.len());
}

#[test]
fn a_self_test_is_a_run_like_any_other() {
    let bench = BenchDir::new();
    // One round gives no interval, so that nothing here depends on how quiet this host is.
    let seen = bench.run("selftest --quick --rounds 1 --format json --out out").exits(3);
    let found: serde_json::Value = serde_json::from_str(&seen.out).unwrap();
    assert_eq!((found["version"].as_u64(), found["verdict"].as_str()), (Some(1), Some("inconclusive")));
    let cells = found["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 6, "{cells:#?}");
    assert!(cells.iter().all(|cell| cell["false_alarm"].is_null() && cell["found"].is_null()), "{cells:#?}");
    let run = bench.stored("out");
    assert!(run.finished && run.header.quick);
    // A trial that other programs disturbed is there twice.
    let cells: BTreeSet<&str> = measured(&run).map(|(cell, _)| cell).collect();
    assert_eq!(cells.len(), 18);
    bench.run("report out --format csv").exits(0);
    bench.run("selftest --rounds 0").exits(2).says(&["--rounds"]);
}
