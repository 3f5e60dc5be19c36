//! The one integration binary: what several parts of Regatta do together.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which may panic")]

mod bench_dir;
mod broken;
mod exit_codes;
mod interruptions;
mod limits;
mod lossy;
mod own_server;
mod own_targets;
mod replay;
mod schema;
