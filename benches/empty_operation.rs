//! What Regatta costs an operation that does nothing: a closed loop with one client, through
//! Regatta and without it, on every executor.
//!
//! "Without it" is a loop that reads the clock and hides the result from the optimiser, on the same
//! executor's thread or task. Both arms are on one CPU, each sample in a fresh process.
//! Requirement: Regatta costs at most two clock readings and 40 ns more per operation; the table at
//! the end says by how much.
//!
//! The same for an operation of an open load, beside a loop that starts as many tasks on the same
//! executor without Regatta: at most two clock readings and 90 ns more. The pacer is not in it: it
//! has a thread of its own.
//!
//! `cargo bench --bench empty_operation`

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be run may panic")]
#![allow(clippy::disallowed_macros, reason = "benchmarks print")]

#[path = "support/arrivals.rs"]
mod arrivals;
mod support;

use std::{cell::RefCell, hint::black_box, time::Duration};

use arrivals::{Arrived, Spawned};
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
/// The same in an open load, above a loop that starts tasks.
const ALLOWED_OPEN_NS: f64 = 90.0;
/// A sample of an open load has at least so many; a thread for each takes its time.
const LEAST_ARRIVALS: u64 = 1 << 14;
/// A sample has at least so many operations, however few criterion asks for, or it would be mostly
/// starting and stopping.
const LEAST_OPERATIONS: u64 = 2_000_000;

fn main() {
    if was_child(|_, plan| bare(plan)) {
        return;
    }
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let closed = [("bare", Work::Loop), ("regatta", Work::Trial)];
    race(&mut criterion, "empty operation", "closed loop with 1 client", closed, ALLOWED_NS);
    let open = [("spawned", Work::Spawned), ("regatta", Work::Arrived)];
    race(&mut criterion, "empty arrival", "open loop", open, ALLOWED_OPEN_NS);
    criterion.final_summary();
}

/// What a child does: the arms of the two comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// A loop that reads the clock.
    Loop,
    /// A trial with one client.
    Trial,
    /// A loop that starts tasks.
    Spawned,
    /// The executor's side of an open load.
    Arrived,
}

/// Both arms on every executor, and a table.
fn race(
    criterion: &mut Criterion,
    name: &str,
    words: &str,
    arms: [(&str, Work); 2],
    allowed_ns: f64,
) {
    let mut lines = Vec::new();
    for executor in EXECUTORS {
        let mut group = criterion.benchmark_group(format!("{name}/{}", executor.name));
        group.sampling_mode(SamplingMode::Flat);
        let costs = arms.map(|(name, work)| {
            let costs = RefCell::new(Vec::new());
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|asked| {
                    let sample = job(executor.name, work, asked).in_child();
                    let cost = sample.window_ns as f64 / sample.completed as f64;
                    costs.borrow_mut().push(cost);
                    Duration::from_nanos((cost * asked as f64) as u64)
                });
            });
            // The least, because others who use the machine can only add to it.
            costs.into_inner().into_iter().reduce(f64::min)
        });
        group.finish();
        if let [Some(bare), Some(regatta)] = costs {
            lines.push(line(executor.name, bare, regatta, allowed_ns));
        }
    }
    if !lines.is_empty() {
        let clock_ns = clock::cost_ns();
        println!(
            "Empty operation, {words}, least of all samples in ns (one clock reading: {clock_ns:.1})"
        );
        println!("{:22}{:>9}{:>9}{:>9}{:>9}", "executor", arms[0].0, arms[1].0, "above", "allowed");
        for line in &lines {
            println!("{line}");
        }
    }
}

fn line(executor: &str, bare: f64, regatta: f64, allowed_ns: f64) -> String {
    let (above, allowed) = (regatta - bare, 2.0 * clock::cost_ns() + allowed_ns);
    let verdict = if above <= allowed { "ok" } else { "TOO MUCH" };
    format!("{executor:22}{bare:9.1}{regatta:9.1}{above:9.1}{allowed:9.1}  {verdict}")
}

/// At least as many operations as criterion asks for, on one CPU. A child knows its work by the
/// name of the load.
fn job(executor: &str, work: Work, asked: u64) -> Job {
    let open = matches!(work, Work::Spawned | Work::Arrived);
    let operations = asked.max(if open { LEAST_ARRIVALS } else { LEAST_OPERATIONS });
    let mut plan = trial_of(SCENARIO, executor);
    let last = *plan.executor_cpus.last().unwrap();
    plan.executor_cpus.truncate(1);
    // The trial's own helper threads.
    plan.target_cpus = vec![last];
    end_after(&mut plan, operations);
    plan.loads[0].name = format!("{work:?}");
    Job { arm: if work == Work::Trial { Arm::Regatta } else { Arm::Bare }, plan }
}

/// What is not a whole trial: the loops without Regatta, and the executor's side of an open load.
fn bare(plan: &TrialPlan) -> Sample {
    pin(&plan.executor_cpus);
    let regatta::scenario::LoadKind::Closed { tasks: Some(operations), .. } = plan.loads[0].kind
    else {
        panic!("the load ends by tasks")
    };
    let name = &plan.executor;
    let sample = match plan.loads[0].name.as_str() {
        "Spawned" => runtime::dispatch(name, Spawned(plan, operations)),
        "Arrived" => runtime::dispatch(name, Arrived(plan, operations)),
        _ => runtime::dispatch(name, Loop { plan, operations }),
    };
    sample.unwrap()
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
