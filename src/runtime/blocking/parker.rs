//! How a thread that drives a task is woken, and how it sleeps.

use std::{sync::Arc, task::Wake};

use crate::atomics::{AtomicBool, Ordering, thread};

/// Wakes the thread that drives a task.
pub struct Parker {
    thread: thread::Thread,
    woken: AtomicBool,
}

impl Parker {
    /// Of the calling thread.
    pub fn here() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), woken: AtomicBool::new(false) })
    }

    /// Whether it was woken since it was asked last.
    pub fn was_woken(&self) -> bool {
        self.woken.swap(false, Ordering::Acquire)
    }

    /// As if it had been woken.
    pub fn mark(&self) {
        self.woken.store(true, Ordering::Release);
    }

    /// As if it had not been woken, by a thread that has just woken itself.
    pub fn unmark(&self) {
        self.woken.store(false, Ordering::Relaxed);
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A thread that wakes itself is not parked, so the system call can be saved.
        if !self.woken.swap(true, Ordering::Release) && thread::current().id() != self.thread.id() {
            self.thread.unpark();
        }
    }
}
