//! `pool = { max = 16, idle_timeout = "30s" }`: the connections of HTTP/1.1 that the tasks share.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    config::{Fields, Section},
    targets::PoolSpec,
    units::serde_duration,
};

/// A pool of connections, and how long one of them lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpPool {
    /// How many there are, and how long a task waits for one.
    pub places: PoolSpec,
    /// A connection that has been idle for longer is not used again; zero: however long.
    #[serde(with = "serde_duration")]
    pub idle_timeout: Duration,
    /// Whether each is closed after one call.
    pub force_close: bool,
}

impl Section for HttpPool {
    const DOC: &'static str =
        "A pool of connections that all tasks share; waits for one are recorded.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let places = PoolSpec::read(fields);
        let doc = "A connection that has been idle for longer is closed when its turn comes, and another one is opened; zero: however long.";
        let idle_timeout = fields.or("idle_timeout", Duration::ZERO, doc);
        let doc = "Each connection is closed after one call: only their number is limited.";
        let force_close = fields.or("force_close", false, doc);
        if force_close && !idle_timeout.is_zero() {
            let help = "remove one of the two";
            let message = "with `force_close` no connection is ever idle";
            fields.reject("idle_timeout", message, Some(help.into()));
        }
        Some(Self { places: places?, idle_timeout, force_close })
    }
}

impl HttpPool {
    /// Whether a connection that is idle since then is too old at that time, both in ns.
    pub fn is_stale(&self, since_ns: u64, now_ns: u64) -> bool {
        let idle = Duration::from_nanos(now_ns.saturating_sub(since_ns));
        self.ages() && idle > self.idle_timeout
    }

    /// Whether it matters for how long a connection has been idle.
    pub fn ages(&self) -> bool {
        !self.idle_timeout.is_zero()
    }

    /// What it is, in words for a report.
    pub(super) fn words(&self) -> String {
        let most = self.places.max;
        if self.force_close {
            return format!("{most} connections at most, each closed after one call");
        }
        let idle = if self.ages() {
            format!("not used again after {:?} without a call", self.idle_timeout)
        } else {
            "kept however long".to_owned()
        };
        format!("{most} connections at most, {idle}; the one that was idle for longest goes first")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_stale_when_it_has_been_idle_for_longer_than_is_allowed() {
        let places = PoolSpec { max: 1, acquire_timeout: Duration::ZERO };
        let of = |idle_timeout| HttpPool { places, idle_timeout, force_close: false };
        let pool = of(Duration::from_nanos(100));
        assert_eq!([100, 101, 5].map(|now| pool.is_stale(0, now)), [false, true, false]);
        assert!(!pool.is_stale(50, 20), "a clock that another thread has read a little later");
        assert!(!of(Duration::ZERO).is_stale(0, u64::MAX));
    }
}
