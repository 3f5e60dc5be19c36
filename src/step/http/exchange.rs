//! One connection and one exchange at a time on it, the same for every executor.
//!
//! The connection is polled by the task that waits for the answer, so that no helper task differs between
//! executors: what a spawned driver costs is a property of the executor, and nobody asked for one.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    client::conn::http1::{self, SendRequest},
    header::{HeaderValue, LOCATION},
};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::lost::{Lost, MOST_FIELDS};
use crate::{runtime::Native, target::http::Endpoint};

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
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
}

/// An HTTP/1.1 connection.
pub(super) struct Connection<N: Native> {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<N::Conn, Full<Bytes>>,
    open: bool,
}

impl<N: Native> Connection<N> {
    /// Connects. Boxed, because a connection is moved into each call and back: a kilobyte that would be copied twice.
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Box<Self>, Lost> {
        let stream = N::connect(endpoint.address).await?;
        let mut builder = http1::Builder::new();
        if endpoint.embedded.is_none() {
            // A server of the user's own may send more fields than the 100 that hyper has room for without asking for
            // memory, and may fold them: RFC 9112, section 5.2.
            builder.max_headers(MOST_FIELDS).allow_obsolete_multiline_headers_in_responses(true);
        }
        let (sender, driver) = builder.handshake(stream).await?;
        Ok(Box::new(Self { sender, driver, open: true }))
    }

    /// Whether another exchange can be made on it.
    pub(super) fn is_open(&self) -> bool {
        self.open && !self.sender.is_closed()
    }

    /// What was received and not understood, after an exchange has failed.
    pub(super) fn unread(self) -> Bytes {
        self.driver.into_parts().read_buf
    }

    /// Sends a request and reads its answer to the end. `sha256` is for preparation: it costs more than the request.
    pub(super) async fn exchange(&mut self, request: Request<Full<Bytes>>, sha256: bool) -> Result<Answer, Lost> {
        let Self { sender, driver, open } = self;
        let mut answer = pin!(ask(sender, request, sha256));
        poll_fn(|context| {
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return Poll::Ready(answer);
            }
            if *open && let Poll::Ready(ended) = Pin::new(&mut *driver).poll(context) {
                // A connection that has ended must not be polled again.
                *open = false;
                // An answer, and the reason why there is none, is used before the reason why the connection could not be
                // closed in order.
                if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                    return Poll::Ready(answer);
                }
                if let Err(why) = ended {
                    return Poll::Ready(Err(why.into()));
                }
            }
            answer.as_mut().poll(context)
        })
        .await
    }
}

async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    sha256: bool,
) -> Result<Answer, Lost> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let (head, mut body) = response.into_parts();
    let location = if head.status.is_redirection() { head.headers.get(LOCATION).cloned() } else { None };
    let mut digest = Digest { sha256: sha256.then(Box::default), ..Digest::default() };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|why| Lost::Body(why, digest.bytes))?;
        if let Ok(data) = frame.into_data() {
            digest.add(data);
        }
    }
    let (bytes, xxh3) = (digest.bytes, digest.finish());
    let sha256 = digest.sha256.map(|sha256| sha256.finalize().into());
    Ok(Answer { status: head.status.as_u16(), bytes, digest: xxh3, sha256, first: digest.first, location })
}

/// The digest of a body that usually comes in one piece: only a second piece pays for the streaming state.
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
