//! How a background task ends: one word says whether it lives, was cancelled or is gone.

use std::task::{Context, Poll};

use crate::atomics::{
    AtomicU64, AtomicWaker,
    Ordering::{AcqRel, Acquire, Release},
};

/// How far the last background task has come: its number, and whether it lives, was cancelled or is
/// gone.
#[derive(Default)]
pub struct Life {
    word: AtomicU64,
    waker: AtomicWaker,
}

impl Life {
    const BITS: u32 = 2;
    const LIVES: u64 = 1;
    const CANCELLED: u64 = 2;
    const GONE: u64 = 3;

    const fn word(number: u64, state: u64) -> u64 {
        number << Self::BITS | state
    }

    /// From now on it is that of the task of this number, which is above that of any before it.
    pub fn begin(&self, number: u64) {
        self.word.store(Self::word(number, Self::LIVES), Release);
    }

    /// From now on the task is cancelled, unless it is over: whether it was not.
    pub fn cancel(&self, number: u64) -> bool {
        let (lives, cancelled) =
            (Self::word(number, Self::LIVES), Self::word(number, Self::CANCELLED));
        self.word.compare_exchange(lives, cancelled, AcqRel, Acquire).is_ok()
    }

    /// The task is over. If it was cancelled, that is counted before anybody can see that it is gone.
    /// One that was given up may end beside a later one, and says nothing.
    pub fn end(&self, number: u64, count: impl FnOnce()) {
        let [lives, cancelled, gone] =
            [Self::LIVES, Self::CANCELLED, Self::GONE].map(|state| Self::word(number, state));
        let ended = self.word.compare_exchange(lives, gone, AcqRel, Acquire);
        if ended == Err(cancelled) {
            count();
            // Only where the `cancel` was given up has another one begun meanwhile.
            let _ = self.word.compare_exchange(cancelled, gone, AcqRel, Acquire);
        }
        self.waker.wake();
    }

    /// Whether the task of this number is over.
    pub fn is_over(&self, number: u64) -> bool {
        self.word.load(Acquire) >= Self::word(number, Self::GONE)
    }

    /// Waits until it is.
    pub fn poll_over(&self, number: u64, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.is_over(number) { Poll::Ready(()) } else { Poll::Pending }
    }
}
