//! The worker processes of a trial, between whoever starts them and the pool of an executor: their
//! lines, and what they have said that they did.

use std::{
    os::unix::net::UnixStream,
    sync::{
        Mutex, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

/// The worker processes of a trial.
#[derive(Debug)]
pub struct Workforce {
    /// Those that no executor has taken over so far, by number.
    lines: Mutex<Vec<(usize, UnixStream)>>,
    /// How many pieces of work each said in its last answer that it has done.
    done: Box<[AtomicU64]>,
    /// Answers that came when nobody waited for them any more.
    unwanted: AtomicU64,
    /// How many were free when the pool was closed, plus one; none: it is not closed.
    free: AtomicU64,
}

/// What was counted of the worker processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkAccount {
    /// Pieces of work that they have done and answered, by their own account.
    pub done: u64,
    /// Answers among them that nobody waited for any more.
    pub unwanted: u64,
    /// How many there are.
    pub size: u64,
    /// How many had no task at the end; none: some task still has the pool.
    pub free: Option<u64>,
}

impl Workforce {
    /// Workers at the other ends of these lines.
    pub fn of(lines: Vec<UnixStream>) -> Self {
        let done = lines.iter().map(|_| AtomicU64::new(0)).collect();
        let lines = Mutex::new(lines.into_iter().enumerate().collect());
        Self { lines, done, unwanted: AtomicU64::new(0), free: AtomicU64::new(0) }
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.done.len()
    }

    /// The lines that nobody has taken over.
    pub(super) fn take_lines(&self) -> Vec<(usize, UnixStream)> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A worker has said how much it has done so far.
    #[inline]
    pub(super) fn said(&self, worker: usize, done: u64) {
        // Nobody else hears this worker now.
        self.done[worker].store(done, Relaxed);
    }

    /// An answer came that nobody waited for.
    pub(super) fn was_unwanted(&self) {
        self.unwanted.fetch_add(1, Release);
    }

    /// The pool is closed, and so many were free.
    pub(super) fn close(&self, free: usize) {
        self.free.store(free as u64 + 1, Relaxed);
    }

    /// What was counted so far.
    pub fn account(&self) -> WorkAccount {
        // Before what was done is read: a call that is given up meanwhile may be among that, and must
        // not be counted as one that nobody waited for and is not among it.
        let unwanted = self.unwanted.load(Acquire);
        WorkAccount {
            done: self.done.iter().map(|done| done.load(Relaxed)).sum(),
            unwanted,
            size: self.size() as u64,
            free: self.free.load(Relaxed).checked_sub(1),
        }
    }
}
