//! A server that stands still from time to time: arithmetic on a schedule. It reads no clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Fields, Section};

/// A server that stands still for `length` at `every`, 2·`every`, 3·`every`, … after its start. It
/// accepts, reads and writes nothing meanwhile, as if its process had been stopped; what arrives
/// waits in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// From the begin of one standstill to that of the next.
    pub every: Duration,
    /// How long one lasts; zero: there are none.
    #[serde(rename = "for")]
    pub length: Duration,
}

impl Section for Stall {
    const DOC: &'static str = "How often and for how long the embedded server stands still.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "From the begin of one standstill to that of the next; the first begins this long after the start.";
        let every: Option<Duration> = fields.required("every", doc);
        let doc = "How long one lasts: less than `every`; 0: there are none.";
        let length: Option<Duration> = fields.required("for", doc);
        let (every, length) = (every?, length?);
        if length >= every {
            let help = Some(
                "make `every` longer than `for`, so that the server serves in between".to_owned(),
            );
            fields.reject("for", "the server would stand still for ever", help);
        }
        Some(Self { every, length })
    }
}

impl Stall {
    /// How long the standstill that is on `after_ns` after the server's start will still last, in
    /// ns; 0: there is none.
    pub fn left_ns(&self, after_ns: u64) -> u64 {
        let (every, length) = (self.every.as_nanos(), self.length.as_nanos());
        let after = u128::from(after_ns);
        if every == 0 || after < every {
            return 0;
        }
        u64::try_from(length.saturating_sub(after % every)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standstills_begin_with_every_period_but_the_first() {
        let stall = Stall { every: Duration::from_nanos(100), length: Duration::from_nanos(10) };
        let expected =
            [(0, 0), (5, 0), (99, 0), (100, 10), (101, 9), (109, 1), (110, 0), (199, 0), (305, 5)];
        for (after, left) in expected {
            assert_eq!(stall.left_ns(after), left, "{after}");
        }
    }

    #[test]
    fn a_length_of_zero_is_none() {
        let never = Stall { every: Duration::from_nanos(100), length: Duration::ZERO };
        assert!((0..1_000).all(|after| never.left_ns(after) == 0));
    }
}
