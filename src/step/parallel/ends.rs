//! Which children have ended, for a parent whose joins would wait for them.

use std::sync::{
    Arc,
    atomic::{
        AtomicU64,
        Ordering::{Acquire, Release},
    },
};

use atomic_waker::AtomicWaker;

/// Which children have ended.
pub(super) struct ChildEnds {
    pub(super) waker: AtomicWaker,
    /// By place: the round of the last child that ended there. One that was given up ends beside
    /// those of later rounds, and must not be taken for one of them.
    last: Box<[AtomicU64]>,
}

impl ChildEnds {
    pub(super) fn of(places: usize) -> Arc<Self> {
        let last = (0..places).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { waker: AtomicWaker::new(), last })
    }

    pub(super) fn has(&self, place: usize, round: u64) -> bool {
        self.last[place].load(Acquire) >= round
    }
}

/// Says that a child has ended when it is dropped, and so also where the child panics.
pub(super) struct Announces {
    pub(super) ends: Arc<ChildEnds>,
    pub(super) place: usize,
    pub(super) round: u64,
}

impl Drop for Announces {
    fn drop(&mut self) {
        self.ends.last[self.place].fetch_max(self.round, Release);
        self.ends.waker.wake();
    }
}
