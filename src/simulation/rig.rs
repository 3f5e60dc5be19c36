//! Slots whose tasks are calls to a simulated server, and the loads that run in them.

use std::sync::Arc;

use super::{Simulated, server::Server, simulate};
use crate::{
    load::{Batch, Closed, LoadError, Outcome, Shared, Slot, prepare},
    measure::{Recorders, Stream},
    runtime::Runtime,
};

/// What came of a load.
pub(super) struct Ran {
    pub(super) outcome: Outcome<()>,
    pub(super) task: Stream,
    /// Calls by the server's own count.
    pub(super) served: u64,
}

/// Runs a load in virtual time: `concurrency` tasks at once, each a call to the server.
pub(super) fn run(
    server: &Arc<Server>,
    concurrency: u64,
    load: impl FnOnce(&Simulated, &mut Vec<Slot>, &Recorders) -> Result<Outcome<()>, LoadError>,
) -> Ran {
    simulate(|runtime| {
        let recorders = Recorders::new(2, Vec::new());
        let shared = Arc::new(Shared::default());
        let slot = |number| Slot::new(number, server.steps(), &recorders, shared.clone(), 42);
        let mut slots: Vec<Slot> = (0..runtime.slots(concurrency) as usize).map(slot).collect();
        prepare(runtime, &mut slots).expect("nothing to get ready");
        let outcome = load(runtime, &mut slots, &recorders).expect("virtual tasks can always be started");
        assert_eq!(shared.wrong(), None);
        Ran { outcome, task: recorders.task(), served: server.served() }
    })
}

/// A closed load. With `End::After`, its edges are sampled by a thread in real time, for which the window of virtual
/// time has long passed: a machine that has just started would wait for it.
pub(super) fn run_closed(load: Closed, server: &Arc<Server>) -> Ran {
    run(server, load.clients, |runtime, slots, recorders| load.run(runtime, slots, recorders, || ()))
}

/// A batch.
pub(super) fn run_batch(load: Batch, server: &Arc<Server>) -> Ran {
    run(server, load.tasks, |runtime, slots, recorders| load.run(runtime, slots, recorders, || ()))
}
