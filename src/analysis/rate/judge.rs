//! Whether one trial meets its limits at its rate.

use super::{
    super::slo::{self, MeasuredTerm},
    vote::Vote,
};
use crate::{
    analysis::{Validity, validity},
    measure::Measurements,
    scenario::{Slo, SloMetric},
    store::{Outcome, Row},
};

/// What a trial says of its rate. Whatever the limits, it must be VALID, which no trial with
/// dropped arrivals is.
pub(super) fn vote(row: Row<'_>, limits: &[&Slo], outcome: &Outcome, clock_ns: f64) -> Vote {
    let measured = match outcome {
        Outcome::Measured(measured) => row.of(measured),
        Outcome::Failed(failure) => return Vote::Failed(format!("FAILED: {}", failure.reason)),
    };
    let Some(measured) = measured else {
        return Vote::Failed("FAILED: nothing was measured of its load".to_owned());
    };
    match validity::of_trial(row, measured) {
        (Validity::Valid, _) => against(limits, row, measured, clock_ns),
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

/// The first limit that does not hold speaks; one that has too few samples only where all others
/// hold.
fn against(limits: &[&Slo], row: Row<'_>, measured: &Measurements, clock_ns: f64) -> Vote {
    let mut open = None;
    for limit in limits {
        match value(limit, row, measured, clock_ns) {
            Some((_, true)) => {}
            Some((value, false)) => {
                return Vote::Misses(format!(
                    "`{}` does not hold: {}",
                    limit.assert,
                    value.words(limit)
                ));
            }
            None if is_time(limit) && measured.task.clipped > 0 => {
                open = open
                    .or(Some(format!("`{}` is above the times that are told apart", limit.assert)));
            }
            None => {
                open = open
                    .or(Some(format!("too few samples for `{}`: raise --duration", limit.assert)));
            }
        }
    }
    open.map_or(Vote::Meets, Vote::Open)
}

fn is_time(limit: &Slo) -> bool {
    matches!(limit.metric, SloMetric::Latency(_) | SloMetric::MeanLatency)
}

/// What a trial measured of a limit, and whether it holds; none of too few samples, or of
/// operations that are too short for the clock.
pub(super) fn value(
    limit: &Slo,
    row: Row<'_>,
    measured: &Measurements,
    clock_ns: f64,
) -> Option<(MeasuredTerm, bool)> {
    if is_time(limit) && validity::is_too_short(measured, clock_ns) {
        return None;
    }
    slo::in_trial(limit, row, measured)
}
