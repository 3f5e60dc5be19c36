//! How many children of a call are at work at once, by their own account: for the proof that a bound
//! on them holds.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::super::site::ChildTask;

/// A count that is a call's. Children of calls that were given up may go on beside those of later
/// calls, where an executor cannot end them: they leave the count of another call alone.
#[derive(Default)]
pub(super) struct CallCount(AtomicU64);

impl CallCount {
    const HALF: u32 = 32;

    /// From now on it is that of this call, from 0.
    pub(super) fn begin(&self, call: u32) {
        self.0.store(u64::from(call) << Self::HALF, Relaxed);
    }

    /// Changes it, if it is that of this call and there is something to change: what it was.
    pub(super) fn change(&self, call: u32, to: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let own = u64::from(call) << Self::HALF;
        let change = |word: u64| {
            let count = u32::try_from(word.checked_sub(own)?).ok()?;
            to(count).map(|count| own | u64::from(count))
        };
        let before = self.0.fetch_update(Relaxed, Relaxed, change).ok()?;
        Some(before as u32)
    }

    pub(super) fn get(&self) -> u32 {
        self.0.load(Relaxed) as u32
    }
}

/// Counts the children that are at work.
pub(super) struct Crowd {
    now: CallCount,
    account: ChildTask,
}

impl Crowd {
    /// Kept in the account of this task.
    pub(super) fn of(account: &ChildTask) -> Arc<Self> {
        Arc::new(Self { now: CallCount::default(), account: account.clone() })
    }

    /// From now on the children of this call are counted.
    pub(super) fn begin(&self, call: u32) {
        self.now.begin(call);
    }

    /// Counts a child of a call for as long as the answer lives.
    pub(super) fn enter(self: Arc<Self>, call: u32) -> Present {
        if let Some(others) = self.now.change(call, |others| others.checked_add(1)) {
            self.account.crowd(u64::from(others) + 1);
        }
        Present { crowd: self, call }
    }
}

/// A child that is at work.
pub(super) struct Present {
    crowd: Arc<Crowd>,
    call: u32,
}

impl Drop for Present {
    fn drop(&mut self) {
        self.crowd.now.change(self.call, |count| count.checked_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_another_call_changes_nothing() {
        let count = CallCount::default();
        let more = |call| count.change(call, |count| count.checked_add(1));
        count.begin(u32::MAX);
        assert_eq!((more(u32::MAX), more(u32::MAX), count.get()), (Some(0), Some(1), 2));
        count.begin(0);
        assert_eq!((more(u32::MAX), more(1), more(0), count.get()), (None, None, Some(0), 1));
        let less = |call| count.change(call, |count| count.checked_sub(1));
        assert_eq!((less(u32::MAX), less(0), less(0), count.get()), (None, Some(1), None, 0));
    }
}
