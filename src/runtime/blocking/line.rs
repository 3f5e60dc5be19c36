//! Threads that wait for a condition: a mutex and a condition variable of std, as hand-written code
//! has them, and waits that end at the task's deadline.
//!
//! Who cannot go on asks the driver for leave to block, as streams do, and blocks only when the
//! whole task can make no other progress.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use super::{
    stream::left,
    task::{BlockingTurn, expire, may_block},
};

/// Those who wait for one condition on a state.
#[derive(Default)]
pub(super) struct WaitingLine {
    woken: Condvar,
    /// Changed with the state locked; so that nobody calls the kernel to wake nobody.
    waiting: AtomicUsize,
    /// How often a thread was woken, or came to its deadline, and could not go on.
    in_vain: AtomicU64,
}

/// Nothing that can panic runs with a state locked.
pub(super) fn locked<S>(state: &Mutex<S>) -> MutexGuard<'_, S> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WaitingLine {
    /// Wakes one of those who wait. The state has changed before, under its lock.
    pub(super) fn wake_one(&self) {
        if self.waiting.load(Relaxed) > 0 {
            self.woken.notify_one();
        }
    }

    /// Wakes all who wait, likewise.
    pub(super) fn wake_all(&self) {
        if self.waiting.load(Relaxed) > 0 {
            self.woken.notify_all();
        }
    }

    /// How often a thread was woken, or came to its deadline, and could not go on.
    pub(super) fn in_vain(&self) -> u64 {
        self.in_vain.load(Relaxed)
    }

    fn wait<'a, S>(&self, held: MutexGuard<'a, S>, limit: Option<Duration>) -> MutexGuard<'a, S> {
        self.waiting.fetch_add(1, Relaxed);
        let held = match limit {
            None => self.woken.wait(held).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => {
                self.woken.wait_timeout(held, limit).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        self.waiting.fetch_sub(1, Relaxed);
        held
    }

    /// What `attempt` gives, once it gives something; in between the thread blocks, if it may.
    /// Still pending once the deadline has passed, for then the time-out around it ends the wait.
    pub(super) fn poll<S, T>(
        &self,
        context: &mut Context<'_>,
        state: &Mutex<S>,
        mut attempt: impl FnMut(&mut S) -> Option<T>,
    ) -> Poll<T> {
        let mut held = locked(state);
        if let Some(got) = attempt(&mut held) {
            return Poll::Ready(got);
        }
        let BlockingTurn::Block(deadline) = may_block(context) else { return Poll::Pending };
        loop {
            let limit = match deadline.map(|at| (at, left(at))) {
                Some((at, None)) => {
                    expire(at);
                    return Poll::Pending;
                }
                Some((_, some)) => some,
                None => None,
            };
            held = self.wait(held, limit);
            if let Some(got) = attempt(&mut held) {
                return Poll::Ready(got);
            }
            self.in_vain.fetch_add(1, Relaxed);
        }
    }
}
