//! The one integration binary: what several parts of Regatta do together.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which may panic")]

mod broken;
mod race;
mod schema;
