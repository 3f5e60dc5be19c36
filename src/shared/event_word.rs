//! The word beside an event: whether it may be set, and how often it was.

use crate::atomics::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};

/// In the word: it may be set. The bits above count how often it was.
const MAY_BE_SET: u64 = 1;
const ONE_SET: u64 = 2;

/// Whether an event may be set, and how often it was: written before it is set, and after it is
/// cleared.
#[derive(Default)]
pub struct EventWord(AtomicU64);

/// What the word said when a wait began.
#[derive(Clone, Copy)]
pub struct Earlier(u64);

impl EventWord {
    /// Sets the event.
    pub fn set(&self, event: impl FnOnce()) {
        let told = |word: u64| Some((word + ONE_SET) | MAY_BE_SET);
        // It cannot fail: there is always a next word.
        let _ = self.0.fetch_update(AcqRel, Relaxed, told);
        event();
    }

    /// Clears it.
    pub fn clear(&self, event: impl FnOnce()) {
        let before = self.0.load(Acquire);
        event();
        // Where somebody sets it meanwhile, it may be set.
        let after = before & !MAY_BE_SET;
        let _ = self.0.compare_exchange(before, after, AcqRel, Relaxed);
    }

    /// A wait begins.
    pub fn begin(&self) -> Earlier {
        Earlier(self.0.load(Acquire))
    }

    /// Whether a wait that ends now, and began then, ended before the event was set.
    pub fn is_early(&self, Earlier(before): Earlier) -> bool {
        before & MAY_BE_SET == 0 && self.0.load(Acquire) == before
    }

    /// Whether it may be set.
    pub fn may_be_set(&self) -> bool {
        self.0.load(Acquire) & MAY_BE_SET != 0
    }
}
