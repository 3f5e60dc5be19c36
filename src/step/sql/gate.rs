//! What keeps a slot that has given up a call from opening another connection before the server has
//! ended the first.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::runtime::{Coordination, Semaphore as _};

/// A slot's sessions that were given up and not yet waited for. Nothing of it is touched by calls
/// that end by themselves.
pub(super) struct Gate<N: Coordination> {
    owed: AtomicUsize,
    ended: N::Semaphore,
}

/// A gate of whatever executor, as a connection knows it.
pub(super) trait Bar: Send + Sync {
    /// One more session was given up; dropping what this returns says that it has ended.
    fn owe(self: Arc<Self>) -> Box<dyn Send>;
}

/// A session that was given up.
struct Owed<N: Coordination>(Arc<Gate<N>>);

impl<N: Coordination> Default for Gate<N> {
    fn default() -> Self {
        Self { owed: AtomicUsize::new(0), ended: N::Semaphore::new(0) }
    }
}

impl<N: Coordination> Gate<N> {
    /// Waits until all that is owed has ended. A wait that is given up leaves the rest to the next
    /// one.
    pub async fn passed(&self) {
        while self.owed.load(Relaxed) > 0 {
            self.ended.acquire().await;
            self.owed.fetch_sub(1, Relaxed);
        }
    }
}

impl<N: Coordination> Bar for Gate<N> {
    fn owe(self: Arc<Self>) -> Box<dyn Send> {
        self.owed.fetch_add(1, Relaxed);
        Box::new(Owed(self))
    }
}

impl<N: Coordination> Drop for Owed<N> {
    fn drop(&mut self) {
        self.0.ended.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, block_on};

    #[test]
    fn a_slot_waits_for_what_it_has_given_up_and_for_nothing_else() {
        let gate: Arc<Gate<Blocking>> = Arc::default();
        // Nothing is owed.
        block_on(gate.passed());
        let (first, second) = (gate.clone().owe(), gate.clone().owe());
        let other = gate.clone();
        let waiting = std::thread::spawn(move || block_on(other.passed()));
        drop(first);
        drop(second);
        waiting.join().unwrap();
        assert_eq!(gate.owed.load(Relaxed), 0);
        block_on(gate.passed());
    }
}
