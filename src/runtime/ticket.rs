//! Tickets: tasks of a load that wait for a worker.

/// A task of the load, waiting for a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticket {
    /// The task's or client's number.
    pub number: u64,
    /// When it is meant to start, in ns; a worker does not take it earlier.
    pub due_ns: u64,
}

impl Ticket {
    /// When a ticket is due whose client has nothing to do any more: the last moment but one of the
    /// clock. Whoever gets it ends it, at once.
    pub const OVER: u64 = u64::MAX - 1;

    /// Whether a worker may take it.
    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        self.due_ns <= now_ns || self.due_ns == Self::OVER
    }
}
