//! Nothing is allocated per operation: an empty operation in a closed loop, twice as often,
//! allocates no more. A fan-out allocates what its executor does for the children that it starts,
//! and where children are cancelled, what takes their place.
//!
//! A binary of its own, because it counts through the global allocator.

#![allow(unsafe_code, reason = "an allocator is unsafe by its trait")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::HashMap,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use regatta::{
    limits::Limits,
    load::{
        self, Arrival, Closed, ClosedEnd, LoadShared, Open, Overflow, Slot, Stage, open::RealTime,
    },
    measure::Recorders,
    plan::{Machine, Plan},
    runtime::{self, EXECUTORS, Runtime, Setup, Style, Visitor},
    scenario::{Overrides, from_text},
    step::{TaskRuns, Trial},
    trial::TrialPlan,
    units::Distribution,
};

/// The system's allocator, with a count of what it was asked for.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting neither allocates nor
// unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the system's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SCENARIO: &str = r#"
schema = 1
name = "empty"
question = "Does an operation allocate?"
[executors]
baseline = "sequential"
[tasks.nothing]
steps = [ { noop = {} }, { noop = {}, name = "named" } ]
[load.clients]
task = "nothing"
closed = { concurrency = 4, tasks = 4 }
"#;

/// A fan-out, which ends in one way or the other at the first child that ends badly.
const FAN_OUT: &str = r#"
schema = 1
name = "fan-out"
question = "What does a fan-out allocate?"
[executors]
baseline = "sequential"
[tasks.fan]
steps = [ { parallel = { task = "child", count = 16, errors = "ERRORS" } } ]
[tasks.child]
steps = [ STEPS ]
[load.clients]
task = "fan"
closed = { concurrency = 4, tasks = 4 }
"#;

/// Fan-outs of a shorter run.
const FAN_OUTS: u64 = 40;

fn plan(text: &str) -> TrialPlan {
    let scenario =
        from_text(Path::new("empty.toml"), text, &Overrides::default()).expect("a valid scenario");
    let machine = Machine {
        cpus: vec![0, 1],
        executor_cpus: None,
        target_cpus: None,
        limits: Limits::default(),
    };
    Plan::new(&[scenario], &machine, 1, |_| true).cells.swap_remove(0).trial
}

/// Runs of this many operations each, all in the same slots: in a closed load, or an open one.
struct Race<'a> {
    text: &'a str,
    sizes: Vec<u64>,
    is_open: bool,
}

/// What a run allocated, and how many children it cancelled.
#[derive(Debug, Clone, Copy)]
struct Seen {
    allocations: u64,
    cancelled: u64,
}

/// An open load of so many arrivals.
fn open(arrivals: u64) -> Open {
    const RATE: f64 = 50_000.0;
    let length_ns = (arrivals as f64 / RATE * 1e9) as u64;
    Open {
        rate: RATE,
        stages: vec![Stage { from: RATE, to: RATE, length_ns }],
        arrival: Arrival::Poisson,
        max_in_flight: 4,
        overflow: Overflow::Drop,
        warmup_ns: 0,
        drain_ns: 20_000_000_000,
        seed: 1,
    }
}

impl Visitor for Race<'_> {
    type Output = Vec<Seen>;

    fn visit<R: Runtime>(self) -> Vec<Seen> {
        let plan = plan(self.text);
        let runtime =
            R::start(&Setup { workers: 2, pool_size: 4, stack_size: None }).expect("threads");
        let recorders = Recorders::new(2, vec![("named".into(), true)]);
        let trial = std::sync::Arc::new(Trial {
            pool_size: 1,
            runtime: runtime.clone(),
            at_once: "`concurrency`",
            seed: 1,
            tasks: Box::new(plan.tasks.clone()),
            endpoints: HashMap::default(),
            recorders: recorders.clone(),
            ledger: std::sync::Arc::default(),
            shared: std::sync::Arc::default(),
            commons: std::sync::Arc::default(),
        });
        let shared = std::sync::Arc::new(LoadShared::default());
        let task = &plan.loads[0].task;
        let mut slots: Vec<Slot> = (0..R::INFO.style.slots(4, 4) as usize)
            .map(|slot| {
                let steps = trial.sequence(task, slot).expect("the plan can be built");
                Slot::new(slot, steps, &recorders, shared.clone(), 1)
            })
            .collect();
        load::prepare(&runtime, &mut slots, None).expect("nothing to prepare");
        let cancelled = || {
            let edges = trial.ledger.settled(STEPS).edges;
            edges.iter().flatten().map(TaskRuns::lost).sum::<u64>()
        };
        let mut run = |tasks: u64| {
            let (before, cancelled_before) = (ALLOCATIONS.load(Relaxed), cancelled());
            if self.is_open {
                pass_open(&runtime, &mut slots, &recorders, tasks);
            } else {
                pass_closed(&runtime, &mut slots, &recorders, tasks);
            }
            let allocations = ALLOCATIONS.load(Relaxed) - before;
            Seen { allocations, cancelled: cancelled() - cancelled_before }
        };
        let seen = self.sizes.into_iter().map(&mut run).collect();
        drop((slots, trial));
        runtime.stop();
        seen
    }
}

/// More than any plan here has.
const STEPS: usize = 8;

fn pass_open<R: Runtime>(runtime: &R, slots: &mut Vec<Slot>, recorders: &Recorders, arrivals: u64) {
    let pace = |pacer_loop: load::open::PacerLoop| {
        futures_lite::future::block_on(pacer_loop.run(RealTime { spin: false }))
    };
    let outcome = open(arrivals).run(runtime, slots, recorders, &(), pace).expect("runs");
    assert!(outcome.completed > 0);
}

fn pass_closed<R: Runtime>(runtime: &R, slots: &mut Vec<Slot>, recorders: &Recorders, tasks: u64) {
    let (think, end) = (Distribution::Const(Duration::ZERO), ClosedEnd::Tasks(tasks));
    let closed =
        Closed { clients: 4, stages: None, think, end, warmup_ns: 0, drain_ns: 0, seed: 1 };
    let outcome = closed.run(runtime, slots, recorders, &()).expect("runs");
    assert_eq!(outcome.completed, tasks);
}

/// An executor on a busy host may find its queue fuller by a block in every run of one size. What
/// allocates for one operation in a thousand is beyond this.
const A_FEW: u64 = 3;

/// Runs of one size and of two in turn, in an order in which neither always follows the other.
const SIZES: [u64; 9] = [1, 1, 2, 2, 1, 1, 2, 2, 1];

/// What runs of `operations` and of twice as many showed, without the first, which may size things
/// that are kept: queues, the executor's own tables.
fn race(executor: &str, text: &str, operations: u64, is_open: bool) -> Vec<(u64, Seen)> {
    let sizes = SIZES.map(|times| times * operations).to_vec();
    let seen = runtime::dispatch(executor, Race { text, sizes, is_open })
        .expect("an executor of this build");
    SIZES.into_iter().zip(seen).skip(1).collect()
}

/// The least of all runs of a size, because what starting a pass costs depends a little on the
/// order in which threads come and go, and on how full the last block of an executor's queue is.
fn least(runs: &[(u64, Seen)], size: u64) -> u64 {
    let of_size = runs.iter().filter(|(times, _)| *times == size);
    of_size.map(|(_, seen)| seen.allocations).min().expect("runs of both sizes")
}

/// What `operations` more allocate.
fn growth(runs: &[(u64, Seen)]) -> u64 {
    least(runs, 2).saturating_sub(least(runs, 1))
}

fn fan_out(errors: &str, steps: &str) -> String {
    FAN_OUT.replace("ERRORS", errors).replace("STEPS", steps)
}

/// One test for all executors and loads, since tests run at once and there is one allocator.
#[test]
fn only_what_is_started_and_what_is_cancelled_allocates() {
    for executor in EXECUTORS {
        // A worker of rayon's that sleeps is called by a job, and rayon puts its jobs on the heap: at
        // most one for each task.
        let calls = if executor.style == Style::Stealing { OPERATIONS } else { 0 };
        an_operation_allocates_nothing(executor.name, false, calls);
        // What an executor allocates for each task that it starts is its own affair, so that an
        // open load is only tried where nothing is started.
        if matches!(executor.style, Style::Serial | Style::Pool) {
            an_operation_allocates_nothing(executor.name, true, 0);
        }
        let is_stealing = executor.style == Style::Stealing;
        a_fan_out_that_may_be_cut_short_allocates_no_more_for_it(executor.name, is_stealing);
        what_is_cancelled_is_replaced_and_no_more(executor.name);
    }
}

const OPERATIONS: u64 = 5_000;

fn an_operation_allocates_nothing(name: &str, is_open: bool, but: u64) {
    let runs = race(name, SCENARIO, OPERATIONS, is_open);
    assert!(growth(&runs) <= A_FEW + but, "{name}: {OPERATIONS} and twice as many: {runs:?}");
}

/// The sum of a count over all runs.
fn sum(runs: &[(u64, Seen)], count: fn(&Seen) -> u64) -> u64 {
    runs.iter().map(|(_, seen)| count(seen)).sum()
}

/// An allocation for each fan-out would be as many as there are fan-outs. Fewer by half may come of
/// how many threads are there at once, which is up to the kernel. Rayon calls workers that sleep by
/// jobs on the heap, and how often is up to the kernel, too: there, one for each child is looked for.
fn a_fan_out_that_may_be_cut_short_allocates_no_more_for_it(name: &str, is_stealing: bool) {
    let of = |errors| race(name, &fan_out(errors, "{ noop = {} }"), FAN_OUTS, false);
    let (collect, fail_fast) = (of("collect"), of("fail-fast"));
    let fan_outs: u64 = collect.iter().map(|(times, _)| times * FAN_OUTS).sum();
    let [limit, found] = [&collect, &fail_fast].map(|runs| sum(runs, |seen| seen.allocations));
    let by_chance = if is_stealing { 2 * fan_outs } else { fan_outs / 2 };
    assert!(found <= limit + by_chance, "{name}: {collect:?} {fail_fast:?}");
}

/// A child of two steps, one of them with a time limit, is built again where it was cancelled.
const REBUILT: u64 = 16;

fn what_is_cancelled_is_replaced_and_no_more(name: &str) {
    let of = |steps: &str| race(name, &fan_out("fail-fast", steps), FAN_OUTS, false);
    let sleep = "{ sleep = { time = \"uniform(0ms,500us)\" } }";
    let whole = of(&format!("{sleep}, {{ sleep = {{ time = \"10us\" }} }}"));
    let ends = "{ sleep = { time = \"1s\" }, timeout = \"10us\", on_timeout = \"skip\" }";
    let cut_short = of(&format!("{sleep}, {ends}"));
    let (own, cancelled) =
        (sum(&whole, |seen| seen.allocations), sum(&cut_short, |seen| seen.cancelled));
    let limit = own + REBUILT * cancelled;
    assert!(cancelled > 0, "{name}: {cut_short:?}");
    assert!(sum(&cut_short, |seen| seen.allocations) <= limit, "{name}: {whole:?} {cut_short:?}");
}
