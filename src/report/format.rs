//! Numbers and lists as the outputs write them; metrics by the shared table.

use std::fmt::Write as _;

pub use crate::analysis::{bound, significant as digits};
use crate::{
    analysis::{METRICS, MetricId},
    units::format_ns,
};

/// What stands where there is no number.
pub const NOTHING: &str = "–";

/// Nanoseconds: `312ns`, `3.10ms`, `1.25s`.
pub fn ns(value: f64) -> String {
    format_ns(value.round() as u64)
}

/// Rounds to seven significant digits, which no measurement exceeds, for files that programs read.
pub fn seven_digits(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}

/// A ratio: `1.59×`.
pub fn ratio(value: f64) -> String {
    format!("{}×", digits(value))
}

/// Rounds trailing zeros of a tick away: `2.00ms` is `2ms`; zero has no unit.
pub fn tick(text: &str) -> String {
    let end =
        text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    };
    if number == "0" { number.into() } else { format!("{number}{unit}") }
}

/// A moment in ms since 1970 as `2026-11-21 10:02:11 UTC` (civil-from-days, Howard Hinnant,
/// "chrono-compatible low-level date algorithms").
pub fn moment(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, rest) = ((seconds / 86_400).cast_signed() + 719_468, seconds % 86_400);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// A metric's value with its unit.
pub fn metric(id: MetricId, value: f64) -> String {
    match id {
        // Threads are counted: 65, and not 65.0.
        MetricId::Threads => format!("{value:.0}"),
        _ => (id.info().format)(value),
    }
}

/// A metric's name in a heading.
pub fn label(id: MetricId) -> &'static str {
    id.info().label
}

/// A metric's name where programs read it, with its unit.
pub fn key(id: MetricId) -> &'static str {
    match id {
        MetricId::Makespan => "makespan_ns",
        MetricId::Throughput => "throughput_per_s",
        MetricId::LatencyP50 => "round_latency_p50_ns",
        MetricId::LatencyP99 => "round_latency_p99_ns",
        MetricId::ServiceP50 => "round_service_p50_ns",
        MetricId::ServiceP99 => "round_service_p99_ns",
        MetricId::LatenessP99 => "round_lateness_p99_ns",
        MetricId::DelayP99 => "round_delay_p99_ns",
        MetricId::CpuPerThousand => "cpu_s_per_1000_tasks",
        MetricId::CpuUser => "cpu_user_ns_per_task",
        MetricId::CpuSystem => "cpu_system_ns_per_task",
        MetricId::Switches => "context_switches_per_task",
        MetricId::PeakMemory => "peak_memory_bytes",
        MetricId::HarnessMemory => "harness_memory_bytes",
        MetricId::ExecutorMemory => "executor_memory_bytes",
        MetricId::MemoryPerSlot => "memory_bytes_per_slot",
        MetricId::Threads => "threads_max",
    }
}

/// The metrics that tables show. Quantiles per round only serve comparisons: what is shown is of
/// all rounds merged.
pub fn shown() -> impl Iterator<Item = MetricId> {
    use MetricId::{DelayP99, LatencyP50, LatencyP99, LatenessP99, ServiceP50, ServiceP99};
    let of_a_round = |id| {
        matches!(id, LatencyP50 | LatencyP99 | ServiceP50 | ServiceP99 | LatenessP99 | DelayP99)
    };
    METRICS.iter().map(|info| info.id).filter(move |&id| !of_a_round(id))
}

/// Joins as prose: `a`, `a and b`, `a, b and c`.
pub fn prose(items: &[String]) -> String {
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        let joint = if index == 0 {
            ""
        } else if index + 1 == items.len() {
            " and "
        } else {
            ", "
        };
        let _ = write!(text, "{joint}{item}");
    }
    text
}

/// `1 round`, `7 rounds`.
pub fn plural(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_lose_their_zeros() {
        assert_eq!(tick("2.00ms"), "2ms");
        assert_eq!(tick("200ms"), "200ms");
        assert_eq!(tick("1.50k"), "1.5k");
        assert_eq!(tick("0ns"), "0");
    }

    #[test]
    fn lists_read_as_prose() {
        let list =
            |items: &[&str]| prose(&items.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!((plural(1, "round"), plural(7, "round")), ("1 round".into(), "7 rounds".into()));
    }

    #[test]
    fn moments_are_civil_dates() {
        assert_eq!(moment(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(moment(1_795_255_331_000), "2026-11-21 10:02:11 UTC");
    }

    #[test]
    fn keys_are_unique() {
        let mut keys: Vec<&str> = METRICS.iter().map(|info| key(info.id)).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), METRICS.len());
    }
}
