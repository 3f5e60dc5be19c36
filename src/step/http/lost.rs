//! Why a call got no answer: each kind with its own cause and remedy.
//!
//! hyper tells little of what it could not read, and its words are not to be relied upon. So what
//! was received and not understood is looked at here. Nothing of this runs while answers come.

use std::{error::Error as _, io, net::SocketAddr};

use super::{
    excerpt::{ALLOW, excerpt},
    lost_stream::LostStream,
};
use crate::client::{Fault, FaultKind, cannot_open, causes, meaning, unopened};

/// Most fields of an answer's head, where a server of the user's own may send many.
pub(super) const MOST_FIELDS: usize = 1000;

/// Most bytes that hyper holds where no `chunk` says how many: 8 KiB and a hundred times 4 KiB.
const USUAL_ROOM: usize = (8 << 10) + 100 * (4 << 10);

/// The first bytes that a TLS server sends to one who speaks plain text: an alert.
const TLS: [&[u8]; 2] = [b"\x15\x03", b"\x16\x03"];
/// HTTP/2 begins with a frame of settings: three bytes of length, its type, its flags and the
/// stream 0.
const SETTINGS: &[u8] = b"\x04\0\0\0\0\0";

/// A connection could not be opened or was lost, or what came on it is no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// No connection of the pool became free.
    Pool(Fault),
    /// There was no connection.
    Connect(io::Error),
    /// It could not be encrypted.
    Handshake(io::Error),
    /// It ended before the head of an answer, or its head makes no sense.
    Head(hyper::Error),
    /// The same of the body, of which so many bytes had come.
    Body(hyper::Error, u64),
    /// It ended, and nobody says why.
    Silent,
    /// The same over HTTP/2, of the connection or of the request's stream.
    Stream(LostStream),
    /// The server does not speak HTTP/2 there.
    Unagreed(Unagreed),
}

/// How a server shows that it does not speak HTTP/2.
#[derive(Debug)]
pub(super) enum Unagreed {
    /// It does not agree to it when the connection is encrypted.
    Alpn,
    /// It closed the connection before its SETTINGS.
    Closed,
    /// The same with an error of the system.
    Io(io::ErrorKind),
    /// It sent something else.
    Strange(Vec<u8>),
}

impl Unagreed {
    fn words(&self) -> String {
        let found = match self {
            Self::Alpn => {
                let help = "let it (ALPN `h2`), or remove `http2` from the target";
                return format!("the server does not agree to HTTP/2; {help}");
            }
            Self::Closed => "it closed the connection".to_owned(),
            Self::Io(why) => format!("the connection was lost: {why}"),
            Self::Strange(bytes) => format!("found {}", excerpt(bytes)),
        };
        format!(
            "the server did not begin as HTTP/2 does ({found}); does it speak HTTP/2 at this port? if not, remove `http2` \
             from the target"
        )
    }
}

impl From<io::Error> for Lost {
    fn from(why: io::Error) -> Self {
        Self::Connect(why)
    }
}

impl From<hyper::Error> for Lost {
    fn from(why: hyper::Error) -> Self {
        Self::Head(why)
    }
}

/// What the stream said, where it is the reason.
fn of_stream(why: &hyper::Error) -> Option<&io::Error> {
    why.source().and_then(|cause| cause.downcast_ref())
}

impl Lost {
    /// The kind under which it is counted. `unread` is what was received and not understood.
    pub(super) fn kind(&self, unread: &[u8]) -> FaultKind {
        use io::ErrorKind as E;
        let why = match self {
            Self::Pool(fault) => return fault.kind,
            Self::Connect(why) => return unopened(why),
            Self::Handshake(_) => return FaultKind::Tls,
            Self::Stream(lost) => return lost.kind(),
            Self::Unagreed(Unagreed::Closed) => return FaultKind::Closed,
            Self::Unagreed(Unagreed::Io(_)) => return FaultKind::Lost,
            Self::Unagreed(_) => return FaultKind::Protocol,
            Self::Silent if unread.is_empty() => return FaultKind::Closed,
            Self::Silent => return FaultKind::CutOff,
            Self::Head(why) if why.is_parse() && why.to_string().contains("too large") => {
                return FaultKind::Oversized;
            }
            Self::Head(why) if why.is_parse() => return FaultKind::Protocol,
            Self::Head(why) | Self::Body(why, _) => why,
        };
        let is_under_way = matches!(self, Self::Body(..)) || !unread.is_empty();
        let ended = if is_under_way { FaultKind::CutOff } else { FaultKind::Closed };
        match of_stream(why).map(io::Error::kind) {
            Some(E::UnexpectedEof | E::NotConnected) => ended,
            Some(E::ConnectionReset | E::ConnectionAborted | E::BrokenPipe) => FaultKind::Reset,
            Some(E::InvalidData | E::InvalidInput) => FaultKind::Protocol,
            Some(_) => FaultKind::Lost,
            None if is_unasked(why) => FaultKind::Protocol,
            None => ended,
        }
    }

    /// What happened to a call on the server at `address`, and what helps.
    pub(super) fn words(&self, address: SocketAddr, unread: &[u8]) -> String {
        match self {
            Self::Connect(why) => cannot_open(why, &format_args!("{address}: {why}")).message,
            Self::Pool(fault) => format!("{}; {ALLOW}", fault.message),
            Self::Handshake(why) => meaning(why),
            Self::Head(why) => head(self.kind(unread), why, unread),
            Self::Body(why, received) => body(self.kind(unread), why, *received),
            Self::Stream(lost) => lost.words(),
            Self::Unagreed(how) => how.words(),
            Self::Silent => format!("the connection ended before the answer did; {ALLOW}"),
        }
    }
}

/// Whether a server has sent something that nobody had asked for; hyper has no other way to tell.
fn is_unasked(why: &hyper::Error) -> bool {
    why.to_string().contains("unexpected message")
}

fn head(kind: FaultKind, why: &hyper::Error, unread: &[u8]) -> String {
    match kind {
        FaultKind::Closed => {
            format!("the server closed the connection and did not answer; {ALLOW}")
        }
        FaultKind::Reset => format!("the server reset the connection and did not answer; {ALLOW}"),
        FaultKind::CutOff => format!(
            "the server closed the connection in the middle of an answer, after {} bytes of its head; {ALLOW}",
            unread.len()
        ),
        FaultKind::Oversized => too_large(unread),
        FaultKind::Protocol if is_unasked(why) => format!(
            "the server sent more than the answer, which begins with {}; a body may be longer than its Content-Length \
             says, or follow a status that has none: correct the server",
            excerpt(unread)
        ),
        FaultKind::Protocol => no_http(why, unread),
        _ => format!("the connection was lost: {}; {ALLOW}", causes(why)),
    }
}

fn body(kind: FaultKind, why: &hyper::Error, received: u64) -> String {
    match kind {
        FaultKind::Reset => {
            format!(
                "the server reset the connection in the middle of an answer, after {received} bytes of its body; {ALLOW}"
            )
        }
        FaultKind::Protocol => format!(
            "the answer's body is not sent as HTTP/1.1 demands, after {received} bytes of it: {}; correct the server",
            causes(why)
        ),
        FaultKind::CutOff => format!(
            "the server closed the connection in the middle of an answer, after {received} bytes of its body; {ALLOW}"
        ),
        _ => format!(
            "the connection was lost after {received} bytes of an answer's body: {}; {ALLOW}",
            causes(why)
        ),
    }
}

/// A head with too many fields, or one that is too long.
fn too_large(unread: &[u8]) -> String {
    let fields = unread.split(|&byte| byte == b'\n').count().saturating_sub(2);
    // The one that is too many need not have come as a whole.
    if fields >= MOST_FIELDS {
        format!("the answer's head has more than {MOST_FIELDS} fields; let the server send fewer")
    } else {
        let or = if unread.len() < USUAL_ROOM { ", or write a larger `chunk`" } else { "" };
        format!(
            "the answer's head is longer than {} bytes; let the server send less in it{or}",
            unread.len()
        )
    }
}

/// An answer that is none, or whose head has a mistake.
fn no_http(why: &hyper::Error, unread: &[u8]) -> String {
    // A head that was understood and contradicts itself is gone from what is unread.
    let is_of_lengths =
        ["content-length", "transfer-encoding"].iter().any(|name| why.to_string().contains(name));
    if is_of_lengths || unread.starts_with(b"HTTP/1.") || unread.is_empty() {
        let place = suspicious(unread).filter(|_| !is_of_lengths);
        let place =
            place.map_or_else(String::new, |line| format!(", in the line {}", excerpt(line)));
        return format!(
            "the answer's head is not valid HTTP/1.1: {}{place}; correct the server",
            causes(why)
        );
    }
    let begins = excerpt(unread);
    if TLS.iter().any(|alert| unread.starts_with(alert)) {
        return format!(
            "the server speaks TLS: write `https://` in the url, or name its port for plain HTTP; found {begins}"
        );
    }
    if unread.get(3..9) == Some(SETTINGS) {
        return format!(
            "the server speaks HTTP/2 and not HTTP/1.1: write http2 = {{}} into the target, or name another port in the url; \
             found {begins}"
        );
    }
    format!(
        "invalid HTTP: the answer begins with {begins}; correct the url, if another service has this port"
    )
}

/// The first line of a head that is no field.
fn suspicious(head: &[u8]) -> Option<&[u8]> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let mut lines =
        head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = lines.next()?;
    let is_status = status.len() >= 12
        && status.get(8) == Some(&b' ')
        && status[9..12].iter().all(u8::is_ascii_digit);
    if !is_status {
        return Some(status);
    }
    // A line that is folded belongs to the one before.
    let is_folded = |line: &[u8]| line.starts_with(b" ") || line.starts_with(b"\t");
    lines.take_while(|line| !line.is_empty()).filter(|line| !is_folded(line)).find(|line| {
        let colon = line.iter().position(|&byte| byte == b':');
        let value = |at: usize| {
            line[at + 1..].iter().any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
        };
        colon.is_none_or(|at| at == 0 || !line[..at].iter().all(is_name) || value(at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_is_no_field_is_found() {
        for (head, line) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\nno field\r\n\r\n", Some("no field")),
            ("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", Some("A b: c")),
            ("HTTP/1.1 200 OK\r\n: c\r\n\r\n", Some(": c")),
            ("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", Some("A: \0")),
            ("HTTP/1.1 twohundred\r\nA: b\r\n\r\n", Some("HTTP/1.1 twohundred")),
            ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\nno: field", None),
        ] {
            assert_eq!(suspicious(head.as_bytes()), line.map(str::as_bytes), "{head:?}");
        }
    }

    #[test]
    fn a_call_without_a_connection_has_its_cause_and_its_remedy() {
        let address = ([127, 0, 0, 1], 7).into();
        for (why, kind, said) in [
            (
                io::ErrorKind::ConnectionRefused,
                FaultKind::Refused,
                "nothing answers: 127.0.0.1:7: ",
            ),
            (io::ErrorKind::AddrNotAvailable, FaultKind::Ports, "ip_local_port_range"),
            (io::ErrorKind::NetworkUnreachable, FaultKind::Unreachable, "routes, firewall"),
        ] {
            let lost = Lost::Connect(why.into());
            let words = lost.words(address, b"");
            assert!(
                lost.kind(b"") == kind && words.contains(said) && !words.contains("allow"),
                "{words}"
            );
        }
    }
}
