//! Swept values as numbers: plain ones, durations, sizes and rates.

use serde::Serialize;

use super::significant;
use crate::units::{format_ns, format_size, parse_duration, parse_rate, parse_size};

/// What a swept value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// A plain number.
    #[serde(rename = "1")]
    Number,
    /// Time, in ns.
    #[serde(rename = "ns")]
    Duration,
    /// Bytes.
    #[serde(rename = "bytes")]
    Size,
    /// Events per second.
    #[serde(rename = "1/s")]
    Rate,
}

impl Unit {
    const ALL: [Self; 4] = [Self::Number, Self::Duration, Self::Size, Self::Rate];

    /// The unit in which all of these are positive numbers; none where there is no such unit.
    pub fn of<'a>(values: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| values.clone().all(|text| unit.value(text).is_some()))
    }

    /// A positive value in this unit.
    pub fn value(self, text: &str) -> Option<f64> {
        let value = match self {
            Self::Number => text.parse().ok(),
            Self::Duration => parse_duration(text).ok().map(|time| time.as_nanos() as f64),
            Self::Size => parse_size(text).ok().map(|bytes| bytes as f64),
            Self::Rate => parse_rate(text).ok(),
        };
        value.filter(|value| *value > 0.0 && value.is_finite())
    }

    /// A value for people, with its unit, three significant digits and no idle zeros: `64`, `1.5k`,
    /// `2ms`, `16KiB`, `4k/s`.
    pub fn format(self, value: f64) -> String {
        match self {
            Self::Number => trimmed(&significant(value)),
            Self::Duration => trimmed(&format_ns(value.round() as u64)),
            Self::Size => trimmed(&format_size(value.round() as u64)),
            Self::Rate => format!("{}/s", trimmed(&significant(value))),
        }
    }
}

/// Without zeros behind the point: `64.0` is `64`, `2.00ms` is `2ms`.
fn trimmed(text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    };
    format!("{number}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_that_of_all_values() {
        let of = |values: &[&'static str]| Unit::of(values.iter().copied());
        assert_eq!(of(&["1", "64"]), Some(Unit::Number));
        assert_eq!(of(&["500us", "2ms", "1s"]), Some(Unit::Duration));
        assert_eq!(of(&["1024", "16KiB"]), Some(Unit::Size));
        assert_eq!(of(&["250/s", "4k/s"]), Some(Unit::Rate));
        for other in [
            &["json", "sha256"][..],
            &["0", "1"],
            &["0s", "1s"],
            &["1ms", "1KiB"],
            &["exp(2ms)", "2ms"],
        ] {
            assert_eq!(of(other), None, "{other:?}");
        }
    }

    #[test]
    fn values_print_as_they_are_written() {
        for (text, unit) in [
            ("64", Unit::Number),
            ("1.5k", Unit::Number),
            ("2ms", Unit::Duration),
            ("16KiB", Unit::Size),
            ("4k/s", Unit::Rate),
        ] {
            let value = unit.value(text).unwrap_or(1_500.0);
            assert_eq!(unit.format(value), text);
        }
        assert_eq!(Unit::Duration.format(1.234_56e9), "1.23s");
    }
}
