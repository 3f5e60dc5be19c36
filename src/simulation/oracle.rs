//! What a histogram must show, and the check of it: one function, which the true harness passes and
//! mutants fail.

use super::laws::{Queueing, Stall};
use crate::measure::Histo;

/// What is looked at.
#[derive(Debug, Clone, Copy)]
enum Statistic {
    Least,
    Quantile(f64),
    Greatest,
    Mean,
}

/// A statistic, its value in ns, and how far off it may be in ns, besides the histogram's own
/// precision.
#[derive(Debug, Clone, Copy)]
struct Expected {
    statistic: Statistic,
    ns: f64,
    slack_ns: f64,
}

/// What a histogram must show.
#[derive(Debug, Clone)]
pub(super) struct Oracle {
    expected: Vec<Expected>,
    /// How many values, at least and at most.
    count: (u64, u64),
}

/// Quantiles with what they may be off by in queues: their spread over seeds at 50 000 arrivals,
/// times three.
const OF_QUEUES: [(f64, f64); 3] = [(0.5, 0.06), (0.9, 0.08), (0.99, 0.16)];

impl Oracle {
    /// Every value is the same.
    pub(super) fn constant(ns: u64, count: u64) -> Self {
        let expected = |statistic| Expected { statistic, ns: ns as f64, slack_ns: 0.0 };
        Self {
            expected: vec![expected(Statistic::Least), expected(Statistic::Greatest)],
            count: (count, count),
        }
    }

    /// A queue's latencies in steady state; times of the law are in ns.
    pub(super) fn queue(law: Queueing, at_least: u64) -> Self {
        let expected = |(p, relative): (f64, f64)| {
            let ns = law.latency_quantile(p);
            Expected { statistic: Statistic::Quantile(p), ns, slack_ns: relative * ns }
        };
        Self {
            expected: OF_QUEUES.into_iter().map(expected).collect(),
            count: (at_least, u64::MAX),
        }
    }

    /// A server that stalls. The closed form is of arrivals without a gap: in the share that waits,
    /// a quantile may be off by the gap between two arrivals.
    pub(super) fn stall(law: Stall, count: u64) -> Self {
        let gap_ns = 1.0 / law.rate;
        let quantile = |p: f64| Expected {
            statistic: Statistic::Quantile(p),
            ns: law.latency_quantile(p),
            slack_ns: if p <= 1.0 - law.share() { 0.0 } else { gap_ns },
        };
        let mut expected: Vec<Expected> = [0.5, 0.9, 0.99, 0.999].map(quantile).to_vec();
        expected.push(Expected {
            statistic: Statistic::Greatest,
            ns: law.longest(),
            slack_ns: 0.0,
        });
        expected.push(Expected {
            statistic: Statistic::Mean,
            ns: law.mean_latency(),
            slack_ns: law.share() * gap_ns,
        });
        Self { expected, count: (count, count) }
    }

    /// Everything in which the histogram is not as it must be.
    pub(super) fn check(&self, histo: &Histo) -> Result<(), String> {
        let mut wrong: Vec<String> =
            self.expected.iter().filter_map(|expected| expected.missed_by(histo)).collect();
        let (least, most) = self.count;
        if !(least..=most).contains(&histo.count()) {
            wrong.push(format!("{} values instead of {least} to {most}", histo.count()));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

impl Expected {
    fn missed_by(&self, histo: &Histo) -> Option<String> {
        let found = match self.statistic {
            Statistic::Least => histo.0.min() as f64,
            Statistic::Quantile(p) => histo.0.value_at_quantile(p) as f64,
            Statistic::Greatest => histo.0.max() as f64,
            Statistic::Mean => histo.0.mean(),
        };
        // Three significant digits: a bucket is at most a thousandth of its values wide.
        let slack_ns = self.slack_ns + self.ns / 1_000.0 + 1.0;
        let (statistic, ns) = (self.statistic, self.ns);
        ((found - ns).abs() > slack_ns)
            .then(|| format!("{statistic:?} is {found:.0} ns instead of {ns:.0} ± {slack_ns:.0}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histo(values: &[(u64, u64)]) -> Histo {
        let mut histo = Histo::new();
        for &(ns, count) in values {
            histo.0.record_n(ns, count).expect("within bounds");
        }
        histo
    }

    #[test]
    fn a_constant_is_missed_by_one_value_and_by_one_too_few() {
        let oracle = Oracle::constant(1_000_000, 100);
        assert_eq!(oracle.check(&histo(&[(1_000_000, 100)])), Ok(()));
        let wrong =
            oracle.check(&histo(&[(1_000_000, 99), (1_003_000, 1)])).expect_err("one is longer");
        assert!(
            wrong.starts_with("Greatest is 1003") && wrong.contains("instead of 1000000 ± 1001"),
            "{wrong}"
        );
        let wrong = oracle.check(&histo(&[(1_000_000, 99)])).expect_err("one is missing");
        assert_eq!(wrong, "99 values instead of 100 to 100");
    }

    #[test]
    fn each_quantile_of_a_queue_is_looked_at() {
        let law = Queueing::Exponential { rate: 0.7e-6, service: 1e6, workers: 1 };
        let oracle = Oracle::queue(law, 1_000);
        // The law itself, at a thousand places; then with one end of it cut off.
        let at = |k: u32| law.latency_quantile((f64::from(k) + 0.5) / 1_000.0) as u64;
        let exact: Vec<(u64, u64)> = (0..1_000).map(|k| (at(k), 1)).collect();
        assert_eq!(oracle.check(&histo(&exact)), Ok(()));
        let cut: Vec<(u64, u64)> = exact.iter().map(|&(ns, n)| (ns.min(12_000_000), n)).collect();
        let wrong = oracle.check(&histo(&cut)).expect_err("the slowest are missing");
        assert!(wrong.starts_with("Quantile(0.99)") && !wrong.contains("0.9)"), "{wrong}");
    }
}
