//! The only place that reads clocks. Intervals use the monotonic clock; the calendar only labels
//! runs.
//!
//! In tests a thread can have a virtual clock instead, which moves only when it is told to
//! (`Virtual`). A program that is not a test has no trace of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock.
#[inline]
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn now_ns() -> u64 {
    #[cfg(test)]
    if let Some(now_ns) = Virtual::now_ns() {
        return now_ns;
    }
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// CPU time that this process has used so far, in ns.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn process_cpu_ns() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

/// CPU time that this thread has used so far, in ns.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn thread_cpu_ns() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

/// Milliseconds since 1970, for labels.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A moment as `2026-11-21T10-02-11Z`, for names of folders.
pub fn label(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}-{:02}-{:02}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// Year, month and day of a number of days since 1970 (Hinnant, "chrono-compatible low-level date
/// algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Sleeps this thread until the monotonic clock shows `at_ns`.
pub fn sleep_until(at_ns: u64) {
    #[cfg(test)]
    if Virtual::is_installed() {
        return Virtual::advance_to(at_ns);
    }
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

#[cfg(test)]
thread_local! {
    static VIRTUAL_NS: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
}

/// A virtual clock for the thread that installed it, until this is dropped. It starts at 0 and
/// stands still while code runs, so that what is measured on it is exact.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Virtual {
    /// It belongs to one thread.
    here: std::marker::PhantomData<*const ()>,
}

#[cfg(test)]
impl Virtual {
    /// Gives this thread a virtual clock.
    ///
    /// # Panics
    ///
    /// Where the thread has one already: two simulations would move each other's time.
    pub(crate) fn install() -> Self {
        assert!(!Self::is_installed(), "this thread has a virtual clock already");
        VIRTUAL_NS.set(Some(0));
        Self { here: std::marker::PhantomData }
    }

    /// Moves this thread's virtual clock forward; a moment that has passed leaves it where it is.
    pub(crate) fn advance_to(at_ns: u64) {
        VIRTUAL_NS.set(Self::now_ns().map(|now_ns| now_ns.max(at_ns)));
    }

    fn now_ns() -> Option<u64> {
        VIRTUAL_NS.get()
    }

    fn is_installed() -> bool {
        VIRTUAL_NS.get().is_some()
    }
}

#[cfg(test)]
impl Drop for Virtual {
    fn drop(&mut self) {
        VIRTUAL_NS.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_clock_moves_only_when_it_is_told_to_and_only_here() {
        let real_ns = now_ns();
        let installed = Virtual::install();
        assert_eq!((now_ns(), now_ns()), (0, 0));
        sleep_until(3_600_000_000_000);
        sleep_until(5);
        assert_eq!(now_ns(), 3_600_000_000_000);
        let elsewhere_ns = std::thread::spawn(now_ns).join().expect("reads a clock");
        assert!(elsewhere_ns >= real_ns && elsewhere_ns != now_ns(), "{elsewhere_ns}");
        drop(installed);
        assert!(now_ns() >= real_ns);
    }

    #[test]
    fn labels_are_dates() {
        assert_eq!(label(0), "1970-01-01T00-00-00Z");
        assert_eq!(label(951_827_696_000), "2000-02-29T12-34-56Z");
        assert_eq!(label(1_795_226_531_000), "2026-11-21T02-02-11Z");
    }
}
