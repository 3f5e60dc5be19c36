//! Geometric means of ratios over the cells of a scenario: one figure for many, and called what it
//! is.
//!
//! In each round the ratios of all groups are put together by their geometric mean; the rounds'
//! means then have a Hodges–Lehmann estimate and an interval like any ratio. An executor has one
//! only where it can be compared with the baseline in every group: means over different groups are
//! not comparable with each other.

use std::collections::BTreeMap;

use super::{CellGroup, MeanRatio, MetricId, Ratio, ratio::log_ratios};

/// The mean of each executor but the baseline; none where there is one group only.
pub(crate) fn means(groups: &[CellGroup], baseline: &str, metric: MetricId) -> Vec<MeanRatio> {
    if groups.len() < 2 {
        return Vec::new();
    }
    let mut executors: Vec<(&str, &str)> = Vec::new();
    for cell in
        groups.iter().flat_map(|group| &group.cells).filter(|cell| cell.executor != baseline)
    {
        if !executors.iter().any(|(executor, _)| *executor == cell.executor) {
            executors.push((&cell.executor, &cell.label));
        }
    }
    executors
        .into_iter()
        .map(|(executor, label)| mean(groups, (executor, label), baseline, metric))
        .collect()
}

fn mean(
    groups: &[CellGroup],
    (executor, label): (&str, &str),
    baseline: &str,
    metric: MetricId,
) -> MeanRatio {
    let logs: Vec<BTreeMap<u32, f64>> =
        groups.iter().filter_map(|group| logs(group, executor, baseline, metric)).collect();
    let everywhere = logs.len() == groups.len();
    MeanRatio {
        executor: executor.to_owned(),
        label: label.to_owned(),
        cells: logs.len(),
        of: groups.len(),
        ratio: everywhere.then(|| Ratio::of_logs(&round_means(&logs))).flatten(),
    }
}

/// The log-ratios of a group by round, where both executors take part in its comparisons.
fn logs(
    group: &CellGroup,
    executor: &str,
    baseline: &str,
    metric: MetricId,
) -> Option<BTreeMap<u32, f64>> {
    let runners = group.runners(metric);
    let value =
        |name: &str| runners.iter().find(|cell| cell.executor == name)?.metrics.get(&metric);
    Some(log_ratios(metric.info(), value(executor)?, value(baseline)?).into_iter().collect())
}

/// The mean over the groups in each round that all of them have.
fn round_means(groups: &[BTreeMap<u32, f64>]) -> Vec<f64> {
    let rounds = groups.first().into_iter().flat_map(|group| group.keys());
    let mean = |round: &u32| {
        let logs: Option<Vec<f64>> = groups.iter().map(|group| group.get(round).copied()).collect();
        logs.map(|logs| logs.iter().sum::<f64>() / logs.len() as f64)
    };
    rounds.filter_map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{RatioVerdict, analyse},
        store::{FailureKind, fixture::Fixture},
    };

    /// Tokio is 2 and 8 times as fast as threads; smol too, and failed a round of the second group.
    fn fixture() -> Fixture {
        [("1", 200.0), ("8", 800.0)].iter().fold(
            Fixture::closed("threads", 6),
            |fixture, (n, rate)| {
                let at = [("concurrency", *n)];
                fixture.cell("threads", &at, &[100.0; 6]).cell("tokio", &at, &[*rate; 6]).cell(
                    "smol",
                    &at,
                    &[*rate; 6],
                )
            },
        )
    }

    fn means_of(fixture: Fixture) -> Vec<MeanRatio> {
        analyse(&fixture.build()).scenarios.remove(0).means
    }

    #[test]
    fn the_mean_is_geometric_and_over_every_cell() {
        let means = means_of(fixture());
        let found: Vec<_> =
            means.iter().map(|mean| (mean.label.as_str(), mean.cells, mean.of)).collect();
        assert_eq!(found, [("tokio", 2, 2), ("smol", 2, 2)]);
        let ratio = means[0].ratio.as_ref().expect("comparable everywhere");
        assert!((ratio.estimate - 4.0).abs() < 1e-9, "√(2·8), and not 5: {ratio:?}");
        assert_eq!((ratio.rounds, ratio.verdict), (6, RatioVerdict::Faster));
    }

    #[test]
    fn one_that_is_missing_somewhere_has_no_mean() {
        let means = means_of(fixture().fail(
            "demo::smol::concurrency=8",
            6,
            FailureKind::Crashed,
            "SIGSEGV",
        ));
        assert_eq!((means[1].cells, means[1].of, &means[1].ratio), (1, 2, &None));
        assert!(means[0].ratio.is_some());
    }

    #[test]
    fn rounds_that_only_some_groups_have_do_not_count() {
        let group = |rounds: &[(u32, f64)]| rounds.iter().copied().collect::<BTreeMap<_, _>>();
        let means =
            round_means(&[group(&[(1, 0.0), (2, 9.0), (3, 2.0)]), group(&[(1, 1.0), (3, 4.0)])]);
        assert_eq!(means, [0.5, 3.0]);
    }

    #[test]
    fn a_single_group_has_no_mean() {
        let one = Fixture::batch("threads", 6).cell("threads", &[], &[2e6; 6]).cell(
            "tokio",
            &[],
            &[1e6; 6],
        );
        assert!(means_of(one).is_empty());
    }
}
