//! For tests of primitives: somebody who waits, polled by hand.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
};

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

/// Somebody who waits for something.
pub struct Waiter<'a, T> {
    waiting: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    woken: Arc<Woken>,
}

impl<'a, T> Waiter<'a, T> {
    /// Has not asked yet.
    pub fn of(waiting: impl Future<Output = T> + Send + 'a) -> Self {
        Self { waiting: Box::pin(waiting), woken: Arc::default() }
    }

    /// What it has waited for, if it has it now.
    pub fn asks(&mut self) -> Option<T> {
        let waker = Waker::from(self.woken.clone());
        match self.waiting.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(got) => Some(got),
            Poll::Pending => None,
        }
    }

    /// Whether it was woken since this was last asked.
    pub fn is_woken(&self) -> bool {
        self.woken.0.swap(false, Relaxed)
    }
}
