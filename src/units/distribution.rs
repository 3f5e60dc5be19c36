//! Distributions of a duration: `5ms`, `const(5ms)`, `exp(1ms)`, `uniform(1ms,3ms)`,
//! `lognormal(2ms, p99=12ms)`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{UnitError, format_duration, parse_duration};
use crate::draw::{mix, unit};

/// The 99th percentile of the standard normal distribution.
const NORMAL_P99: f64 = 2.326_347_874_040_841;

/// How long something takes, drawn afresh for every operation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Distribution {
    /// Always the same.
    Const(Duration),
    /// Exponential with this mean.
    Exp(Duration),
    /// Uniform between two bounds, the upper one excluded.
    Uniform(Duration, Duration),
    /// Log-normal with this median and 99th percentile.
    LogNormal {
        /// The median, in the first place of `lognormal(…)`.
        median: Duration,
        /// The 99th percentile, `p99=…`.
        p99: Duration,
    },
}

impl Distribution {
    /// The value for one draw. Pure: the same `draw` (64 random bits) always gives the same
    /// duration.
    pub fn sample(&self, draw: u64) -> Duration {
        match *self {
            Self::Const(value) => value,
            Self::Exp(mean) => nanoseconds(-ns(mean) * (-unit(draw)).ln_1p()),
            // The product rounds, so the excluded upper bound is kept out by hand.
            Self::Uniform(low, high) => {
                let drawn = low + nanoseconds(unit(draw) * ns(high.saturating_sub(low)));
                drawn.clamp(low, high.saturating_sub(Duration::from_nanos(1)).max(low))
            }
            Self::LogNormal { median, p99 } => {
                nanoseconds(ns(median) * (sigma(median, p99) * normal(draw)).exp())
            }
        }
    }

    /// The mean of the distribution.
    pub fn mean(&self) -> Duration {
        match *self {
            Self::Const(value) | Self::Exp(value) => value,
            Self::Uniform(low, high) => low + high.saturating_sub(low) / 2,
            Self::LogNormal { median, p99 } => {
                nanoseconds(ns(median) * (sigma(median, p99).powi(2) / 2.0).exp())
            }
        }
    }

    /// The standard deviation of the distribution.
    pub fn spread(&self) -> Duration {
        match *self {
            Self::Const(_) => Duration::ZERO,
            Self::Exp(mean) => mean,
            Self::Uniform(low, high) => nanoseconds(ns(high.saturating_sub(low)) / 12_f64.sqrt()),
            Self::LogNormal { median, p99 } => {
                nanoseconds(ns(self.mean()) * sigma(median, p99).powi(2).exp_m1().sqrt())
            }
        }
    }

    /// The least value that a draw can give; a bound that no noise can break.
    pub fn least(&self) -> Duration {
        match *self {
            Self::Const(value) | Self::Uniform(value, _) => value,
            Self::Exp(_) | Self::LogNormal { .. } => Duration::ZERO,
        }
    }

    /// Refuses parameters that describe no distribution.
    fn checked(self) -> Result<Self, UnitError> {
        let wrong = match self {
            Self::Exp(mean) if mean.is_zero() => "the mean in `exp(1ms)` must be above zero",
            Self::Uniform(low, high) if low >= high => {
                "the second bound in `uniform(1ms,3ms)` must be above the first one"
            }
            Self::LogNormal { median, .. } if median.is_zero() => {
                "the median in `lognormal(2ms, p99=12ms)` must be above zero"
            }
            Self::LogNormal { median, p99 } if p99 < median => {
                "the p99 in `lognormal(2ms, p99=12ms)` must not be below the median"
            }
            fine => return Ok(fine),
        };
        Err(UnitError(wrong.to_owned()))
    }
}

fn ns(value: Duration) -> f64 {
    value.as_nanos() as f64
}

/// Rounds to a duration; the conversion to an integer saturates, so that no draw can overflow.
fn nanoseconds(value: f64) -> Duration {
    Duration::from_nanos(value.round() as u64)
}

fn sigma(median: Duration, p99: Duration) -> f64 {
    (ns(p99) / ns(median)).ln() / NORMAL_P99
}

/// A standard normal draw (Box and Muller, 1958); its two uniform numbers come from the one draw.
fn normal(draw: u64) -> f64 {
    let radius = (-2.0 * (-unit(draw)).ln_1p()).sqrt();
    radius * (std::f64::consts::TAU * unit(mix(draw, 1))).cos()
}

impl TryFrom<String> for Distribution {
    type Error = UnitError;
    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Distribution> for String {
    fn from(value: Distribution) -> String {
        value.to_string()
    }
}

impl std::str::FromStr for Distribution {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let text = text.trim();
        let Some((kind, rest)) = text.split_once('(') else {
            let numeric = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
            return parse_duration(text)
                .map(Self::Const)
                .map_err(|error| if numeric { error } else { shape(text) });
        };
        let inside = rest.strip_suffix(')').ok_or_else(|| shape(text))?;
        let arguments: Vec<&str> = inside.split(',').map(str::trim).collect();
        match (kind.trim_end(), arguments.as_slice()) {
            ("const", [value]) => Ok(Self::Const(parse_duration(value)?)),
            ("exp", [mean]) => Self::Exp(parse_duration(mean)?).checked(),
            ("uniform", [low, high]) => {
                Self::Uniform(parse_duration(low)?, parse_duration(high)?).checked()
            }
            ("lognormal", [median, p99]) => {
                let p99 =
                    p99.strip_prefix("p99").and_then(|rest| rest.trim_start().strip_prefix('='));
                let p99 = parse_duration(p99.ok_or_else(|| shape(text))?.trim_start())?;
                Self::LogNormal { median: parse_duration(median)?, p99 }.checked()
            }
            _ => Err(shape(text)),
        }
    }
}

fn shape(text: &str) -> UnitError {
    UnitError(format!(
        "expected a duration such as `20ms`, or a distribution: `exp(1ms)`, `uniform(1ms,3ms)` or \
         `lognormal(2ms, p99=12ms)`, found `{text}`"
    ))
}

impl std::fmt::Display for Distribution {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Const(value) => out.write_str(&format_duration(value)),
            Self::Exp(mean) => write!(out, "exp({})", format_duration(mean)),
            Self::Uniform(low, high) => {
                write!(out, "uniform({},{})", format_duration(low), format_duration(high))
            }
            Self::LogNormal { median, p99 } => {
                write!(out, "lognormal({}, p99={})", format_duration(median), format_duration(p99))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Distribution {
        text.parse().unwrap()
    }

    /// Quantile `q`, mean and standard deviation over many draws, in milliseconds.
    fn quantile_and_moments(text: &str, q: f64) -> (f64, f64, f64) {
        let distribution = read(text);
        let mut drawn: Vec<f64> = (0..100_000)
            .map(|task| distribution.sample(crate::draw::draw(3, task, 5)).as_secs_f64() * 1e3)
            .collect();
        drawn.sort_by(f64::total_cmp);
        let mean = drawn.iter().sum::<f64>() / 1e5;
        let variance = drawn.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / 1e5;
        (drawn[(q * 1e5) as usize], mean, variance.sqrt())
    }

    fn near(measured: f64, expected: f64) {
        assert!((measured / expected - 1.0).abs() < 0.03, "{measured} against {expected}");
    }

    #[test]
    fn draws_have_the_promised_quantiles_means_and_spreads() {
        for (text, q, value) in [
            ("lognormal(2ms, p99=12ms)", 0.5, 2.0),
            ("lognormal(2ms, p99=12ms)", 0.99, 12.0),
            ("exp(1ms)", 0.5, std::f64::consts::LN_2),
            ("exp(1ms)", 0.99, 4.605_17),
            ("uniform(1ms,3ms)", 0.5, 2.0),
            ("uniform(1ms,3ms)", 0.99, 2.98),
            ("5ms", 0.99, 5.0),
        ] {
            let (quantile, mean, spread) = quantile_and_moments(text, q);
            near(quantile, value);
            near(mean, read(text).mean().as_secs_f64() * 1e3);
            let expected = read(text).spread().as_secs_f64() * 1e3;
            // The spread of a heavy tail converges slowly.
            assert!(
                (spread - expected).abs() <= 0.05 * expected,
                "{text}: {spread} against {expected}"
            );
        }
    }

    #[test]
    fn the_extreme_draws_are_finite_and_within_bounds() {
        for text in
            ["5ms", "exp(1ms)", "uniform(1ms,3ms)", "uniform(1ns,2ns)", "lognormal(2ms, p99=12ms)"]
        {
            for draw in [0, 1, u64::MAX - 1, u64::MAX] {
                let distribution = read(text);
                let drawn = distribution.sample(draw);
                assert!(
                    drawn >= distribution.least() && drawn < Duration::from_secs(60),
                    "{text}: {drawn:?}"
                );
            }
        }
        assert_eq!(read("uniform(1ns,2ns)").sample(u64::MAX), Duration::from_nanos(1));
        assert_eq!(read("exp(1000000h)").sample(u64::MAX), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn says_what_was_expected() {
        for (text, part) in [
            ("exp(0)", "above zero"),
            ("uniform(3ms,1ms)", "above the first"),
            ("lognormal(0, p99=1ms)", "above zero"),
            ("lognormal(2ms, p99=1ms)", "below the median"),
            ("lognormal(2ms, 12ms)", "`lognormal(2ms, p99=12ms)`"),
            ("gamma(2ms)", "`exp(1ms)`"),
            ("exp(1ms", "`exp(1ms)`"),
            ("exp(-1ms)", "cannot be negative"),
            ("-5ms", "cannot be negative"),
            ("fast", "`exp(1ms)`"),
            ("exp(1ms,2ms)", "`exp(1ms)`"),
        ] {
            let error = text.parse::<Distribution>().unwrap_err();
            assert!(error.0.contains(part), "{text}: {error}");
        }
        assert_eq!(read("const(5ms)"), read("5ms"));
        assert_eq!(read("lognormal( 2ms ,p99 = 12ms )"), read("lognormal(2ms, p99=12ms)"));
    }

    fn any_distribution() -> impl Strategy<Value = Distribution> {
        let time = || (1_u64..1 << 62).prop_map(Duration::from_nanos);
        prop_oneof![
            time().prop_map(Distribution::Const),
            time().prop_map(Distribution::Exp),
            (time(), time()).prop_map(|(low, more)| Distribution::Uniform(low, low + more)),
            (time(), time())
                .prop_map(|(median, more)| Distribution::LogNormal { median, p99: median + more }),
        ]
    }

    proptest! {
        #[test]
        fn printing_and_reading_is_exact(distribution in any_distribution()) {
            prop_assert_eq!(distribution.to_string().parse(), Ok(distribution));
        }

        #[test]
        fn no_draw_is_below_the_least(distribution in any_distribution(), draw: u64) {
            prop_assert!(distribution.sample(draw) >= distribution.least());
        }
    }
}
