//! Turns at a pool: whether somebody who waits is passed over again and again.
//!
//! Time does not tell: a call that takes long makes everybody wait. What tells is how many others
//! are served before one who waits. Where turns are taken in order, that is as many as waited in
//! front, and one for each place.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A wait is unfair where more than so many times as many others were served first as in order.
const TIMES: u64 = 20;

/// Who waits for a place, and who got one.
#[derive(Debug, Default)]
pub(super) struct PoolTurns {
    served: AtomicU64,
    waiting: AtomicU64,
}

/// Somebody who waits; until this is dropped.
pub(super) struct WaitingForTurn<'a> {
    turns: &'a PoolTurns,
    served_before: u64,
    in_front: u64,
}

impl PoolTurns {
    /// Begins to wait.
    #[inline]
    pub(super) fn wait(&self) -> WaitingForTurn<'_> {
        let served_before = self.served.load(Relaxed);
        WaitingForTurn { turns: self, served_before, in_front: self.waiting.fetch_add(1, Relaxed) }
    }
}

impl WaitingForTurn<'_> {
    /// It has a place, of so many: whether it was passed over.
    #[inline]
    pub(super) fn served(self, places: u64) -> bool {
        let passed = self.turns.served.fetch_add(1, Relaxed).saturating_sub(self.served_before);
        passed > TIMES * (self.in_front + places)
    }
}

impl Drop for WaitingForTurn<'_> {
    fn drop(&mut self) {
        self.turns.waiting.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_nobody_is_passed_over_however_long_the_queue() {
        let turns = PoolTurns::default();
        let queue: Vec<WaitingForTurn<'_>> = (0..1_000).map(|_| turns.wait()).collect();
        assert!(queue.into_iter().all(|waiting| !waiting.served(1)));
        assert_eq!(turns.waiting.load(Relaxed), 0);
    }

    #[test]
    fn who_sees_twenty_times_as_many_served_is_passed_over() {
        let turns = PoolTurns::default();
        let (first, second) = (turns.wait(), turns.wait());
        let others = |count: u64| (0..count).filter(|_| turns.wait().served(1)).count();
        assert_eq!(others(20), 0);
        assert!(!first.served(1), "twenty for the one that it waited for");
        // The second had one in front of it, and one place to wait for: forty of others are still
        // its turn.
        others(19);
        assert!(!second.served(1), "the first is one of forty");
        let third = turns.wait();
        others(21);
        assert!(third.served(1));
    }

    #[test]
    fn who_gives_up_waits_no_more() {
        let turns = PoolTurns::default();
        drop(turns.wait());
        assert_eq!((turns.waiting.load(Relaxed), turns.served.load(Relaxed)), (0, 0));
    }
}
