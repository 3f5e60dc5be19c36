//! Slots whose tasks are calls to a simulated server, and the loads that run in them.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{Simulated, SimulatedNative, server::Server, simulate};
use crate::{
    clock,
    load::{
        Batch, Closed, Drained, End, Launched, LoadError, Open, Outcome, Shared, Slot,
        open::{Account, Censored, Course, Door, Launch, Totals, Wait, take_in},
        prepare,
    },
    measure::{Recorders, Stream},
    runtime::{Native, Runtime},
};

/// When open loads begin: a moment at which a server that freezes every second does so.
pub(super) const START_NS: u64 = 1_000_000_000;

/// A trial's watchdog, by which its recorders know how long a task may take.
const LONGEST_NS: u64 = 600_000_000_000;

/// What came of a load.
pub(super) struct Ran {
    pub(super) outcome: Outcome<()>,
    pub(super) task: Stream,
    /// Calls by the server's own count.
    pub(super) served: u64,
}

/// What came of an open load.
pub(super) struct Landed {
    pub(super) account: Account,
    pub(super) totals: Totals,
    pub(super) task: Stream,
    pub(super) served: u64,
}

/// A pacer's course: the product's own ([`Course::run`]), or a mutant's.
pub(super) type Pacing = Pin<Box<dyn Future<Output = (Account, Censored)> + Send>>;

/// Slots whose tasks are calls to the server.
fn slots(count: u64, server: &Arc<Server>, recorders: &Recorders) -> Vec<Slot> {
    let shared = Arc::new(Shared::default());
    (0..count as usize).map(|number| Slot::new(number, server.steps(), recorders, shared.clone(), 42)).collect()
}

/// Runs a load in virtual time: `concurrency` tasks at once, each a call to the server.
fn run(
    server: &Arc<Server>,
    concurrency: u64,
    load: impl FnOnce(&Simulated, &mut Vec<Slot>, &Recorders) -> Result<Outcome<()>, LoadError>,
) -> Ran {
    simulate(|runtime| {
        let recorders = Recorders::up_to(LONGEST_NS, 2, Vec::new());
        let mut slots = slots(runtime.slots(concurrency), server, &recorders);
        prepare(runtime, &mut slots, None).expect("nothing to get ready");
        let outcome = load(runtime, &mut slots, &recorders).expect("virtual tasks can always be started");
        Ran { outcome, task: recorders.task(), served: server.served() }
    })
}

/// A closed load.
pub(super) fn run_closed(load: Closed, server: &Arc<Server>) -> Ran {
    match load.end {
        End::Tasks(_) => {
            run(server, load.clients, |runtime, slots, recorders| load.run(runtime, slots, recorders, || ()))
        }
        End::After(window_ns) => run_drained(load, window_ns, load.clients, server).0,
    }
}

/// A closed load that ends by time, in so many slots: everything that [`Closed::run`] starts, with a task in place of the
/// thread that waits. It waits for all of `drain_ns`, and gives up whatever is then in flight.
pub(super) fn run_drained(load: Closed, window_ns: u64, slots: u64, server: &Arc<Server>) -> (Ran, Drained) {
    let mut drained = Drained::default();
    let ran = run(server, slots, |runtime, slots, recorders| {
        let Launched { lanes, watch, window } = load.launch(window_ns, runtime, slots, recorders);
        let executor = *runtime;
        drained = runtime.block_on(async {
            let running = runtime.spawn(async move { lanes.run(&executor).await });
            let running = running.expect("virtual tasks can always be started");
            let limit_ns = window.1 + load.drain_ns;
            SimulatedNative::sleep(Duration::from_nanos(limit_ns - clock::now_ns())).await;
            let left = watch.give_up(recorders, clock::now_ns()).expect("every client is somewhere");
            drop(running);
            watch.drained(left, load.drain_ns)
        });
        Ok(Outcome {
            makespans_ns: Vec::new(),
            window_ns,
            completed: drained.completed,
            total_tasks: drained.ended,
            per_client: None,
            closed: Some(drained),
            open: None,
            edges: ((), ()),
        })
    });
    (ran, drained)
}

/// A batch.
pub(super) fn run_batch(load: Batch, server: &Arc<Server>) -> Ran {
    run(server, load.tasks, |runtime, slots, recorders| load.run(runtime, slots, recorders, || ()))
}

/// An open load: everything that [`Open::run`] starts, with a task in place of the pacer's thread. It begins at a
/// second of virtual time and ends when the last task has.
pub(super) fn run_open(load: &Open, server: &Arc<Server>, pace: impl FnOnce(Course) -> Pacing) -> Landed {
    simulate(|runtime| {
        let recorders = Recorders::up_to(LONGEST_NS, 2, Vec::new());
        let mut slots = slots(load.max_in_flight, server, &recorders);
        let Launch { course, door, flight, .. } = load.launch(runtime, &mut slots, &recorders, START_NS);
        let Door::Ring(ring) = door else { panic!("a simulated executor has no pool") };
        let account = runtime.block_on(async {
            let intake = take_in(*runtime, ring.clone(), flight);
            let intake = runtime.spawn(intake).expect("virtual tasks can always be started");
            let (account, _) = runtime.spawn(pace(course)).expect("virtual tasks can always be started").await;
            while flight.in_flight() > 0 {
                SimulatedNative::sleep(Duration::from_millis(1)).await;
            }
            ring.close();
            intake.await.expect("virtual tasks can always be started");
            account
        });
        Landed { account, totals: flight.totals(), task: recorders.task(), served: server.served() }
    })
}

/// The pacer's clock in virtual time. While it stalls it shows nothing: whoever waits for a moment in a stall wakes at
/// the stall's end.
pub(super) struct VirtualTime {
    /// Beginning and end in ns; none never stalls.
    pub(super) stall: Option<(u64, u64)>,
}

impl Wait for VirtualTime {
    fn now_ns(&mut self) -> u64 {
        clock::now_ns()
    }

    async fn until(&mut self, at_ns: u64) {
        let at_ns = match self.stall {
            Some((from_ns, to_ns)) if (from_ns..to_ns).contains(&at_ns) => to_ns,
            _ => at_ns,
        };
        SimulatedNative::sleep(Duration::from_nanos(at_ns.saturating_sub(clock::now_ns()))).await;
    }
}

/// The product's own pacer, punctual.
pub(super) fn punctual(course: Course) -> Pacing {
    Box::pin(course.run(VirtualTime { stall: None }))
}
