//! What somebody meant who wrote a value with a unit in another way: `5 seconds`, `1m30s`, `10mb`,
//! `100 req/s`.

use super::{format_duration, parse_duration, parse_rate, parse_size};

/// Other names of units of time.
const TIMES: &[(&str, &[&str])] = &[
    ("ns", &["nsec", "nsecs", "nanos", "nanosecond", "nanoseconds"]),
    ("us", &["usec", "usecs", "micros", "microsecond", "microseconds"]),
    ("ms", &["msec", "msecs", "millis", "millisecond", "milliseconds"]),
    ("s", &["sec", "secs", "second", "seconds"]),
    ("m", &["min", "mins", "minute", "minutes"]),
    ("h", &["hr", "hrs", "hour", "hours"]),
];

/// Units of size, each with what may stand for it; where several may be meant, the binary one is
/// the last.
const SIZES: &[(&[&str], &[&str])] = &[
    (&["B"], &["b", "byte", "bytes"]),
    (&["kB", "KiB"], &["k", "kb"]),
    (&["MB", "MiB"], &["m", "mb"]),
    (&["GB", "GiB"], &["g", "gb"]),
    (&["TB", "TiB"], &["t", "tb"]),
    (&["KiB"], &["ki", "kib"]),
    (&["MiB"], &["mi", "mib"]),
    (&["GiB"], &["gi", "gib"]),
    (&["TiB"], &["ti", "tib"]),
];

/// Other ways to say "per second".
const PER_SECOND: &[&str] = &[
    "",
    "/s",
    "/sec",
    "/second",
    "rps",
    "qps",
    "tps",
    "ops",
    "ops/s",
    "req/s",
    "reqs/s",
    "request/s",
    "requests/s",
    "hz",
    "persecond",
    "requestspersecond",
    "/1s",
];

/// … and "per minute" and "per hour".
const PER_LONGER: &[(&str, &[&str])] = &[
    (
        "/m",
        &[
            "/m",
            "/min",
            "/minute",
            "rpm",
            "perminute",
            "requestsperminute",
            "req/m",
            "req/min",
            "requests/min",
        ],
    ),
    ("/h", &["/h", "/hr", "/hour", "perhour", "requestsperhour", "req/h", "requests/h"]),
];

/// What to write for a duration, if it can be guessed.
pub fn duration_hint(text: &str) -> Option<String> {
    let plain = squeezed(text)?;
    if plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !plain.is_empty() {
        return Some(format!("write \"{plain}s\" for seconds, or \"{plain}ms\" for milliseconds"));
    }
    let (mut rest, mut sum) = (plain.as_str(), std::time::Duration::ZERO);
    while !rest.is_empty() {
        let (number, after) = split_number(rest);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        sum = sum.checked_add(parse_duration(&format!("{number}{}", unit_of_time(unit)?)).ok()?)?;
        rest = next;
    }
    (!plain.is_empty()).then(|| format!("write \"{}\"", format_duration(sum)))
}

fn unit_of_time(word: &str) -> Option<&'static str> {
    TIMES
        .iter()
        .find(|(unit, others)| *unit == word || others.contains(&word))
        .map(|(unit, _)| *unit)
}

/// What to write for a size, if it can be guessed.
pub fn size_hint(text: &str) -> Option<String> {
    let plain = squeezed(text)?;
    let (number, word) = split_number(&plain);
    let (units, _) = SIZES.iter().find(|(_, words)| words.contains(&word))?;
    let fine = |unit: &&&str| parse_size(&format!("{number}{unit}")).is_ok();
    let ways: Vec<String> =
        units.iter().filter(fine).map(|unit| format!("\"{number}{unit}\"")).collect();
    match ways.as_slice() {
        [] => None,
        [only] => Some(format!("write {only}")),
        [thousands, binary, ..] => {
            Some(format!("write {thousands} (in thousands) or {binary} (in steps of 1024)"))
        }
    }
}

/// What to write for a rate, if it can be guessed.
pub fn rate_hint(text: &str) -> Option<String> {
    let plain = squeezed(text)?;
    let (number, word) = split_number(&plain);
    let (scale, word) = match word.as_bytes().first() {
        Some(b'k') => ("k", &word[1..]),
        Some(b'm') if PER_SECOND.contains(&&word[1..]) => ("M", &word[1..]),
        _ => ("", word),
    };
    let longer = PER_LONGER.iter().find(|(_, words)| words.contains(&word)).map(|(unit, _)| *unit);
    let unit = longer.or_else(|| PER_SECOND.contains(&word).then_some("/s"))?;
    let rate = format!("{number}{scale}{unit}");
    parse_rate(&rate).is_ok().then(|| format!("write \"{rate}\""))
}

/// The text without what people put between figures, in small letters; nothing of what is too long
/// to be a slip.
fn squeezed(text: &str) -> Option<String> {
    let ignored = |c: &char| !c.is_whitespace() && *c != '_';
    (text.len() <= 100)
        .then(|| text.chars().filter(ignored).collect::<String>().to_ascii_lowercase())
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_guessed() {
        for (text, written) in [
            ("1 s", "1s"),
            ("5sec", "5s"),
            ("5 seconds", "5s"),
            ("1m30s", "90s"),
            ("1 h 5 min", "65m"),
            ("250 msec", "250ms"),
            ("5S", "5s"),
            ("1_000ms", "1s"),
        ] {
            assert_eq!(duration_hint(text), Some(format!("write \"{written}\"")), "{text}");
        }
        assert_eq!(
            duration_hint("5").unwrap(),
            "write \"5s\" for seconds, or \"5ms\" for milliseconds"
        );
        for text in ["", "soon", "5 parsecs", "s", "-5s", "1.5.5s"] {
            assert_eq!(duration_hint(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_guessed() {
        for (text, written) in [
            ("10 MiB", "write \"10MiB\""),
            ("16kib", "write \"16KiB\""),
            ("5 bytes", "write \"5B\""),
        ] {
            assert_eq!(size_hint(text).as_deref(), Some(written), "{text}");
        }
        for text in ["10mb", "10M", "10 MB"] {
            let expected = "write \"10MB\" (in thousands) or \"10MiB\" (in steps of 1024)";
            assert_eq!(size_hint(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!((size_hint("large"), size_hint("10 apples")), (None, None));
    }

    #[test]
    fn rates_are_guessed() {
        for (text, written) in [
            ("100", "100/s"),
            ("100rps", "100/s"),
            ("100 req/s", "100/s"),
            ("100 /s", "100/s"),
            ("2K/s", "2k/s"),
            ("100 requests per second", "100/s"),
            ("1.5 M/sec", "1.5M/s"),
            ("50Hz", "50/s"),
            ("30 / min", "30/m"),
            ("6 rpm", "6/m"),
            ("2 requests per hour", "2/h"),
        ] {
            assert_eq!(rate_hint(text), Some(format!("write \"{written}\"")), "{text}");
        }
        assert_eq!((rate_hint("fast"), rate_hint("")), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_guessed_or_not(text in "\\PC*") {
            let _ = (duration_hint(&text), size_hint(&text), rate_hint(&text));
        }
    }
}
