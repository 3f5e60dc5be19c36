//! Whether figures mean what they seem to mean: a verdict on each trial, on each cell, and what
//! held a cell back.
//!
//! A trial may have several faults; its verdict is the first of them in the order of [`causes`].
//! Clients that starve come first: the law that accounts must obey counts tasks that end in the
//! window, and theirs do not. Accounts that contradict each other are bugs, whatever else happened.
//! A disturbance explains a late pacer, an overload and a busy target, so it comes before them. So
//! do errors: calls that fail take another time than the work. An overload comes before a target
//! that is bound: the target is then its limit.

mod accounts;
mod cause;
mod disturbance;
mod errors;
mod limit;
mod pool;
mod saturation;
mod starvation;
mod steadiness;

pub(super) use accounts::too_short;
pub use disturbance::disturbance;
pub(super) use steadiness::{merged, steadiness};

use std::collections::BTreeSet;

use self::cause::Cause;
use super::{Judgement, LimitingFactor, RoundEvidence, Validity};
use crate::{
    measure::{Histo, Measurements},
    store::Row,
};

/// A cell has a verdict from so many valid rounds on, where so many are planned.
const ROUNDS: usize = 6;

/// What speaks against a trial, the most important first.
fn causes(row: Row<'_>, measured: &Measurements) -> Vec<Cause> {
    let causes = [
        starvation::cause(row, measured),
        accounts::contradiction(row, measured),
        disturbance::cause(&measured.trial.host),
        accounts::late_pacer(measured),
        errors::cause(measured),
        saturation::overload(measured),
        saturation::target_bound(row, measured),
    ];
    causes.into_iter().flatten().collect()
}

/// A single trial's verdict, with the evidence.
pub(super) fn of_trial(row: Row<'_>, measured: &Measurements) -> (Validity, String) {
    let cause = causes(row, measured).into_iter().next();
    cause.map_or((Validity::Valid, String::new()), |cause| (cause.validity, cause.evidence))
}

/// Whether a trial's latencies are so short that they are the clock's. Under an open load the wait
/// to be started is in them, so that they can be told where the work by itself cannot.
pub(super) fn is_too_short(measured: &Measurements, clock_ns: f64) -> bool {
    too_short(&measured.task.latency, clock_ns).is_some()
}

/// One round of a cell.
pub(super) type Round<'a> = (u32, Option<&'a Measurements>);

/// Judges a cell by its rounds: none where a round failed. `clock_ns` is what a reading of the
/// clock costs.
pub(super) fn judge(row: Row<'_>, rounds: &[Round<'_>], clock_ns: f64) -> Judgement {
    let causes: Vec<(u32, Option<Cause>)> =
        rounds.iter().map(|&(round, measured)| (round, verdict(row, measured))).collect();
    let of = |(round, cause): &(u32, Option<Cause>)| {
        (*round, cause.as_ref().map_or(Validity::Valid, |cause| cause.validity))
    };
    let rounds_judged: Vec<(u32, Validity)> = causes.iter().map(of).collect();
    let validity = of_rounds(&rounds_judged, row.cell.rounds as usize);
    let counted = counted(&rounds_judged, validity);
    let measured: Vec<&Measurements> = rounds
        .iter()
        .filter(|(round, _)| counted.contains(round))
        .filter_map(|(_, measured)| *measured)
        .collect();
    let (limit, limit_evidence) = limit::limit(row, &measured).unzip();
    let latency = measured.iter().fold(Histo::new(), |mut sum, measured| {
        sum.merge(&measured.task.latency);
        sum
    });
    Judgement {
        validity,
        evidence: evidence(
            causes.into_iter().filter_map(|(_, cause)| cause).collect(),
            rounds.len(),
        ),
        rounds: rounds_judged,
        limit,
        limit_evidence,
        unseen: disturbance::unseen(&measured),
        withheld: too_short(&latency, clock_ns),
        clipped: None,
        pool_past: pool::past(&measured),
        unfinished: unfinished(&measured),
    }
}

/// What was given up in a round, and in how many.
fn unfinished(rounds: &[&Measurements]) -> Option<String> {
    let mut given_up = rounds.iter().filter_map(|measured| measured.unfinished.as_deref());
    let first = given_up.next()?;
    let more = given_up.count() + 1;
    let often = if rounds.len() > 1 {
        format!("in {more} of {} rounds; such as: ", rounds.len())
    } else {
        String::new()
    };
    Some(format!("{often}{first}; high quantiles are what the latency is at least"))
}

fn verdict(row: Row<'_>, measured: Option<&Measurements>) -> Option<Cause> {
    match measured {
        // The reasons of failed trials are told elsewhere.
        None => Some(Cause { validity: Validity::Failed, evidence: String::new(), severity: 0.0 }),
        Some(measured) => causes(row, measured).into_iter().next(),
    }
}

/// A cell's verdict. Fewer rounds than six are planned only where nothing is ranked; then two
/// thirds are enough.
fn of_rounds(rounds: &[(u32, Validity)], planned: usize) -> Validity {
    let count = |validity| rounds.iter().filter(|(_, other)| *other == validity).count();
    let least = if planned >= ROUNDS { ROUNDS } else { 0 };
    let needed = (2 * rounds.len()).div_ceil(3).max(least);
    let causes = rounds
        .iter()
        .map(|(_, validity)| *validity)
        .filter(|validity| *validity != Validity::Valid);
    // Of two that are as common the graver one, which is the later one of the enum.
    let commonest = causes.max_by_key(|validity| (count(*validity), *validity));
    commonest.filter(|_| count(Validity::Valid) < needed).unwrap_or(Validity::Valid)
}

/// The rounds whose figures are the cell's. What the host or the harness did to a round says
/// nothing of the work, and the round is left out. What the system under test did is what is
/// measured: a round in which it was overloaded, or in which its target was, or in which calls
/// failed, counts as any other. Without it a cell would look better than it is. A cell whose own
/// verdict is of the former kind is shown with all that was measured.
fn counted(rounds: &[(u32, Validity)], cell: Validity) -> BTreeSet<u32> {
    let counts = |validity: Validity| {
        cell.says_nothing_of_the_work() || !validity.says_nothing_of_the_work()
    };
    rounds.iter().filter(|(_, validity)| counts(*validity)).map(|(round, _)| *round).collect()
}

impl Validity {
    /// Its name: `TARGET-BOUND`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Overloaded => "OVERLOADED",
            Self::TargetBound => "TARGET-BOUND",
            Self::Errors => "ERRORS",
            Self::Starved => "STARVED",
            Self::Disturbed => "DISTURBED",
            Self::Invalid => "INVALID",
            Self::Failed => "FAILED",
        }
    }

    /// Whether it is the host's doing or the harness's, or there are no figures. The others are the
    /// doing of the system under test.
    fn says_nothing_of_the_work(self) -> bool {
        matches!(self, Self::Disturbed | Self::Invalid | Self::Failed)
    }

    /// What to do about it; nothing where all is well.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Valid => "",
            Self::Overloaded => "its latencies are those of a growing queue: lower the rate",
            Self::TargetBound => {
                "the executors were not compared: give the target more CPUs, or tasks more work of their own"
            }
            Self::Errors => {
                "what fails is not the work that was compared: see why calls fail, and measure again"
            }
            Self::Starved => {
                "the figures are those of the clients that were served: give more of what they wait for, or lower `concurrency`"
            }
            Self::Disturbed => "measure again on a quieter machine",
            Self::Invalid => {
                "the harness does not believe these figures: measure again on an idle machine, and report it if it stays"
            }
            Self::Failed => "see why trials failed",
        }
    }
}

impl LimitingFactor {
    /// In words: `the executor's CPU`.
    pub fn words(self) -> &'static str {
        match self {
            Self::ExecutorCpu => "the executor's CPU",
            Self::TargetCpu => "the target's CPU",
            Self::RoundTrip => "the round trip",
            Self::Io => "disks",
            Self::Lock => "locks",
            Self::Pool => "the pool",
            Self::Concurrency => "the concurrency",
            Self::Rate => "the rate",
        }
    }
}

impl Judgement {
    /// Whether a round's figures are among those of the cell. Disturbed and invalid rounds are not,
    /// unless that is the cell's own verdict.
    pub fn counts(&self, round: u32) -> bool {
        counted(&self.rounds, self.validity).contains(&round)
    }

    /// What speaks for this verdict, with the figures: nothing where it is valid, or where trials
    /// failed.
    pub fn reason(&self) -> Option<&str> {
        let own = self.evidence.iter().find(|evidence| evidence.validity == self.validity);
        own.map(|evidence| evidence.words.as_str())
    }
}

/// A sentence for each kind of cause, the commonest first: that of the middle round, and in how
/// many rounds it is so.
fn evidence(mut causes: Vec<Cause>, rounds: usize) -> Vec<RoundEvidence> {
    causes.sort_by(|a, b| a.validity.cmp(&b.validity).then(a.severity.total_cmp(&b.severity)));
    let mut kinds: Vec<&[Cause]> = causes.chunk_by(|a, b| a.validity == b.validity).collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.len()));
    let said = kinds.iter().filter(|kind| !kind[0].evidence.is_empty()).map(|kind| {
        let middle = &kind[kind.len() / 2].evidence;
        let all = kind.len() == rounds;
        let words = if all {
            middle.clone()
        } else {
            format!("in {} of {rounds} rounds {middle}", kind.len())
        };
        RoundEvidence { validity: kind[0].validity, words }
    });
    said.collect()
}

#[cfg(test)]
mod tests;
