//! The wait that answers ask for, on its way from the steps that got them to the `retry` around
//! these.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The longest wait that an answer of the current attempt has asked for.
///
/// One word for each instance of a `retry`, handed down when its task is built: no step's end
/// becomes wider, and a step that no such `retry` is around has nothing to do. Steps that run at
/// once may write to it together.
#[derive(Debug, Default)]
pub struct AskedWait(
    /// In ns and one more; 0: there is none.
    AtomicU64,
);

impl AskedWait {
    /// An answer asks for this wait. What is longer than 584 years counts as that.
    pub fn ask(&self, wait: Duration) {
        let ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_max(ns.saturating_add(1), Relaxed);
    }

    /// What was asked for, if anything was.
    pub fn asked(&self) -> Option<Duration> {
        self.0.load(Relaxed).checked_sub(1).map(Duration::from_nanos)
    }

    /// Another attempt begins.
    pub fn forget(&self) {
        self.0.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_counts_and_none_at_all_is_one_too() {
        let wait = AskedWait::default();
        assert_eq!(wait.asked(), None);
        wait.ask(Duration::ZERO);
        assert_eq!(wait.asked(), Some(Duration::ZERO));
        wait.ask(Duration::from_millis(2));
        wait.ask(Duration::from_millis(1));
        assert_eq!(wait.asked(), Some(Duration::from_millis(2)));
        wait.forget();
        assert_eq!(wait.asked(), None);
        wait.ask(Duration::MAX);
        assert_eq!(wait.asked(), Some(Duration::from_nanos(u64::MAX - 1)));
    }
}
