//! The executor's side of an open load, and the same loop without Regatta: tasks that do nothing,
//! all of which have arrived already, so that neither waits for a pacer.

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use regatta::{
    clock,
    load::{
        self, Arrival, LoadShared, Open, Overflow, Slot, Stage,
        open::{RealTime, attend},
    },
    measure::Recorders,
    runtime::{NativeWork as _, Runtime, Visitor},
    step::Trial,
    trial::TrialPlan,
};

use super::support::Sample;

/// So many have arrived when the executor begins.
const AT_ONCE: u64 = 1024;
/// A task that starts others lets them run after so many, as Regatta's does.
const IN_A_ROW: u64 = 64;

/// Regatta's intake, slots and recording.
pub struct Arrived<'a>(pub &'a TrialPlan, pub u64);

impl Visitor for Arrived<'_> {
    type Output = Sample;

    fn visit<R: Runtime>(self) -> Sample {
        let Self(plan, operations) = self;
        let runtime = R::start(&plan.setup).unwrap();
        let recorders = Recorders::new(2, Vec::new());
        let trial = Arc::new(Trial {
            pool_size: 1,
            runtime: runtime.clone(),
            at_once: "`concurrency`",
            seed: 1,
            tasks: Box::new(plan.tasks.clone()),
            endpoints: HashMap::default(),
            recorders: recorders.clone(),
            ledger: Arc::default(),
            shared: Arc::default(),
            commons: Arc::default(),
        });
        let shared = Arc::new(LoadShared::default());
        let steps = |number| trial.sequence("nothing", number).unwrap();
        let slot = |number| Slot::new(number, steps(number), &recorders, shared.clone(), 1);
        let mut slots: Vec<Slot> = (0..R::INFO.style.slots(AT_ONCE, plan.setup.pool_size as u64)
            as usize)
            .map(slot)
            .collect();
        load::prepare(&runtime, &mut slots, None).unwrap();
        let mut sample = Sample::default();
        while sample.completed < operations {
            sample.window_ns += pass(&runtime, &mut slots, &recorders);
            sample.completed += AT_ONCE;
        }
        drop((slots, trial));
        runtime.stop();
        sample
    }
}

/// One pass over [`AT_ONCE`] arrivals; how long the executor took for them, in ns.
fn pass<R: Runtime>(runtime: &R, slots: &mut Vec<Slot>, recorders: &Recorders) -> u64 {
    let open = Open {
        rate: 1e9,
        stages: vec![Stage { from: 1e9, to: 1e9, length_ns: AT_ONCE }],
        arrival: Arrival::Constant,
        max_in_flight: AT_ONCE,
        overflow: Overflow::Drop,
        warmup_ns: 0,
        drain_ns: 0,
        seed: 1,
    };
    let launch = open.launch(runtime, slots, recorders, clock::now_ns() - open.window_ns(), &());
    let (account, _) =
        futures_lite::future::block_on(launch.pacer_loop.run(RealTime { spin: false }));
    assert_eq!(account.emitted, AT_ONCE);
    launch.hand_off.close();
    let start_ns = clock::now_ns();
    attend(runtime, launch.hand_off, launch.flight).unwrap();
    while launch.flight.in_flight() > 0 {
        give_way(runtime);
    }
    let end_ns = clock::now_ns();
    *slots = launch.flight.slots();
    end_ns - start_ns
}

/// Lets the executor's tasks run, also where it has no thread but this one.
fn give_way<R: Runtime>(runtime: &R) {
    runtime.block_on(async { runtime.spawn(R::Native::yield_now()).unwrap().await });
}

/// The same without Regatta.
pub struct Spawned<'a>(pub &'a TrialPlan, pub u64);

/// Tasks of [`Spawned`] that have ended.
static ENDED: AtomicU64 = AtomicU64::new(0);

impl Visitor for Spawned<'_> {
    type Output = Sample;

    fn visit<R: Runtime>(self) -> Sample {
        let Self(plan, operations) = self;
        let runtime = R::start(&plan.setup).unwrap();
        let mut sample = Sample::default();
        while sample.completed < operations {
            sample.completed += AT_ONCE;
            let start_ns = clock::now_ns();
            let spawning = spawn_all(runtime.clone());
            runtime.block_on(async { runtime.spawn(spawning).unwrap().await });
            while ENDED.load(Relaxed) < sample.completed {
                give_way(&runtime);
            }
            sample.window_ns += clock::now_ns() - start_ns;
        }
        runtime.stop();
        sample
    }
}

async fn spawn_all<R: Runtime>(runtime: R) {
    for number in 1..=AT_ONCE {
        let nothing = async move {
            black_box(number);
            ENDED.fetch_add(1, Relaxed);
        };
        runtime.spawn_detached(nothing).unwrap();
        if number.is_multiple_of(IN_A_ROW) {
            R::Native::yield_now().await;
        }
    }
}
