//! Sizes in bytes: `256B`, `16KiB`, `1MiB`, `4kB`; a bare number is bytes.

use serde::{Deserialize, Serialize};

use super::{
    UnitError,
    decimal::{self, DecimalProblem},
};

/// Units and their bytes, the binary ones from large to small first.
const UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("", 1),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// A number of bytes that reads from and prints as text such as `16KiB`, exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub u64);

impl std::str::FromStr for Size {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse_size(text).map(Self)
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, scale) = largest(self.0, |scale| self.0.is_multiple_of(scale));
        write!(out, "{}{name}", self.0 / scale)
    }
}

impl TryFrom<String> for Size {
    type Error = UnitError;
    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(value: Size) -> String {
        value.to_string()
    }
}

/// The largest binary unit not above `bytes` that `suits`; bytes themselves if none does.
fn largest(bytes: u64, suits: impl Fn(u64) -> bool) -> (&'static str, u64) {
    UNITS[..4]
        .iter()
        .copied()
        .find(|(_, scale)| bytes >= *scale && suits(*scale))
        .unwrap_or(("B", 1))
}

/// Reads a size such as `16KiB` into bytes.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    decimal::parse(text, UNITS).map_err(|problem| {
        UnitError(match problem {
            DecimalProblem::Shape => {
                format!("expected a size such as `256B`, `16KiB` or `4kB`, found `{text}`")
            }
            DecimalProblem::Negative => {
                format!("a size such as `16KiB` cannot be negative, found `{text}`")
            }
            DecimalProblem::TooFine => {
                format!("a size is a whole number of bytes, such as `256B`, found `{text}`")
            }
            DecimalProblem::TooLarge => format!("a size is below 16 EiB, found `{text}`"),
        })
    })
}

/// Prints bytes for people: in the largest binary unit that stays exact (`16KiB`, `1.5MiB`), else
/// with three digits.
pub fn format_size(bytes: u64) -> String {
    let (name, scale) = largest(bytes, |_| true);
    match decimal::exact(u128::from(bytes), scale).filter(|text| text.len() <= 4) {
        Some(text) => format!("{text}{name}"),
        None => format!("{}{name}", decimal::three_digits(bytes as f64 / scale as f64)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_sizes() {
        assert_eq!(parse_size("256B"), Ok(256));
        assert_eq!(parse_size("256"), Ok(256));
        assert_eq!(parse_size("16KiB"), Ok(16_384));
        assert_eq!(parse_size("1.5MiB"), Ok(1_572_864));
        assert_eq!(parse_size("4kB"), Ok(4_000));
        for text in ["", "KiB", "16 KiB", "16kib", "NaN"] {
            assert!(parse_size(text).unwrap_err().0.contains("`16KiB`"), "{text}");
        }
        assert!(parse_size("-1B").unwrap_err().0.contains("negative"));
        assert!(parse_size("1.5B").unwrap_err().0.contains("whole number"));
        assert!(parse_size("99999999TiB").unwrap_err().0.contains("16 EiB"));
    }

    #[test]
    fn prints_sizes_for_people() {
        let shown: Vec<_> = [0, 256, 1_024, 1_536, 16_384, 1_234_567, 3 << 30]
            .into_iter()
            .map(format_size)
            .collect();
        assert_eq!(shown, ["0B", "256B", "1KiB", "1.5KiB", "16KiB", "1.18MiB", "3GiB"]);
        assert_eq!(Size(1_536).to_string(), "1536B");
    }

    proptest! {
        #[test]
        fn printing_and_reading_is_exact(bytes: u64, shift in 0_u32..60) {
            let size = Size(bytes >> shift << (shift / 2));
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }
    }
}
