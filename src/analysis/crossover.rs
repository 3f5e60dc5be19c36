//! Where one executor overtakes another in a sweep over a number, with an interval.
//!
//! At each value the ratio of the two has its exact interval. A crossing is shown between two
//! values where one and then the other is shown to be better, and nothing is shown between them.
//! Where it lies is found round by round: the logarithm of the ratio is drawn in straight lines
//! over the logarithm of the parameter, and the round's crossing is as far from the lower value as
//! the first is ahead in total. (With one change of sign, that is the place of the change. A round
//! in which the first is ahead throughout puts it at the upper end.) The estimate is the median of
//! the rounds' places, its interval the exact one of order statistics.

use std::collections::BTreeMap;

use super::{
    CellResult, Crossing, MetricId, PairResult, RatioVerdict, line::SweepLine, ratio::log_ratios,
    stats,
};

/// The two executors at one value.
struct At {
    /// The value.
    value: f64,
    /// Which of the two is shown to be better.
    shown: RatioVerdict,
    /// By round, the logarithm of how many times as good the first is as the second.
    rounds: BTreeMap<u32, f64>,
}

/// What a sweep shows of every pair of executors that take part at two values or more, in the
/// primary metric and in p99.
pub(super) fn pairs(line: &SweepLine<'_>, primary: MetricId) -> Vec<PairResult> {
    let executors = line.executors();
    let couples = || {
        executors
            .iter()
            .enumerate()
            .flat_map(|(i, a)| executors[i + 1..].iter().map(move |b| (*a, *b)))
    };
    let p99 = Some(MetricId::LatencyP99).filter(|p99| *p99 != primary);
    std::iter::once(primary)
        .chain(p99)
        .flat_map(|metric| couples().filter_map(move |couple| pair(line, couple, metric)))
        .collect()
}

fn pair(
    line: &SweepLine<'_>,
    (a, b): (&CellResult, &CellResult),
    metric: MetricId,
) -> Option<PairResult> {
    let points = points(line, (&a.executor, &b.executor), metric);
    if points.len() < 2 {
        return None;
    }
    let labels = [a.label.clone(), b.label.clone()];
    let crossings = crossings(&points, &labels);
    let shown = points.iter().find(|at| at.is_shown() && crossings.is_empty());
    let ahead = shown.map(|at| labels[at.leader()].clone());
    Some(PairResult {
        metric,
        executors: [a.executor.clone(), b.executor.clone()],
        labels,
        crossings,
        ahead,
    })
}

/// The values at which both take part.
fn points(line: &SweepLine<'_>, (a, b): (&str, &str), metric: MetricId) -> Vec<At> {
    let others = line.cells(b, metric);
    let at = |(value, _, cell): (f64, _, &CellResult)| {
        let (_, _, other) = others.iter().find(|(at, ..)| at.total_cmp(&value).is_eq())?;
        let rounds =
            log_ratios(metric.info(), cell.metrics.get(&metric)?, other.metrics.get(&metric)?);
        Some(At {
            value,
            shown: cell.ratio_to(other, metric)?.verdict,
            rounds: rounds.into_iter().collect(),
        })
    };
    line.cells(a, metric).into_iter().filter_map(at).collect()
}

impl At {
    fn is_shown(&self) -> bool {
        matches!(self.shown, RatioVerdict::Faster | RatioVerdict::Slower)
    }

    /// 0 where the first is shown to be better, else 1.
    fn leader(&self) -> usize {
        usize::from(self.shown != RatioVerdict::Faster)
    }
}

/// A crossing between each two successive values at which different executors are shown to be
/// better.
fn crossings(points: &[At], labels: &[String; 2]) -> Vec<Crossing> {
    let shown: Vec<usize> = (0..points.len()).filter(|&index| points[index].is_shown()).collect();
    let changes = shown.windows(2).filter(|pair| points[pair[0]].shown != points[pair[1]].shown);
    changes.map(|pair| crossing(&points[pair[0]..=pair[1]], labels)).collect()
}

/// The crossing between the first of some values and the last of them.
fn crossing(points: &[At], labels: &[String; 2]) -> Crossing {
    let (first, last) = (&points[0], &points[points.len() - 1]);
    let sign = if first.leader() == 0 { 1.0 } else { -1.0 };
    let places: Vec<f64> =
        first.rounds.keys().filter_map(|round| place(points, *round, sign)).collect();
    let of_log = |log: f64| log.exp().clamp(first.value, last.value);
    Crossing {
        below: labels[first.leader()].clone(),
        above: labels[last.leader()].clone(),
        from: first.value,
        to: last.value,
        estimate: stats::median(&places).map(of_log),
        interval: stats::median_interval(&places).map(|(low, high)| (of_log(low), of_log(high))),
        rounds: places.len(),
    }
}

/// Where one round crosses, as the logarithm of the parameter; none where the round is missing at
/// an end.
fn place(points: &[At], round: u32, sign: f64) -> Option<f64> {
    let known = |at: &At| Some((at.value.ln(), sign * at.rounds.get(&round)?));
    let (first, _) = (known(&points[0])?, known(&points[points.len() - 1])?);
    let known: Vec<(f64, f64)> = points.iter().filter_map(known).collect();
    Some(first.0 + known.windows(2).map(|ends| length_ahead(ends[0], ends[1])).sum::<f64>())
}

/// On how much of the way from one point to the next a straight line is above zero.
fn length_ahead((from, start): (f64, f64), (to, end): (f64, f64)) -> f64 {
    let above = start.max(0.0) + end.max(0.0);
    let all = start.abs() + end.abs();
    (to - from) * if all > 0.0 { above / all } else { 0.5 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{ScenarioResult, analyse},
        measure::TargetReport,
        store::fixture::{Fixture, noisy},
    };

    const SWEEP: [u32; 5] = [1, 4, 16, 64, 256];

    /// Threads do 1000/s. Tokio does as much at `crossing`, and (n / crossing)^¼ times as much at
    /// n, with noise.
    fn swept(crossing: f64, spread: f64, rounds: u32, seed: u64) -> ScenarioResult {
        scenario(rounds, |n, which| {
            let middle =
                if which == 0 { 1000.0 } else { 1000.0 * (f64::from(n) / crossing).powf(0.25) };
            noisy(middle, spread, rounds, seed * 1000 + u64::from(n * 2 + which))
        })
    }

    fn scenario(rounds: u32, values: impl Fn(u32, u32) -> Vec<f64>) -> ScenarioResult {
        let fixture = SWEEP.iter().fold(Fixture::closed("threads", rounds), |fixture, &n| {
            let at = n.to_string();
            let at = [("concurrency", at.as_str())];
            fixture.cell("threads", &at, &values(n, 0)).cell("tokio", &at, &values(n, 1))
        });
        analyse(&fixture.build()).scenarios.remove(0)
    }

    fn throughput(scenario: &ScenarioResult) -> &PairResult {
        &scenario.sweeps[0].pairs[0]
    }

    #[test]
    fn a_crossing_has_its_place_and_an_interval() {
        let scenario = swept(32.0, 0.05, 7, 1);
        let pair = throughput(&scenario);
        assert_eq!(pair.labels, ["threads", "tokio"]);
        let [crossing] = pair.crossings.as_slice() else { panic!("{pair:?}") };
        assert_eq!((crossing.below.as_str(), crossing.above.as_str()), ("threads", "tokio"));
        assert_eq!((crossing.from, crossing.to, crossing.rounds), (16.0, 64.0, 7));
        let (low, high) = crossing.interval.expect("seven rounds");
        let estimate = crossing.estimate.expect("seven rounds");
        assert!((16.0..32.0).contains(&low) && (32.0..=64.0).contains(&high), "{crossing:?}");
        assert!(
            low <= estimate && estimate <= high && (24.0..43.0).contains(&estimate),
            "{crossing:?}"
        );
        assert_eq!(pair.ahead, None);
    }

    /// Without noise the place is exact, also where an undecided value lies between.
    #[test]
    fn straight_lines_over_logarithms_find_the_place() {
        for crossing in [24.0, 32.0, 16.0] {
            let scenario = swept(crossing, 0.0, 6, 1);
            let found = &throughput(&scenario).crossings[0];
            // Completed tasks are whole numbers, so that rates are rounded.
            assert!(
                (found.estimate.expect("six rounds") / crossing - 1.0).abs() < 0.002,
                "{found:?}"
            );
        }
        let undecided = swept(16.0, 0.0, 6, 1);
        let found = &throughput(&undecided).crossings[0];
        assert_eq!((found.from, found.to), (4.0, 64.0));
    }

    #[test]
    fn latencies_cross_too_and_lower_is_better() {
        let scenario = swept(32.0, 0.05, 7, 1);
        let p99 = scenario.sweeps[0].pairs.iter().find(|pair| pair.metric == MetricId::LatencyP99);
        let crossing = &p99.expect("rounds have a p99").crossings[0];
        assert_eq!((crossing.below.as_str(), crossing.above.as_str()), ("threads", "tokio"));
    }

    #[test]
    fn nothing_crosses_where_intervals_do_not_separate() {
        // Rounds that go this way and that.
        let noise = scenario(6, |_, which| {
            [100.0, 200.0, 100.0, 300.0, 100.0, 200.0]
                .map(|x| if which == 0 { x } else { 400.0 - x })
                .to_vec()
        });
        assert_eq!(
            (throughput(&noise).crossings.len(), throughput(&noise).ahead.clone()),
            (0, None)
        );
        let far = swept(1e6, 0.05, 7, 1);
        assert_eq!(
            (throughput(&far).crossings.len(), throughput(&far).ahead.as_deref()),
            (0, Some("threads"))
        );
        let few = swept(32.0, 0.0, 5, 1);
        assert!(few.sweeps[0].pairs.is_empty(), "five rounds have no interval and take no part");
    }

    #[test]
    fn two_crossings_are_two() {
        let middle_is_better = |n, which| {
            vec![
                if which == 1 && n == 16 { 2000.0 } else { 1000.0 + f64::from(1 - which) * 300.0 };
                6
            ]
        };
        let scenario = scenario(6, middle_is_better);
        let pair = throughput(&scenario);
        let found: Vec<_> =
            pair.crossings.iter().map(|c| (c.below.as_str(), c.from, c.to)).collect();
        assert_eq!(found, [("threads", 4.0, 16.0), ("tokio", 16.0, 64.0)]);
    }

    #[test]
    fn cells_that_are_not_valid_cross_nobody() {
        let rates = |n: u32| if n < 32 { [500.0; 6] } else { [2000.0; 6] };
        let mut fixture = Fixture::closed("threads", 6);
        for n in SWEEP {
            let value = n.to_string();
            let at = [("concurrency", value.as_str())];
            fixture = fixture.cell("threads", &at, &[1000.0; 6]).cell("tokio", &at, &rates(n));
        }
        let crossings = |fixture: Fixture| {
            let scenario = analyse(&fixture.build()).scenarios.remove(0);
            throughput(&scenario)
                .crossings
                .iter()
                .map(|crossing| (crossing.from, crossing.to))
                .collect::<Vec<_>>()
        };
        assert_eq!(crossings(fixture.clone()), [(16.0, 64.0)]);
        let target_bound = fixture.measured("demo::tokio::concurrency=64", |_, measured| {
            measured.trial_mut().targets =
                vec![TargetReport { busy: Some(0.95), ..TargetReport::default() }];
        });
        assert_eq!(crossings(target_bound), [(16.0, 256.0)]);
    }

    /// A round that crosses nowhere between the ends puts its crossing at one of them, not nowhere.
    #[test]
    fn a_round_without_a_change_of_sign_counts_at_an_end() {
        for (start, end, expected) in
            [(1.0, 3.0, 2.0), (-1.0, -3.0, 0.0), (1.0, -3.0, 0.5), (0.0, 0.0, 1.0)]
        {
            let found: f64 = length_ahead((0.0, start), (2.0, end));
            assert!((found - expected).abs() < 1e-12, "{start} to {end}: {found}");
        }
    }

    /// The exact level of the median's interval is 98.4 % at seven rounds.
    #[test]
    fn intervals_contain_the_place_as_often_as_they_say() {
        let mut shown = 0;
        let mut contained = 0;
        for seed in 0..1000 {
            // ln of the ratio is −¼·ln(n / 32), with noise.
            let at = |n: f64| {
                let noise = noisy(1.0, 0.1, 7, seed * 1000 + n as u64);
                let logs = noise.iter().map(|noise| noise.ln() - 0.25 * (n / 32.0).ln());
                let rounds: BTreeMap<u32, f64> = (1..).zip(logs).collect();
                let logs: Vec<f64> = rounds.values().copied().collect();
                let interval =
                    stats::signed_rank_interval(&logs).map(|(low, high)| (low.exp(), high.exp()));
                At { value: n, shown: RatioVerdict::of(interval), rounds }
            };
            let points = SWEEP.map(|n| at(f64::from(n)));
            let found = crossings(&points, &["threads".into(), "tokio".into()]);
            let Some((low, high)) = found.first().and_then(|crossing| crossing.interval) else {
                continue;
            };
            shown += 1;
            contained += u32::from(low <= 32.0 && 32.0 <= high);
        }
        assert!(shown > 900, "{shown}");
        assert!(f64::from(contained) >= 0.95 * f64::from(shown), "{contained} of {shown}");
    }
}
