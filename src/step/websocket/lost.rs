//! Why an exchange came to no end: each kind with its own cause and remedy.

use std::{io, net::SocketAddr};

use tungstenite::{
    Error,
    error::{CapacityError, ProtocolError},
    protocol::CloseFrame,
};

use crate::client::{FaultKind, cannot_open, meaning, unopened};

/// A connection could not be opened or was lost, or what came on it makes no sense.
#[derive(Debug)]
pub(super) enum Cut {
    /// There was no connection.
    Connect(io::Error),
    /// It could not be encrypted.
    Handshake(io::Error),
    /// The server does not speak WebSocket there: what it said.
    Upgrade(String),
    /// It ended without a word.
    Ended,
    /// The stream says why.
    Stream(io::Error),
    /// The server has closed it, and said why.
    Closed(Option<CloseFrame>),
    /// A message is longer than this side takes.
    Oversized(CapacityError),
    /// A frame that cannot be.
    Protocol(String),
}

/// Why a call has come to no good end.
#[derive(Debug)]
pub(super) enum TalkTrouble {
    /// The connection.
    Cut(Cut),
    /// What came is not what had to come.
    Wrong(String),
}

impl From<Cut> for TalkTrouble {
    fn from(why: Cut) -> Self {
        Self::Cut(why)
    }
}

/// What helps where a server ends connections.
const ALLOW: &str = "if that may happen: `allow = { errors = true }`";
/// And where it ends that of a member of a room.
const KEEP: &str = "the other members wait for this one: look why the server ended it";

impl From<Error> for Cut {
    fn from(why: Error) -> Self {
        match why {
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Ended,
            Error::Io(why) => Self::Stream(why),
            Error::Capacity(why) => Self::Oversized(why),
            other => Self::Protocol(other.to_string()),
        }
    }
}

impl Cut {
    /// The kind under which it is counted. `came` says whether something came in this exchange.
    pub fn kind(&self, came: bool) -> FaultKind {
        use io::ErrorKind as E;
        let ended = if came { FaultKind::CutOff } else { FaultKind::Closed };
        match self {
            Self::Connect(why) => unopened(why),
            Self::Handshake(_) => FaultKind::Tls,
            Self::Upgrade(_) | Self::Protocol(_) => FaultKind::Protocol,
            Self::Ended | Self::Closed(_) => ended,
            Self::Oversized(_) => FaultKind::Oversized,
            Self::Stream(why) => match why.kind() {
                E::UnexpectedEof | E::NotConnected => ended,
                E::ConnectionReset | E::ConnectionAborted | E::BrokenPipe => FaultKind::Reset,
                _ => FaultKind::Lost,
            },
        }
    }

    /// Whether the server has ended the connection, as it may do with one that nobody uses.
    pub fn is_end(&self) -> bool {
        let kind = self.kind(false);
        matches!(kind, FaultKind::Closed | FaultKind::Reset)
    }

    /// What happened to an exchange with the server at `address`, and what helps.
    ///
    /// In a room nothing helps but a server that stays: the other members wait.
    pub fn words(&self, address: SocketAddr, came: bool, at_hub: bool) -> String {
        let allow = if at_hub { KEEP } else { ALLOW };
        let middle = if came { " in the middle of an exchange" } else { "" };
        match self {
            Self::Connect(why) => cannot_open(why, &format_args!("{address}: {why}")).message,
            Self::Handshake(why) => meaning(why).replace("http://", "ws://"),
            Self::Upgrade(said) => {
                format!("no WebSocket connection: {said}; correct the url, or the server")
            }
            Self::Ended => format!("the server ended the connection{middle}; {allow}"),
            Self::Closed(frame) => {
                let said = frame.as_ref().map_or_else(String::new, |frame| {
                    format!(" and said {} `{}`", frame.code, frame.reason.escape_debug())
                });
                format!("the server closed the connection{middle}{said}; {allow}")
            }
            Self::Stream(why) => format!("the connection was lost{middle}: {why}; {allow}"),
            Self::Oversized(why) => format!("a message is too long: {why}"),
            Self::Protocol(why) => format!("what came is no frame: {why}; correct the server"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::frame::coding::CloseCode;

    use super::*;

    #[test]
    fn an_end_has_its_name_and_its_remedy() {
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        let frame = CloseFrame { code: CloseCode::Away, reason: "bye".into() };
        for (cut, kind, said) in [
            (Cut::from(Error::ConnectionClosed), FaultKind::Closed, "ended the connection; if"),
            (Cut::from(Error::Io(reset())), FaultKind::Reset, "was lost: connection reset"),
            (Cut::Connect(io::ErrorKind::ConnectionRefused.into()), FaultKind::Refused, "answers"),
            (Cut::Closed(Some(frame)), FaultKind::Closed, "and said 1001 `bye`; if"),
            (Cut::from(Error::Utf8("x".into())), FaultKind::Protocol, "no frame: "),
            (Cut::Upgrade("status 404".into()), FaultKind::Protocol, "status 404; correct"),
        ] {
            let words = cut.words(([127, 0, 0, 1], 7).into(), false, false);
            assert!(cut.kind(false) == kind && words.contains(said), "{words}");
        }
        assert_eq!(Cut::Ended.kind(true), FaultKind::CutOff);
        assert!(Cut::Ended.is_end() && !Cut::Upgrade(String::new()).is_end());
    }
}
