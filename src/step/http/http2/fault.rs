//! Where a request over HTTP/2 has broken, and how far it had come.

use h2::{Error, Reason};

use super::super::{
    failed::{Failed, Reached},
    lost::Lost,
    lost_stream::{LostStream, is_reset},
};
use crate::client::SeenFrames;

/// Where an exchange has broken.
#[derive(Debug)]
pub(super) enum BrokenStream {
    /// The request was not sent.
    Unsent(Error),
    /// It was, or a part of it.
    Sent(Error),
    /// The answer's body did not come whole: so many bytes of it.
    Body(Error, u64),
}

impl BrokenStream {
    /// Whether the stream alone has ended, and nothing is wrong with its connection.
    pub(super) fn is_of_stream(&self) -> bool {
        let (Self::Unsent(why) | Self::Sent(why) | Self::Body(why, _)) = self;
        why.is_reset()
    }

    /// Whether the library knows no more than that bytes do not come or go any more.
    pub(super) fn is_io(&self) -> bool {
        let (Self::Unsent(why) | Self::Sent(why) | Self::Body(why, _)) = self;
        why.is_io()
    }

    /// The same with what was seen of the connection.
    pub(super) fn failed(self, seen: &SeenFrames) -> Failed {
        let (why, reached, received) = match self {
            Self::Unsent(why) => (why, Reached::Nowhere, None),
            Self::Sent(why) => {
                let reached = reached(&why, seen);
                (why, reached, None)
            }
            Self::Body(why, received) => (why, Reached::Answered, Some(received)),
        };
        let lost =
            LostStream { why, goodbye: seen.goodbye(), has_ended: seen.has_ended(), received };
        Failed { why: Lost::Stream(lost), unread: bytes::Bytes::new(), reached }
    }
}

/// How far a request had come that has no answer. A GOAWAY that ends a stream says that nothing of
/// it was done (RFC 9113, section 6.8), and so does REFUSED_STREAM (section 8.7).
fn reached(why: &Error, seen: &SeenFrames) -> Reached {
    let is_undone =
        why.is_remote() && (why.is_go_away() || why.reason() == Some(Reason::REFUSED_STREAM));
    if is_undone {
        Reached::Nowhere
    } else if why.is_io() && (seen.has_ended() || is_reset(why)) {
        Reached::Unanswered
    } else {
        Reached::Answered
    }
}
