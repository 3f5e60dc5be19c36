//! Whether one trial meets its limits at its rate.

use super::{
    super::slo::{self, Measured},
    vote::Vote,
};
use crate::{
    analysis::{Validity, validity},
    measure::Measurements,
    scenario::{Slo, SloMetric},
    store::{Outcome, StoredCell},
};

/// What a trial says of its rate. Whatever the limits, it must be VALID, which no trial with dropped arrivals is.
pub(super) fn vote(cell: &StoredCell, limits: &[&Slo], outcome: &Outcome, clock_ns: f64) -> Vote {
    let measured = match outcome {
        Outcome::Measured(measured) => measured,
        Outcome::Failed(failure) => return Vote::Failed(format!("FAILED: {}", failure.reason)),
    };
    match validity::of_trial(cell, measured) {
        (Validity::Valid, _) => against(limits, cell, measured, clock_ns),
        (validity, evidence) => {
            let words = format!("{}: {evidence}", validity.word());
            match validity {
                Validity::Disturbed => Vote::Disturbed(words),
                Validity::Invalid => Vote::Invalid(words),
                _ => Vote::Misses(words),
            }
        }
    }
}

/// The first limit that does not hold speaks; one that has too few samples only where all others hold.
fn against(limits: &[&Slo], cell: &StoredCell, measured: &Measurements, clock_ns: f64) -> Vote {
    let mut open = None;
    for limit in limits {
        match value(limit, cell, measured, clock_ns) {
            Some((_, true)) => {}
            Some((value, false)) => {
                return Vote::Misses(format!("`{}` does not hold: {}", limit.assert, value.words(limit)));
            }
            None if is_time(limit) && measured.task.clipped > 0 => {
                open = open.or(Some(format!("`{}` is above the times that are told apart", limit.assert)));
            }
            None => open = open.or(Some(format!("too few samples for `{}`: raise --duration", limit.assert))),
        }
    }
    open.map_or(Vote::Meets, Vote::Open)
}

fn is_time(limit: &Slo) -> bool {
    matches!(limit.metric, SloMetric::Latency(_) | SloMetric::MeanLatency)
}

/// What a trial measured of a limit, and whether it holds; none of too few samples, or of operations that are too short
/// for the clock.
pub(super) fn value(
    limit: &Slo,
    cell: &StoredCell,
    measured: &Measurements,
    clock_ns: f64,
) -> Option<(Measured, bool)> {
    if is_time(limit) && validity::is_too_short(measured, clock_ns) {
        return None;
    }
    slo::in_trial(limit, &cell.task, measured)
}
