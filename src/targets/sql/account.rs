//! What one connection says it has changed, for the proof: rows that it inserted and deleted.

use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// One connection's account of its own changes. It has one owner at a time; the target reads it at
/// the end.
#[derive(Debug, Default)]
pub struct Account {
    inserted: AtomicU64,
    deleted: AtomicU64,
    /// Whether work is under way that is not yet counted.
    busy: AtomicBool,
    /// Whether anything was written, or may have been.
    wrote: AtomicBool,
    /// Whether it ran a statement of which nobody can say how many rows it leaves.
    unknown: AtomicBool,
}

/// Adds without a locked instruction: an account has one owner at a time.
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed) + by, Relaxed);
}

impl Account {
    /// Work begins, which writes something or only reads.
    pub fn begin(&self, writes: bool) {
        if writes {
            self.wrote.store(true, Relaxed);
        }
        self.busy.store(true, Release);
    }

    /// Work was committed.
    pub fn commit(&self, inserted: u64, deleted: u64) {
        bump(&self.inserted, inserted);
        bump(&self.deleted, deleted);
    }

    /// A statement ran of which nobody can say how many rows it leaves.
    pub fn lose_track(&self) {
        self.unknown.store(true, Relaxed);
    }

    /// Work ended, committed or not.
    pub fn end(&self) {
        self.busy.store(false, Release);
    }

    /// Whether work is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Acquire)
    }

    /// Whether anything was written, or may have been.
    pub(super) fn wrote(&self) -> bool {
        self.wrote.load(Relaxed)
    }

    /// Rows inserted and rows deleted; none if the account lost track.
    pub(super) fn read(&self) -> Option<(u64, u64)> {
        (!self.unknown.load(Relaxed))
            .then(|| (self.inserted.load(Relaxed), self.deleted.load(Relaxed)))
    }
}
