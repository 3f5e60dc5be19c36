//! The only place that reads clocks. Intervals use the monotonic clock; the calendar only labels runs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock.
#[inline]
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// CPU time that this process has used so far, in ns.
pub fn process_cpu_ns() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

/// Milliseconds since 1970, for labels.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Sleeps this thread until the monotonic clock shows `at_ns`.
pub fn sleep_until(at_ns: u64) {
    let left = at_ns.saturating_sub(now_ns());
    if left > 0 {
        std::thread::sleep(Duration::from_nanos(left));
    }
}

/// What one reading of the clock costs, in ns: the median of several timed bursts.
pub fn cost_ns() -> f64 {
    const BURST: u32 = 2_000;
    let mut bursts: Vec<f64> = (0..15)
        .map(|_| {
            let start = now_ns();
            for _ in 0..BURST {
                std::hint::black_box(now_ns());
            }
            (now_ns() - start) as f64 / f64::from(BURST)
        })
        .collect();
    bursts.sort_by(f64::total_cmp);
    bursts[bursts.len() / 2]
}
