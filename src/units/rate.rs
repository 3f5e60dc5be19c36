//! Rates: `250/s`, `4k/s`, `1.5M/s`, `30/m`, `6/h`.

use super::UnitError;

/// What a rate may be counted by, with the seconds in it; the first spelling of a unit is the one
/// that is printed.
const UNITS: &[(&str, f64)] = &[("/s", 1.0), ("/m", 60.0), ("/min", 60.0), ("/h", 3600.0)];

/// A number of events per second that prints as text such as `4k/s` or `7/m`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(pub f64);

impl std::fmt::Display for Rate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            rate if rate >= 1e6 => write!(out, "{}M/s", rate / 1e6),
            rate if rate >= 1e3 => write!(out, "{}k/s", rate / 1e3),
            rate if rate >= 1.0 || rate <= 0.0 => write!(out, "{rate}/s"),
            rate => {
                match UNITS.iter().find_map(|(unit, seconds)| Some((unit, plain(rate * seconds)?)))
                {
                    Some((unit, number)) => write!(out, "{number}{unit}"),
                    None => write!(out, "{rate}/s"),
                }
            }
        }
    }
}

/// A number with two decimals at most, if it is one but for what a division has rounded: a seventh
/// of a minute is better read by the minute.
fn plain(number: f64) -> Option<f64> {
    let rounded = (number * 100.0).round() / 100.0;
    ((number - rounded).abs() <= number * 1e-12).then_some(rounded)
}

/// Reads a rate such as `4k/s` or `30/m` into events per second.
pub fn parse_rate(text: &str) -> Result<f64, UnitError> {
    let wrong =
        || UnitError(format!("expected a rate such as `250/s`, `4k/s` or `30/m`, found `{text}`"));
    let split = |(unit, seconds): &(&str, f64)| Some((text.trim().strip_suffix(unit)?, *seconds));
    let (number, seconds) = UNITS.iter().find_map(split).ok_or_else(wrong)?;
    let (number, scale) = match number.as_bytes().last() {
        Some(b'k') => (&number[..number.len() - 1], 1e3),
        Some(b'M') => (&number[..number.len() - 1], 1e6),
        _ => (number, 1.0),
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value = number.parse::<f64>().ok().filter(|value| plain && value.is_finite());
    value.map(|value| value * scale / seconds).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prints_what_it_reads() {
        for text in [
            "250/s", "4k/s", "1.5M/s", "0.5/s", "0/s", "7/m", "1/m", "0.01/s", "1/h", "7/h",
            "0.7/m",
        ] {
            assert_eq!(Rate(parse_rate(text).unwrap()).to_string(), text);
        }
        // In the unit in which it is the plainest.
        for (text, printed) in [
            ("30/m", "0.5/s"),
            ("6/m", "0.1/s"),
            ("90/h", "1.5/m"),
            ("60/min", "1/s"),
            ("0/h", "0/s"),
        ] {
            assert_eq!(Rate(parse_rate(text).unwrap()).to_string(), printed);
        }
    }

    #[test]
    fn reads_rates() {
        assert_eq!(parse_rate("250/s"), Ok(250.0));
        assert_eq!(parse_rate("4k/s"), Ok(4_000.0));
        assert_eq!(parse_rate("1.5M/s"), Ok(1_500_000.0));
        assert_eq!(parse_rate("30/m"), Ok(0.5));
        assert_eq!((parse_rate("6/min"), parse_rate("3k/m")), (Ok(0.1), Ok(50.0)));
        assert_eq!(parse_rate("90/h"), Ok(0.025));
        for text in [
            "", "/s", "/m", "k/s", "4k", "-4/s", "NaN/s", "inf/s", "4kk/s", "1e3/s", "4/ms", "4/d",
            "4m", "30/M",
        ] {
            assert!(parse_rate(text).unwrap_err().0.contains("`4k/s` or `30/m`"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same_rate(number in 1_u32..100_000, unit in 0..UNITS.len()) {
            let rate = parse_rate(&format!("{number}{}", UNITS[unit].0)).unwrap();
            let again = parse_rate(&Rate(rate).to_string()).unwrap();
            prop_assert!((again / rate - 1.0).abs() < 1e-11, "{} is read as {again}", Rate(rate));
        }
    }
}
