//! What Regatta costs an operation that does nothing: a closed loop with one client, through Regatta and without it,
//! on every executor.
//!
//! "Without it" is a loop that reads the clock and hides the result from the optimiser, on the same executor's
//! thread or task. Both arms are on one CPU, each sample in a fresh process. Requirement: Regatta costs at most two
//! clock readings and 40 ns more per operation; the table at the end says by how much.
//!
//! `cargo bench --bench empty_operation`

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be run may panic")]

mod support;

use std::{cell::RefCell, hint::black_box, time::Duration};

use criterion::{Criterion, SamplingMode};
use regatta::{
    clock,
    runtime::{self, EXECUTORS, Runtime, Visitor},
    trial::TrialPlan,
};
use support::{Arm, Job, Sample, end_after, pin, trial_of, was_child};

const SCENARIO: &str = r#"
schema = 1
name = "empty"
question = "What does the harness cost?"
[run]
warmup = "20ms"
[executors]
baseline = "sequential"
workers = 1
[tasks.nothing]
steps = [ { noop = {} } ]
[load.client]
task = "nothing"
closed = { concurrency = 1, tasks = 1 }
"#;

/// Above the bare loop, beside two clock readings, in ns.
const ALLOWED_NS: f64 = 40.0;
/// A sample has at least so many operations, however few criterion asks for, or it would be mostly starting and
/// stopping.
const LEAST_OPERATIONS: u64 = 2_000_000;

fn main() {
    if was_child(bare) {
        return;
    }
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut lines = Vec::new();
    for executor in EXECUTORS {
        let mut group = criterion.benchmark_group(format!("empty operation/{}", executor.name));
        group.sampling_mode(SamplingMode::Flat);
        let costs = [("bare", Arm::Bare), ("regatta", Arm::Regatta)].map(|(name, arm)| {
            let costs = RefCell::new(Vec::new());
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|asked| {
                    let operations = asked.max(LEAST_OPERATIONS);
                    let cost = job(executor.name, arm, operations).in_child().window_ns as f64 / operations as f64;
                    costs.borrow_mut().push(cost);
                    Duration::from_nanos((cost * asked as f64) as u64)
                });
            });
            // The least, because others who use the machine can only add to it.
            costs.into_inner().into_iter().reduce(f64::min)
        });
        group.finish();
        if let [Some(bare), Some(regatta)] = costs {
            lines.push(line(executor.name, bare, regatta));
        }
    }
    criterion.final_summary();
    if !lines.is_empty() {
        println!(
            "Empty operation, closed loop with 1 client, least of all samples in ns (one clock reading: {:.1})",
            clock::cost_ns()
        );
        println!("{:22}{:>9}{:>9}{:>9}{:>9}", "executor", "bare", "regatta", "above", "allowed");
        for line in lines {
            println!("{line}");
        }
    }
}

fn line(executor: &str, bare: f64, regatta: f64) -> String {
    let (above, allowed) = (regatta - bare, 2.0 * clock::cost_ns() + ALLOWED_NS);
    let verdict = if above <= allowed { "ok" } else { "TOO MUCH" };
    format!("{executor:22}{bare:9.1}{regatta:9.1}{above:9.1}{allowed:9.1}  {verdict}")
}

fn job(executor: &str, arm: Arm, operations: u64) -> Job {
    let mut plan = trial_of(SCENARIO, executor);
    let last = *plan.executor_cpus.last().unwrap();
    plan.executor_cpus.truncate(1);
    // The trial's own helper threads.
    plan.target_cpus = vec![last];
    end_after(&mut plan, operations);
    Job { arm, plan }
}

/// The loop without Regatta.
fn bare(plan: &TrialPlan) -> Sample {
    pin(&plan.executor_cpus);
    let regatta::scenario::LoadKind::Closed { tasks: Some(operations), .. } = plan.load.kind else {
        panic!("the load ends by tasks")
    };
    runtime::dispatch(&plan.executor, Loop { plan, operations }).unwrap()
}

struct Loop<'a> {
    plan: &'a TrialPlan,
    operations: u64,
}

impl Visitor for Loop<'_> {
    type Output = Sample;

    fn visit<R: Runtime>(self) -> Sample {
        let runtime = R::start(&self.plan.setup).unwrap();
        let operations = self.operations;
        let work = async move {
            let start_ns = clock::now_ns();
            for _ in 0..operations {
                black_box(clock::now_ns());
            }
            clock::now_ns() - start_ns
        };
        let window_ns = runtime.block_on(async { runtime.spawn(work).unwrap().await });
        runtime.stop();
        Sample { window_ns, completed: operations, ..Sample::default() }
    }
}
