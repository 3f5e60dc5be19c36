//! Slots whose tasks are calls to a simulated server, and the loads that run in them.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{Simulated, SimulatedNative, server::Server, simulate};
use crate::{
    clock,
    load::{
        Batch, Closed, ClosedEnd, Drained, Launched, LoadError, LoadOutcome, LoadShared, Open,
        Slot, Window,
        open::{Censored, HandOff, Launch, PacerAccount, PacerClock, PacerLoop, Totals, take_in},
        prepare,
    },
    measure::{Recorders, Stream},
    runtime::{NativeTimers as _, Runtime},
};

/// When open loads begin: a moment at which a server that freezes every second does so.
pub(super) const START_NS: u64 = 1_000_000_000;

/// A trial's watchdog, by which its recorders know how long a task may take.
pub(super) const LONGEST_NS: u64 = 600_000_000_000;

/// What came of a load.
pub(super) struct Ran {
    pub(super) outcome: LoadOutcome,
    pub(super) task: Stream,
    /// Calls by the server's own count.
    pub(super) served: u64,
}

/// What came of an open load.
pub(super) struct Landed {
    pub(super) account: PacerAccount,
    pub(super) totals: Totals,
    pub(super) task: Stream,
    pub(super) served: u64,
}

/// A pacer's loop: the product's own ([`PacerLoop::run`]), or a mutant's.
pub(super) type Pacing = Pin<Box<dyn Future<Output = (PacerAccount, Censored)> + Send>>;

/// Slots whose tasks are calls to the server.
pub(super) fn slots(count: u64, server: &Arc<Server>, recorders: &Recorders) -> Vec<Slot> {
    let shared = Arc::new(LoadShared::default());
    (0..count as usize)
        .map(|number| Slot::new(number, server.steps(), recorders, shared.clone(), 42))
        .collect()
}

/// Runs a load in virtual time: `concurrency` tasks at once, each a call to the server.
fn run(
    server: &Arc<Server>,
    concurrency: u64,
    load: impl FnOnce(&Simulated, &mut Vec<Slot>, &Recorders) -> Result<LoadOutcome, LoadError>,
) -> Ran {
    simulate(|runtime| {
        let recorders = Recorders::up_to(LONGEST_NS, 2, Vec::new());
        let mut slots = slots(concurrency, server, &recorders);
        prepare(runtime, &mut slots, None).expect("nothing to get ready");
        let outcome =
            load(runtime, &mut slots, &recorders).expect("virtual tasks can always be started");
        Ran { outcome, task: recorders.task(), served: server.served() }
    })
}

/// A closed load.
pub(super) fn run_closed(load: Closed, server: &Arc<Server>) -> Ran {
    match load.end {
        ClosedEnd::Tasks(_) => run(server, load.clients, |runtime, slots, recorders| {
            load.run(runtime, slots, recorders, &())
        }),
        ClosedEnd::After(window_ns) => {
            let slots = load.clients;
            run_drained(load, window_ns, slots, server).0
        }
    }
}

/// A closed load that ends by time, in so many slots.
pub(super) fn run_drained(
    load: Closed,
    window_ns: u64,
    slots: u64,
    server: &Arc<Server>,
) -> (Ran, Drained) {
    let mut drained = Drained::default();
    let ran = run(server, slots, |runtime, slots, recorders| {
        let drive = drive_closed(&load, window_ns, runtime, slots, recorders, &());
        drained = runtime.block_on(drive);
        Ok(LoadOutcome {
            window_ns,
            completed: drained.completed,
            total_tasks: drained.ended,
            closed: Some(drained),
            ..LoadOutcome::default()
        })
    });
    (ran, drained)
}

/// Everything that [`Closed::run`] starts for a load that ends by time, with a task in place of the
/// thread that waits. It waits for all of `drain_ns`, and gives up whatever is then in flight.
pub(super) async fn drive_closed(
    load: &Closed,
    window_ns: u64,
    runtime: &Simulated,
    slots: &mut Vec<Slot>,
    recorders: &Recorders,
    trial: &impl Window,
) -> Drained {
    let launched = load.launch(window_ns, runtime, slots, recorders, trial);
    let Launched { lanes, watch, window } = launched;
    let executor = *runtime;
    let running = runtime.spawn(async move { lanes.run(&executor).await });
    let running = running.expect("virtual tasks can always be started");
    let limit_ns = window.1 + load.drain_ns;
    SimulatedNative::sleep(Duration::from_nanos(limit_ns - clock::now_ns())).await;
    let left = watch.give_up(recorders, clock::now_ns()).expect("every client is somewhere");
    drop(running);
    watch.drained(left, load.drain_ns)
}

/// A batch.
pub(super) fn run_batch(load: Batch, server: &Arc<Server>) -> Ran {
    run(server, load.tasks, |runtime, slots, recorders| load.run(runtime, slots, recorders, &()))
}

/// An open load. It begins at a second of virtual time and ends when the last task has.
pub(super) fn run_open(
    load: &Open,
    server: &Arc<Server>,
    pace: impl FnOnce(PacerLoop) -> Pacing,
) -> Landed {
    simulate(|runtime| {
        let recorders = Recorders::up_to(LONGEST_NS, 2, Vec::new());
        let mut slots = slots(load.max_in_flight, server, &recorders);
        let drive = drive_open(load, runtime, &mut slots, &recorders, (START_NS, &()), pace);
        let (account, totals) = runtime.block_on(drive);
        Landed { account, totals, task: recorders.task(), served: server.served() }
    })
}

/// Everything that [`Open::run`] starts, with a task in place of the pacer's thread, until the last
/// task has ended.
pub(super) async fn drive_open(
    load: &Open,
    runtime: &Simulated,
    slots: &mut Vec<Slot>,
    recorders: &Recorders,
    (start_ns, trial): (u64, &impl Window),
    pace: impl FnOnce(PacerLoop) -> Pacing,
) -> (PacerAccount, Totals) {
    let Launch { pacer_loop, hand_off, flight, .. } =
        load.launch(runtime, slots, recorders, start_ns, trial);
    let HandOff::Ring(ring) = hand_off else { panic!("a simulated executor has no pool") };
    let intake = take_in(*runtime, ring.clone(), flight);
    let intake = runtime.spawn(intake).expect("virtual tasks can always be started");
    let (account, _) =
        runtime.spawn(pace(pacer_loop)).expect("virtual tasks can always be started").await;
    while flight.in_flight() > 0 {
        SimulatedNative::sleep(Duration::from_millis(1)).await;
    }
    ring.close();
    intake.await.expect("virtual tasks can always be started");
    (account, flight.totals())
}

/// The pacer's clock in virtual time. While it stalls it shows nothing: whoever waits for a moment
/// in a stall wakes at the stall's end.
pub(super) struct VirtualTime {
    /// Beginning and end in ns; none never stalls.
    pub(super) stall: Option<(u64, u64)>,
}

impl PacerClock for VirtualTime {
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
pub(super) fn punctual(pacer_loop: PacerLoop) -> Pacing {
    Box::pin(pacer_loop.run(VirtualTime { stall: None }))
}
