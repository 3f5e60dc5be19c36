//! Reading the head of a request: what of it matters to the server, and why it may be refused.

use std::mem::MaybeUninit;

use httparse::{Header, Status};

/// Longest head of a request, in bytes.
pub const MOST_HEAD: usize = 16 << 10;
/// Longest body of a request, in bytes.
pub const MOST_BODY: u64 = 64 << 20;
/// Most header lines of a request.
const MOST_HEADERS: usize = 64;

/// The header by which a client says which request this is, as a decimal number.
pub const ID_HEADER: &str = "x-regatta-id";

/// Why a request is refused. The connection is closed after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// It is not HTTP/1.x, or contradicts itself: 400.
    Malformed,
    /// Its body is above [`MOST_BODY`]: 413.
    BodyTooLong,
    /// Its head is above [`MOST_HEAD`] or has too many lines: 431.
    HeadTooLong,
}

/// How the body of a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After this many bytes.
    Length(u64),
    /// By chunks.
    Chunked,
}

/// What becomes of the connection after the response, as the response must say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It stays, which HTTP/1.1 need not say.
    Implied,
    /// It stays, which HTTP/1.0 must say.
    KeepAlive,
    /// It is closed.
    Close,
}

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// Its length in bytes.
    pub length: usize,
    /// The path, without the query.
    pub path: &'a [u8],
    /// The query, without its `?`.
    pub query: &'a [u8],
    /// The request id that the client sent.
    pub id: Option<u64>,
    /// How its body ends.
    pub framing: Framing,
    /// What becomes of the connection.
    pub persistence: Persistence,
    /// Whether the response must have no body (HEAD).
    pub bodiless: bool,
    /// Whether the client waits for a `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// Reads a head; `None` if more bytes are needed.
pub fn parse(input: &[u8]) -> Result<Option<RequestHead<'_>>, Rejection> {
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(input, &mut headers) {
        Ok(Status::Complete(length)) if length <= MOST_HEAD => head(length, &request).map(Some),
        Ok(Status::Partial) if input.len() <= MOST_HEAD => Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(Rejection::HeadTooLong),
        Err(_) => Err(Rejection::Malformed),
    }
}

fn head<'a>(
    length: usize,
    request: &httparse::Request<'_, 'a>,
) -> Result<RequestHead<'a>, Rejection> {
    let fields = fields(request.headers)?;
    let place = request.path.ok_or(Rejection::Malformed)?;
    let persistence = match (fields.persistence, request.version) {
        (Some(Persistence::Close), _) => Persistence::Close,
        (_, Some(1)) => Persistence::Implied,
        (asked, _) => asked.unwrap_or(Persistence::Close),
    };
    Ok(RequestHead {
        length,
        path: strip(place).as_bytes(),
        query: place.split_once('?').map_or("", |(_, query)| query).as_bytes(),
        id: fields.id,
        framing: fields.framing()?,
        persistence,
        bodiless: request.method == Some("HEAD"),
        expects_continue: fields.expects_continue && request.version == Some(1),
    })
}

/// The header lines that matter.
#[derive(Default)]
struct HeaderFields {
    id: Option<u64>,
    length: Option<u64>,
    chunked: bool,
    /// What `connection` asks for; closing wins.
    persistence: Option<Persistence>,
    expects_continue: bool,
}

impl HeaderFields {
    /// Two ways of ending a body in one request are how requests are smuggled past proxies:
    /// refused.
    fn framing(&self) -> Result<Framing, Rejection> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Rejection::Malformed),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length)) if length > MOST_BODY => Err(Rejection::BodyTooLong),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

fn fields(headers: &[Header<'_>]) -> Result<HeaderFields, Rejection> {
    let mut fields = HeaderFields::default();
    for header in headers {
        // The length is compared first: most headers end here, without a look at their letters.
        match header.name.len() {
            12 if header.name.eq_ignore_ascii_case(ID_HEADER) => {
                fields.id = Some(number(header.value)?);
            }
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                let length = number(header.value)?;
                if fields.length.is_some_and(|earlier| earlier != length) {
                    return Err(Rejection::Malformed);
                }
                fields.length = Some(length);
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                if fields.chunked || !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Rejection::Malformed);
                }
                fields.chunked = true;
            }
            10 if header.name.eq_ignore_ascii_case("connection") => {
                if lists(header.value, b"close") {
                    fields.persistence = Some(Persistence::Close);
                } else if lists(header.value, b"keep-alive") {
                    fields.persistence.get_or_insert(Persistence::KeepAlive);
                }
            }
            6 if header.name.eq_ignore_ascii_case("expect") => {
                fields.expects_continue =
                    header.value.trim_ascii().eq_ignore_ascii_case(b"100-continue");
            }
            _ => {}
        }
    }
    Ok(fields)
}

/// A decimal number with nothing around it but white space.
fn number(value: &[u8]) -> Result<u64, Rejection> {
    let digits = value.trim_ascii();
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Rejection::Malformed);
    }
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(Rejection::Malformed)
}

fn lists(value: &[u8], token: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

/// The path of a request target: without scheme and authority (a client may send them), without the
/// query.
fn strip(target: &str) -> &str {
    let path = match target.strip_prefix("http://") {
        Some(rest) => rest.find(['/', '?']).map_or("/", |start| &rest[start..]),
        None => target,
    };
    match path.split_once('?') {
        Some(("", _)) => "/",
        Some((path, _)) => path,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(text: &str) -> RequestHead<'_> {
        parse(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn reads_what_matters() {
        let text = "POST /item?x=1 HTTP/1.1\r\nHost: a\r\nX-Regatta-Id: 18446744073709551615\r\n\
                    Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello";
        let head = complete(text);
        assert_eq!(head.length, text.len() - 5);
        assert_eq!(head.path, b"/item");
        assert_eq!(head.id, Some(u64::MAX));
        assert_eq!(head.framing, Framing::Length(5));
        assert_eq!(head.persistence, Persistence::Implied);
        assert!(head.expects_continue && !head.bodiless);
    }

    #[test]
    fn every_prefix_asks_for_more() {
        let text = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(parse(&text[..end]), Ok(None), "{end}");
        }
        assert!(parse(text).unwrap().is_some());
    }

    #[test]
    fn persistence_follows_version_and_header() {
        for (rest, expected) in [
            ("1.1\r\n", Persistence::Implied),
            ("1.1\r\nConnection: foo, Close\r\n", Persistence::Close),
            ("1.0\r\n", Persistence::Close),
            ("1.0\r\nConnection: Keep-Alive\r\n", Persistence::KeepAlive),
        ] {
            assert_eq!(
                complete(&format!("HEAD / HTTP/{rest}\r\n")).persistence,
                expected,
                "{rest}"
            );
        }
    }

    #[test]
    fn refuses_what_is_not_a_request() {
        for text in [
            "nonsense\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-length: +1\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-length:\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
            "GET / HTTP/1.1\r\nx-regatta-id: seven\r\n\r\n",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(Rejection::Malformed), "{text}");
        }
    }

    #[test]
    fn limits_are_exact() {
        let head = |length: usize| {
            let frame = "GET / HTTP/1.1\r\na: \r\n\r\n".len();
            format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(length - frame))
        };
        assert!(parse(head(MOST_HEAD).as_bytes()).unwrap().is_some());
        assert_eq!(parse(head(MOST_HEAD + 1).as_bytes()), Err(Rejection::HeadTooLong));
        assert_eq!(
            parse(&head(MOST_HEAD + 9).as_bytes()[..=MOST_HEAD]),
            Err(Rejection::HeadTooLong)
        );
        let lines = "a: b\r\n".repeat(MOST_HEADERS + 1);
        assert_eq!(
            parse(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes()),
            Err(Rejection::HeadTooLong)
        );
        let body = |length: u64| format!("GET / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n");
        assert_eq!(complete(&body(MOST_BODY)).framing, Framing::Length(MOST_BODY));
        assert_eq!(parse(body(MOST_BODY + 1).as_bytes()), Err(Rejection::BodyTooLong));
    }

    #[test]
    fn a_path_is_what_follows_the_authority() {
        for (target, path) in [
            ("/a?b?c", "/a"),
            ("http://h:1/a?b", "/a"),
            ("http://h", "/"),
            ("http://h?b", "/"),
            ("*", "*"),
        ] {
            assert_eq!(strip(target), path);
        }
    }
}
