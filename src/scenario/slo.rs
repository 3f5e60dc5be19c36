//! Reading an SLO: `request.latency.p99 < 25ms`, `request.throughput > 4k/s`, `request.error_rate <
//! 0.1%`.

use super::{Comparison, SloMetric};
use crate::units::{duration_hint, parse_duration, parse_rate, rate_hint};

/// An SLO's parts, before its subject is looked up.
#[derive(Debug, PartialEq)]
pub(super) struct Assertion<'a> {
    pub subject: &'a str,
    pub metric: SloMetric,
    pub comparison: Comparison,
    pub limit: f64,
}

const COMPARISONS: &[(&str, Comparison)] = &[
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("<", Comparison::Below),
    (">", Comparison::Above),
];

const METRICS: &str =
    "metrics: latency.p50 (any quantile), latency.max, latency.mean, throughput, error_rate";

/// What is wrong with an assertion, and the remedy.
pub(super) type Problem = (String, Option<String>);

/// Reads an assertion.
pub(super) fn parse(text: &str) -> Result<Assertion<'_>, Problem> {
    let example = || {
        (
            "expected a limit such as `request.latency.p99 < 25ms`".to_owned(),
            Some(METRICS.to_owned()),
        )
    };
    let at = text.find(['<', '>', '=']).ok_or_else(example)?;
    let (measured, rest) = text.split_at(at);
    let (sign, comparison) =
        COMPARISONS.iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(|| {
            let help = "comparisons: <, <=, >, >=".to_owned();
            ("this comparison is not known".to_owned(), Some(help))
        })?;
    let (subject, metric) = measured
        .trim()
        .split_once('.')
        .filter(|(subject, _)| !subject.is_empty())
        .ok_or_else(example)?;
    let metric = parse_metric(metric)?;
    let limit = parse_limit(metric, rest[sign.len()..].trim())?;
    Ok(Assertion { subject, metric, comparison: *comparison, limit })
}

fn parse_metric(text: &str) -> Result<SloMetric, Problem> {
    let unknown =
        || (format!("unknown metric {}", crate::config::quote(text)), Some(METRICS.to_owned()));
    match text {
        "throughput" => Ok(SloMetric::Throughput),
        "error_rate" => Ok(SloMetric::ErrorRate),
        "latency.mean" => Ok(SloMetric::MeanLatency),
        "latency.max" => Ok(SloMetric::Latency(1.0)),
        _ => {
            let percent =
                text.strip_prefix("latency.p").and_then(plain_number).ok_or_else(unknown)?;
            let is_quantile = percent > 0.0 && percent <= 100.0;
            is_quantile.then_some(SloMetric::Latency(percent / 100.0)).ok_or_else(unknown)
        }
    }
}

/// The limit in the metric's unit: nanoseconds, per second, or a share.
fn parse_limit(metric: SloMetric, text: &str) -> Result<f64, Problem> {
    let wrong = |message: String| (message, None);
    match metric {
        SloMetric::Latency(_) | SloMetric::MeanLatency => parse_duration(text)
            .map(|limit| limit.as_nanos() as f64)
            .map_err(|error| (error.0, duration_hint(text))),
        SloMetric::Throughput => parse_rate(text).map_err(|error| (error.0, rate_hint(text))),
        SloMetric::ErrorRate => {
            let share = match text.strip_suffix('%') {
                Some(percent) => plain_number(percent.trim_end()).map(|percent| percent / 100.0),
                None => plain_number(text),
            };
            let share = share.filter(|share| *share <= 1.0);
            share.ok_or_else(|| {
                wrong(format!("expected a share such as `0.1%` or `0.001`, found `{text}`"))
            })
        }
    }
}

/// A number of digits and a point: no sign, no exponent, no `inf`.
fn plain_number(text: &str) -> Option<f64> {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.').then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_metric_in_its_unit() {
        let read =
            |text| parse(text).map(|a| (a.subject, a.metric, a.comparison, a.limit)).unwrap();
        let p99 = SloMetric::Latency(0.99);
        assert_eq!(read("request.latency.p99 < 25ms"), ("request", p99, Comparison::Below, 25e6));
        assert_eq!(
            read("call.latency.max<=1s"),
            ("call", SloMetric::Latency(1.0), Comparison::AtMost, 1e9)
        );
        assert_eq!(
            read("a.latency.mean < 1us"),
            ("a", SloMetric::MeanLatency, Comparison::Below, 1e3)
        );
        assert_eq!(
            read("a.throughput >= 4k/s"),
            ("a", SloMetric::Throughput, Comparison::AtLeast, 4e3)
        );
        assert_eq!(
            read("a.error_rate < 0.1%"),
            ("a", SloMetric::ErrorRate, Comparison::Below, 0.001)
        );
        assert_eq!(read("a.error_rate > 0.5"), ("a", SloMetric::ErrorRate, Comparison::Above, 0.5));
        let SloMetric::Latency(quantile) = read("a.latency.p99.9 < 1s").1 else { panic!() };
        assert!((quantile - 0.999).abs() < 1e-12);
    }

    #[test]
    fn says_what_it_does_not_understand() {
        for (text, part) in [
            ("", "such as `request.latency.p99 < 25ms`"),
            ("request < 25ms", "such as"),
            (".latency.p99 < 25ms", "such as"),
            ("a.latency.p99 == 25ms", "comparison"),
            ("a.latency.p0 < 25ms", "unknown metric"),
            ("a.latency.p101 < 25ms", "unknown metric"),
            ("a.latency.pinf < 25ms", "unknown metric"),
            ("a.latency < 25ms", "unknown metric `latency`"),
            ("a.latency.p99 < 25", "`20ms`"),
            ("a.latency.p99 <", "`20ms`"),
            ("a.throughput > 5ms", "`4k/s`"),
            ("a.error_rate < 101%", "`0.1%`"),
            ("a.error_rate < -1", "`0.1%`"),
        ] {
            let (message, _) = parse(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
