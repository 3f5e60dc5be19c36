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
    pub fn add(&mut self, other: Self) {
        self.received += other.received;
        self.sent += other.sent;
        self.errors += other.errors;
        self.timeouts += other.timeouts;
    }

    /// What whoever runs the step has to know of it.
    #[inline]
    fn mishaps(self) -> Mishaps {
        Mishaps::of(self.errors, self.timeouts)
    }
}

/// Errors and time-outs that the scenario allows, of one execution of a step and of what it runs.
///
/// One word, and so one register: a sum that is stored field by field and read at once in a wider
/// load waits for the store buffer, some nanoseconds of a task that does nothing. Each count stops
/// at 2^32 - 1; the steps' own accounts do not.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Mishaps(u64);

impl Mishaps {
    const BITS: u32 = 32;
    const MOST: u64 = (1 << Self::BITS) - 1;

    /// So many.
    #[inline]
    pub fn of(errors: u64, timeouts: u64) -> Self {
        Self(errors.min(Self::MOST) | timeouts.min(Self::MOST) << Self::BITS)
    }

    /// Errors that the scenario allows.
    #[inline]
    pub fn errors(self) -> u64 {
        self.0 & Self::MOST
    }

    /// Time-outs that the scenario allows.
    #[inline]
    pub fn timeouts(self) -> u64 {
        self.0 >> Self::BITS
    }

    /// Whether there were none.
    #[inline]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Adds those of another step.
    #[inline]
    pub fn add(&mut self, more: Self) {
        if !more.is_none() {
            *self = Self::of(self.errors() + more.errors(), self.timeouts() + more.timeouts());
        }
    }
}

impl std::fmt::Debug for Mishaps {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} errors, {} time-outs", self.errors(), self.timeouts())
    }
}

/// How a step ended, for whoever runs it: two words, which a call returns in registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEnd {
    /// The task goes on.
    Done(Mishaps),
    /// The rest of the task is not done.
    Skipped(Mishaps),
    /// The trial must fail.
    Failed(Box<Failure>),
}

impl From<StepOutcome> for StepEnd {
    #[inline]
    fn from(outcome: StepOutcome) -> Self {
        match outcome {
            Ok(done) => Self::Done(done.mishaps()),
            Err(Failure::Skipped(done)) => Self::Skipped(done.mishaps()),
            Err(failure) => Self::Failed(Box::new(failure)),
        }
    }
}

impl StepEnd {
    /// For an operation that ran the step as a part of its own work. It moved no bytes of its own.
    pub fn outcome(self) -> StepOutcome {
        let done = |mishaps: Mishaps| Done {
            errors: mishaps.errors(),
            timeouts: mishaps.timeouts(),
            ..Done::default()
        };
        match self {
            Self::Done(mishaps) => Ok(done(mishaps)),
            Self::Skipped(mishaps) => Err(Failure::Skipped(done(mishaps))),
            Self::Failed(failure) => Err(*failure),
        }
    }

    /// The same end, after other work was done.
    #[must_use]
    pub fn after(self, mut before: Mishaps) -> Self {
        match self {
            Self::Done(more) => {
                before.add(more);
                Self::Done(before)
            }
            Self::Skipped(more) => {
                before.add(more);
                Self::Skipped(before)
            }
            failed @ Self::Failed(_) => failed,
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

/// How an operation ended.
pub type StepOutcome = Result<Done, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_counts_are_kept_apart_and_stop_at_their_ends() {
        let both = |mishaps: Mishaps| (mishaps.errors(), mishaps.timeouts());
        let mut sum = Mishaps::of(3, 5);
        sum.add(Mishaps::of(0, 0));
        sum.add(Mishaps::of(1, 2));
        assert_eq!((both(sum), sum.is_none()), ((4, 7), false));
        let most = u64::from(u32::MAX);
        sum.add(Mishaps::of(most, most - 7));
        assert_eq!(both(sum), (most, most));
        assert_eq!(both(Mishaps::of(u64::MAX, 0)), (most, 0));
        assert!(Mishaps::default().is_none());
    }

    #[test]
    fn an_end_says_all_but_the_bytes_of_an_outcome() {
        let done = Done { received: 7, sent: 8, errors: 1, timeouts: 2 };
        let counted = Done { received: 0, sent: 0, ..done };
        let back = |outcome: StepOutcome| StepEnd::from(outcome).outcome();
        assert_eq!(back(Ok(done)), Ok(counted));
        assert_eq!(back(Err(Failure::Skipped(done))), Err(Failure::Skipped(counted)));
        let wrong = Failure::Wrong("it was not so".to_owned());
        assert_eq!(back(Err(wrong.clone())), Err(wrong));
    }

    #[test]
    fn what_was_done_before_is_added_to_an_end_that_counts() {
        let (one, two) = (Mishaps::of(1, 0), Mishaps::of(0, 2));
        assert_eq!(StepEnd::Skipped(two).after(one), StepEnd::Skipped(Mishaps::of(1, 2)));
        let failed = StepEnd::Failed(Box::new(Failure::Refused("no".to_owned())));
        assert_eq!(failed.clone().after(one), failed);
    }

    /// What the measured path relies on: both words come back in registers.
    #[test]
    fn an_end_is_two_words_also_while_it_is_pending() {
        assert_eq!(size_of::<std::task::Poll<StepEnd>>(), 2 * size_of::<u64>());
    }
}
