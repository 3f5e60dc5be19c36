//! Numbers as people read them: three significant digits and a unit that keeps them short.

use std::fmt::Write as _;

use crate::analysis::MetricId;

/// What stands where there is no number.
pub const NOTHING: &str = "–";

/// Three significant digits, without an exponent: `0.0412`, `3.10`, `412`, `18200`.
pub fn digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".into() } else { NOTHING.into() };
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 6) as usize;
    // 9.996 has one digit before the point until it is rounded to 10.0.
    let text = format!("{value:.decimals$}");
    let grown = text.parse::<f64>().is_ok_and(|v| v.abs().log10().floor() > value.abs().log10().floor());
    if grown && decimals > 0 { format!("{value:.0$}", decimals - 1) } else { text }
}

/// Scales a value by the largest of some units, each `step` times the one before, that leaves at least 1 of it.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut left = value;
    let mut units = units.iter().peekable();
    while let Some(unit) = units.next() {
        // 999.6 prints as 1000, so that the next unit is taken from there.
        if left.abs() < step - 0.5 || units.peek().is_none() {
            return format!("{}{unit}", digits(left));
        }
        left /= step;
    }
    digits(value)
}

/// Nanoseconds: `312ns`, `3.10ms`, `1.25s`.
pub fn ns(value: f64) -> String {
    scaled(value, 1000.0, &["ns", "µs", "ms", "s"])
}

/// A count: `412`, `18.2k`, `1.50M`.
pub fn count(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1000.0 {
        return format!("{value:.0}");
    }
    scaled(value, 1000.0, &["", "k", "M", "G"])
}

/// Bytes: `512B`, `41.2KiB`, `1.20GiB`.
pub fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// A ratio: `1.59×`.
pub fn ratio(value: f64) -> String {
    format!("{}×", digits(value))
}

/// Rounds trailing zeros of a tick away: `2.00ms` is `2ms`.
pub fn tick(text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{unit}")
}

/// A moment in ms since 1970 as `2026-11-21 10:02:11 UTC` (civil-from-days, Howard Hinnant, "chrono-compatible
/// low-level date algorithms").
pub fn moment(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, rest) = ((seconds / 86_400) as i64 + 719_468, seconds % 86_400);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
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
        MetricId::Makespan | MetricId::CpuUser | MetricId::CpuSystem => ns(value),
        MetricId::Throughput => format!("{}/s", count(value)),
        MetricId::CpuPerThousand => ns(value * 1e9),
        MetricId::Switches => digits(value),
        MetricId::PeakMemory | MetricId::MemoryPerSlot => bytes(value),
        MetricId::Threads => format!("{value:.0}"),
    }
}

/// A metric's name in a heading.
pub fn label(id: MetricId) -> &'static str {
    match id {
        MetricId::Makespan => "makespan",
        MetricId::Throughput => "throughput",
        MetricId::CpuPerThousand => "CPU time per 1000 tasks",
        MetricId::CpuUser => "user CPU time per task",
        MetricId::CpuSystem => "system CPU time per task",
        MetricId::Switches => "context switches per task",
        MetricId::PeakMemory => "peak memory",
        MetricId::MemoryPerSlot => "memory per slot",
        MetricId::Threads => "threads at most",
    }
}

/// A metric's name as a column of raw numbers, with its unit.
pub fn key(id: MetricId) -> &'static str {
    match id {
        MetricId::Makespan => "makespan_ns",
        MetricId::Throughput => "throughput_per_s",
        MetricId::CpuPerThousand => "cpu_s_per_1000_tasks",
        MetricId::CpuUser => "cpu_user_ns_per_task",
        MetricId::CpuSystem => "cpu_system_ns_per_task",
        MetricId::Switches => "context_switches_per_task",
        MetricId::PeakMemory => "peak_memory_bytes",
        MetricId::MemoryPerSlot => "memory_bytes_per_slot",
        MetricId::Threads => "threads_max",
    }
}

/// All metrics in the order in which they are shown.
pub const METRICS: [MetricId; 9] = [
    MetricId::Makespan,
    MetricId::Throughput,
    MetricId::CpuPerThousand,
    MetricId::CpuUser,
    MetricId::CpuSystem,
    MetricId::Switches,
    MetricId::PeakMemory,
    MetricId::MemoryPerSlot,
    MetricId::Threads,
];

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
    fn three_digits_in_the_unit_that_keeps_them_short() {
        assert_eq!(ns(312.0), "312ns");
        assert_eq!(ns(999_600.0), "1.00ms");
        assert_eq!(ns(3_104_000.0), "3.10ms");
        assert_eq!(ns(125e9), "125s");
        assert_eq!(count(18_240.0), "18.2k");
        assert_eq!(count(7.0), "7");
        assert_eq!(bytes(42_189.0), "41.2KiB");
        assert_eq!(digits(9.996), "10.0");
        assert_eq!(digits(0.041_23), "0.0412");
        assert_eq!(digits(f64::NAN), NOTHING);
        assert_eq!(tick("2.00ms"), "2ms");
        assert_eq!(tick("200ms"), "200ms");
    }

    #[test]
    fn moments_are_civil_dates() {
        assert_eq!(moment(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(moment(1_795_255_331_000), "2026-11-21 10:02:11 UTC");
    }
}
