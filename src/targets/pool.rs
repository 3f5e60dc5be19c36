//! `pool = { max = 16, acquire_timeout = "1s" }`: how many connections the tasks share.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    config::{Fields, Section},
    units::serde_duration,
};

/// Each connection needs a port of this host, of which there are no more towards one address of a
/// server.
const MOST: u32 = 65_535;

/// A pool of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSpec {
    /// Most connections.
    pub max: u32,
    /// The longest that a task waits for one; zero: as long as it takes.
    #[serde(with = "serde_duration")]
    pub acquire_timeout: Duration,
}

impl PoolSpec {
    /// The longest that a task waits for a connection; none: as long as it takes.
    pub fn limit(&self) -> Option<Duration> {
        Some(self.acquire_timeout).filter(|limit| !limit.is_zero())
    }
}

impl Section for PoolSpec {
    const DOC: &'static str =
        "A pool of connections that all tasks share; waits for one are recorded.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let max: Option<NonZeroU32> = fields.required("max", "Most connections at once.");
        let acquire_timeout = fields.or(
            "acquire_timeout",
            Duration::ZERO,
            "The longest that a task waits for a connection, an error named `pool timeout`; zero: as long as it takes.",
        );
        let max = max?.get();
        if max > MOST {
            let help = "a pool is at most as large as what the server lets in, such as `max = 16`"
                .to_owned();
            fields.reject("max", format!("expected at most {MOST} connections"), Some(help));
        }
        Some(Self { max, acquire_timeout })
    }
}
