//! The wait that an answer asks for before the next attempt.
//!
//! `Retry-After` has whole seconds (RFC 9110, section 10.2.3), which is long for many services:
//! some send `retry-after-ms` beside it, and their clients look at that first. A date is not read,
//! for it would compare two hosts' clocks.

use std::time::Duration;

use hyper::{HeaderMap, header::RETRY_AFTER};

use crate::targets::http::RETRY_AFTER_MS;

/// What these headers ask for, if they do so in a way that is understood.
pub(super) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?.trim();
        // Words such as `inf` are numbers elsewhere.
        text.starts_with(|first: char| first.is_ascii_digit()).then(|| text.parse::<f64>().ok())?
    };
    let seconds = number(RETRY_AFTER_MS)
        .map(|milliseconds| milliseconds / 1e3)
        .or_else(|| number(RETRY_AFTER.as_str()))?;
    // What is longer than any Duration is bounded anyway.
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&'static str, &'static str)]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, value.parse().unwrap());
        }
        asked_wait(&headers)
    }

    #[test]
    fn milliseconds_come_before_seconds_and_what_is_no_number_is_not_read() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let (seconds, exact) = ("retry-after", "retry-after-ms");
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(seconds, "2")]), ms(2000));
        assert_eq!(of(&[(seconds, "0")]), ms(0));
        assert_eq!(of(&[(seconds, "1.5")]), ms(1500));
        assert_eq!(of(&[(seconds, "1"), (exact, "20")]), ms(20));
        assert_eq!(of(&[(exact, "0.25")]), Some(Duration::from_micros(250)));
        assert_eq!(of(&[(seconds, "1"), (exact, "soon")]), ms(1000));
        assert_eq!(of(&[(seconds, "9999999999999999999999")]), Some(Duration::MAX));
        for wrong in ["-1", "inf", "nan", "", "1 s", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(of(&[(seconds, wrong)]), None, "{wrong}");
        }
    }
}
