//! The only place that reads a clock.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock. Comparable between the processes of one host.
#[inline]
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    #[test]
    fn never_goes_back() {
        let first = super::now_ns();
        assert!(first > 0);
        assert!(super::now_ns() >= first);
    }
}
