//! One connection and one exchange at a time on it, the same for every executor.
//!
//! The connection is polled by the task that waits for the answer, so that no helper task differs between
//! executors: what a spawned driver costs is a property of the executor, and nobody asked for one.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::Poll,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    client::conn::http1::{self, SendRequest},
};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::runtime::Native;

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status code.
    pub status: u16,
    /// Length of the body.
    pub bytes: u64,
    /// xxh3 of the body.
    pub digest: u64,
    /// SHA-256 of the body, where it was asked for.
    pub sha256: Option<[u8; 32]>,
}

/// A connection could not be opened or was lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("cannot connect: {0}")]
    Connect(#[from] io::Error),
    #[error("{}", causes(.0))]
    Exchange(#[from] hyper::Error),
}

/// hyper's words, and what lies under them.
fn causes(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// An HTTP/1.1 connection.
pub(super) struct Connection<N: Native> {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<N::Conn, Full<Bytes>>,
    open: bool,
}

impl<N: Native> Connection<N> {
    /// Connects. Boxed, because a connection is moved into each call and back: a kilobyte that would be copied twice.
    pub(super) async fn open(address: SocketAddr) -> Result<Box<Self>, Lost> {
        let stream = N::connect(address).await?;
        let (sender, driver) = http1::handshake(stream).await?;
        Ok(Box::new(Self { sender, driver, open: true }))
    }

    /// Whether another exchange can be made on it.
    pub(super) fn is_open(&self) -> bool {
        self.open && !self.sender.is_closed()
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
                if let Err(why) = ended {
                    return Poll::Ready(Err(why));
                }
            }
            answer.as_mut().poll(context)
        })
        .await
        .map_err(Lost::Exchange)
    }
}

async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    sha256: bool,
) -> Result<Answer, hyper::Error> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut digest = Digest { sha256: sha256.then(Box::default), ..Digest::default() };
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            digest.add(data);
        }
    }
    let (bytes, xxh3) = (digest.bytes, digest.finish());
    Ok(Answer { status, bytes, digest: xxh3, sha256: digest.sha256.map(|sha256| sha256.finalize().into()) })
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
