//! Scenario files as criterion benchmarks: each cell is one (`scenario::executor::k=v`), and each
//! sample is one trial in a fresh process that does as many tasks as criterion asks for and returns
//! its own measured time.
//!
//! `cargo bench --bench scenarios -- tokio` runs the cells whose name contains `tokio`, of
//! `benches/scenarios.toml` or of the files that `REGATTA_SCENARIOS` names (separated by colons). A
//! closed load ends after so many tasks and the figure is the time per task; a batch is repeated so
//! many times and the figure is its makespan; an open load lasts until so many tasks have arrived,
//! and its time per task is what its rate says.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be run may panic")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "benchmarks start processes and print"
)]

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use criterion::{Criterion, SamplingMode, measurement::WallTime};
use regatta::{
    clock,
    limits::Limits,
    load::Stage,
    plan::{Cell, Machine, Plan},
    scenario::{self, LoadKind, Overrides},
    step::Calibration,
    trial::{self, Answer, TrialPlan},
};

/// Criterion's warm-up warms nothing here, since each sample is a process of its own: it only finds
/// out how many tasks a sample has. The trials have the scenario's warm-up, at most this long.
const LONGEST_WARMUP: Duration = Duration::from_millis(200);

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5))
        .configure_from_args();
    let mut group = criterion.benchmark_group("scenarios");
    group.sampling_mode(SamplingMode::Flat);
    let mut calibration = Calibration::default();
    for cell in plan(&files()).cells {
        bench(&mut group, cell, &mut calibration);
    }
    group.finish();
    criterion.final_summary();
}

fn files() -> Vec<PathBuf> {
    match std::env::var_os("REGATTA_SCENARIOS") {
        Some(paths) => std::env::split_paths(&paths).collect(),
        None => vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/scenarios.toml"))],
    }
}

fn plan(files: &[PathBuf]) -> Plan {
    let read = |file: &PathBuf| {
        scenario::read(file, &Overrides::default())
            .unwrap_or_else(|error| panic!("{}", error.render(false)))
    };
    let scenarios: Vec<_> = files.iter().map(read).collect();
    let machine = Machine {
        cpus: trial::allowed_cpus(),
        executor_cpus: None,
        target_cpus: None,
        limits: Limits::read(),
    };
    Plan::new(&scenarios, &machine, 42, |_| true)
}

fn bench(
    group: &mut criterion::BenchmarkGroup<'_, WallTime>,
    mut cell: Cell,
    calibration: &mut Calibration,
) {
    if let Some(absent) = &cell.stored.absent {
        println!("{}: {absent:?}", cell.stored.name);
        return;
    }
    let mut ready = false;
    group.bench_function(cell.stored.name.clone(), |bencher| {
        // Only now, because a cell that criterion's filter leaves out needs no calibration.
        if !std::mem::replace(&mut ready, true) {
            let steps = cell.trial.tasks.iter_mut().flat_map(|task| &mut task.steps);
            steps.for_each(|step| step.spec.calibrate(calibration));
        }
        bencher.iter_custom(|count| Duration::from_nanos(window_ns(&of_size(&cell.trial, count))));
    });
}

/// The trial with `count` tasks, or repeats of its batch.
fn of_size(trial: &TrialPlan, count: u64) -> TrialPlan {
    let mut plan = TrialPlan { round: 1, ..trial.clone() };
    match &mut plan.loads[0].kind {
        LoadKind::Closed { tasks, .. } => *tasks = Some(count),
        LoadKind::Batch { repeat, .. } => *repeat = Some(u32::try_from(count).unwrap()),
        LoadKind::Open { rate, stages, .. } => {
            *stages = vec![Stage {
                from: *rate,
                to: *rate,
                length_ns: (count as f64 / *rate * 1e9) as u64,
            }];
        }
    }
    // A sample of a few tasks only tells criterion how many the next one can have.
    plan.warmup = if count < 100 { Duration::ZERO } else { plan.warmup.min(LONGEST_WARMUP) };
    plan
}

/// The measured time of a trial, run by the program as its users have it.
fn window_ns(plan: &TrialPlan) -> u64 {
    let started_ns = clock::now_ns();
    let mut child = Command::new(env!("CARGO_BIN_EXE_regatta"))
        .args(["trial", "--plan", "-"])
        .env("ASYNC_STD_THREAD_COUNT", plan.setup.workers.to_string())
        .env("BLOCKING_MAX_THREADS", plan.setup.pool_size.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", serde_json::to_string(plan).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().last().map(serde_json::from_str) {
        Some(Ok(Answer::Measured(measured))) => measured.loads[0].window_ns,
        Some(Ok(Answer::Failed(failure))) => panic!("{}: {}", plan.cell, failure.reason),
        _ => panic!(
            "{}: no answer after {} ms: {text}",
            plan.cell,
            (clock::now_ns() - started_ns) / 1_000_000
        ),
    }
}
