//! The semaphore of the blocking executors.

use std::{future::poll_fn, sync::Mutex};

use super::{
    super::Semaphore,
    line::{WaitingLine, locked},
};

/// Permits; waiting blocks the thread, at most until the task's deadline. A permit that is given
/// back belongs to nobody: a thread that waits is woken, and waits again if another one was
/// quicker.
pub struct BlockingSemaphore {
    free: Mutex<usize>,
    line: WaitingLine,
}

impl Semaphore for BlockingSemaphore {
    const NAME: &'static str = "a mutex with a condition variable of std";
    const TURNS: &'static str = "who asks first when one is free; for each one that is given back the kernel wakes a thread";

    fn new(permits: usize) -> Self {
        Self { free: Mutex::new(permits), line: WaitingLine::default() }
    }

    async fn acquire(&self) {
        let take = |free: &mut usize| {
            *free = free.checked_sub(1)?;
            Some(())
        };
        poll_fn(|context| self.line.poll(context, &self.free, take)).await;
    }

    fn release(&self) {
        *locked(&self.free) += 1;
        self.line.wake_one();
    }
}
