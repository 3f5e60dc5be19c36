//! Every response that the server can give, built before it starts.

use std::{io::IoSlice, time::Duration};

use bytes::Bytes;
use hyper::{
    HeaderMap, StatusCode,
    header::{HeaderName, HeaderValue},
};

use super::{
    HttpTarget,
    body::ServedBody,
    list::HttpList,
    request::{Persistence, Rejection},
    retry_after,
};

/// Bodies up to this length are stored behind their heads, so that a response is one slice.
const MOST_JOINED: u64 = 64 << 10;

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

/// How a response is framed, as its request demands.
#[derive(Debug, Clone, Copy)]
pub struct Framed {
    /// What becomes of the connection.
    pub persistence: Persistence,
    /// Whether it has no body (HEAD).
    pub bodiless: bool,
}

/// The prebuilt responses of one server.
#[derive(Debug)]
pub struct Responses {
    built: Vec<Built>,
    body: ServedBody,
    /// The place of the response to who asks for a page that there is not; those of the pages
    /// follow.
    no_page: u16,
}

#[derive(Debug)]
struct Built {
    status: u16,
    has_body: bool,
    /// The page of a list that is its body, and how many items that has.
    page: Option<(Bytes, u64)>,
    /// Head and body, where they are stored together; the connection stays.
    joined: Option<Vec<u8>>,
    implied: Vec<u8>,
    keep_alive: Vec<u8>,
    close: Vec<u8>,
    /// The fields of the head, for HTTP/2.
    fields: HeaderMap,
}

impl Responses {
    /// Builds the responses of a specification.
    pub fn new(spec: &HttpTarget) -> Self {
        let body = ServedBody::new(spec.body);
        let statuses: Vec<_> =
            spec.status.iter().map(|entry| (entry.status, entry.retry_after)).collect();
        let statuses = if statuses.is_empty() { vec![(200, None)] } else { statuses };
        let fixed = FIXED.map(|status| Built::new(status, None, &ServedBody::new(0)));
        let mut built: Vec<_> = fixed
            .into_iter()
            .chain(statuses.into_iter().map(|(status, wait)| Built::new(status, wait, &body)))
            .collect();
        let no_page = built.len() as u16;
        if let Some(list) = &spec.list {
            built.push(Built::new(404, None, &ServedBody::new(0)));
            built.extend((1..=list.pages()).map(|page| Built::page(list, page)));
        }
        Self { built, body, no_page }
    }

    /// The response to who asks for this page of the list, counted from 1; 0: one that there is
    /// not.
    pub fn page(&self, page: u64) -> ResponseChoice {
        ResponseChoice(self.no_page + page as u16)
    }

    /// How many items it has, if it is a page of the list.
    pub fn items(&self, choice: ResponseChoice) -> Option<u64> {
        Some(self.built[usize::from(choice.0)].page.as_ref()?.1)
    }

    /// The bytes of a body from a place on, as far as they lie together.
    #[inline]
    fn body_at(&self, choice: ResponseChoice, place: u64) -> &[u8] {
        match &self.built[usize::from(choice.0)].page {
            Some((page, _)) => page.get(place as usize..).unwrap_or_default(),
            None => self.body.at(place),
        }
    }

    #[inline]
    fn body_length(&self, choice: ResponseChoice) -> u64 {
        let page = &self.built[usize::from(choice.0)].page;
        page.as_ref().map_or(self.body.length(), |(page, _)| page.len() as u64)
    }

    /// The status of a response.
    pub fn status(&self, choice: ResponseChoice) -> u16 {
        self.built[usize::from(choice.0)].status
    }

    /// The status of a response, as a library wants it.
    pub fn status_code(&self, choice: ResponseChoice) -> StatusCode {
        // All statuses of a specification are from 200 to 599.
        StatusCode::from_u16(self.status(choice)).unwrap_or(StatusCode::OK)
    }

    /// The fields of its head.
    pub fn fields(&self, choice: ResponseChoice) -> &HeaderMap {
        &self.built[usize::from(choice.0)].fields
    }

    /// How many bytes of a body follow its head.
    pub fn body_to_send(&self, choice: ResponseChoice, bodiless: bool) -> u64 {
        let has_body = self.built[usize::from(choice.0)].has_body && !bodiless;
        if has_body { self.body_length(choice) } else { 0 }
    }

    /// The bytes of a body from a place on, as far as they lie together, without a copy.
    pub fn piece(&self, choice: ResponseChoice, place: u64) -> Bytes {
        match &self.built[usize::from(choice.0)].page {
            Some((page, _)) => page.slice((place as usize).min(page.len())..),
            None => self.body.piece(place),
        }
    }

    /// Its head, or all of it where it is stored together, and whether the body comes after that.
    #[inline]
    fn begin(&self, choice: ResponseChoice, how: Framed) -> (&[u8], bool) {
        let built = &self.built[usize::from(choice.0)];
        let more = built.has_body && !how.bodiless;
        match (how.persistence, &built.joined) {
            (Persistence::Implied, Some(joined)) if !how.bodiless => (joined, false),
            (Persistence::Implied, _) => (&built.implied, more),
            (Persistence::KeepAlive, _) => (&built.keep_alive, more),
            (Persistence::Close, _) => (&built.close, more),
        }
    }

    /// The length of a response in bytes, with its head.
    #[inline]
    pub fn length(&self, choice: ResponseChoice, how: Framed) -> u64 {
        let (begin, more) = self.begin(choice, how);
        begin.len() as u64 + if more { self.body_length(choice) } else { 0 }
    }

    /// Puts a response without its first `sent` bytes into `slices`, as far as there is room;
    /// returns how many slices have been filled.
    #[inline]
    pub fn fill<'a>(
        &'a self,
        choice: ResponseChoice,
        how: Framed,
        sent: u64,
        slices: &mut [IoSlice<'a>],
    ) -> usize {
        let (begin, more) = self.begin(choice, how);
        let mut free = slices.iter_mut();
        let mut filled = 0;
        let rest = begin.get(sent as usize..).unwrap_or_default();
        if !rest.is_empty() {
            let Some(slice) = free.next() else { return 0 };
            *slice = IoSlice::new(rest);
            filled = 1;
        }
        if more {
            filled += self.fill_body(choice, sent.saturating_sub(begin.len() as u64), free);
        }
        filled
    }

    fn fill_body<'a, 'b>(
        &'a self,
        choice: ResponseChoice,
        mut place: u64,
        free: impl Iterator<Item = &'b mut IoSlice<'a>>,
    ) -> usize
    where
        'a: 'b,
    {
        let mut filled = 0;
        for slice in free {
            let run = self.body_at(choice, place);
            if run.is_empty() {
                break;
            }
            *slice = IoSlice::new(run);
            place += run.len() as u64;
            filled += 1;
        }
        filled
    }

    /// Of the first `sent` bytes of a response, those that belong to its body.
    pub fn body_part(&self, choice: ResponseChoice, how: Framed, sent: u64) -> u64 {
        let (head, _) = self.begin(choice, Framed { bodiless: true, ..how });
        sent.saturating_sub(head.len() as u64)
    }
}

impl Built {
    /// A status, the wait that it asks for, and the body.
    fn new(status: u16, wait: Option<Duration>, body: &ServedBody) -> Self {
        // These have no body by definition (RFC 9110, 6.4.1); 204 and 1xx have no length either.
        let has_body = status >= 200 && status != 204 && status != 304;
        let length = if status >= 200 && status != 204 { Some(body.length()) } else { None };
        let asked = wait.map(retry_after::lines).unwrap_or_default();
        let head = |more: &str| head(status, length, &format!("{asked}{more}"));
        let implied = head("");
        let joined =
            (has_body && body.length() <= MOST_JOINED).then(|| [&implied, body.at(0)].concat());
        Self {
            status,
            has_body: has_body && body.length() > 0,
            page: None,
            joined,
            fields: fields(&implied),
            implied,
            keep_alive: head("connection: keep-alive\r\n"),
            close: head("connection: close\r\n"),
        }
    }

    /// A page of a list, which names the next one in its head, too.
    fn page(list: &HttpList, page: u64) -> Self {
        let text = Bytes::from(list.text(page));
        let next = list.next(page).map(|next| format!("link: <{next}>; rel=\"next\"\r\n"));
        let more = format!("content-type: application/json\r\n{}", next.unwrap_or_default());
        let head = |last: &str| head(200, Some(text.len() as u64), &format!("{more}{last}"));
        Self {
            status: 200,
            has_body: true,
            joined: None,
            fields: fields(&head("")),
            implied: head(""),
            keep_alive: head("connection: keep-alive\r\n"),
            close: head("connection: close\r\n"),
            page: Some((text, list.items_of(page))),
        }
    }
}

/// A head with these fields beside the length.
fn head(status: u16, length: Option<u64>, fields: &str) -> Vec<u8> {
    let length = length.map_or_else(String::new, |length| format!("content-length: {length}\r\n"));
    format!("HTTP/1.1 {status} {}\r\n{length}{fields}\r\n", reason(status)).into_bytes()
}

/// The fields of a head as a library wants them.
fn fields(head: &[u8]) -> HeaderMap {
    let lines = head.split(|&byte| byte == b'\n').skip(1);
    let field = |line: &[u8]| {
        let at = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..at]).ok()?;
        Some((name, HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?))
    };
    lines.filter_map(field).collect()
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
    use crate::targets::http::{StatusWeight, body};

    fn responses(body: u64, status: u16) -> Responses {
        Responses::new(&HttpTarget {
            body,
            status: vec![StatusWeight { status, weight: 1.0, retry_after: None }],
            ..HttpTarget::default()
        })
    }

    fn text(
        responses: &Responses,
        choice: ResponseChoice,
        persistence: Persistence,
        bodiless: bool,
    ) -> String {
        let how = Framed { persistence, bodiless };
        let mut slices = [IoSlice::new(&[]); 64];
        let filled = responses.fill(choice, how, 0, &mut slices);
        let bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
        assert_eq!(bytes.len() as u64, responses.length(choice, how));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_response_is_its_head_and_its_body() {
        for length in [0, 5, MOST_JOINED, MOST_JOINED + 1, (1 << 20) + 70_000] {
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
    fn the_wait_that_a_status_asks_for_is_in_its_head() {
        let entry = |status, retry_after| StatusWeight { status, weight: 1.0, retry_after };
        let status = vec![entry(503, Some(Duration::from_millis(20))), entry(503, None)];
        let responses = Responses::new(&HttpTarget { body: 1, status, ..HttpTarget::default() });
        let of = |place, how| text(&responses, ResponseChoice::status(place), how, true);
        let (begin, asked) = (
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 1\r\n",
            "retry-after: 1\r\nretry-after-ms: 20\r\n",
        );
        assert_eq!(of(0, Persistence::Implied), format!("{begin}{asked}\r\n"));
        assert_eq!(of(0, Persistence::Close), format!("{begin}{asked}connection: close\r\n\r\n"));
        assert_eq!(of(1, Persistence::Implied), format!("{begin}\r\n"));
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
