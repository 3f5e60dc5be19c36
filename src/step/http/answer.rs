//! What came back of a request, whatever the version of the protocol: how much, its digests, and what
//! its head says.

use std::time::Duration;

use bytes::Bytes;
use hyper::{
    HeaderMap,
    header::{HeaderValue, LINK, LOCATION},
    http::response,
};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{retry_after::asked_wait, taking::HttpTaking};

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// Length of the body.
    pub bytes: u64,
    /// xxh3 of the body.
    pub digest: u64,
    /// SHA-256 of the body, where it was asked for.
    pub sha256: Option<[u8; 32]>,
    /// The first piece of the body, for messages.
    pub first: Bytes,
    /// Where a redirect leads to, for messages.
    pub location: Option<HeaderValue>,
    /// The wait that it asks for before the next attempt; never of one that is fine.
    pub wait: Option<Duration>,
}

/// What is wanted of an answer beside its length and its cheap digest.
pub(super) enum Want<'a> {
    /// Nothing.
    Nothing,
    /// The SHA-256 of its body: for preparation, for it costs more than the request.
    Sha256,
    /// Its text and its links.
    Page(&'a mut ListPage),
    /// Values that stand in it.
    Values(&'a mut HttpTaking),
}

impl Want<'_> {
    /// The same of another answer.
    pub(super) fn again(&mut self) -> Want<'_> {
        match self {
            Self::Nothing => Want::Nothing,
            Self::Sha256 => Want::Sha256,
            Self::Page(page) => Want::Page(page),
            Self::Values(taking) => Want::Values(taking),
        }
    }
}

/// The text of an answer and what its head links to. Its room is reused.
#[derive(Debug, Default)]
pub(super) struct ListPage {
    /// The body, or the first [`MOST_PAGE`] bytes of it.
    pub text: Vec<u8>,
    /// The values of its `Link` headers.
    pub links: Vec<HeaderValue>,
}

/// Most bytes of a page that are held, so that a server cannot have all memory.
pub(super) const MOST_PAGE: usize = 64 << 20;

impl ListPage {
    fn begin(&mut self, headers: &HeaderMap) {
        self.text.clear();
        self.links.clear();
        self.links.extend(headers.get_all(LINK).iter().cloned());
    }

    fn add(&mut self, data: &[u8]) {
        let room = MOST_PAGE - self.text.len();
        self.text.extend_from_slice(&data[..data.len().min(room)]);
    }
}

/// An answer of which the head has come, and so much of the body.
pub(super) struct ArrivingAnswer<'a> {
    head: HttpAnswer,
    want: Want<'a>,
    digest: Digest,
}

impl<'a> ArrivingAnswer<'a> {
    /// The head has come.
    pub(super) fn new(head: &response::Parts, mut want: Want<'a>) -> Self {
        match &mut want {
            Want::Nothing | Want::Sha256 => {}
            Want::Page(page) => page.begin(&head.headers),
            Want::Values(taking) => taking.begin(&head.headers),
        }
        let sha256 = matches!(want, Want::Sha256).then(Box::default);
        let (status, headers) = (head.status, &head.headers);
        let answer = HttpAnswer {
            status: status.as_u16(),
            bytes: 0,
            digest: 0,
            sha256: None,
            first: Bytes::new(),
            location: status.is_redirection().then(|| headers.get(LOCATION).cloned()).flatten(),
            wait: if status.is_success() { None } else { asked_wait(headers) },
        };
        Self { head: answer, want, digest: Digest { sha256, ..Digest::default() } }
    }

    /// More of the body has come.
    pub(super) fn add(&mut self, data: Bytes) {
        match &mut self.want {
            Want::Nothing | Want::Sha256 => {}
            Want::Page(page) => page.add(&data),
            Want::Values(taking) => taking.add(&data),
        }
        self.digest.add(data);
    }

    /// How much of the body has come.
    pub(super) fn bytes(&self) -> u64 {
        self.digest.bytes
    }

    /// All of it has come.
    pub(super) fn end(self) -> HttpAnswer {
        let Self { head, digest, .. } = self;
        let (bytes, xxh3) = (digest.bytes, digest.finish());
        let sha256 = digest.sha256.map(|sha256| sha256.finalize().into());
        HttpAnswer { bytes, digest: xxh3, sha256, first: digest.first, ..head }
    }
}

/// The digest of a body that usually comes in one piece: only a second piece pays for the streaming
/// state.
#[derive(Default)]
struct Digest {
    bytes: u64,
    first: Bytes,
    stream: Option<Box<Xxh3>>,
    /// Boxed, because only preparation has one.
    sha256: Option<Box<Sha256>>,
}

impl Digest {
    fn add(&mut self, data: Bytes) {
        self.bytes += data.len() as u64;
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(&data);
        }
        match &mut self.stream {
            Some(stream) => stream.update(&data),
            None if self.first.is_empty() => self.first = data,
            None => {
                let mut stream = Box::new(Xxh3::new());
                stream.update(&self.first);
                stream.update(&data);
                self.stream = Some(stream);
            }
        }
    }

    fn finish(&self) -> u64 {
        self.stream.as_ref().map_or_else(|| xxh3_64(&self.first), |stream| stream.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_pieces_has_the_digest_of_the_whole() {
        let mut digest = Digest::default();
        for piece in ["", "ab", "c", "defg"] {
            digest.add(Bytes::from(piece));
        }
        assert_eq!((digest.bytes, digest.finish()), (7, xxh3_64(b"abcdefg")));
        let mut whole = Digest::default();
        whole.add(Bytes::from("abcdefg"));
        assert_eq!(whole.finish(), digest.finish());
        assert_eq!(Digest::default().finish(), xxh3_64(b""));
    }
}
