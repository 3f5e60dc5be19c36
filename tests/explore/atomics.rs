//! loom's atomics and threads in the place of those that `src/atomics.rs` names.

use std::task::Waker;

pub use loom::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    thread,
};

/// As that of the crate atomic-waker.
#[derive(Debug)]
pub struct AtomicWaker(loom::future::AtomicWaker);

impl Default for AtomicWaker {
    fn default() -> Self {
        Self::new()
    }
}

impl AtomicWaker {
    pub fn new() -> Self {
        Self(loom::future::AtomicWaker::new())
    }

    pub fn register(&self, waker: &Waker) {
        self.0.register_by_ref(waker);
    }

    pub fn wake(&self) {
        self.0.wake();
    }
}

/// As that of the crate crossbeam-utils, for what fits into a word.
pub struct AtomicCell<T>(loom::sync::Mutex<T>);

impl<T: Default> AtomicCell<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub fn store(&self, value: T) {
        *self.0.lock().unwrap() = value;
    }

    pub fn take(&self) -> T {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// A queue between one thread and another that promises less than that of the crate concurrent-queue:
/// who sees an item sees what was written before it was pushed, and nothing else. What relies on
/// more is found.
pub struct ConcurrentQueue<T> {
    items: Vec<loom::sync::Mutex<Option<T>>>,
    popped: AtomicUsize,
    pushed: AtomicUsize,
}

impl<T> ConcurrentQueue<T> {
    pub fn bounded(room: usize) -> Self {
        Self {
            items: (0..room).map(|_| loom::sync::Mutex::new(None)).collect(),
            popped: AtomicUsize::new(0),
            pushed: AtomicUsize::new(0),
        }
    }

    pub fn push(&self, item: T) -> Result<(), T> {
        let pushed = self.pushed.load(Ordering::Relaxed);
        if pushed - self.popped.load(Ordering::Acquire) == self.items.len() {
            return Err(item);
        }
        *self.items[pushed % self.items.len()].lock().unwrap() = Some(item);
        self.pushed.store(pushed + 1, Ordering::Release);
        Ok(())
    }

    pub fn pop(&self) -> Result<T, ()> {
        let popped = self.popped.load(Ordering::Relaxed);
        if popped == self.pushed.load(Ordering::Acquire) {
            return Err(());
        }
        let item = self.items[popped % self.items.len()].lock().unwrap().take();
        self.popped.store(popped + 1, Ordering::Release);
        item.ok_or(())
    }

    pub fn is_empty(&self) -> bool {
        self.popped.load(Ordering::Relaxed) == self.pushed.load(Ordering::Acquire)
    }
}
