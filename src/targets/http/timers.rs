//! What is due when: a heap of deadlines. It reads no clock.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Deadlines in ns, each with what to wake.
#[derive(Debug)]
pub struct Timers<T> {
    heap: BinaryHeap<Reverse<(u64, T)>>,
}

impl<T: Ord> Timers<T> {
    /// No deadlines.
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    /// Adds a deadline.
    pub fn insert(&mut self, due: u64, what: T) {
        self.heap.push(Reverse((due, what)));
    }

    /// The next deadline.
    pub fn earliest(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes out one entry that is due, the earliest first.
    pub fn pop_due(&mut self, now: u64) -> Option<T> {
        if self.earliest()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, what))| what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_in_order_and_never_early() {
        let mut timers = Timers::new();
        for (due, name) in [(30, 'c'), (10, 'a'), (20, 'b')] {
            timers.insert(due, name);
        }
        assert_eq!(timers.earliest(), Some(10));
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.pop_due(20), Some('a'));
        assert_eq!(timers.pop_due(20), Some('b'));
        assert_eq!(timers.pop_due(29), None);
        assert_eq!(timers.pop_due(u64::MAX), Some('c'));
        assert_eq!(timers.earliest(), None);
    }
}
