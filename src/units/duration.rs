//! Durations: `20us`, `2ms`, `1.5s`, `1m`, `2h`; a bare `0` is zero.

use std::time::Duration;

use super::{
    UnitError,
    decimal::{self, DecimalProblem},
};

/// Units and their nanoseconds; the first name of each length is the one that is printed.
const UNITS: &[(&str, u64)] = &[
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000), // U+00B5, the micro sign
    ("μs", 1_000), // U+03BC, the Greek letter
    ("ns", 1),
];

/// Reads a duration such as `20us`, `2ms`, `1.5s` or `1m`, of at most 64 bits of nanoseconds.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    decimal::parse(text, UNITS).map(Duration::from_nanos).map_err(|problem| {
        UnitError(match problem {
            DecimalProblem::Shape => {
                format!("expected a duration such as `20ms`, `1.5s` or `2m`, found `{text}`")
            }
            DecimalProblem::Negative => {
                format!("a duration such as `20ms` cannot be negative, found `{text}`")
            }
            DecimalProblem::TooFine => format!(
                "a duration is a whole number of nanoseconds, such as `250ns`, found `{text}`"
            ),
            DecimalProblem::TooLarge => {
                format!("a duration is shorter than 584 years, found `{text}`")
            }
        })
    })
}

/// Prints a duration exactly, in the largest unit that keeps it short: `1500us` is `1.5ms`. Parses
/// back to itself.
pub fn format_duration(value: Duration) -> String {
    let ns = value.as_nanos();
    let fits = UNITS.iter().filter(|(name, scale)| name.is_ascii() && ns >= u128::from(*scale));
    // Nobody writes 1.5h for 90m: minutes and hours are printed only when whole.
    let texts = fits.filter_map(|(name, scale)| {
        let number = decimal::exact(ns, *scale)?;
        (*scale <= 1_000_000_000 || !number.contains('.')).then(|| format!("{number}{name}"))
    });
    texts.min_by_key(String::len).unwrap_or_else(|| "0s".to_owned())
}

/// Prints nanoseconds for people, with three significant digits: `1.23ms`.
pub fn format_ns(ns: u64) -> String {
    if ns < 1_000 {
        return format!("{ns}ns");
    }
    // A value that rounds up to 1000 of a unit belongs to the next one: 999.9us is 1.00ms.
    let (unit, scale) = match ns {
        0..999_500 => ("us", 1e3),
        999_500..999_500_000 => ("ms", 1e6),
        _ => ("s", 1e9),
    };
    format!("{}{unit}", decimal::three_digits(ns as f64 / scale))
}

/// A time for people: `850 ms`, `2.1 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn short_duration(time: Duration) -> String {
    // Whole units are compared, so that rounding never shows 60 of one that has a larger one above
    // it.
    let ms = time.as_nanos().saturating_add(500_000) / 1_000_000;
    let seconds = (ms + 500) / 1000;
    match (ms, seconds) {
        (..1_000, _) => format!("{ms} ms"),
        (..59_950, _) => format!("{:.1} s", ms as f64 / 1e3),
        (_, ..3_600) => format!("{} min {} s", seconds / 60, seconds % 60),
        (_, ..86_400) => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// `#[serde(with = "serde_duration")]`: a `Duration` as its text.
pub mod serde_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the duration as text.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&super::format_duration(*value))
    }

    /// Reads the duration from text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_duration(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_unit() {
        let ns = |text: &str| parse_duration(text).map(|d| d.as_nanos());
        assert_eq!(ns("20us"), Ok(20_000));
        assert_eq!(ns("20µs"), Ok(20_000));
        assert_eq!(ns("2ms"), Ok(2_000_000));
        assert_eq!(ns("1.5s"), Ok(1_500_000_000));
        assert_eq!(ns("1m"), Ok(60_000_000_000));
        assert_eq!(ns("2h"), Ok(7_200_000_000_000));
        assert_eq!(ns("0"), Ok(0));
        assert_eq!(ns("0s"), Ok(0));
        assert_eq!(ns("7ns"), Ok(7));
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in [
            "", "5", "ms", "1.s", ".5s", "1..5s", "1,5s", "five ms", "5 ms", "NaN", "inf s", "5d",
            "+5s", "1e3s",
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.0.contains("such as `20ms`"), "{text}: {error}");
        }
        assert!(parse_duration("-1s").unwrap_err().0.contains("cannot be negative"));
        assert!(parse_duration("0.5ns").unwrap_err().0.contains("whole number of nanoseconds"));
        assert!(parse_duration("1000000000h").unwrap_err().0.contains("584 years"));
        assert!(parse_duration("99999999999999999999999s").unwrap_err().0.contains("584 years"));
        assert!(parse_duration(&format!("0.{}1s", "0".repeat(90))).is_err());
    }

    #[test]
    fn prints_the_shortest_exact_form() {
        let shown = |text: &str| format_duration(parse_duration(text).unwrap());
        assert_eq!(shown("1500us"), "1.5ms");
        assert_eq!(shown("100ms"), "100ms");
        assert_eq!(shown("60s"), "1m");
        assert_eq!(shown("90s"), "90s");
        assert_eq!(shown("5400s"), "90m");
        assert_eq!(shown("0"), "0s");
    }

    #[test]
    fn prints_nanoseconds_for_people() {
        let shown: Vec<_> = [
            0,
            17,
            1_000,
            1_234,
            12_345,
            999_499,
            999_500,
            1_234_567,
            999_600_000,
            75_000_000_000,
            u64::MAX,
        ]
        .into_iter()
        .map(format_ns)
        .collect();
        let expected = [
            "0ns",
            "17ns",
            "1.00us",
            "1.23us",
            "12.3us",
            "999us",
            "1.00ms",
            "1.23ms",
            "1.00s",
            "75.0s",
            "18446744074s",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn times_have_two_units_at_most() {
        let shown = [850, 999, 2_100, 59_949, 59_999, 200_000, 3_599_900, 7_500_000, 273_600_000]
            .map(|ms| short_duration(Duration::from_millis(ms)));
        let expected = [
            "850 ms",
            "999 ms",
            "2.1 s",
            "59.9 s",
            "1 min 0 s",
            "3 min 20 s",
            "1 h 0 min",
            "2 h 5 min",
            "3 d 4 h",
        ];
        assert_eq!(shown, expected);
    }

    proptest! {
        #[test]
        fn printing_and_reading_is_exact(ns: u64, scale in 0_u32..19) {
            let value = Duration::from_nanos(ns / 10_u64.pow(scale) * 10_u64.pow(scale / 2));
            prop_assert_eq!(parse_duration(&format_duration(value)), Ok(value));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = parse_duration(&text);
        }
    }
}
