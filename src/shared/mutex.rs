//! `mutex`: lets one task in at a time.
//!
//! It guards a counter. Each task that was let in reads it when it comes in, and writes one more
//! when it goes out. So two that are in at once write the same number, and the counter says less at
//! the end than there were tasks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use super::spec::{Made, ObjectLine, SharedAccount, SharedCalls, SharedCounts, SharedKind};
use crate::{
    config::Fields,
    runtime::{Coordination, Guarded as _, Mutex as _},
};

/// A mutex.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedMutex {}

impl SharedKind for SharedMutex {
    const KEY: &'static str = "mutex";
    const DOC: &'static str = "A mutex: lets one task in at a time.";

    fn read(_: &mut Fields<'_>) -> Option<Self> {
        Some(Self {})
    }

    fn make<N: Coordination>(&self) -> Made {
        Made::new(MutexOf::<N> {
            mutex: N::Mutex::new(),
            seen: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
        })
    }

    fn facts<N: Coordination>(&self) -> [String; 2] {
        [N::Mutex::NAME, N::Mutex::TURNS].map(str::to_owned)
    }
}

/// A mutex, made of an executor's primitives.
pub struct MutexOf<N: Coordination> {
    mutex: N::Mutex,
    /// The counter as its last writer wrote it: for who is not let in.
    seen: AtomicU64,
    /// Tasks that were given up when they were in.
    given_up: AtomicU64,
}

impl<N: Coordination> MutexOf<N> {
    /// Waits until the task is let in.
    pub async fn lock(&self) -> MutexHold<'_, N> {
        let guard = self.mutex.lock().await;
        MutexHold { passes: guard.get(), guard, of: self, ended: false }
    }
}

/// The right to be in. Dropping it lets the next one in.
pub struct MutexHold<'a, N: Coordination> {
    /// What the counter said when this task came in.
    passes: u64,
    guard: <N::Mutex as crate::runtime::Mutex>::Guard<'a>,
    of: &'a MutexOf<N>,
    ended: bool,
}

impl<N: Coordination> MutexHold<'_, N> {
    /// The task goes out by itself, and not because it is given up.
    pub fn ends(&mut self) {
        self.ended = true;
    }

    /// The same, at once.
    #[cfg(test)]
    fn end(mut self) {
        self.ends();
    }
}

impl<N: Coordination> Drop for MutexHold<'_, N> {
    fn drop(&mut self) {
        if !self.ended {
            self.of.given_up.fetch_add(1, Relaxed);
        }
        self.guard.set(self.passes + 1);
        self.of.seen.store(self.passes + 1, Relaxed);
    }
}

impl<N: Coordination> SharedAccount for MutexOf<N> {
    fn read(&self) -> Box<dyn SharedCounts> {
        let [passes, given_up] = [&self.seen, &self.given_up].map(|count| count.load(Relaxed));
        Box::new(Passes { passes, given_up })
    }
}

struct Passes {
    passes: u64,
    given_up: u64,
}

impl SharedCounts for Passes {
    fn lines(&self, calls: &dyn Fn(&str) -> SharedCalls) -> Vec<ObjectLine> {
        let what = "counter of who was in, written without a lock of its own";
        vec![ObjectLine::of_calls(what, calls("lock"), self.given_up, self.passes)]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::runtime::{Blocking, block_on};

    fn mutex() -> Arc<MutexOf<Blocking>> {
        SharedMutex {}.make::<Blocking>().object.downcast().ok().unwrap()
    }

    /// Whether the account is that of so many calls that ended.
    fn holds(mutex: &MutexOf<Blocking>, ended: u64) -> bool {
        let calls = |_: &str| SharedCalls { least: ended, most: ended, moves: false };
        mutex.read().lines(&calls).iter().all(ObjectLine::holds)
    }

    #[test]
    fn who_was_in_is_counted_also_when_it_was_given_up() {
        let mutex = mutex();
        block_on(mutex.lock()).end();
        drop(block_on(mutex.lock()));
        block_on(mutex.lock()).end();
        assert!(holds(&mutex, 2) && !holds(&mutex, 3) && !holds(&mutex, 1));
    }

    #[test]
    fn two_who_are_in_at_once_are_seen() {
        let mutex = mutex();
        let first = block_on(mutex.lock());
        // The second was let in when the first had not gone out.
        let second_read = first.passes;
        first.end();
        let mut second = block_on(mutex.lock());
        second.passes = second_read;
        second.end();
        assert!(!holds(&mutex, 2));
    }
}
