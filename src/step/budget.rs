//! How many attempts beside the first there may be in all, for each first one: a bucket of tokens
//! that all slots share.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A token, in the bucket's units: shares are as fine as a millionth.
const TOKEN: u64 = 1_000_000;
/// Tokens that are there at the begin, so that the first tasks may be tried again, too.
pub const RESERVE: u64 = 10;

/// Each task's first attempt adds a share of a token, and each further one takes a whole token.
#[derive(Debug)]
#[repr(align(64))] // Alone in its cache line, which all CPUs want.
pub struct RetryBudget {
    left: AtomicU64,
    share: u64,
}

impl RetryBudget {
    /// A bucket with its reserve; `share` is added for each first attempt, in tokens.
    pub fn new(share: f64) -> Self {
        Self { left: AtomicU64::new(RESERVE * TOKEN), share: units(share) }
    }

    /// A task makes its first attempt.
    #[inline]
    pub fn earn(&self) {
        self.left.fetch_add(self.share, Relaxed);
    }

    /// Takes a token for another attempt; whether there was one.
    pub fn spend(&self) -> bool {
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(TOKEN)).is_ok()
    }
}

/// A share of a token in the bucket's units.
fn units(share: f64) -> u64 {
    (share * TOKEN as f64).round() as u64
}

/// The most attempts beside the first that so many tasks can have made with this budget.
pub fn most_retries(share: f64, tasks: u64) -> u64 {
    let earned = u128::from(tasks) * u128::from(units(share)) / u128::from(TOKEN);
    u64::try_from(earned).unwrap_or(u64::MAX).saturating_add(RESERVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_retry_takes_what_ten_tasks_have_added() {
        let budget = RetryBudget::new(0.1);
        let spent = |budget: &RetryBudget| {
            std::iter::repeat_with(|| budget.spend())
                .take_while(|there_was_one| *there_was_one)
                .count() as u64
        };
        assert_eq!(spent(&budget), RESERVE);
        for (tasks, retries) in [(9, 0), (1, 1), (35, 3), (5, 1)] {
            (0..tasks).for_each(|_| budget.earn());
            assert_eq!(spent(&budget), retries, "{tasks}");
        }
    }

    #[test]
    fn the_bound_is_what_all_that_was_added_is_worth() {
        let most = |share, tasks| most_retries(share, tasks) - RESERVE;
        assert_eq!([most(0.1, 0), most(0.1, 9), most(0.1, 10), most(0.25, 7)], [0, 0, 1, 1]);
        assert_eq!(most(0.1, 1_000_000_000), 100_000_000);
        assert_eq!(most_retries(100.0, u64::MAX), u64::MAX);
    }
}
