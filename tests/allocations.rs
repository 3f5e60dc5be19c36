//! Nothing is allocated per operation: an empty operation in a closed loop, twice as often,
//! allocates no more.
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
    step::Trial,
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

/// Operations of the shorter run.
const OPERATIONS: u64 = 5_000;

fn plan() -> TrialPlan {
    let scenario = from_text(Path::new("empty.toml"), SCENARIO, &Overrides::default())
        .expect("a valid scenario");
    let machine = Machine {
        cpus: vec![0, 1],
        executor_cpus: None,
        target_cpus: None,
        limits: Limits::default(),
    };
    Plan::new(&[scenario], &machine, 1, |_| true).cells.swap_remove(0).trial
}

/// Allocations of runs of this many operations each, all in the same slots: in a closed load, or an
/// open one.
struct Race(Vec<u64>, bool);

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

impl Visitor for Race {
    type Output = Vec<u64>;

    fn visit<R: Runtime>(self) -> Vec<u64> {
        let plan = plan();
        let runtime =
            R::start(&Setup { workers: 2, pool_size: 4, stack_size: None }).expect("threads");
        let recorders = Recorders::new(2, vec![("named".into(), true)]);
        let trial = std::sync::Arc::new(Trial {
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
        let mut slots: Vec<Slot> = (0..R::INFO.style.slots(4, 4) as usize)
            .map(|slot| {
                let steps = trial.sequence("nothing", slot).expect("the plan can be built");
                Slot::new(slot, steps, &recorders, shared.clone(), 1)
            })
            .collect();
        load::prepare(&runtime, &mut slots, None).expect("nothing to prepare");
        let is_open = self.1;
        let mut run = |tasks: u64| {
            let before = ALLOCATIONS.load(Relaxed);
            if is_open {
                let pace = |pacer_loop: load::open::PacerLoop| {
                    futures_lite::future::block_on(pacer_loop.run(RealTime { spin: false }))
                };
                let outcome =
                    open(tasks).run(&runtime, &mut slots, &recorders, &(), pace).expect("runs");
                assert!(outcome.completed > 0);
                return ALLOCATIONS.load(Relaxed) - before;
            }
            let (think, end) = (Distribution::Const(Duration::ZERO), ClosedEnd::Tasks(tasks));
            let closed =
                Closed { clients: 4, stages: None, think, end, warmup_ns: 0, drain_ns: 0, seed: 1 };
            let outcome = closed.run(&runtime, &mut slots, &recorders, &()).expect("runs");
            assert_eq!(outcome.completed, tasks);
            ALLOCATIONS.load(Relaxed) - before
        };
        let counts = self.0.into_iter().map(&mut run).collect();
        drop((slots, trial));
        runtime.stop();
        counts
    }
}

/// An executor on a busy host may find its queue fuller by a block in every run of one size. What
/// allocates for one operation in a thousand is beyond this.
const A_FEW: u64 = 3;

/// One test for all executors and loads, since tests run at once and there is one allocator. What
/// an executor allocates for each task that it starts is its own affair, so that an open load is
/// only tried where nothing is started.
#[test]
fn an_operation_allocates_nothing() {
    const SIZES: [u64; 9] = [1, 1, 2, 2, 1, 1, 2, 2, 1];
    for (executor, is_open) in
        EXECUTORS.iter().flat_map(|executor| [(executor, false), (executor, true)])
    {
        if is_open && !matches!(executor.style, Style::Serial | Style::Pool) {
            continue;
        }
        // The first run may size things that are kept: queues, the executor's own tables. The least
        // of several is compared, because what starting a pass costs depends a little on the order
        // in which threads come and go, and on how full the last block of the executor's queue is.
        // So neither size may always follow the other.
        let sizes = SIZES.map(|times| times * OPERATIONS).to_vec();
        let counts = runtime::dispatch(executor.name, Race(sizes, is_open))
            .expect("an executor of this build");
        let runs = || SIZES.iter().zip(&counts).skip(1);
        let least =
            |size: u64| runs().filter(|(times, _)| **times == size).map(|(_, &count)| count).min();
        let (Some(once), Some(twice)) = (least(1), least(2)) else { panic!("no runs: {counts:?}") };
        let name = executor.name;
        assert!(
            twice <= once + A_FEW,
            "{name}: {OPERATIONS} and twice as many operations: {counts:?}"
        );
    }
}
