//! Claims: what somebody says about an executor, beside what was measured.
//!
//! A claim describes a region of factors: "about" is from f/(1 + tolerance) to f·(1 + tolerance), "at least" is from the
//! lower end up, "at most" is from the upper end down. The claim agrees where the whole 95 % interval of the measured
//! factor lies in that region, disagrees where all of it lies outside, and is inconclusive otherwise, also where there
//! is no interval because of too few rounds.

use super::{CellResult, ClaimResult, ClaimVerdict, Group, MetricId, Ratio};
use crate::scenario::{Claim, Direction};

/// Every claim in every group, in the claims' order.
pub(super) fn claims(claims: &[Claim], groups: &[Group], metric: MetricId) -> Vec<ClaimResult> {
    let everywhere = |claim| groups.iter().flat_map(move |group| in_group(claim, group, metric));
    claims.iter().flat_map(everywhere).collect()
}

/// One result for the claimed executor, or one for each that is not the one compared with.
fn in_group(claim: &Claim, group: &Group, metric: MetricId) -> Vec<ClaimResult> {
    let against = group.cell(&claim.against).filter(|cell| cell.is_ranked() && cell.metrics.contains_key(&metric));
    let missing = against.is_none().then(|| claim.against.clone());
    let result = |label: &str, cell: Option<&CellResult>| {
        let measured = cell.zip(against).and_then(|(cell, against)| cell.ratio_to(against, metric));
        ClaimResult {
            claim: claim.clone(),
            executor: label.to_owned(),
            missing: missing.clone(),
            params: group.params.clone(),
            verdict: verdict(claim, measured.as_ref()),
            measured,
        }
    };
    if let Some(executor) = &claim.executor {
        let cell = group.cell(executor);
        return vec![result(cell.map_or(executor, |cell| &cell.label), cell)];
    }
    let others = group.cells.iter().filter(|cell| cell.executor != claim.against);
    others.map(|cell| result(&cell.label, Some(cell))).collect()
}

fn verdict(claim: &Claim, measured: Option<&Ratio>) -> ClaimVerdict {
    let Some(ratio) = measured else {
        return ClaimVerdict::NotMeasured;
    };
    let (from, to) = region(claim);
    match ratio.interval {
        Some((low, high)) if from <= low && high <= to => ClaimVerdict::Agrees,
        Some((low, high)) if high < from || to < low => ClaimVerdict::Disagrees,
        _ => ClaimVerdict::Inconclusive,
    }
}

/// The factors that agree with a claim.
fn region(claim: &Claim) -> (f64, f64) {
    let least = claim.factor / (1.0 + claim.tolerance);
    let most = claim.factor * (1.0 + claim.tolerance);
    match claim.direction {
        Direction::About => (least, most),
        Direction::AtLeast => (least, f64::INFINITY),
        Direction::AtMost => (0.0, most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::analyse,
        store::{Absent, fixture::Fixture},
    };

    /// Threads take 8 to 9 ms where tokio takes 2 ms: the interval of the factor is 4 to 4.5.
    fn fixture(rounds: u32) -> Fixture {
        let threads = [8e6, 8.8e6, 8e6, 9e6, 8e6, 8.4e6];
        Fixture::batch("threads", rounds)
            .cell("threads", &[], &threads[..rounds as usize])
            .cell("tokio", &[], &vec![2e6; rounds as usize])
            .absent("smol", &[], Absent::NotApplicable("not today".into()))
    }

    fn verdicts(fixture: Fixture) -> Vec<(String, ClaimVerdict)> {
        let analysis = analyse(&fixture.build());
        analysis.scenarios[0].claims.iter().map(|result| (result.executor.clone(), result.verdict)).collect()
    }

    fn claimed(factor: f64, direction: Direction) -> ClaimVerdict {
        verdicts(fixture(6).claim(Some("tokio"), "threads", factor, direction))[0].1
    }

    #[test]
    fn the_interval_decides_in_each_direction() {
        use ClaimVerdict::{Agrees, Disagrees, Inconclusive};
        // Regions at a tolerance of 0.25: 4 is [3.2, 5]; 5.2 is [4.16, 6.5]; 50 is [40, 62.5]; 2 is [1.6, 2.5].
        let expected = [
            (4.0, [Agrees, Agrees, Agrees]),
            (5.2, [Inconclusive, Inconclusive, Agrees]),
            (50.0, [Disagrees, Disagrees, Agrees]),
            (2.0, [Disagrees, Agrees, Disagrees]),
        ];
        for (factor, [about, at_least, at_most]) in expected {
            assert_eq!(claimed(factor, Direction::About), about, "about {factor}");
            assert_eq!(claimed(factor, Direction::AtLeast), at_least, "at least {factor}");
            assert_eq!(claimed(factor, Direction::AtMost), at_most, "at most {factor}");
        }
    }

    #[test]
    fn too_few_rounds_decide_nothing() {
        let five = fixture(5).claim(Some("tokio"), "threads", 4.0, Direction::About);
        assert_eq!(verdicts(five)[0].1, ClaimVerdict::Inconclusive);
    }

    #[test]
    fn a_claim_without_an_executor_is_about_every_other_one() {
        let found = verdicts(fixture(6).claim(None, "threads", 4.0, Direction::About));
        let expected = [("tokio", ClaimVerdict::Agrees), ("smol", ClaimVerdict::NotMeasured)];
        assert_eq!(found, expected.map(|(name, verdict)| (name.to_owned(), verdict)));
    }

    #[test]
    fn executors_that_are_not_in_the_run_are_not_measured() {
        for (executor, against) in [("async-std", "threads"), ("tokio", "async-std")] {
            let found = verdicts(fixture(6).claim(Some(executor), against, 4.0, Direction::About));
            assert_eq!(found, [(executor.to_owned(), ClaimVerdict::NotMeasured)]);
        }
    }

    #[test]
    fn the_executor_compared_with_is_named_where_it_is_what_is_missing() {
        let missing = |executor, against| {
            let run = fixture(6).claim(Some(executor), against, 4.0, Direction::About).build();
            analyse(&run).scenarios[0].claims[0].missing.clone()
        };
        assert_eq!(missing("tokio", "smol"), Some("smol".to_owned()));
        assert_eq!(missing("smol", "tokio"), None);
    }
}
