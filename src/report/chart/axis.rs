//! Axes: scales with ticks of our own, since plotters' log axis draws none inside a decade.

use std::{
    f64::consts::{FRAC_1_SQRT_2, SQRT_2},
    ops::Range,
};

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged};

use crate::report::format::tick;

/// How values are spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
    /// By nines of a probability: −log10(1 − p).
    Nines,
}

/// Which numbers are round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// 1, 2 and 5 times powers of ten.
    Ten,
    /// Powers of two, for bytes.
    Two,
}

impl Base {
    /// The least round number that is not below a value.
    fn ceil(self, value: f64) -> f64 {
        match self {
            Self::Ten => ceil_125(value),
            Self::Two => 2_f64.powi(value.log2().ceil() as i32),
        }
    }
}

/// A scale, its ends and its ticks.
#[derive(Debug, Clone)]
pub struct ChartAxis {
    scale: Scale,
    low: f64,
    high: f64,
    /// Values and labels, ascending.
    pub ticks: Vec<(f64, String)>,
}

impl ChartAxis {
    /// A log axis with ticks at 1, 2 and 5 times powers of ten, which ends at ticks; at most `most`
    /// of them. Nothing without a positive finite value.
    pub fn log(
        values: impl IntoIterator<Item = f64>,
        most: usize,
        format: impl Fn(f64) -> String,
    ) -> Option<Self> {
        let (low, high) = bounds(values.into_iter().filter(|v| *v > 0.0))?;
        let all = ticks_125(low, high);
        let (low, high) = (*all.first()?, *all.last()?);
        let shown = thinned(all, most);
        Some(Self { scale: Scale::Log, low, high, ticks: labelled(shown, |v| tick(&format(v))) })
    }

    /// A log2 axis of ratios around 1 with ticks at powers of two.
    pub fn ratio(values: impl IntoIterator<Item = f64>, most: i32) -> Self {
        let (low, high) = bounds(values.into_iter().filter(|v| *v > 0.0)).unwrap_or((1.0, 1.0));
        if low >= FRAC_1_SQRT_2 && high <= SQRT_2 {
            // Less than half an octave to either side: closer, since there would be little to see.
            let ticks = [(FRAC_1_SQRT_2, "0.71"), (1.0, "1"), (SQRT_2, "1.41")]
                .map(|(v, text)| (v, text.into()));
            return Self {
                scale: Scale::Log,
                low: FRAC_1_SQRT_2,
                high: SQRT_2,
                ticks: ticks.to_vec(),
            };
        }
        let low = (low.log2().floor() as i32).min(-1);
        let high = (high.log2().ceil() as i32).max(1);
        let step = (high - low).div_euclid(most.max(2)) + 1;
        // Multiples of the step, so that 1 is always a tick; the ends move outwards to one.
        let (low, high) = (low.div_euclid(step) * step, -((-high).div_euclid(step)) * step);
        let ticks = (0..=(high - low) / step).map(|i| 2_f64.powi(low + i * step)).collect();
        Self {
            scale: Scale::Log,
            low: 2_f64.powi(low),
            high: 2_f64.powi(high),
            ticks: labelled(ticks, fraction),
        }
    }

    /// A linear axis from 0 to a round number.
    pub fn from_zero(
        values: impl IntoIterator<Item = f64>,
        most: usize,
        base: Base,
        format: impl Fn(f64) -> String,
    ) -> Self {
        let high = bounds(values).map_or(0.0, |b| b.1);
        let high = if high > 0.0 { high } else { 1.0 };
        let step = base.ceil(high / (most.max(2) - 1) as f64);
        let count = (high / step - 1e-9).ceil().max(1.0) as usize;
        let ticks = (0..=count).map(|i| i as f64 * step).collect();
        Self {
            scale: Scale::Linear,
            low: 0.0,
            high: count as f64 * step,
            ticks: labelled(ticks, |v| tick(&format(v))),
        }
    }

    /// A linear axis around 0 that reaches equally far to both sides.
    pub fn around_zero(
        values: impl IntoIterator<Item = f64>,
        format: impl Fn(f64) -> String,
    ) -> Self {
        let most = bounds(values.into_iter().map(f64::abs)).map_or(0.0, |b| b.1).max(0.5);
        let high = ceil_125(most);
        let ticks = [-1.0, -0.5, 0.0, 0.5, 1.0].map(|part| part * high).to_vec();
        Self { scale: Scale::Linear, low: -high, high, ticks: labelled(ticks, format) }
    }

    /// A linear axis of seconds from the least value, or 0 if that is less, to the greatest; its
    /// ticks are round.
    pub fn seconds(values: impl IntoIterator<Item = f64>, most: usize) -> Self {
        let (low, high) = bounds(values).unwrap_or((0.0, 1.0));
        let (low, high) = (low.min(0.0), if high > low.min(0.0) { high } else { low + 1.0 });
        let step = ceil_125((high - low) / most.max(2) as f64);
        let (first, last) =
            ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
        let ticks = (first..=last).map(|i| i as f64 * step).collect();
        let format = |v: f64| tick(&format!("{v:.3}")).replace('-', "−");
        Self { scale: Scale::Linear, low, high, ticks: labelled(ticks, format) }
    }

    /// From the minimum to the percentile with the given number of nines.
    pub fn nines(deepest: f64) -> Self {
        let deepest = deepest.max(1.0);
        let mut ticks = vec![(0.5, "p50".to_string())];
        for nines in 1..=(deepest + 1e-9) as i32 {
            let percent = 100.0 - 100.0 * 10_f64.powi(-nines);
            let decimals = (nines - 2).max(0) as usize;
            ticks.push((1.0 - 10_f64.powi(-nines), format!("p{percent:.decimals$}")));
        }
        Self { scale: Scale::Nines, low: 0.0, high: 1.0 - 10_f64.powf(-deepest), ticks }
    }

    /// Whether a value can be placed on it; others break a line.
    pub fn takes(&self, value: f64) -> bool {
        value.is_finite() && (self.scale != Scale::Log || value > 0.0)
    }

    /// Whether a value lies between its ends.
    pub fn covers(&self, value: f64) -> bool {
        self.takes(value) && (self.low..=self.high).contains(&value)
    }

    /// Where a value lies between the ends, 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let place = |v: f64| match self.scale {
            Scale::Linear => v,
            Scale::Log => v.log10(),
            Scale::Nines => -(1.0 - v).log10(),
        };
        (place(value) - place(self.low)) / (place(self.high) - place(self.low))
    }
}

impl Ranged for ChartAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        (f64::from(limit.0) + self.share(*value).clamp(0.0, 1.0) * f64::from(limit.1 - limit.0))
            .round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.iter().map(|t| t.0).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// The least and the greatest finite value.
fn bounds(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|v| v.is_finite()).fold(None, |bounds, v| match bounds {
        None => Some((v, v)),
        Some((low, high)) => Some((f64::min(low, v), f64::max(high, v))),
    })
}

fn labelled(values: Vec<f64>, format: impl Fn(f64) -> String) -> Vec<(f64, String)> {
    values.into_iter().map(|value| (value, format(value))).collect()
}

/// 1, 2 or 5 times a power of ten, by place; exact, since no sum or logarithm is involved.
fn nth_125(place: i32) -> f64 {
    let mantissa = [1.0, 2.0, 5.0][place.rem_euclid(3) as usize];
    let exponent = place.div_euclid(3);
    if exponent < 0 { mantissa / 10_f64.powi(-exponent) } else { mantissa * 10_f64.powi(exponent) }
}

/// The place of the greatest 1-2-5 number that is not above a value.
fn floor_place(value: f64) -> i32 {
    let mut place = 3 * (value.log10().floor() as i32) - 1;
    while nth_125(place + 1) <= value {
        place += 1;
    }
    place
}

fn ceil_125(value: f64) -> f64 {
    let place = floor_place(value);
    if nth_125(place) >= value { nth_125(place) } else { nth_125(place + 1) }
}

/// The 1-2-5 numbers from the one not above `low` to the one not below `high`, at least two.
fn ticks_125(low: f64, high: f64) -> Vec<f64> {
    let first = floor_place(low);
    let mut last = floor_place(high);
    if nth_125(last) < high || last == first {
        last += 1;
    }
    (first..=last).map(nth_125).collect()
}

/// Leaves out ticks: first those that are no powers of ten, then powers at equal steps.
fn thinned(all: Vec<f64>, most: usize) -> Vec<f64> {
    if all.len() <= most {
        return all;
    }
    let powers: Vec<f64> =
        all.iter().copied().filter(|v| (v.log10() - v.log10().round()).abs() < 1e-9).collect();
    if powers.len() < 2 {
        let step = all.len().div_ceil(most);
        return all.into_iter().step_by(step).collect();
    }
    let step = powers.len().div_ceil(most);
    powers.into_iter().step_by(step).collect()
}

/// `¼`, `½`, `1`, `2`, `1/16`.
fn fraction(value: f64) -> String {
    match value.log2().round() as i32 {
        -1 => "½".into(),
        -2 => "¼".into(),
        -3 => "⅛".into(),
        below if below < 0 => format!("1/{:.0}", 1.0 / value),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::format::{digits as count, ns},
        units::format_size,
    };

    fn labels(axis: &ChartAxis) -> Vec<&str> {
        axis.ticks.iter().map(|t| t.1.as_str()).collect()
    }

    #[test]
    fn log_axes_have_ticks_in_any_range() {
        let log = |low, high| ChartAxis::log([low, high], 8, count).expect("positive values");
        assert_eq!(labels(&log(2.0, 8.0)), ["2", "5", "10"]);
        assert_eq!(labels(&log(150e3, 900e3)), ["100k", "200k", "500k", "1M"]);
        for same in [1.0, 3.0, 5.0, 150e3, 1e-7, 123.456e9] {
            assert!(log(same, same).ticks.len() >= 2, "{same}");
        }
        assert!(log(1.0, 1e15).ticks.len() >= 2);
        assert_eq!(
            labels(&ChartAxis::log([90.0, 21e6], 7, ns).expect("positive")),
            ["100ns", "1us", "10us", "100us", "1ms", "10ms"]
        );
        assert!(ChartAxis::log([0.0, f64::NAN, -1.0], 8, count).is_none());
    }

    #[test]
    fn ratio_axes_are_centred_on_one_where_little_differs() {
        assert_eq!(labels(&ChartAxis::ratio([0.97, 1.04], 7)), ["0.71", "1", "1.41"]);
        assert_eq!(labels(&ChartAxis::ratio([0.97, 1.5], 7)), ["½", "1", "2"]);
        assert_eq!(labels(&ChartAxis::ratio([0.3, 1.04], 7)), ["¼", "½", "1", "2"]);
        let wide = ChartAxis::ratio([0.011, 90.0], 7);
        assert!(
            wide.ticks.len() <= 7 && wide.ticks.iter().any(|t| (t.0 - 1.0).abs() < 1e-9),
            "{wide:?}"
        );
    }

    #[test]
    fn linear_axes_start_at_zero() {
        assert_eq!(
            labels(&ChartAxis::from_zero([0.041, 0.052], 3, Base::Ten, |v| v.to_string())),
            ["0", "0.05", "0.1"]
        );
        assert_eq!(
            labels(&ChartAxis::from_zero([9000.0], 2, Base::Two, |v| format_size(v as u64))),
            ["0", "16KiB"]
        );
        assert!(ChartAxis::from_zero([], 3, Base::Ten, count).ticks.len() >= 2);
        assert!(ChartAxis::from_zero([5.0, 5.0], 4, Base::Ten, count).ticks.len() >= 2);
    }

    #[test]
    fn seconds_begin_with_the_warm_up() {
        assert_eq!(
            labels(&ChartAxis::seconds([-1.0, 5.0], 8)),
            ["−1", "0", "1", "2", "3", "4", "5"]
        );
        assert_eq!(labels(&ChartAxis::seconds([0.05, 0.35], 4)), ["0", "0.1", "0.2", "0.3"]);
        assert_eq!(ChartAxis::seconds([-0.5, 5.0], 8).map(&-0.5, (0, 100)), 0);
        assert!(ChartAxis::seconds([], 8).ticks.len() >= 2);
    }

    #[test]
    fn nines_are_evenly_spaced_and_values_off_a_log_axis_are_refused() {
        let axis = ChartAxis::nines(3.3);
        assert_eq!(labels(&axis), ["p50", "p90", "p99", "p99.9"]);
        assert_eq!(axis.map(&0.9, (0, 330)), 100);
        assert_eq!(axis.map(&0.99, (0, 330)), 200);
        let log = ChartAxis::log([1.0, 10.0], 5, count).expect("positive");
        assert!(!log.takes(0.0) && !log.takes(f64::NAN) && log.takes(3.0));
    }
}
