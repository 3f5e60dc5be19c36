//! The one integration binary: what several parts of Regatta do together.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which may panic")]
#![allow(clippy::disallowed_methods, reason = "tests start the program and wait for things")]

mod broken;
mod race;
mod schema;
mod tidy;
