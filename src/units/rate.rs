//! Rates: `250/s`, `4k/s`, `1.5M/s`.

use super::UnitError;

/// A number of events per second that prints as text such as `4k/s`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(pub f64);

impl std::fmt::Display for Rate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            rate if rate >= 1e6 => write!(out, "{}M/s", rate / 1e6),
            rate if rate >= 1e3 => write!(out, "{}k/s", rate / 1e3),
            rate => write!(out, "{rate}/s"),
        }
    }
}

/// Reads a rate such as `4k/s` into events per second.
pub fn parse_rate(text: &str) -> Result<f64, UnitError> {
    let wrong = || UnitError(format!("expected a rate such as `250/s` or `4k/s`, found `{text}`"));
    let number = text.trim().strip_suffix("/s").ok_or_else(wrong)?;
    let (number, scale) = match number.as_bytes().last() {
        Some(b'k') => (&number[..number.len() - 1], 1e3),
        Some(b'M') => (&number[..number.len() - 1], 1e6),
        _ => (number, 1.0),
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value = number.parse::<f64>().ok().filter(|value| plain && value.is_finite());
    value.map(|value| value * scale).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_reads() {
        for text in ["250/s", "4k/s", "1.5M/s", "0.5/s", "0/s"] {
            assert_eq!(Rate(parse_rate(text).unwrap()).to_string(), text);
        }
    }

    #[test]
    fn reads_rates() {
        assert_eq!(parse_rate("250/s"), Ok(250.0));
        assert_eq!(parse_rate("4k/s"), Ok(4_000.0));
        assert_eq!(parse_rate("1.5M/s"), Ok(1_500_000.0));
        for text in ["", "/s", "k/s", "4k", "-4/s", "NaN/s", "inf/s", "4kk/s", "1e3/s"] {
            assert!(parse_rate(text).unwrap_err().0.contains("`4k/s`"), "{text}");
        }
    }
}
