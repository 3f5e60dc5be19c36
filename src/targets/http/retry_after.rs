//! How an answer says when to try again.

use std::time::Duration;

/// The header that says it in milliseconds, as some services send it beside `Retry-After`.
pub const RETRY_AFTER_MS: &str = "retry-after-ms";

/// Longest wait that the embedded server asks for; up to here, no digit of it is lost on the way.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// The lines of a head that ask for this wait: in whole seconds, rounded up, and to the last digit.
pub(super) fn lines(wait: Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let (milliseconds, rest) = (wait.as_millis(), wait.subsec_nanos() % 1_000_000);
    let rest = format!(".{rest:06}");
    let rest = rest.trim_end_matches('0').trim_end_matches('.');
    format!("retry-after: {seconds}\r\n{RETRY_AFTER_MS}: {milliseconds}{rest}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up_and_milliseconds_are_exact() {
        for (ns, seconds, milliseconds) in [
            (0, 0, "0"),
            (1, 1, "0.000001"),
            (250_000, 1, "0.25"),
            (20_000_000, 1, "20"),
            (1_000_000_000, 1, "1000"),
            (1_000_000_500, 2, "1000.0005"),
            (2_010_000_000, 3, "2010"),
        ] {
            assert_eq!(
                lines(Duration::from_nanos(ns)),
                format!("retry-after: {seconds}\r\nretry-after-ms: {milliseconds}\r\n")
            );
        }
    }
}
