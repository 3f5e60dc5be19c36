//! Exit codes: what a script is told.

/// How the program ends. Several reasons may apply; the first in the order of precedence wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything ran, every limit holds. A structural `not applicable` is fine.
    Fine,
    /// Measured, and bad: an SLO is violated, no rate meets its limits, or the harness failed its
    /// self-test.
    Bad,
    /// The command line is wrong.
    Usage,
    /// The figures do not decide: a limit could not be judged, or what was asked for could not be
    /// told.
    Inconclusive,
    /// Nothing matched the filter.
    NothingMatched,
    /// A trial failed, or a cell was refused because a limit of this host forbids it.
    Incomplete,
    /// A scenario, plan or run file is wrong.
    BadData,
    /// The host is not fit for measuring.
    Unfit,
    /// Output could not be written.
    CannotWrite,
    /// A signal ended the run; what was measured is kept.
    Interrupted,
    /// A request to terminate ended the run; what was measured is kept.
    Terminated,
    /// The terminal went away and ended the run; what was measured is kept.
    HungUp,
}

impl Exit {
    /// From the most to the least important.
    const PRECEDENCE: [Self; 12] = [
        Self::Interrupted,
        Self::Terminated,
        Self::HungUp,
        Self::CannotWrite,
        Self::BadData,
        Self::Unfit,
        Self::Usage,
        Self::Incomplete,
        Self::Bad,
        Self::NothingMatched,
        Self::Inconclusive,
        Self::Fine,
    ];

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Bad => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::NothingMatched => 4,
            Self::Incomplete => 5,
            Self::BadData => 65,
            Self::Unfit => 69,
            Self::CannotWrite => 74,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The more important of two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let rank = |exit| Self::PRECEDENCE.iter().position(|&known| known == exit);
        if rank(self) <= rank(other) { self } else { other }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_important_reason_wins() {
        assert_eq!(Exit::Fine.or(Exit::Bad), Exit::Bad);
        assert_eq!(Exit::Incomplete.or(Exit::Bad), Exit::Incomplete);
        assert_eq!(Exit::CannotWrite.or(Exit::Incomplete), Exit::CannotWrite);
        assert_eq!(Exit::Interrupted.or(Exit::CannotWrite), Exit::Interrupted);
    }

    /// A limit that was not judged hides neither one that is violated nor a trial that failed.
    #[test]
    fn the_codes_are_in_the_documented_order_of_precedence() {
        let codes = Exit::PRECEDENCE.map(Exit::code);
        assert_eq!(codes, [130, 143, 129, 74, 65, 69, 2, 5, 1, 4, 3, 0]);
        for (at, first) in Exit::PRECEDENCE.into_iter().enumerate() {
            for second in &Exit::PRECEDENCE[at..] {
                assert_eq!((first.or(*second), second.or(first)), (first, first));
            }
        }
    }
}
