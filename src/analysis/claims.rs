//! Claims: what somebody says about an executor, beside what was measured.
//!
//! A claim describes a region of factors: "about" is from f/(1 + tolerance) to f·(1 + tolerance),
//! "at least" is from the lower end up, "at most" is from the upper end down. The claim agrees
//! where the whole 95 % interval of the measured factor lies in that region, disagrees where all of
//! it lies outside, and is inconclusive otherwise, also where there is no interval because of too
//! few rounds.

use super::{
    CellGroup, CellResult, ClaimResult, ClaimVerdict, MetricId, Ratio, stats::LEAST_ROUNDS,
};
use crate::scenario::{Claim, Direction, Param};

/// Every claim in every group of `groups` that it is about, in the claims' order. What it compares
/// with is looked for among `all`: a claim may set one lane against the other, which is no ranking.
pub(super) fn claims(
    claims: &[Claim],
    groups: &[CellGroup],
    all: &[&CellGroup],
    primary: MetricId,
) -> Vec<ClaimResult> {
    let everywhere = |claim: &Claim| {
        let about = groups
            .iter()
            .filter(|group| claim.only.iter().all(|value| group.params.contains(value)));
        about.flat_map(|group| in_group(claim, group, all, primary)).collect::<Vec<_>>()
    };
    claims.iter().flat_map(everywhere).collect()
}

/// One result for the claimed executor, or one for each cell of the group that is not compared with
/// itself.
fn in_group(
    claim: &Claim,
    group: &CellGroup,
    all: &[&CellGroup],
    primary: MetricId,
) -> Vec<ClaimResult> {
    let metric = claim.metric.unwrap_or(primary).claimed();
    let params = replaced(&group.params, &claim.against_only);
    let other = all.iter().find(|group| group.params == params);
    let reference = |executor: &str| other?.cell(claim.against.as_deref().unwrap_or(executor));
    let result = |executor: &str, cell: Option<&CellResult>| {
        let reference = reference(executor);
        let measured =
            cell.zip(reference).and_then(|(cell, reference)| cell.ratio_to(reference, metric));
        let against = against(claim);
        let sides = [(against.as_str(), reference), (executor, cell)];
        ClaimResult {
            claim: claim.clone(),
            metric,
            executor: cell.map_or(executor, |cell| &cell.label).to_owned(),
            params: group.params.clone(),
            lacking: lacking(&sides, metric, measured.as_ref()),
            against,
            verdict: verdict(claim, measured.as_ref()),
            measured,
        }
    };
    if let Some(executor) = &claim.executor {
        return vec![result(executor, group.cell(executor))];
    }
    let is_itself = |cell: &CellResult| {
        reference(&cell.executor).is_some_and(|reference| reference.name == cell.name)
    };
    group
        .cells
        .iter()
        .filter(|cell| !is_itself(cell))
        .map(|cell| result(&cell.executor, Some(cell)))
        .collect()
}

/// The values with those of the same name replaced.
fn replaced(params: &[Param], by: &[Param]) -> Vec<Param> {
    let new =
        |param: &Param| by.iter().find(|other| other.name == param.name).unwrap_or(param).clone();
    params.iter().map(new).collect()
}

/// What a claim compares with: `threads`, `blocking=inline`, `threads tasks=1000`.
fn against(claim: &Claim) -> String {
    let values = claim.against_only.iter().map(ToString::to_string);
    claim.against.iter().cloned().chain(values).collect::<Vec<_>>().join(" ")
}

/// Why there is no factor, or no interval of it, and what helps; nothing where there are both.
fn lacking(
    sides: &[(&str, Option<&CellResult>)],
    metric: MetricId,
    measured: Option<&Ratio>,
) -> Option<String> {
    let Some(ratio) = measured else {
        let mut reasons = sides.iter().filter_map(|(name, cell)| lacks(name, *cell, metric));
        return Some(
            reasons
                .next()
                .unwrap_or_else(|| "no round has figures of both: measure more rounds".into()),
        );
    };
    let least = LEAST_ROUNDS;
    let short = ratio.interval.is_none();
    short.then(|| {
        format!(
            "{} of the {least} rounds that an interval needs: measure more rounds",
            ratio.rounds
        )
    })
}

/// What a cell lacks for its figure of a metric to be compared.
fn lacks(name: &str, cell: Option<&CellResult>, metric: MetricId) -> Option<String> {
    let Some(cell) = cell else { return Some(format!("{name} is not in this run")) };
    if !cell.has_figures() {
        return Some(format!("{name} has no figures"));
    }
    if !cell.is_ranked() {
        return Some(format!("{name} is not ranked: {}", cell.judgement.validity.word()));
    }
    if cell.metrics.contains_key(&metric) {
        return None;
    }
    let label = metric.info().label;
    if let Some(why) = cell.judgement.clipped.as_ref().filter(|_| metric.is_time()) {
        return Some(format!("{label} of {name} is not known: {why}"));
    }
    Some(match &cell.judgement.withheld {
        Some(why) if metric.is_latency() => {
            format!("operations of {name} are too short to be timed: {why}")
        }
        _ if metric.is_service() && cell.service.count() == 0 => {
            format!("the work of {name} is too short to be timed by itself")
        }
        _ if metric.is_latency() || metric.is_service() => {
            format!(
                "{name} has too few samples in each round for its {label}: measure longer, or more tasks"
            )
        }
        _ => format!("{label} of {name} was not measured"),
    })
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
        analysis.scenarios[0]
            .claims
            .iter()
            .map(|result| (result.executor.clone(), result.verdict))
            .collect()
    }

    fn claimed(factor: f64, direction: Direction) -> ClaimVerdict {
        verdicts(fixture(6).claim(Some("tokio"), "threads", factor, direction))[0].1
    }

    #[test]
    fn the_interval_decides_in_each_direction() {
        use ClaimVerdict::{Agrees, Disagrees, Inconclusive};
        // Regions at a tolerance of 0.25: 4 is [3.2, 5]; 5.2 is [4.16, 6.5]; 50 is [40, 62.5]; 2 is
        // [1.6, 2.5].
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

    fn lacking(fixture: Fixture) -> Option<String> {
        analyse(&fixture.build()).scenarios.remove(0).claims.remove(0).lacking
    }

    #[test]
    fn what_is_lacking_is_named_with_what_helps() {
        let about = |rounds, executor, against| {
            lacking(fixture(rounds).claim(Some(executor), against, 4.0, Direction::About))
        };
        assert_eq!(about(6, "tokio", "threads"), None);
        let five = "5 of the 6 rounds that an interval needs: measure more rounds";
        assert_eq!(about(5, "tokio", "threads").as_deref(), Some(five));
        for (executor, against) in [("tokio", "smol"), ("smol", "tokio")] {
            assert_eq!(about(6, executor, against).as_deref(), Some("smol has no figures"));
        }
        assert_eq!(about(6, "tokio", "async-std").as_deref(), Some("async-std is not in this run"));
        assert_eq!(about(6, "async-std", "tokio").as_deref(), Some("async-std is not in this run"));
    }

    #[test]
    fn too_few_samples_are_not_called_missing() {
        let mut run = fixture(6).claim(Some("tokio"), "threads", 4.0, Direction::About).build();
        run.header.scenarios[0].claims[0].metric = Some(MetricId::LatenessP99);
        let found = analyse(&run).scenarios.remove(0).claims.remove(0);
        let why = "threads has too few samples in each round for its p99 lateness: measure longer, or more tasks";
        assert_eq!(
            (found.verdict, found.lacking.as_deref()),
            (ClaimVerdict::NotMeasured, Some(why))
        );
    }

    /// Tokio takes 2 ms with a small value and 6 ms with a large one, threads 4 ms and 8 ms.
    fn swept() -> Fixture {
        let (small, large) = ([("size", "small")], [("size", "large")]);
        Fixture::batch("threads", 6)
            .cell("threads", &small, &[4e6; 6])
            .cell("tokio", &small, &[2e6; 6])
            .cell("threads", &large, &[8e6; 6])
            .cell("tokio", &large, &[6e6; 6])
    }

    fn param(name: &str, value: &str) -> Vec<Param> {
        vec![Param { name: name.into(), value: value.into() }]
    }

    /// Executor, what it is compared with, and the factor, for the results of a claim that `change`
    /// has made.
    fn factors(
        fixture: Fixture,
        change: impl FnOnce(&mut Claim),
    ) -> Vec<(String, String, Option<f64>)> {
        let mut run = fixture.claim(None, "threads", 1.0, Direction::About).build();
        change(&mut run.header.scenarios[0].claims[0]);
        let results = analyse(&run).scenarios.remove(0).claims;
        let rounded = |ratio: Ratio| (ratio.estimate * 1000.0).round() / 1000.0;
        results.into_iter().map(|r| (r.executor, r.against, r.measured.map(rounded))).collect()
    }

    fn expected(rows: &[(&str, &str, Option<f64>)]) -> Vec<(String, String, Option<f64>)> {
        rows.iter()
            .map(|&(executor, against, factor)| (executor.into(), against.into(), factor))
            .collect()
    }

    #[test]
    fn a_claim_about_values_compares_an_executor_with_itself() {
        let found = factors(swept(), |claim| {
            (claim.against, claim.only, claim.against_only) =
                (None, param("size", "small"), param("size", "large"));
        });
        assert_eq!(
            found,
            expected(&[("threads", "size=large", Some(2.0)), ("tokio", "size=large", Some(3.0))])
        );
    }

    #[test]
    fn executor_and_values_may_both_differ() {
        let found = factors(swept(), |claim| {
            claim.executor = Some("tokio".into());
            (claim.only, claim.against_only) = (param("size", "small"), param("size", "large"));
        });
        assert_eq!(found, expected(&[("tokio", "threads size=large", Some(4.0))]));
    }

    #[test]
    fn no_cell_is_compared_with_itself() {
        let found = factors(swept(), |claim| {
            (claim.against, claim.against_only) = (None, param("size", "large"));
        });
        assert_eq!(
            found,
            expected(&[("threads", "size=large", Some(2.0)), ("tokio", "size=large", Some(3.0))])
        );
    }

    #[test]
    fn a_claim_may_be_about_any_metric() {
        let fixture = swept().measured("demo::tokio::size=small", |_, measured| {
            measured.trial_mut().switches_voluntary = 0;
        });
        let found = factors(fixture, |claim| {
            claim.metric = Some(MetricId::Switches);
            claim.only = param("size", "small");
        });
        // 2.1 switches a task against 0.1.
        assert_eq!(found, expected(&[("tokio", "threads", Some(21.0))]));
    }

    #[test]
    fn values_that_were_not_measured_are_missing() {
        let found = factors(swept(), |claim| {
            claim.executor = Some("tokio".into());
            (claim.against, claim.only, claim.against_only) =
                (None, param("size", "small"), param("size", "huge"));
        });
        assert_eq!(found, expected(&[("tokio", "size=huge", None)]));
    }

    #[test]
    fn a_claim_on_memory_is_about_the_executor_s_part() {
        let of = |metric| {
            let fixture = fixture(6).claim(Some("tokio"), "threads", 4.0, Direction::About);
            // 8 MiB and 1 MiB of recorders are the harness's; of the rest threads take four times
            // as much.
            let fixture = fixture.measured("demo::threads", |_, measured| {
                measured.trial_mut().peak_memory_bytes = 17 << 20;
            });
            let fixture = fixture.measured("demo::tokio", |_, measured| {
                measured.trial_mut().peak_memory_bytes = 11 << 20;
            });
            let run =
                fixture.with(|run| run.header.scenarios[0].claims[0].metric = Some(metric)).build();
            let result = analyse(&run).scenarios[0].claims[0].clone();
            (result.metric, result.verdict)
        };
        let agrees = (MetricId::ExecutorMemory, ClaimVerdict::Agrees);
        assert_eq!((of(MetricId::PeakMemory), of(MetricId::ExecutorMemory)), (agrees, agrees));
        assert_eq!(of(MetricId::MemoryPerSlot).1, ClaimVerdict::Agrees);
    }
}
