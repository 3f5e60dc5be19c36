//! What a load measured, in one form for all loads.

use super::{Drained, open::OpenOutcome};
use crate::measure::Clients;

/// What a load measured, besides what went into the recorders.
#[derive(Debug, Clone, Default)]
pub struct LoadOutcome {
    /// Batch: one makespan per repeat, in ns.
    pub makespans_ns: Vec<u64>,
    /// Length of the measured window in ns.
    pub window_ns: u64,
    /// Tasks completed inside the window.
    pub completed: u64,
    /// Tasks run in the whole life of the process, warm-up included.
    pub total_tasks: u64,
    /// How the work was spread over the clients, from the first task on that is not of a warm-up of
    /// its own (closed loads).
    pub per_client: Option<Clients>,
    /// What became of the clients of a closed load that ends by time.
    pub closed: Option<Drained>,
    /// What became of an open load.
    pub open: Option<OpenOutcome>,
}

impl LoadOutcome {
    /// Tasks that were given up: in flight, or due and not begun.
    pub fn given_up(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.given_up);
        open + self.closed.as_ref().map_or(0, |closed| closed.left.tasks())
    }
}
