//! Why a request over HTTP/2 got no answer: what the server has said itself comes before what the
//! library makes of it.

use std::io;

use h2::{Error, Reason};

use super::excerpt::{ALLOW, excerpt};
use crate::client::{FaultKind, Goodbye, causes};

/// A connection or a stream of HTTP/2 was lost.
#[derive(Debug)]
pub(super) struct LostStream {
    /// What the library says.
    pub why: Error,
    /// The server's GOAWAY, if there was one.
    pub goodbye: Option<Goodbye>,
    /// Whether the server has closed its side.
    pub has_ended: bool,
    /// How much of the answer's body had come; none: not even its head.
    pub received: Option<u64>,
}

/// Whether the connection was reset, as far as the system tells.
pub(super) fn is_reset(why: &Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    let kind = why.get_io().map(io::Error::kind);
    matches!(kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset))
}

impl LostStream {
    /// The kind under which it is counted.
    pub(super) fn kind(&self) -> FaultKind {
        let why = &self.why;
        if why.is_reset() {
            return if why.is_remote() { FaultKind::StreamReset } else { FaultKind::Protocol };
        }
        match why.reason() {
            _ if self.goodbye.is_some() || (why.is_go_away() && why.is_remote()) => {
                FaultKind::GoAway
            }
            Some(Reason::ENHANCE_YOUR_CALM) => FaultKind::GoAway,
            Some(_) => FaultKind::Protocol,
            None if !why.is_io() => FaultKind::Lost,
            None if self.has_ended && self.received.is_some() => FaultKind::CutOff,
            None if self.has_ended => FaultKind::Closed,
            None if is_reset(why) => FaultKind::Reset,
            None => FaultKind::Lost,
        }
    }

    /// What happened, and what helps.
    pub(super) fn words(&self) -> String {
        let place = self.received.map_or_else(
            || "before its answer".to_owned(),
            |bytes| format!("in the middle of its answer, after {bytes} bytes of the body"),
        );
        let named = self.why.reason().map(name).unwrap_or_default();
        match self.kind() {
            FaultKind::GoAway => self.goaway(),
            FaultKind::StreamReset => format!(
                "the server ended the request's stream with RST_STREAM ({named}) {place}, and not its connection; {ALLOW}"
            ),
            FaultKind::Protocol => format!(
                "what the server sent is not valid HTTP/2 ({named}), {place}: {}; correct the server",
                causes(&self.why)
            ),
            FaultKind::Closed | FaultKind::CutOff => {
                format!("the server closed the connection {place}; {ALLOW}")
            }
            FaultKind::Reset => format!("the server reset the connection {place}; {ALLOW}"),
            _ => format!("the connection was lost {place}: {}; {ALLOW}", causes(&self.why)),
        }
    }

    fn goaway(&self) -> String {
        let Some(Goodbye { reason, words }) = &self.goodbye else {
            return format!(
                "the connection was ended with GOAWAY ({}), by the guard of this program's own library: {}; use more \
                 connections, or give up fewer calls",
                self.why.reason().map(name).unwrap_or_default(),
                causes(&self.why)
            );
        };
        let said = if words.is_empty() { String::new() } else { format!(": {}", excerpt(words)) };
        let helps = if *reason == Reason::ENHANCE_YOUR_CALM {
            "it takes this client for an attacker; give up fewer calls, use more connections, or raise the server's limits"
        } else {
            ALLOW
        };
        format!("the server ended the connection with GOAWAY ({}{said}); {helps}", name(*reason))
    }
}

/// The name of a reason, as the standard has it.
fn name(reason: Reason) -> String {
    format!("{reason:?}")
}
