//! What one connection says it has written, for the proof.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// One slot's account of its own writes. It has one owner at a time; the target reads it at the
/// end.
#[derive(Debug, Default)]
pub struct WriteAccount {
    /// Documents that the server said it has inserted.
    inserted: AtomicU64,
    /// Documents that were sent, of which it said nothing: their call is under way, was given up,
    /// or ended in a fault.
    doubtful: AtomicU64,
    /// Whether anything was written at all.
    wrote: AtomicBool,
}

/// Without a locked instruction: an account has one owner at a time.
fn set(counter: &AtomicU64, change: impl FnOnce(u64) -> u64) {
    counter.store(change(counter.load(Relaxed)), Relaxed);
}

impl WriteAccount {
    /// So many documents are about to be sent, to be inserted; none for another kind of write.
    pub fn begin(&self, documents: u64) {
        set(&self.doubtful, |doubtful| doubtful + documents);
        self.wrote.store(true, Relaxed);
    }

    /// The server said how many of those documents it has inserted.
    pub fn end(&self, documents: u64, inserted: u64) {
        set(&self.inserted, |before| before + inserted);
        set(&self.doubtful, |doubtful| doubtful - documents);
    }

    /// Adds up several.
    pub(super) fn sum<'a>(accounts: impl Iterator<Item = &'a Self>) -> WriteSum {
        accounts.fold(WriteSum::default(), |sum, account| WriteSum {
            inserted: sum.inserted + account.inserted.load(Relaxed),
            doubtful: sum.doubtful + account.doubtful.load(Relaxed),
            wrote: sum.wrote || account.wrote.load(Relaxed),
        })
    }
}

/// What all accounts say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct WriteSum {
    /// Documents that are there for certain.
    pub inserted: u64,
    /// Documents that may be there.
    pub doubtful: u64,
    /// Whether anything was written at all.
    pub wrote: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_confirmed_is_in_doubt() {
        let accounts = [WriteAccount::default(), WriteAccount::default()];
        assert_eq!(WriteAccount::sum(accounts.iter()), WriteSum::default());
        accounts[0].begin(3);
        accounts[1].begin(5);
        accounts[0].end(3, 2);
        assert_eq!(
            WriteAccount::sum(accounts.iter()),
            WriteSum { inserted: 2, doubtful: 5, wrote: true }
        );
    }
}
