//! The order in which children end, for a parent that takes their results in that order.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use atomic_waker::AtomicWaker;

use crate::clock;

/// A child that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChildArrival {
    pub place: usize,
    /// When, by the child's own reading of the clock, in ns.
    pub at_ns: u64,
}

/// The children that have ended and were not yet taken, in the order of their instants: each reads
/// the clock with the queue in its hand. That is a lock for each child, as taking results in the
/// order of completion has elsewhere.
pub(super) struct ChildArrivals {
    waiting: Mutex<Waiting>,
    waker: AtomicWaker,
}

struct Waiting {
    /// Children of calls that were given up may end beside those of later ones.
    call: u64,
    ended: VecDeque<ChildArrival>,
}

impl ChildArrivals {
    /// For so many children.
    pub(super) fn of(count: usize) -> Arc<Self> {
        let waiting = Waiting { call: 0, ended: VecDeque::with_capacity(count) };
        Arc::new(Self { waiting: Mutex::new(waiting), waker: AtomicWaker::new() })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // No code that could panic runs under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another call begins; answers its number.
    pub(super) fn begin(&self) -> u64 {
        let mut waiting = self.waiting();
        waiting.call += 1;
        waiting.ended.clear();
        waiting.call
    }

    /// The child that ended first of those that were not yet taken.
    pub(super) fn next(&self) -> Option<ChildArrival> {
        self.waiting().ended.pop_front()
    }

    /// The same, and the context's waker is woken when there is one.
    pub(super) fn poll_next(&self, context: &Context<'_>) -> Poll<ChildArrival> {
        self.waker.register(context.waker());
        self.next().map_or(Poll::Pending, Poll::Ready)
    }

    fn ended(&self, call: u64, place: usize) {
        let mut waiting = self.waiting();
        if waiting.call == call {
            let at_ns = clock::now_ns();
            waiting.ended.push_back(ChildArrival { place, at_ns });
            drop(waiting);
            self.waker.wake();
        }
    }
}

/// Says that a child of a call has ended when it is dropped, and so also where the child panics.
pub(super) struct Arriving {
    pub arrivals: Arc<ChildArrivals>,
    pub call: u64,
    pub place: usize,
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.arrivals.ended(self.call, self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_taken_in_the_order_in_which_they_end() {
        let arrivals = ChildArrivals::of(2);
        let left = Arriving { arrivals: arrivals.clone(), call: arrivals.begin(), place: 0 };
        let call = arrivals.begin();
        let [first, second] =
            [0, 1].map(|place| Arriving { arrivals: arrivals.clone(), call, place });
        drop(second);
        drop((left, first));
        let [second, first] = [(); 2].map(|()| arrivals.next().unwrap());
        assert_eq!((second.place, first.place, arrivals.next()), (1, 0, None));
        assert!(second.at_ns <= first.at_ns);
        // What was not taken of a call is nothing to the next one.
        drop(Arriving { arrivals: arrivals.clone(), call, place: 0 });
        arrivals.begin();
        assert_eq!(arrivals.next(), None);
    }
}
