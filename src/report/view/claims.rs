//! A claim and its results over executors and parameters, in words.

use super::{Mark, Tone, claim_mark, mark, params, ratio_words, times_as};
use crate::{
    analysis::{ClaimResult, ClaimVerdict, MetricId, Ratio, ScenarioResult},
    report::format::{NOTHING, digits},
    scenario::{Claim, Direction},
};

/// One claim and its results over executors and parameters.
pub struct ClaimSummary<'a> {
    /// The claim.
    pub claim: &'a Claim,
    /// Its results.
    pub results: Vec<&'a ClaimResult>,
}

/// Whether a claim holds over everything it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimHolds {
    /// Wherever it was measured.
    Agrees,
    /// In some places and not in others.
    InPart,
    /// Nowhere, and in some places the contrary is shown.
    Disagrees,
    /// The intervals leave it open everywhere.
    Inconclusive,
    /// It was measured nowhere.
    NotMeasured,
}

impl ClaimSummary<'_> {
    /// Whether it holds.
    pub fn holding(&self) -> ClaimHolds {
        let any = |verdict| self.results.iter().any(|result| result.verdict == verdict);
        let [agrees, disagrees, open] =
            [ClaimVerdict::Agrees, ClaimVerdict::Disagrees, ClaimVerdict::Inconclusive].map(any);
        match (agrees, disagrees, open) {
            (true, false, false) => ClaimHolds::Agrees,
            (true, ..) => ClaimHolds::InPart,
            (false, true, _) => ClaimHolds::Disagrees,
            (false, false, true) => ClaimHolds::Inconclusive,
            (false, false, false) => ClaimHolds::NotMeasured,
        }
    }

    /// The measured factors: `1.59 [1.47, 1.73]`, or over several results from the least to the
    /// greatest.
    pub fn measured(&self) -> String {
        let ratios: Vec<&Ratio> =
            self.results.iter().filter_map(|result| result.measured.as_ref()).collect();
        match ratios.as_slice() {
            [] => NOTHING.into(),
            [one] => ratio_words(one),
            many => {
                let estimates = || many.iter().map(|ratio| ratio.estimate);
                let (least, most) = (
                    estimates().fold(f64::INFINITY, f64::min),
                    estimates().fold(f64::NEG_INFINITY, f64::max),
                );
                format!("{} to {}", digits(least), digits(most))
            }
        }
    }
}

/// Whether a claim holds over everything it is about.
pub fn holding_mark(holding: ClaimHolds) -> Mark {
    match holding {
        ClaimHolds::Agrees => claim_mark(ClaimVerdict::Agrees),
        ClaimHolds::InPart => mark("±", "agrees in part", Tone::Warn),
        ClaimHolds::Disagrees => claim_mark(ClaimVerdict::Disagrees),
        ClaimHolds::Inconclusive => claim_mark(ClaimVerdict::Inconclusive),
        ClaimHolds::NotMeasured => claim_mark(ClaimVerdict::NotMeasured),
    }
}

/// The results of each claim together, in the scenario's order.
pub fn claims(scenario: &ScenarioResult) -> Vec<ClaimSummary<'_>> {
    let mut summaries: Vec<ClaimSummary<'_>> = Vec::new();
    for result in &scenario.claims {
        match summaries.iter_mut().find(|s| *s.claim == result.claim) {
            Some(summary) => summary.results.push(result),
            None => summaries.push(ClaimSummary { claim: &result.claim, results: vec![result] }),
        }
    }
    summaries
}

/// `at least 50.0 times as fast as sequential, with a tolerance of 10%`; with a metric of its own
/// `at least 2.00 times as good in p99 latency as …`.
pub fn claimed_words(summary: &ClaimSummary<'_>) -> String {
    let against = summary.results.first().map(|result| result.against.as_str()).unwrap_or_default();
    let claim = summary.claim;
    let direction = match claim.direction {
        Direction::AtLeast => "at least",
        Direction::AtMost => "at most",
        Direction::About => "about",
    };
    let named = claim.metric.map(|metric| format!("times as good in {}", metric.info().label));
    let metric = summary.results.first().map_or(MetricId::Makespan, |result| result.metric);
    let times = named.unwrap_or_else(|| times_as(metric));
    let (factor, tolerance) = (digits(claim.factor), claim.tolerance * 100.0);
    format!("{direction} {factor} {times} as {against}, with a tolerance of {tolerance:.0}%")
}

/// Whom a claim's result is about: `threads`, or `threads concurrency=64`.
pub fn claimant(result: &ClaimResult) -> String {
    format!("{} {}", result.executor, params(&result.params)).trim_end().into()
}
