//! Values with units as scenario files write them: durations, sizes, rates, distributions.
//!
//! Each type parses from and prints as the text a user writes (`20us`, `16KiB`, `4k/s`,
//! `exp(5ms)`), and serialises as that text, so that a stored plan reads like its scenario.

mod decimal;
mod distribution;
mod duration;
mod file_name;
mod hint;
mod rate;
mod size;

pub use distribution::Distribution;
pub use duration::{format_duration, format_ns, parse_duration, serde_duration, short_duration};
pub use file_name::file_name;
pub use hint::{duration_hint, rate_hint, size_hint};
pub use rate::{Rate, parse_rate};
pub use size::{Size, format_size, parse_size};

/// Why a value with a unit could not be read; the text says what was expected, with an example.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(pub String);
