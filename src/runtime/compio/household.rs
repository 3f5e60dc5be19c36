//! What all threads of one executor have in common: the pool for blocking work, and the account of
//! operations that were given up while the kernel had them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::pool::BlockingPool;

/// What all homes of one executor share.
pub(super) struct Household {
    pub(super) pool: Arc<BlockingPool>,
    /// Operations on sockets that nobody waited for any more while the kernel had their buffers.
    given_up: AtomicU64,
    /// Those of them that the kernel has given back.
    returned: AtomicU64,
    /// Operations that were under way on one worker when their stream was used on another.
    lent: AtomicU64,
}

impl Household {
    pub(super) fn new(pool_size: usize) -> Self {
        Self {
            pool: Arc::new(BlockingPool::new(pool_size)),
            given_up: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            lent: AtomicU64::new(0),
        }
    }

    pub(super) fn note_given_up(&self, operations: u64) {
        self.given_up.fetch_add(operations, Relaxed);
    }

    pub(super) fn note_returned(&self, operations: u64) {
        self.returned.fetch_add(operations, Relaxed);
    }

    pub(super) fn note_lent(&self) {
        self.lent.fetch_add(1, Relaxed);
    }

    /// Operations given up while the kernel had them, and those of them that it still has.
    pub(super) fn given_up(&self) -> (u64, u64) {
        // In this order, so that none is counted as returned that is not among the others.
        let returned = self.returned.load(Relaxed);
        let given_up = self.given_up.load(Relaxed);
        (given_up, given_up.saturating_sub(returned))
    }

    /// Operations under way on one worker when their stream was used on another.
    pub(super) fn lent(&self) -> u64 {
        self.lent.load(Relaxed)
    }
}
