//! What became of an open load: its arrivals, and the tasks that they became.

use super::{Censored, PacerAccount, Totals};
use crate::measure::Arrivals;

/// What became of an open load.
#[derive(Debug, Clone, Default)]
pub struct OpenOutcome {
    /// What arrived in the window.
    pub arrivals: Arrivals,
    /// Arrivals handed to the executor, warm-up included.
    pub emitted: u64,
    /// By the slots.
    pub totals: Totals,
    /// Of them, those that were given up in flight.
    pub given_up: u64,
}

impl OpenOutcome {
    pub(super) fn new(
        account: PacerAccount,
        totals: Totals,
        in_flight: Censored,
        unsent: Censored,
    ) -> Self {
        let censored = in_flight.measured + unsent.measured;
        let arrivals = Arrivals { censored, ..account.arrivals };
        Self { arrivals, emitted: account.emitted, totals, given_up: in_flight.total }
    }
}
