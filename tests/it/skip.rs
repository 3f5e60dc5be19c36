//! What a test says that cannot be made on this machine.

use std::io::Write as _;

/// Says which test is skipped, and why. Where CI runs, everything must be there, and it fails.
///
/// What the macros print in a test that passes is not shown by `cargo test`; this is.
pub fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI must have it: {why}");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Whoever has closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}
