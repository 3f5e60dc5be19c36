//! A server that is restarted again and again, as a rolling deploy does, and what becomes of the
//! requests that are in flight.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Fields, Section};

/// `drain = { every = "200ms" }`: the server gives way to a successor every so often. What is in
/// flight is answered and what is idle is closed; the successor has the listening socket, so that no
/// connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpDrain {
    /// From one restart to the next; the first comes this long after the start.
    pub every: Duration,
}

/// The shortest time from one restart to the next: below, a server does nothing else.
const LEAST: Duration = Duration::from_millis(1);

impl Section for HttpDrain {
    const DOC: &'static str = "How often the embedded server gives way to a successor, and drains.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "From one restart to the next, at least 1ms; the first comes this long after the start.";
        let every: Option<Duration> = fields.required("every", doc);
        if every.is_some_and(|every| every < LEAST) {
            let help = "write every = \"200ms\", or remove `drain`";
            fields.reject("every", "expected at least 1ms", Some(help.into()));
        }
        Some(Self { every: every? })
    }
}

/// What a connection is when its server drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtDrain {
    /// Nothing has come on it.
    Unused,
    /// All that has come is answered.
    Idle,
    /// It ends with what is in flight on it; so many requests of that were not in flight when the
    /// server drained before.
    Busy(u64),
}

/// What was done in all restarts.
#[derive(Debug, Default)]
pub struct DrainCounts {
    /// Restarts.
    pub begun: u64,
    /// Requests that were in flight when one began: of which something had come, and not everything
    /// of the answer was sent.
    pub in_flight: u64,
    /// Of them, those whose answers were sent whole.
    pub answered: u64,
    /// Of them, those whose client has closed the connection before.
    pub given_up: u64,
    /// Of them, those that are still to be answered, when somebody asks for the counts.
    pub owed: u64,
    /// Connections that were closed because they were idle.
    pub idle: u64,
}

/// What a target's counts call them.
pub(super) const IN_FLIGHT: &str = "drains, requests in flight";
pub(super) const ANSWERED: &str = "drains, requests in flight that were answered";
pub(super) const GIVEN_UP: &str = "drains, requests in flight whose client left";
pub(super) const STILL_OWED: &str = "drains, requests in flight that are still to be answered";

impl DrainCounts {
    /// By name.
    pub fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("drains", self.begun),
            (IN_FLIGHT, self.in_flight),
            (ANSWERED, self.answered),
            (GIVEN_UP, self.given_up),
            (STILL_OWED, self.owed),
            ("drains, idle connections closed", self.idle),
        ]
    }
}
