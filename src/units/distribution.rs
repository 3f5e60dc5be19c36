//! Distributions of a duration: `5ms`, `const(5ms)`, `exp(1ms)`, `uniform(1ms,3ms)`, `lognormal(2ms, p99=12ms)`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::UnitError;

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
    /// The value for one draw. Pure: the same `draw` (64 random bits) always gives the same duration.
    pub fn sample(&self, _draw: u64) -> Duration {
        todo!("units helper")
    }

    /// The mean of the distribution, for estimates of running time.
    pub fn mean(&self) -> Duration {
        todo!("units helper")
    }

    /// The least value that a draw can give; a bound that no noise can break.
    pub fn least(&self) -> Duration {
        todo!("units helper")
    }
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
    fn from_str(_text: &str) -> Result<Self, UnitError> {
        todo!("units helper")
    }
}

impl std::fmt::Display for Distribution {
    fn fmt(&self, _out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!("units helper")
    }
}
