//! The semaphore of the blocking executors: a mutex and a condition variable, as hand-written code has it.

use std::{
    future::poll_fn,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use super::{
    super::Semaphore,
    stream::left,
    task::{deadline, expire},
};

/// Permits; waiting blocks the thread, at most until the task's deadline. A permit that is given back belongs to nobody:
/// a thread that waits is woken, and waits again if another one was quicker.
pub struct BlockingSemaphore {
    free: Mutex<usize>,
    released: Condvar,
}

impl BlockingSemaphore {
    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a permit; pending only once the deadline has passed, for then the time-out around it ends the wait.
    fn take(&self, deadline_ns: Option<u64>) -> Poll<()> {
        let mut free = self.free();
        while *free == 0 {
            free = match deadline_ns.map(|at| (at, left(at))) {
                None => self.released.wait(free).unwrap_or_else(PoisonError::into_inner),
                Some((_, Some(limit))) => {
                    self.released.wait_timeout(free, limit).unwrap_or_else(PoisonError::into_inner).0
                }
                Some((at, None)) => {
                    expire(at);
                    return Poll::Pending;
                }
            };
        }
        *free -= 1;
        Poll::Ready(())
    }
}

impl Semaphore for BlockingSemaphore {
    const NAME: &'static str = "a mutex with a condition variable of std";
    const TURNS: &'static str =
        "who asks first when one is free; for each one that is given back the kernel wakes a thread";

    fn new(permits: usize) -> Self {
        Self { free: Mutex::new(permits), released: Condvar::new() }
    }

    async fn acquire(&self) {
        poll_fn(|_| self.take(deadline())).await;
    }

    fn release(&self) {
        *self.free() += 1;
        self.released.notify_one();
    }
}
