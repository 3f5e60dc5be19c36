//! What one instance of a step says of its messages, for the proof.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The account of one instance. It has one owner at a time; the target reads it at the end.
#[derive(Debug, Default)]
pub struct MessageAccount {
    sent: AtomicU64,
    answered: AtomicU64,
    delivered: AtomicU64,
    registered: AtomicU64,
    seated: AtomicU64,
    left: AtomicU64,
}

/// Adds without a locked instruction: an account has one owner at a time.
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed) + by, Relaxed);
}

impl MessageAccount {
    /// A message is to be sent.
    pub fn send(&self) {
        bump(&self.sent, 1);
    }

    /// One's own message came back as it was.
    pub fn answer(&self) {
        bump(&self.answered, 1);
    }

    /// Another member's message came.
    pub fn deliver(&self) {
        bump(&self.delivered, 1);
    }

    /// A registration is to be sent.
    pub fn register(&self) {
        bump(&self.registered, 1);
    }

    /// The room is full.
    pub fn seat(&self) {
        bump(&self.seated, 1);
    }

    /// It was sent that the member leaves.
    pub fn leave(&self) {
        bump(&self.left, 1);
    }

    /// Adds up several.
    pub(super) fn sum<'a>(accounts: impl Iterator<Item = &'a Self>) -> MessageSum {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        accounts.fold(MessageSum::default(), |sum, account| MessageSum {
            sent: sum.sent + read(&account.sent),
            answered: sum.answered + read(&account.answered),
            delivered: sum.delivered + read(&account.delivered),
            registered: sum.registered + read(&account.registered),
            seated: sum.seated + read(&account.seated),
            left: sum.left + read(&account.left),
        })
    }
}

/// What all accounts say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct MessageSum {
    /// Messages that were sent, or may have been.
    pub sent: u64,
    /// Of them, those that came back.
    pub answered: u64,
    /// Messages of others that came.
    pub delivered: u64,
    /// Registrations that were sent, or may have been.
    pub registered: u64,
    /// Registrations that were answered.
    pub seated: u64,
    /// Members that left.
    pub left: u64,
}
