//! Everything that happens before and after measuring, at a size that no one should wait for: a
//! scenario of 500 variants × 7 executors is read and planned; a run of 70 cells × 7 rounds is
//! stored, read, analysed and reported, each stage by itself, so that the figures say where the
//! time goes.
//!
//! `cargo bench --bench plan`; `SWEEP=500 cargo bench --bench plan -- report` does the second half
//! with 3500 cells.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be run may panic")]
#![allow(clippy::disallowed_macros, reason = "benchmarks print")]

use std::{fmt::Write as _, path::Path, time::Duration};

use criterion::{Criterion, SamplingMode};
use regatta::{
    analysis::analyse,
    limits::Limits,
    plan::{Machine, Plan},
    report::OUTPUTS,
    runtime::EXECUTORS,
    scenario::{Overrides, from_text},
    store::{
        self, Line, Run, Writer,
        fixture::{Fixture, noisy},
    },
};

const ROUNDS: u32 = 7;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    before(&mut criterion);
    let sweep = std::env::var("SWEEP").ok().and_then(|count| count.parse().ok());
    after(&mut criterion, sweep.unwrap_or(10));
    criterion.final_summary();
}

/// Two sweeps, 25 × 20 values.
fn large_scenario() -> String {
    let list =
        |count: u64| (1..=count).map(|value| value.to_string()).collect::<Vec<_>>().join(", ");
    let mut text =
        String::from("schema = 1\nname = \"large\"\nquestion = \"How long does planning take?\"\n");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "[sweep]\nconcurrency = [{}]\nfanout = [{}]", list(25), list(20));
    text.push_str(
        r#"
[targets.api]
http = { delay = "exp(1ms)", body = "1KiB" }
[tasks.request]
steps = [
  { http = { target = "api", path = "/user/${i}" }, name = "lookup", timeout = "1s" },
  { parallel = { task = "call", count = "${fanout}" }, name = "fan_out" },
  { sleep = { time = "1ms" } },
]
[tasks.call]
steps = [ { http = { target = "api", path = "/item" }, expect = { status = 200 } } ]
[load.clients]
task = "request"
closed = { concurrency = "${concurrency}" }
[[slo]]
assert = "request.latency.p99 < 25ms"
"#,
    );
    text
}

fn before(criterion: &mut Criterion) {
    let text = large_scenario();
    let read = || from_text(Path::new("large.toml"), &text, &Overrides::default());
    let scenarios = [read().unwrap_or_else(|error| panic!("{}", error.render(false)))];
    let machine = Machine {
        cpus: vec![0, 1],
        executor_cpus: None,
        target_cpus: None,
        limits: Limits::default(),
    };
    let plan = || Plan::new(&scenarios, &machine, 42, |_| true);
    assert_eq!(plan().cells.len(), 500 * EXECUTORS.len());
    let mut group = criterion.benchmark_group("plan/500 variants");
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("read the scenario", |bencher| bencher.iter(|| read().is_ok()));
    group.bench_function("plan the cells", |bencher| bencher.iter(|| plan().trials.len()));
    group.bench_function("order the trials", |bencher| {
        let rounds = vec![ROUNDS; 500 * EXECUTORS.len()];
        bencher.iter(|| regatta::plan::order(&rounds, 42).len());
    });
    group.finish();
}

/// A run with as many values of one parameter.
fn large_run(sweep: u64) -> Run {
    let mut fixture = Fixture::closed("thread-pool", ROUNDS);
    for value in 1..=sweep {
        for (at, executor) in EXECUTORS.iter().enumerate() {
            let values = noisy(1_000.0 * (at + 1) as f64, 0.1, ROUNDS, value * 100 + at as u64);
            fixture = fixture.cell(executor.name, &[("concurrency", &value.to_string())], &values);
        }
    }
    fixture.build()
}

fn after(criterion: &mut Criterion, sweep: u64) {
    let run = large_run(sweep);
    let cells = run.header.cells.len();
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut write = || {
        number += 1;
        let folder = folder.path().join(number.to_string());
        let mut writer = Writer::create(&folder, &run.header).unwrap();
        for trial in &run.trials {
            writer.append(&Line::Trial(Box::new(trial.clone()))).unwrap();
        }
        writer.path().to_owned()
    };
    let path = write();
    let analysis = analyse(&run);
    let mut group = criterion.benchmark_group(format!("report/{cells} cells"));
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("store", |bencher| bencher.iter(&mut write));
    group.bench_function("read", |bencher| {
        bencher.iter(|| store::read(&path).unwrap().trials.len());
    });
    group.bench_function("analyse", |bencher| bencher.iter(|| analyse(&run)));
    for output in OUTPUTS {
        group.bench_function(output.name, |bencher| {
            bencher.iter(|| output.render(&run, &analysis).len());
        });
    }
    group.finish();
}
