//! An exchange that has failed, and whether its request may go again.

use bytes::Bytes;

use super::lost::Lost;

/// An exchange without a whole answer.
#[derive(Debug)]
pub(super) struct Failed {
    /// Why.
    pub why: Lost,
    /// What was received and not understood.
    pub unread: Bytes,
    /// How far the request had come.
    pub reached: Reached,
}

/// How far a request had come when its connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// Nothing of it was sent.
    Nowhere,
    /// Something of it was sent, and the peer has closed the connection before any byte of an
    /// answer.
    Unanswered,
    /// There are bytes of an answer, or something else went wrong.
    Answered,
}

impl Failed {
    /// Whether the request may be sent once more: a server cannot have done what it was never sent,
    /// and doing twice what is idempotent (RFC 9110, section 9.2.2) is the same as doing it once.
    pub(super) fn may_go_again(&self, is_idempotent: bool) -> bool {
        self.reached == Reached::Nowhere || (is_idempotent && self.is_unanswered())
    }

    /// Whether something of the request was sent, and the peer has closed the connection before any
    /// byte of an answer.
    pub(super) fn is_unanswered(&self) -> bool {
        self.reached == Reached::Unanswered
    }
}
