//! The worker processes of a trial, between whoever starts them and the pool of an executor: their
//! lines, and what they have said that they did.

use std::{
    io,
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

    /// Hands over the lines that nobody has taken over. Whoever comes meanwhile waits until all are:
    /// it would find fewer than there are.
    pub(super) fn hand_over(
        &self,
        mut take: impl FnMut(usize, UnixStream) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.drain(..).try_for_each(|(number, line)| take(number, line))
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

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicUsize},
        thread,
    };

    use super::*;

    #[test]
    fn whoever_comes_while_lines_are_handed_over_finds_all_of_them() {
        let lines = (0..4).map(|_| UnixStream::pair().unwrap().0).collect();
        let (workforce, taken) = (Workforce::of(lines), AtomicUsize::new(0));
        let (begun, comes) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                let take = |_, _| {
                    begun.store(true, Release);
                    while !comes.load(Acquire) {
                        thread::yield_now();
                    }
                    // The other one has time to come in between, if it can.
                    (0..1_000).for_each(|_| thread::yield_now());
                    taken.fetch_add(1, Release);
                    Ok(())
                };
                workforce.hand_over(take).unwrap();
            });
            while !begun.load(Acquire) {
                thread::yield_now();
            }
            comes.store(true, Release);
            workforce.hand_over(|_, _| panic!("somebody has them")).unwrap();
            assert_eq!(taken.load(Acquire), 4);
        });
    }
}
