//! One connection: its upgrade, and messages in both directions, the same for every executor.
//!
//! The library of frames knows no executor: it is given the stream for the length of each poll
//! ([`Polled`]), by the task that waits for a message. There is no other task.

use std::{
    future::poll_fn,
    io::{self, Read, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::rt;
use tungstenite::{
    Error, HandshakeError, Message,
    error::Result as WsResult,
    handshake::client::{ClientHandshake, Request, generate_key},
    protocol::{Role, WebSocketConfig, WebSocketContext},
};

use super::{lost::Cut, stream::Polled};
use crate::{
    client::Transport,
    runtime::Native,
    targets::{
        Opened,
        websocket::{LONGEST_MESSAGE, WebSocketEndpoint},
    },
};

/// Bytes that are read at once. The library clears its room before each read, so that more would
/// cost every small message.
const READ_ROOM: usize = 8 << 10;
/// Longest answer to a request for an upgrade, in bytes.
const MOST_HEAD: usize = 16 << 10;
/// What ends a head.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// A message that came: its bytes, and whether they came as text.
pub(super) type Arrived = (Bytes, bool);

/// A connection that is upgraded.
pub(super) struct WebSocketConnection<N: Native> {
    stream: Transport<N::Conn>,
    context: WebSocketContext,
    /// Whether something waits to be written.
    unflushed: bool,
    _counted: Opened,
}

impl<N: Native> WebSocketConnection<N> {
    /// Connects and asks for the upgrade. Boxed, because a connection is moved into each call and
    /// back.
    pub async fn open(endpoint: &WebSocketEndpoint, path: &str) -> Result<Box<Self>, Cut> {
        let attempt = endpoint.connections.attempt();
        let stream = match N::connect(endpoint.address).await {
            Ok(stream) => stream,
            Err(why) => {
                attempt.failed();
                return Err(Cut::Connect(why));
            }
        };
        // An attempt that ends here was given up: the server may have seen it.
        let mut stream = match &endpoint.tls {
            Some(https) => https.encrypt(stream).await.map_err(Cut::Handshake)?,
            None => Transport::Plain(stream),
        };
        N::begin();
        let rest = upgrade(&mut stream, &endpoint.host, path).await?;
        let counted = attempt.succeeded();
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_ROOM)
            .max_message_size(Some(LONGEST_MESSAGE))
            .max_frame_size(Some(LONGEST_MESSAGE));
        let context = WebSocketContext::from_partially_read(rest, Role::Client, Some(config));
        Ok(Box::new(Self { stream, context, unflushed: false, _counted: counted }))
    }

    /// Puts a message into the buffer; it is written before the next one is read.
    pub fn put(&mut self, context: &mut Context<'_>, message: Message) -> Result<(), Cut> {
        self.unflushed = true;
        let mut stream = Polled { stream: &mut self.stream, context };
        settled(self.context.write(&mut stream, message)).map(drop)
    }

    /// Writes what waits.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        let mut stream = Polled { stream: &mut self.stream, context };
        self.unflushed = !settled(self.context.flush(&mut stream))?;
        if self.unflushed { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Writes what waits, and the next message that comes. Pings are answered on the way.
    pub fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<Arrived, Cut>> {
        if self.unflushed
            && let Poll::Ready(Err(why)) = self.poll_flush(context)
        {
            return Poll::Ready(Err(why));
        }
        loop {
            let mut stream = Polled { stream: &mut self.stream, context };
            match self.context.read(&mut stream) {
                Ok(Message::Binary(bytes)) => return Poll::Ready(Ok((bytes, false))),
                Ok(Message::Text(text)) => return Poll::Ready(Ok((text.into(), true))),
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Ok(Message::Close(frame)) => {
                    // The answer is written as far as it can be: nobody waits for it.
                    let _ = self.context.flush(&mut stream);
                    return Poll::Ready(Err(Cut::Closed(frame)));
                }
                Err(Error::Io(why)) if why.kind() == io::ErrorKind::WouldBlock => {
                    return Poll::Pending;
                }
                Err(why) => return Poll::Ready(Err(why.into())),
            }
        }
    }
}

/// Whether all was written; what was not waits in the buffer.
fn settled(written: WsResult<()>) -> Result<bool, Cut> {
    match written {
        Ok(()) => Ok(true),
        Err(Error::Io(why)) if why.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(why) => Err(why.into()),
    }
}

/// What the library says and hears while it makes the connection a WebSocket one.
#[derive(Debug, Default)]
struct Spoken {
    out: Vec<u8>,
    heard: Vec<u8>,
}

impl Read for Spoken {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.heard.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = room.len().min(self.heard.len());
        room[..count].copy_from_slice(&self.heard[..count]);
        self.heard.drain(..count);
        Ok(count)
    }
}

impl Write for Spoken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Asks for the upgrade; gives what came behind the answer.
async fn upgrade<S>(stream: &mut S, host: &str, path: &str) -> Result<Vec<u8>, Cut>
where
    S: rt::Read + rt::Write + Unpin,
{
    let request = Request::builder()
        .uri(format!("ws://{host}{path}"))
        .header("Host", host)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key());
    let request = request.body(()).map_err(|why| Cut::Upgrade(why.to_string()))?;
    let said = |why: Error| Cut::Upgrade(refusal(&why));
    let asked = ClientHandshake::start(Spoken::default(), request, None).map_err(said)?;
    let mut asking = match asked.handshake() {
        Err(HandshakeError::Interrupted(asking)) => asking,
        Err(HandshakeError::Failure(why)) => return Err(said(why)),
        Ok(_) => return Err(Cut::Upgrade("it was answered before it was asked".into())),
    };
    let request = std::mem::take(&mut asking.get_mut().get_mut().out);
    write_all(stream, &request).await?;
    let (head, rest) = read_head(stream).await?;
    asking.get_mut().get_mut().heard = head;
    match asking.handshake() {
        Ok(_) => Ok(rest),
        Err(HandshakeError::Failure(why)) => Err(said(why)),
        Err(HandshakeError::Interrupted(_)) => Err(Cut::Upgrade("half an answer".into())),
    }
}

/// What a server has said that is no upgrade.
fn refusal(why: &Error) -> String {
    match why {
        Error::Http(response) => format!("it is answered with status {}", response.status()),
        other => other.to_string(),
    }
}

async fn write_all<S: rt::Write + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), Cut> {
    let mut left = bytes;
    while !left.is_empty() {
        let write = poll_fn(|context| Pin::new(&mut *stream).poll_write(context, left));
        left = &left[write.await.map_err(Cut::Stream)?..];
    }
    let flush = poll_fn(|context| Pin::new(&mut *stream).poll_flush(context));
    flush.await.map_err(Cut::Stream)
}

/// The head of an answer, and what came behind it.
async fn read_head<S: rt::Read + Unpin>(stream: &mut S) -> Result<(Vec<u8>, Vec<u8>), Cut> {
    let (mut head, mut room) = (Vec::new(), [0; 2048]);
    loop {
        let read = poll_fn(|context| {
            let mut buffer = rt::ReadBuf::new(&mut room);
            ready!(Pin::new(&mut *stream).poll_read(context, buffer.unfilled()))?;
            Poll::Ready(Ok(buffer.filled().len()))
        });
        let read = read.await.map_err(Cut::Stream)?;
        if read == 0 {
            return Err(Cut::Ended);
        }
        head.extend_from_slice(&room[..read]);
        let end = head.windows(END_OF_HEAD.len()).position(|four| four == END_OF_HEAD);
        if let Some(end) = end {
            let rest = head.split_off(end + END_OF_HEAD.len());
            return Ok((head, rest));
        }
        if head.len() > MOST_HEAD {
            return Err(Cut::Upgrade(format!("the head of its answer exceeds {MOST_HEAD} bytes")));
        }
    }
}
