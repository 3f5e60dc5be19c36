//! Loads: how tasks arrive, and the slots that run them. One file per load.
//!
//! `t` is a task's intended start, `a` its actual start, `c` its completion. Latency is c − t in every load and
//! service is c − a.

mod batch;
mod closed;
mod executor;
mod giving_up;
mod lane;
mod log;
pub mod open;
mod probe;

pub use batch::Batch;
pub use closed::{CLIENT_BYTES, Closed, End, Launched, per_client};
pub use giving_up::{Drained, Left};
pub use lane::{LoadError, Lookout, Shared, Slot, prepare};
pub use open::{Arrival, Open, Overflow, Stage};
pub use probe::{Probe, objection};

use crate::measure::Clients;

/// Index of the first task that only warms up; far from those that are measured, so that no key is used twice.
const WARMUP_TASKS: u64 = 1 << 40;

impl<S> Outcome<S> {
    /// Tasks that were given up: in flight, or due and not begun.
    pub fn given_up(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.given_up);
        open + self.closed.as_ref().map_or(0, |closed| closed.left.tasks())
    }
}

/// What a load measured, besides what went into the recorders.
#[derive(Debug, Clone)]
pub struct Outcome<S> {
    /// Batch: one makespan per repeat, in ns.
    pub makespans_ns: Vec<u64>,
    /// Length of the measured window in ns.
    pub window_ns: u64,
    /// Tasks completed inside the window.
    pub completed: u64,
    /// Tasks run in the whole life of the process, warm-up included.
    pub total_tasks: u64,
    /// How the work was spread over the clients, from the first task on that is not of a warm-up of its own (closed loads).
    pub per_client: Option<Clients>,
    /// What became of the clients of a closed load that ends by time.
    pub closed: Option<Drained>,
    /// What became of an open load.
    pub open: Option<open::Landed>,
    /// Samples of the counters at the edges of the window.
    pub edges: (S, S),
}
