//! Durations: `20us`, `2ms`, `1.5s`, `1m`, `2h`; a bare `0` is zero.

use std::time::Duration;

use super::UnitError;

/// Reads a duration such as `20us`, `2ms`, `1.5s` or `1m`.
pub fn parse_duration(_text: &str) -> Result<Duration, UnitError> {
    todo!("units helper")
}

/// Prints a duration exactly, in the largest unit that keeps it short: `1500us` is `1.5ms`. Parses back to itself.
pub fn format_duration(_value: Duration) -> String {
    todo!("units helper")
}

/// Prints nanoseconds for people, with three significant digits: `1.23ms`.
pub fn format_ns(_ns: u64) -> String {
    todo!("units helper")
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
