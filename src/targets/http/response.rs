//! Every response that the server can give, built before it starts.

use super::{
    HttpTarget,
    request::{Persistence, Rejection},
};
use crate::draw::mix;

/// Bodies up to this length are stored behind their heads, so that a response is one slice.
const MOST_JOINED: u64 = 64 << 10;

/// The body of `length` bytes that the embedded server answers with: printable ASCII without a
/// period, so that a client can compute its digest and a lost or swapped piece shows.
pub fn body(length: u64) -> Vec<u8> {
    (0..length).map(|place| b'!' + (mix(0, place) % 94) as u8).collect()
}

/// A response, by its place among the prebuilt ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseChoice(u16);

impl ResponseChoice {
    /// The interim response that asks for the body.
    pub const CONTINUE: Self = Self(0);

    /// The answer to a request that is refused.
    pub fn rejection(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Malformed => Self(1),
            Rejection::BodyTooLong => Self(2),
            Rejection::HeadTooLong => Self(3),
        }
    }

    /// The entry of the specification's `status` at this place.
    pub fn status(place: usize) -> Self {
        Self(FIXED.len() as u16 + place as u16)
    }

    /// Whether it answers a well-formed request.
    pub fn is_status(self) -> bool {
        usize::from(self.0) >= FIXED.len()
    }
}

/// The responses that no specification changes, in the order of [`ResponseChoice`].
const FIXED: [u16; 4] = [100, 400, 413, 431];

/// The prebuilt responses of one server.
#[derive(Debug)]
pub struct Responses {
    built: Vec<Built>,
    body: Vec<u8>,
}

#[derive(Debug)]
struct Built {
    status: u16,
    has_body: bool,
    /// Head and body, where they are stored together; the connection stays.
    joined: Option<Vec<u8>>,
    implied: Vec<u8>,
    keep_alive: Vec<u8>,
    close: Vec<u8>,
}

impl Responses {
    /// Builds the responses of a specification.
    pub fn new(spec: &HttpTarget) -> Self {
        let body = body(spec.body);
        let statuses: Vec<u16> = spec.status.iter().map(|entry| entry.status).collect();
        let statuses = if statuses.is_empty() { vec![200] } else { statuses };
        let fixed = FIXED.map(|status| Built::new(status, &[]));
        let built = fixed
            .into_iter()
            .chain(statuses.into_iter().map(|status| Built::new(status, &body)))
            .collect();
        Self { built, body }
    }

    /// The status of a response.
    pub fn status(&self, choice: ResponseChoice) -> u16 {
        self.built[usize::from(choice.0)].status
    }

    /// The bytes of a response, in two slices of which the second may be empty.
    #[inline]
    pub fn bytes(
        &self,
        choice: ResponseChoice,
        persistence: Persistence,
        bodiless: bool,
    ) -> (&[u8], &[u8]) {
        let built = &self.built[usize::from(choice.0)];
        let body = if built.has_body && !bodiless { self.body.as_slice() } else { &[] };
        match (persistence, &built.joined) {
            (Persistence::Implied, Some(joined)) if !bodiless => (joined, &[]),
            (Persistence::Implied, _) => (&built.implied, body),
            (Persistence::KeepAlive, _) => (&built.keep_alive, body),
            (Persistence::Close, _) => (&built.close, body),
        }
    }

    /// Of the first `sent` bytes of a response, those that belong to its body.
    pub fn body_part(&self, choice: ResponseChoice, persistence: Persistence, sent: usize) -> u64 {
        let head = self.bytes(choice, persistence, true).0.len();
        sent.saturating_sub(head) as u64
    }
}

impl Built {
    fn new(status: u16, body: &[u8]) -> Self {
        // These have no body by definition (RFC 9110, 6.4.1); 204 and 1xx have no length either.
        let has_body = status >= 200 && status != 204 && status != 304;
        let length = if status >= 200 && status != 204 { Some(body.len()) } else { None };
        let implied = head(status, length, "");
        let joined =
            (has_body && body.len() as u64 <= MOST_JOINED).then(|| [&implied, body].concat());
        Self {
            status,
            has_body: has_body && !body.is_empty(),
            joined,
            implied,
            keep_alive: head(status, length, "connection: keep-alive\r\n"),
            close: head(status, length, "connection: close\r\n"),
        }
    }
}

fn head(status: u16, length: Option<usize>, connection: &str) -> Vec<u8> {
    let length = length.map_or_else(String::new, |length| format!("content-length: {length}\r\n"));
    format!("HTTP/1.1 {status} {}\r\n{length}{connection}\r\n", reason(status)).into_bytes()
}

/// The usual words for a status; clients ignore them, people reading a trace do not.
fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        // A reason may be empty (RFC 9112, 4), the space before it may not.
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::http::StatusWeight;

    fn responses(body: u64, status: u16) -> Responses {
        Responses::new(&HttpTarget {
            body,
            status: vec![StatusWeight { status, weight: 1.0 }],
            ..HttpTarget::default()
        })
    }

    fn text(
        responses: &Responses,
        choice: ResponseChoice,
        persistence: Persistence,
        bodiless: bool,
    ) -> String {
        let (first, second) = responses.bytes(choice, persistence, bodiless);
        String::from_utf8([first, second].concat()).unwrap()
    }

    #[test]
    fn the_body_is_printable_and_aperiodic() {
        let long = body(10_000);
        assert!(long.iter().all(u8::is_ascii_graphic));
        assert_eq!(body(100), long[..100]);
        for period in 1..1000 {
            assert_ne!(long[..1000], long[period..1000 + period], "{period}");
        }
    }

    #[test]
    fn a_response_is_its_head_and_its_body() {
        for length in [0, 5, MOST_JOINED, MOST_JOINED + 1] {
            let responses = responses(length, 200);
            let body = String::from_utf8(body(length)).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n");
            let all = |persistence, bodiless| {
                text(&responses, ResponseChoice::status(0), persistence, bodiless)
            };
            assert_eq!(all(Persistence::Implied, false), format!("{head}\r\n{body}"));
            assert_eq!(all(Persistence::Implied, true), format!("{head}\r\n"));
            assert_eq!(
                all(Persistence::Close, false),
                format!("{head}connection: close\r\n\r\n{body}")
            );
            assert_eq!(
                all(Persistence::KeepAlive, false),
                format!("{head}connection: keep-alive\r\n\r\n{body}")
            );
        }
    }

    #[test]
    fn statuses_without_a_body_have_none() {
        let choice = ResponseChoice::status(0);
        assert_eq!(
            text(&responses(9, 204), choice, Persistence::Implied, false),
            "HTTP/1.1 204 No Content\r\n\r\n"
        );
        assert!(text(&responses(9, 304), choice, Persistence::Close, false).ends_with("\r\n\r\n"));
        let unknown = text(&responses(0, 599), choice, Persistence::Implied, false);
        assert_eq!(unknown, "HTTP/1.1 599 \r\ncontent-length: 0\r\n\r\n");
    }

    #[test]
    fn refusals_say_why() {
        let responses = responses(9, 200);
        for (rejection, status) in [
            (Rejection::Malformed, 400),
            (Rejection::BodyTooLong, 413),
            (Rejection::HeadTooLong, 431),
        ] {
            let choice = ResponseChoice::rejection(rejection);
            assert_eq!(responses.status(choice), status);
            assert!(!choice.is_status());
            assert!(
                text(&responses, choice, Persistence::Close, false).contains("content-length: 0")
            );
        }
        assert_eq!(
            text(&responses, ResponseChoice::CONTINUE, Persistence::Implied, false),
            "HTTP/1.1 100 Continue\r\n\r\n"
        );
    }
}
