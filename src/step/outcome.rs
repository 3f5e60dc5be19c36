//! How a step ends, and what it has done then.

use crate::client::{Fault, FaultKind};

/// How a step ended that did not end the task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Bytes received or read.
    pub received: u64,
    /// Bytes sent or written.
    pub sent: u64,
    /// Errors that the scenario allows.
    pub errors: u64,
    /// Time-outs that the scenario allows.
    pub timeouts: u64,
}

impl Done {
    /// Adds what another step did.
    ///
    /// Field by field, and only where there is something: a compiler that adds two fields at once
    /// loads them at once, and a load of two words that were stored just before, each by itself,
    /// waits until both have left the store buffer: some nanoseconds of a task that does nothing.
    #[inline]
    pub fn add(&mut self, other: Self) {
        let sums = [
            (&mut self.received, other.received),
            (&mut self.sent, other.sent),
            (&mut self.errors, other.errors),
            (&mut self.timeouts, other.timeouts),
        ];
        for (sum, more) in sums {
            if more > 0 {
                *sum += more;
            }
        }
    }
}

/// Why a step ended its task. All but a skipped task make the trial fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A time-out with `on_timeout = "skip"`: the rest of the task is not done; so far this was.
    #[error("the task was skipped")]
    Skipped(Done),
    /// The work was not done as the scenario demands.
    #[error("{0}")]
    Wrong(String),
    /// A target did not do its part: it could not be reached, or the connection was lost.
    #[error("{0}")]
    Target(String),
    /// The system refused something that the work needs, such as a thread, a file or a port.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// The same failure, after other work was done.
    #[must_use]
    pub fn after(self, mut before: Done) -> Self {
        match self {
            Self::Skipped(done) => {
                before.add(done);
                Self::Skipped(before)
            }
            failed => failed,
        }
    }

    /// A fault of a server's, in these words.
    pub fn of_fault(fault: &Fault, words: String) -> Self {
        Self::of_kind(fault.kind, words)
    }

    /// The same of a kind of faults.
    pub fn of_kind(kind: FaultKind, words: String) -> Self {
        match kind {
            kind if kind.is_the_server_s() => Self::Target(words),
            kind if kind.is_the_system_s() => Self::Refused(words),
            _ => Self::Wrong(words),
        }
    }

    /// The same failure, its reason said after where it happened.
    #[must_use]
    pub fn at(self, place: impl std::fmt::Display) -> Self {
        let placed = |reason| format!("{place}: {reason}");
        match self {
            Self::Skipped(done) => Self::Skipped(done),
            Self::Wrong(reason) => Self::Wrong(placed(reason)),
            Self::Target(reason) => Self::Target(placed(reason)),
            Self::Refused(reason) => Self::Refused(placed(reason)),
        }
    }
}

/// How a step ended.
pub type StepOutcome = Result<Done, Failure>;
