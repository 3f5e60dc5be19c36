//! Opening a connection of HTTP/2: it counts as open when the server has sent its SETTINGS.

use std::{future::Future as _, future::poll_fn, io, pin::Pin, sync::Arc, task::Poll};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::super::lost::{Lost, Unagreed};
use crate::{
    client::{SeenFrames, SeenStream, Transport, is_other_version},
    runtime::Native,
    targets::{Opened, http::HttpEndpoint},
};

/// Bytes of bodies that may be under way to this program on a stream, and on a connection: what
/// hyper's client says.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 5 << 20;
/// Streams that were given up and are remembered, so that what still comes of them is known and
/// thrown away. What comes of those that are forgotten is counted by the library's guard against
/// attackers, which would end the connection after 1024 frames: a server that was asked is none.
const MOST_GIVEN_UP: usize = 4096;

/// What drives a connection.
pub(super) type StreamsDriver<N> =
    Connection<SeenStream<TokioIo<Transport<<N as crate::runtime::Io>::Conn>>>, Bytes>;

/// A connection that is open.
pub(super) struct OpenStreams<N: Native> {
    pub sender: SendRequest<Bytes>,
    pub driver: StreamsDriver<N>,
    pub seen: Arc<SeenFrames>,
    pub counted: Opened,
}

/// Opens one.
pub(super) async fn open<N: Native>(endpoint: &HttpEndpoint) -> Result<OpenStreams<N>, Lost> {
    let attempt = endpoint.connections.attempt();
    let stream = match N::connect(endpoint.address).await {
        Ok(stream) => stream,
        Err(why) => {
            attempt.failed();
            return Err(Lost::Connect(why));
        }
    };
    // An attempt that ends here was given up: the server may have seen it.
    let stream = match &endpoint.tls {
        Some(https) => https.encrypt(stream).await.map_err(unencrypted)?,
        None => Transport::Plain(stream),
    };
    let seen = Arc::new(SeenFrames::default());
    let stream = SeenStream::new(TokioIo::new(stream), seen.clone());
    let greeted = Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_reset_streams(MOST_GIVEN_UP)
        .max_local_error_reset_streams(None)
        .handshake(stream)
        .await;
    let (sender, mut driver) = greeted.map_err(|why| unopened(&why, &seen))?;
    poll_fn(|context| match Pin::new(&mut driver).poll(context) {
        Poll::Ready(ended) => Poll::Ready(Err(unopened(
            &ended.err().unwrap_or_else(|| h2::Reason::NO_ERROR.into()),
            &seen,
        ))),
        Poll::Pending if seen.is_open() => Poll::Ready(Ok(())),
        Poll::Pending if !seen.strange().is_empty() => {
            Poll::Ready(Err(unopened(&h2::Reason::PROTOCOL_ERROR.into(), &seen)))
        }
        Poll::Pending => Poll::Pending,
    })
    .await?;
    endpoint.streams_allowed.get_or_init(|| seen.streams_allowed());
    Ok(OpenStreams { sender, driver, seen, counted: attempt.succeeded() })
}

fn unencrypted(why: io::Error) -> Lost {
    if is_other_version(&why) { Lost::Unagreed(Unagreed::Alpn) } else { Lost::Handshake(why) }
}

/// Why there were no SETTINGS.
fn unopened(why: &h2::Error, seen: &SeenFrames) -> Lost {
    let strange = seen.strange();
    Lost::Unagreed(match why.get_io() {
        _ if !strange.is_empty() => Unagreed::Strange(strange),
        _ if seen.has_ended() => Unagreed::Closed,
        Some(why) => Unagreed::Io(why.kind()),
        None => Unagreed::Closed,
    })
}
