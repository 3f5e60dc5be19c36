//! The mutex of the blocking executors.
//!
//! That of std has no waits that end at a deadline, and its guard cannot go with a future from
//! thread to thread. So it is made of the two parts of which textbooks make one.

use std::{
    future::poll_fn,
    sync::{
        Mutex as Lock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{
    super::{Guarded, Mutex},
    line::{WaitingLine, locked},
};

/// Lets one task in at a time; waiting blocks the thread, at most until the task's deadline.
pub struct BlockingMutex {
    taken: Lock<bool>,
    line: WaitingLine,
    /// Read and written by the holder alone, by plain loads and stores.
    value: AtomicU64,
}

/// The holder's; dropping it lets the next one in.
pub struct BlockingGuard<'a>(&'a BlockingMutex);

impl Mutex for BlockingMutex {
    const NAME: &'static str = "a mutex with a condition variable of std";
    const TURNS: &'static str =
        "who asks first when it is free; whenever it is given back the kernel wakes a thread";
    type Guard<'a> = BlockingGuard<'a>;

    fn new() -> Self {
        Self { taken: Lock::new(false), line: WaitingLine::default(), value: AtomicU64::new(0) }
    }

    async fn lock(&self) -> BlockingGuard<'_> {
        let take = |taken: &mut bool| (!std::mem::replace(taken, true)).then_some(());
        poll_fn(|context| self.line.poll(context, &self.taken, take)).await;
        BlockingGuard(self)
    }
}

impl Guarded for BlockingGuard<'_> {
    fn get(&self) -> u64 {
        self.0.value.load(Relaxed)
    }

    fn set(&mut self, value: u64) {
        self.0.value.store(value, Relaxed);
    }
}

impl Drop for BlockingGuard<'_> {
    fn drop(&mut self) {
        *locked(&self.0.taken) = false;
        self.0.line.wake_one();
    }
}
