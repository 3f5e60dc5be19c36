//! The read-write lock of the blocking executors.
//!
//! That of std has no waits that end at a deadline, and its guards cannot go with a future from
//! thread to thread. So it is made of a mutex and condition variables, with the turns of std's own
//! on Linux: writers go first.

use std::{future::poll_fn, sync::Mutex};

use super::{
    super::RwLock,
    line::{WaitingLine, locked},
};

/// Lets readers in together, and a writer alone; waiting blocks the thread, at most until the
/// task's deadline.
#[derive(Default)]
pub struct BlockingRwLock {
    state: Mutex<RwLockState>,
    readers: WaitingLine,
    writers: WaitingLine,
}

/// Who is in, and the writers who want to be.
#[derive(Default)]
struct RwLockState {
    readers: usize,
    writer: bool,
    waiting: usize,
}

/// A reader's; dropping it lets a writer in, if it is the last reader.
pub struct BlockingReading<'a>(&'a BlockingRwLock);

/// A writer's; dropping it lets the next writer in, or all readers.
pub struct BlockingWriting<'a>(&'a BlockingRwLock);

/// A writer who waits. While there is one, no reader goes in.
struct WriterWait<'a> {
    lock: &'a BlockingRwLock,
    counted: bool,
}

impl RwLockState {
    fn read(&mut self) -> Option<()> {
        let free = !self.writer && self.waiting == 0;
        self.readers += usize::from(free);
        free.then_some(())
    }

    /// `counted`: whether it is among those who wait.
    fn write(&mut self, counted: &mut bool) -> Option<()> {
        let free = !self.writer && self.readers == 0;
        self.writer |= free;
        self.waiting -= usize::from(*counted);
        *counted = !free;
        self.waiting += usize::from(*counted);
        free.then_some(())
    }
}

impl RwLock for BlockingRwLock {
    const NAME: &'static str = "a mutex with two condition variables of std";
    const TURNS: &'static str = "a writer who waits keeps new readers out, and when a writer leaves, a writer goes first; \
                                 the kernel wakes one writer, or all readers";
    type Reading<'a> = BlockingReading<'a>;
    type Writing<'a> = BlockingWriting<'a>;

    fn new() -> Self {
        Self::default()
    }

    async fn read(&self) -> BlockingReading<'_> {
        poll_fn(|context| self.readers.poll(context, &self.state, RwLockState::read)).await;
        BlockingReading(self)
    }

    async fn write(&self) -> BlockingWriting<'_> {
        let mut wait = WriterWait { lock: self, counted: false };
        let counted = &mut wait.counted;
        poll_fn(|context| self.writers.poll(context, &self.state, |inside| inside.write(counted)))
            .await;
        BlockingWriting(self)
    }
}

impl BlockingRwLock {
    /// Somebody has gone, or does not wait any more: wakes who can go in now.
    fn change(&self, gone: impl FnOnce(&mut RwLockState)) {
        let mut inside = locked(&self.state);
        gone(&mut inside);
        let RwLockState { readers, writer, waiting } = *inside;
        drop(inside);
        match (waiting, readers) {
            (0, _) => self.readers.wake_all(),
            (_, 0) if !writer => self.writers.wake_one(),
            _ => {}
        }
    }
}

impl Drop for BlockingReading<'_> {
    fn drop(&mut self) {
        self.0.change(|inside| inside.readers -= 1);
    }
}

impl Drop for BlockingWriting<'_> {
    fn drop(&mut self) {
        self.0.change(|inside| inside.writer = false);
    }
}

impl Drop for WriterWait<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.lock.change(|inside| inside.waiting -= 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread, time::Duration};

    use super::*;
    use crate::runtime::{Blocking, NativeTimers, block_on, testing::Waiter};

    /// Threads that block in the kernel, each of which must be woken by who goes.
    #[test]
    fn who_waits_is_woken_also_by_a_writer_who_has_lost_patience() {
        let lock = Arc::new(BlockingRwLock::new());
        let reader = Waiter::of(lock.read()).asks().unwrap();
        let impatient = lock.clone();
        let writer = thread::spawn(move || {
            let soon = Duration::from_millis(20);
            block_on(Blocking::timeout(soon, async { drop(impatient.write().await) })).is_err()
        });
        while locked(&lock.state).waiting == 0 && !writer.is_finished() {
            thread::yield_now();
        }
        let late = lock.clone();
        let late = thread::spawn(move || block_on(async { drop(late.read().await) }));
        assert!(writer.join().unwrap(), "there was a reader all the time");
        late.join().unwrap();
        let next = lock.clone();
        let next = thread::spawn(move || block_on(async { drop(next.write().await) }));
        while locked(&lock.state).waiting == 0 {
            thread::yield_now();
        }
        drop(reader);
        next.join().unwrap();
    }
}
