//! The ratio of two cells: round by round, then one estimate with an exact interval.

use super::{MetricInfo, MetricValue, Ratio, RatioVerdict, stats};

impl MetricValue {
    /// The value over the rounds, with its median; none where no round has one.
    pub(super) fn of(rounds: Vec<(u32, f64)>) -> Option<Self> {
        let values: Vec<f64> = rounds.iter().map(|&(_, value)| value).collect();
        let median = stats::median(&values)?;
        Some(Self { median, interval: stats::median_interval(&values), rounds })
    }

    fn in_round(&self, round: u32) -> Option<f64> {
        self.rounds.iter().find(|(other, _)| *other == round).map(|&(_, value)| value)
    }
}

impl Ratio {
    /// How many times as good `value` is as `reference`, over the rounds that both have; none where
    /// they share none.
    ///
    /// Rounds are compared with themselves only: what disturbs a round disturbs both, and the ratio
    /// cancels it.
    pub fn between(
        metric: &MetricInfo,
        value: &MetricValue,
        reference: &MetricValue,
    ) -> Option<Self> {
        let logs: Vec<f64> =
            log_ratios(metric, value, reference).into_iter().map(|(_, log)| log).collect();
        Self::of_logs(&logs)
    }

    /// The ratio whose logarithm the rounds have these values of.
    pub(super) fn of_logs(logs: &[f64]) -> Option<Self> {
        let interval = stats::signed_rank_interval(logs).map(|(low, high)| (low.exp(), high.exp()));
        Some(Self {
            estimate: stats::hodges_lehmann(logs)?.exp(),
            interval,
            rounds: logs.len(),
            verdict: RatioVerdict::of(interval),
            detectable_percent: stats::detectable_percent(logs),
        })
    }

    /// The ratio of the baseline to itself.
    pub(super) fn baseline(rounds: usize) -> Self {
        Self {
            estimate: 1.0,
            interval: None,
            rounds,
            verdict: RatioVerdict::Baseline,
            detectable_percent: None,
        }
    }
}

/// By round, the logarithm of how many times as good `value` is as `reference`; rounds that one
/// lacks are left out.
pub(super) fn log_ratios(
    metric: &MetricInfo,
    value: &MetricValue,
    reference: &MetricValue,
) -> Vec<(u32, f64)> {
    let log = |&(round, value): &(u32, f64)| {
        let ratio = metric.times_as_good(value, reference.in_round(round)?)?;
        Some((round, ratio.ln()))
    };
    value.rounds.iter().filter_map(log).collect()
}

impl RatioVerdict {
    /// What an interval of a ratio says.
    pub(super) fn of(interval: Option<(f64, f64)>) -> Self {
        match interval {
            None => Self::NoInterval,
            Some((low, _)) if low > 1.0 => Self::Faster,
            Some((_, high)) if high < 1.0 => Self::Slower,
            Some(_) => Self::NoDifference,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::MetricId;

    fn value(rounds: &[(u32, f64)]) -> MetricValue {
        MetricValue::of(rounds.to_vec()).expect("some rounds")
    }

    fn seven(values: [f64; 7]) -> MetricValue {
        MetricValue::of((1..).zip(values).collect()).expect("some rounds")
    }

    /// `np.exp(hl(np.log(np.array(slow) / np.array(fast))))`, interval: third Walsh average from
    /// each end.
    #[test]
    fn the_estimate_is_of_log_ratios_per_round() {
        // The host slows down eightfold over the rounds; the ratio stays near 2.
        let slow = seven([2.0, 4.2, 8.0, 7.6, 16.0, 16.8, 16.0]);
        let fast = seven([1.0, 2.0, 4.0, 4.0, 8.0, 8.0, 8.0]);
        let ratio = Ratio::between(MetricId::Makespan.info(), &fast, &slow).expect("shared rounds");
        assert!((ratio.estimate - 2.0).abs() < 1e-12, "{ratio:?}");
        let (low, high) = ratio.interval.expect("seven rounds");
        assert!((low - (1.9_f64 * 2.0).sqrt()).abs() < 1e-12, "{low}");
        assert!((high - 2.1).abs() < 1e-12, "{high}");
        assert_eq!((ratio.rounds, ratio.verdict), (7, RatioVerdict::Faster));
        let back = Ratio::between(MetricId::Makespan.info(), &slow, &fast).expect("shared rounds");
        assert_eq!(back.verdict, RatioVerdict::Slower);
        assert!((back.estimate - 0.5).abs() < 1e-12);
    }

    #[test]
    fn only_rounds_that_both_have_count() {
        let one = value(&[(1, 10.0), (2, 1.0), (4, 1.0)]);
        let other = value(&[(2, 3.0), (3, 99.0), (4, 3.0)]);
        let ratio =
            Ratio::between(MetricId::Throughput.info(), &other, &one).expect("shared rounds");
        assert!((ratio.estimate - 3.0).abs() < 1e-12);
        assert_eq!(
            (ratio.rounds, ratio.verdict, ratio.interval),
            (2, RatioVerdict::NoInterval, None)
        );
        assert_eq!(Ratio::between(MetricId::Throughput.info(), &value(&[(9, 1.0)]), &one), None);
    }

    #[test]
    fn an_interval_that_contains_one_shows_no_difference() {
        let a = seven([1.0, 1.1, 0.9, 1.0, 1.2, 0.8, 1.0]);
        let b = seven([1.1, 1.0, 1.0, 0.9, 1.0, 1.0, 1.1]);
        let ratio = Ratio::between(MetricId::Throughput.info(), &a, &b).expect("shared rounds");
        assert_eq!(ratio.verdict, RatioVerdict::NoDifference);
        assert_eq!(RatioVerdict::of(Some((1.0, 2.0))), RatioVerdict::NoDifference);
    }
}
