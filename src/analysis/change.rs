//! What a change from one run to another comes to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::stats;
use crate::store::Lane;

/// Ratios in this band around 1 rarely matter, and two runs of the same program differ by as much:
/// ±5 %.
pub const BAND: (f64, f64) = (1.0 / 1.05, 1.05);

/// What the interval of a change says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeVerdict {
    /// The whole interval is above the band.
    Better,
    /// The whole interval is below the band.
    Worse,
    /// The whole interval is in the band.
    Within,
    /// The interval is in the band and beyond it.
    NoDifference,
    /// Too few rounds: no interval.
    NoInterval,
}

impl ChangeVerdict {
    /// What an interval says.
    pub(super) fn of(interval: Option<(f64, f64)>) -> Self {
        match interval {
            None => Self::NoInterval,
            Some((low, _)) if low > BAND.1 => Self::Better,
            Some((_, high)) if high < BAND.0 => Self::Worse,
            Some((low, high)) if BAND.0 <= low && high <= BAND.1 => Self::Within,
            Some(_) => Self::NoDifference,
        }
    }

    /// The same in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Within => "within 5 %",
            Self::NoDifference => "no difference shown",
            Self::NoInterval => "too few rounds",
        }
    }
}

/// The change of all cells of a lane together: the geometric mean of each round's values, run
/// against run.
#[derive(Debug, Clone, Serialize)]
pub struct MeanChange {
    /// The lane.
    pub lane: Lane,
    /// How many cells.
    pub cells: usize,
    /// How many times as good the second run is.
    pub ratio: f64,
    /// Its 95 % interval, within sessions only; none of too few rounds.
    pub interval: Option<(f64, f64)>,
    /// What the interval says.
    pub verdict: ChangeVerdict,
}

/// A cell's logarithms of goodness, by round.
pub(super) type RoundLogs = BTreeMap<u32, f64>;

/// The mean change of several cells, each with its rounds in both runs; none of fewer than two
/// cells, or where no round has all of them.
pub(super) fn mean(lane: Lane, cells: &[(RoundLogs, RoundLogs)]) -> Option<MeanChange> {
    if cells.len() < 2 {
        return None;
    }
    let (before, after): (Vec<&RoundLogs>, Vec<&RoundLogs>) =
        cells.iter().map(|(before, after)| (before, after)).unzip();
    let (before, after) = (of_rounds(&before), of_rounds(&after));
    let ratio = stats::shift(&before, &after)?.exp();
    let interval =
        stats::shift_interval(&before, &after).map(|(low, high)| (low.exp(), high.exp()));
    Some(MeanChange {
        lane,
        cells: cells.len(),
        ratio,
        interval,
        verdict: ChangeVerdict::of(interval),
    })
}

/// The mean over the cells in each round that all of them have.
fn of_rounds(cells: &[&RoundLogs]) -> Vec<f64> {
    let rounds = cells.first().into_iter().flat_map(|cell| cell.keys());
    let mean = |round: &u32| {
        let logs: Option<Vec<f64>> = cells.iter().map(|cell| cell.get(round).copied()).collect();
        logs.map(|logs| logs.iter().sum::<f64>() / logs.len() as f64)
    };
    rounds.filter_map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_beyond_five_percent_is_better_or_worse() {
        let said = |low, high| ChangeVerdict::of(Some((low, high)));
        assert_eq!(said(1.06, 1.2), ChangeVerdict::Better);
        assert_eq!(said(0.8, 0.95), ChangeVerdict::Worse);
        // A tenth of a percent, however sure.
        assert_eq!(said(0.998, 0.999), ChangeVerdict::Within);
        assert_eq!(said(0.96, 1.04), ChangeVerdict::Within);
        assert_eq!(said(1.02, 1.30), ChangeVerdict::NoDifference);
        assert_eq!(said(0.80, 1.30), ChangeVerdict::NoDifference);
        assert_eq!(ChangeVerdict::of(None), ChangeVerdict::NoInterval);
    }

    #[test]
    fn the_mean_has_an_interval_over_the_rounds_that_all_cells_have() {
        let rounds = |ratio: f64, count: u32| {
            (1..=count).map(|round| (round, ratio.ln())).collect::<RoundLogs>()
        };
        let cell = |before, after| (rounds(before, 6), rounds(after, 6));
        let two = mean(Lane::SameCode, &[cell(1.0, 4.0), cell(3.0, 3.0)]).expect("two cells");
        assert!((two.ratio - 2.0).abs() < 1e-12, "√(4·1), and not 2.5: {two:?}");
        let (low, high) = two.interval.expect("six and six");
        assert!((low - 2.0).abs() < 1e-12 && (high - 2.0).abs() < 1e-12, "{two:?}");
        assert_eq!((two.cells, two.verdict), (2, ChangeVerdict::Better));
        assert!(mean(Lane::SameCode, &[cell(1.0, 4.0)]).is_none());
        let few = mean(Lane::SameCode, &[cell(1.0, 4.0), (rounds(1.0, 6), rounds(4.0, 2))])
            .expect("two cells");
        assert_eq!((few.interval, few.verdict), (None, ChangeVerdict::NoInterval));
    }
}
