//! How a cell behaved from slice to slice of its window: flat, warming, drifting or unsteady.
//!
//! The series of a round is its throughput per slice; that of a batch load is the inverse of its
//! makespans in order, in at most sixteen groups of which each gives its median. Values are
//! relative to the series' median.
//!
//! - A **trend** is a difference between the means of the first and of the last quarter that is
//!   above 5 %, and above four standard errors of the noise from one slice to the next.
//! - A trend up that is over in the second half is **warming**. A trend of which one step makes
//!   more than half is **unsteady**: it jumped. Any other trend is **drifting**.
//! - Without a trend a series is **unsteady** where a slice is further from the median than 25 %,
//!   six standard deviations of that noise and five of counting, and otherwise **flat**.
//!
//! Of a cell the median over the rounds is judged for a trend, for then it belongs to the cell and
//! not to the moment. Without one the cell is unsteady where at least half of its rounds are not
//! flat by themselves.

use std::collections::BTreeMap;

use crate::{
    analysis::{Steadiness, stats},
    measure::{Measurements, Slice},
};

/// Fewer slices than this say nothing.
const LEAST: usize = 10;
/// Makespans are put into so many groups at most.
const GROUPS: usize = 16;
const TREND: f64 = 0.05;
const JUMP: f64 = 0.25;

/// The class of a cell; none where no round has slices enough.
pub(in crate::analysis) fn steadiness(rounds: &[&Measurements]) -> Option<Steadiness> {
    let series: Vec<Series> = rounds.iter().filter_map(|measured| Series::of(measured)).collect();
    let slices = series.iter().map(|series| series.speeds.len()).min()?;
    let typical = (0..slices)
        .map(|at| stats::median(&series.iter().map(|one| one.speeds[at]).collect::<Vec<_>>()));
    let typical = Series { speeds: typical.collect::<Option<_>>()?, counting: 0.0 };
    if let Some(trend) = typical.trend() {
        return Some(trend);
    }
    let unsteady = series.iter().filter(|series| series.class() != Steadiness::Flat).count();
    Some(if 2 * unsteady >= series.len() { Steadiness::Unsteady } else { Steadiness::Flat })
}

/// The slices of all rounds, put together where they begin at the same time.
pub(in crate::analysis) fn merged(rounds: &[&Measurements]) -> Vec<Slice> {
    let mut sums: BTreeMap<(i64, u64), BTreeMap<u64, u64>> = BTreeMap::new();
    for slice in rounds.iter().flat_map(|measured| &measured.slices) {
        let sum = sums.entry((slice.from_ns, slice.length_ns)).or_default();
        slice.latencies.iter().for_each(|&(ns, tasks)| *sum.entry(ns).or_default() += tasks);
    }
    let slice = |((from_ns, length_ns), sum): (_, BTreeMap<u64, u64>)| Slice {
        from_ns,
        length_ns,
        latencies: sum.into_iter().collect(),
    };
    sums.into_iter().map(slice).collect()
}

/// Speeds relative to their median, in order.
struct Series {
    speeds: Vec<f64>,
    /// Standard deviation of a speed that counting so few tasks alone makes.
    counting: f64,
}

impl Series {
    fn of(measured: &Measurements) -> Option<Self> {
        let window =
            measured.slices.iter().filter(|slice| slice.from_ns >= 0 && slice.length_ns > 0);
        let sliced: Vec<f64> =
            window.map(|slice| slice.completed() as f64 / slice.length_ns as f64).collect();
        let speeds = if sliced.is_empty() { of_makespans(&measured.makespans_ns) } else { sliced };
        let middle =
            stats::median(&speeds).filter(|middle| *middle > 0.0 && speeds.len() >= LEAST)?;
        let tasks = measured
            .slices
            .iter()
            .filter(|slice| slice.from_ns >= 0)
            .map(Slice::completed)
            .sum::<u64>();
        let counting = if tasks > 0 { (speeds.len() as f64 / tasks as f64).sqrt() } else { 0.0 };
        Some(Self { speeds: speeds.iter().map(|speed| speed / middle).collect(), counting })
    }

    fn class(&self) -> Steadiness {
        self.trend().unwrap_or_else(|| {
            let furthest = self.speeds.iter().map(|speed| (speed - 1.0).abs()).fold(0.0, f64::max);
            let allowed = JUMP.max(6.0 * self.noise()).max(5.0 * self.counting);
            if furthest > allowed { Steadiness::Unsteady } else { Steadiness::Flat }
        })
    }

    fn trend(&self) -> Option<Steadiness> {
        let quarter = (self.speeds.len() / 4).max(1);
        let (begin, end) = (&self.speeds[..quarter], &self.speeds[self.speeds.len() - quarter..]);
        let third = &self.speeds[self.speeds.len() / 2..][..quarter];
        let error = self.noise() * (2.0 / quarter as f64).sqrt();
        let limit = TREND.max(4.0 * error);
        let change = mean(end) - mean(begin);
        if change.abs() <= limit {
            return None;
        }
        let later = (mean(end) - mean(third)).abs();
        let steepest =
            self.speeds.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
        Some(if change > 0.0 && later <= limit / 2.0 {
            Steadiness::Warming
        } else if steepest > change.abs() / 2.0 && steepest > limit {
            Steadiness::Unsteady
        } else {
            Steadiness::Drifting
        })
    }

    /// Standard deviation of a speed, from the differences between neighbours, which a trend hardly
    /// changes.
    fn noise(&self) -> f64 {
        let steps: Vec<f64> =
            self.speeds.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        // The median of |N(0, σ√2)| is 0.6745·σ√2.
        stats::median(&steps).unwrap_or(0.0) / (0.6745 * std::f64::consts::SQRT_2)
    }
}

fn of_makespans(makespans_ns: &[u64]) -> Vec<f64> {
    let size = makespans_ns.len().div_ceil(GROUPS).max(1);
    let speed = |group: &[u64]| {
        stats::median(&group.iter().map(|&ns| 1.0 / ns.max(1) as f64).collect::<Vec<_>>())
    };
    // A short last group would be noisier than the others.
    makespans_ns.chunks_exact(size).filter_map(speed).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{draw, unit};

    /// A round with so many slices, of which each has 10 000 times `speed(slice)` tasks, up to
    /// `noise` more or fewer.
    fn round(slices: u32, noise: f64, seed: u64, speed: impl Fn(f64) -> f64) -> Measurements {
        let tasks = |at: u32| {
            let off = 1.0 + noise * (2.0 * unit(draw(seed, u64::from(at), 0)) - 1.0);
            (10_000.0 * off * speed(f64::from(at) / f64::from(slices))) as u64
        };
        let slice = |at: u32| Slice {
            from_ns: i64::from(at) * 1000,
            length_ns: 1000,
            latencies: vec![(1, tasks(at))],
        };
        Measurements { slices: (0..slices).map(slice).collect(), ..Measurements::default() }
    }

    fn class(noise: f64, speed: impl Fn(f64) -> f64 + Copy) -> Steadiness {
        let rounds: Vec<Measurements> = (0..7).map(|seed| round(16, noise, seed, speed)).collect();
        steadiness(&rounds.iter().collect::<Vec<_>>()).expect("sixteen slices")
    }

    #[test]
    fn the_classes_of_plain_series() {
        for noise in [0.0, 0.02, 0.1] {
            assert_eq!(class(noise, |_| 1.0), Steadiness::Flat, "{noise}");
            assert_eq!(
                class(noise, |at| 1.0 - 0.6 * (-8.0 * at).exp()),
                Steadiness::Warming,
                "{noise}"
            );
            assert_eq!(class(noise, |at| 1.0 - 0.5 * at), Steadiness::Drifting, "{noise}");
            assert_eq!(class(noise, |at| 1.0 + 0.5 * at), Steadiness::Drifting, "{noise}");
            assert_eq!(
                class(noise, |at| if at < 0.6 { 1.0 } else { 0.4 }),
                Steadiness::Unsteady,
                "{noise}"
            );
            let dip = |at: f64| if (0.4..0.5).contains(&at) { 0.2 } else { 1.0 };
            assert_eq!(class(noise, dip), Steadiness::Unsteady, "{noise}");
        }
    }

    #[test]
    fn a_trend_below_a_twentieth_is_flat() {
        assert_eq!(class(0.005, |at| 1.0 + 0.04 * at), Steadiness::Flat);
        assert_eq!(class(0.005, |at| 1.0 + 0.1 * at), Steadiness::Drifting);
    }

    #[test]
    fn noise_alone_is_flat() {
        let wrong = (0..200).filter(|seed| {
            let rounds: Vec<Measurements> =
                (0..7).map(|round_| round(16, 0.1, 100 * seed + round_, |_| 1.0)).collect();
            steadiness(&rounds.iter().collect::<Vec<_>>()) != Some(Steadiness::Flat)
        });
        assert!(wrong.count() <= 4);
    }

    #[test]
    fn one_disturbed_round_does_not_make_a_cell_unsteady() {
        let dip = |at: f64| if (0.4..0.5).contains(&at) { 0.2 } else { 1.0 };
        let mut rounds: Vec<Measurements> =
            (0..6).map(|seed| round(16, 0.01, seed, |_| 1.0)).collect();
        rounds.push(round(16, 0.01, 7, dip));
        assert_eq!(steadiness(&rounds.iter().collect::<Vec<_>>()), Some(Steadiness::Flat));
        assert_eq!(Series::of(&rounds[6]).expect("slices").class(), Steadiness::Unsteady);
    }

    #[test]
    fn batches_are_judged_by_their_makespans() {
        let batches = |makespan: fn(u64) -> u64, count: u64| Measurements {
            makespans_ns: (0..count).map(makespan).collect(),
            ..Measurements::default()
        };
        let class = |measured: Measurements| steadiness(&[&measured]);
        assert_eq!(class(batches(|_| 1_000, 9)), None);
        assert_eq!(class(batches(|_| 1_000, 10)), Some(Steadiness::Flat));
        assert_eq!(class(batches(|at| 1_000 + 10 * at, 100)), Some(Steadiness::Drifting));
        // The first tenth takes twice as long.
        assert_eq!(
            class(batches(|at| if at < 100 { 2_000 } else { 1_000 }, 1_000)),
            Some(Steadiness::Warming)
        );
    }

    #[test]
    fn the_warm_up_is_not_judged_and_too_few_slices_are_not_either() {
        let mut measured = round(16, 0.0, 1, |_| 1.0);
        measured
            .slices
            .insert(0, Slice { from_ns: -1000, length_ns: 1000, latencies: vec![(1, 1)] });
        assert_eq!(steadiness(&[&measured]), Some(Steadiness::Flat));
        assert_eq!(steadiness(&[&round(9, 0.0, 1, |_| 1.0)]), None);
        assert_eq!(steadiness(&[]), None);
    }

    #[test]
    fn slices_of_all_rounds_add_up() {
        let one = round(2, 0.0, 1, |_| 1.0);
        let sum = merged(&[&one, &one]);
        assert_eq!(sum.len(), 2);
        assert_eq!((sum[1].from_ns, &sum[1].latencies[..]), (1000, &[(1, 20_000)][..]));
    }
}
