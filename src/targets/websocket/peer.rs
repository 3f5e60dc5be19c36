//! A connection of the embedded server: its upgrade, its frames, and what waits to be written.

use std::{
    io::{self, IoSlice, Read, Write},
    os::fd::OwnedFd,
};

use rustix::io::Errno;
use tungstenite::{
    Error, Message,
    error::{ProtocolError, Result as WsResult},
    handshake::{
        machine::TryParse as _,
        server::{Request, create_response, write_response},
    },
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext, frame::coding::CloseCode},
};

use super::{
    counts::WebSocketCounts,
    words::{ECHO_PATH, HUB_PATH, LONGEST_MESSAGE},
};
use crate::targets::http::{PeerStream, Received, ServedCounts};

/// Longest request for an upgrade, in bytes.
const MOST_HEAD: usize = 16 << 10;
/// Bytes that are read at once. The library clears its room before each read, so that more would
/// cost every small message.
const READ_ROOM: usize = 8 << 10;
/// Bytes that may wait for a peer before nothing more is read from it.
const MOST_WAITING: u64 = 1 << 20;

/// A connection.
pub(super) struct WebSocketPeer {
    wire: PeerWire,
    stage: PeerStage,
    /// Messages that were put into the buffer and are not all written.
    unsent: u64,
    /// Bytes that were put into the buffer so far.
    put: u64,
    /// Whether something may wait to be written.
    dirty: bool,
    /// Whether it was not read because it has not taken what was written.
    held: bool,
    /// Whether another turn is promised to it.
    pub promised: bool,
}

/// How far a connection has come.
enum PeerStage {
    /// This was received of its request.
    Upgrading(Vec<u8>),
    Open(Box<WebSocketContext>, PeerPlace),
}

/// Where it has connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PeerPlace {
    Echo,
    Hub,
}

/// What comes of looking at a connection.
pub(super) enum Next {
    /// Nothing, until the kernel says so.
    Nothing,
    /// It was done; there may be more.
    Served,
    /// A message to the hub.
    Words(Message),
    /// The end.
    Ended,
}

/// A socket as the library of frames wants it.
struct PeerWire {
    stream: PeerStream,
    /// Whether the kernel has nothing to read, as far as is known.
    drained: bool,
    /// Whether the peer sends no more, so that a short read does not say that all was read.
    hung_up: bool,
    /// Bytes that were written so far.
    written: u64,
}

/// A socket and where its handshake is counted.
struct Counting<'a> {
    wire: &'a mut PeerWire,
    counts: &'a mut ServedCounts,
}

impl WebSocketPeer {
    /// A new connection.
    pub fn new(stream: PeerStream) -> Self {
        let wire = PeerWire { stream, drained: true, hung_up: false, written: 0 };
        let stage = PeerStage::Upgrading(Vec::new());
        Self { wire, stage, unsent: 0, put: 0, dirty: false, held: false, promised: false }
    }

    /// The socket.
    pub fn socket(&self) -> &OwnedFd {
        self.wire.stream.socket()
    }

    /// The kernel has something to read, or the peer has stopped sending.
    pub fn set_readable(&mut self, hung_up: bool) {
        self.wire.drained = false;
        self.wire.hung_up |= hung_up;
    }

    /// The next thing that somebody else must do for it. Echoes are done here.
    pub fn next(&mut self, counts: &mut WebSocketCounts) -> Next {
        if let PeerStage::Upgrading(_) = &self.stage
            && let Some(ended) = self.upgrade(counts)
        {
            return ended;
        }
        let PeerStage::Open(context, place) = &mut self.stage else { return Next::Nothing };
        let place = *place;
        // The hub must hear everybody, or members could wait for each other; how much each of them
        // may publish is bounded.
        if place == PeerPlace::Echo && self.put.saturating_sub(self.wire.written) > MOST_WAITING {
            self.held = true;
            return Next::Nothing;
        }
        let mut wire = Counting { wire: &mut self.wire, counts: &mut counts.connections };
        match context.read(&mut wire) {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                if place == PeerPlace::Hub {
                    return Next::Words(message);
                }
                counts.received += 1;
                if self.put(message, counts).is_err() { Next::Ended } else { Next::Served }
            }
            // The library answers by itself.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {
                self.dirty = true;
                Next::Served
            }
            Ok(Message::Close(_)) => {
                counts.closes += 1;
                self.dirty = true;
                Next::Served
            }
            Err(Error::Io(why)) if why.kind() == io::ErrorKind::WouldBlock => Next::Nothing,
            Err(
                Error::Io(_)
                | Error::ConnectionClosed
                | Error::AlreadyClosed
                | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
            ) => Next::Ended,
            Err(_) => {
                counts.rejected += 1;
                Next::Ended
            }
        }
    }

    /// Puts a message into the buffer; [`Self::flush`] writes it.
    pub fn put(&mut self, message: Message, counts: &mut WebSocketCounts) -> Result<(), ()> {
        let PeerStage::Open(context, place) = &mut self.stage else { return Err(()) };
        let is_data = match message {
            Message::Binary(_) => true,
            // The hub's own words are no data.
            Message::Text(_) => *place == PeerPlace::Echo,
            _ => false,
        };
        self.unsent += u64::from(is_data);
        self.put += frame_length(message.len());
        self.dirty = true;
        let mut wire = Counting { wire: &mut self.wire, counts: &mut counts.connections };
        settled(context.write(&mut wire, message)).map(drop)
    }

    /// Says why the connection ends; the peer is to end it.
    pub fn refuse(&mut self, why: &'static str, counts: &mut WebSocketCounts) {
        let frame = CloseFrame { code: CloseCode::Policy, reason: why.into() };
        // Who does not read it sees the end of the connection.
        let _ = self.put(Message::Close(Some(frame)), counts);
    }

    /// Writes what waits, as far as the kernel takes it.
    pub fn flush(&mut self, counts: &mut WebSocketCounts) -> Result<(), ()> {
        let PeerStage::Open(context, _) = &mut self.stage else { return Ok(()) };
        if !self.dirty {
            return Ok(());
        }
        let mut wire = Counting { wire: &mut self.wire, counts: &mut counts.connections };
        if settled(context.flush(&mut wire))? {
            self.dirty = false;
            counts.sent += std::mem::take(&mut self.unsent);
            // What the library has put there by itself is written, too.
            self.put = self.wire.written;
        } else {
            let waiting = self.put.saturating_sub(self.wire.written);
            counts.waiting_most = counts.waiting_most.max(waiting);
        }
        Ok(())
    }

    /// Whether it is to be read now that it has taken what was written.
    pub fn goes_on(&mut self) -> bool {
        !self.dirty && std::mem::take(&mut self.held)
    }

    /// The connection is gone: counts what it leaves unsent.
    pub fn abandon(&self, counts: &mut WebSocketCounts) {
        counts.abandoned += self.unsent;
    }

    /// Reads more of the request; none: it is upgraded.
    fn upgrade(&mut self, counts: &mut WebSocketCounts) -> Option<Next> {
        let PeerStage::Upgrading(head) = &mut self.stage else { return None };
        let mut wire = Counting { wire: &mut self.wire, counts: &mut counts.connections };
        let mut room = [0; 2048];
        loop {
            match wire.read(&mut room) {
                Ok(0) => return Some(Next::Ended),
                Ok(read) => head.extend_from_slice(&room[..read]),
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Some(Next::Nothing),
                Err(_) => return Some(Next::Ended),
            }
            match answer(head) {
                Ok(None) if head.len() <= MOST_HEAD => {}
                Ok(Some(Accepted { used, place, answer })) => {
                    let config = WebSocketConfig::default()
                        .read_buffer_size(READ_ROOM)
                        .max_message_size(Some(LONGEST_MESSAGE))
                        .max_frame_size(Some(LONGEST_MESSAGE));
                    let rest = head.split_off(used);
                    // The first bytes of a connection have room in its socket.
                    if wire.write_all(&answer).and_then(|()| wire.flush()).is_err() {
                        return Some(Next::Ended);
                    }
                    counts.upgrades += 1;
                    let context =
                        WebSocketContext::from_partially_read(rest, Role::Server, Some(config));
                    self.put = self.wire.written;
                    self.stage = PeerStage::Open(Box::new(context), place);
                    return None;
                }
                refused => {
                    counts.rejected += 1;
                    let status = if let Err(status) = refused { status } else { TOO_LONG };
                    let head = format!(
                        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                    );
                    let _ = wire.write_all(head.as_bytes()).and_then(|()| wire.flush());
                    return Some(Next::Ended);
                }
            }
        }
    }
}

const TOO_LONG: &str = "431 Request Header Fields Too Large";
const NO_UPGRADE: &str = "400 Bad Request";
const NO_PLACE: &str = "404 Not Found";

/// A request for an upgrade that is granted.
struct Accepted {
    /// Its length in bytes.
    used: usize,
    place: PeerPlace,
    /// What is to be said.
    answer: Vec<u8>,
}

/// The answer to a request for an upgrade; none if more is needed. An error is a status.
fn answer(head: &[u8]) -> Result<Option<Accepted>, &'static str> {
    let Some((used, request)) = Request::try_parse(head).map_err(|_| NO_UPGRADE)? else {
        return Ok(None);
    };
    let place = match request.uri().path() {
        ECHO_PATH => PeerPlace::Echo,
        HUB_PATH => PeerPlace::Hub,
        _ => return Err(NO_PLACE),
    };
    let mut answer = Vec::new();
    let response = create_response(&request).map_err(|_| NO_UPGRADE)?;
    write_response(&mut answer, &response).map_err(|_| NO_UPGRADE)?;
    Ok(Some(Accepted { used, place, answer }))
}

/// The bytes of a frame that a server sends with so long a payload.
fn frame_length(payload: usize) -> u64 {
    let head = match payload {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    payload as u64 + head
}

/// Whether all was written; what was not waits in the buffer.
fn settled(written: WsResult<()>) -> Result<bool, ()> {
    match written {
        Ok(()) => Ok(true),
        Err(Error::Io(why)) if why.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(_) => Err(()),
    }
}

impl Read for Counting<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let wire = &mut *self.wire;
        if wire.drained {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        loop {
            match wire.stream.receive(room, self.counts) {
                Ok(Received { bytes, drained }) => {
                    // What ends the connection is behind what was read.
                    wire.drained = drained && bytes > 0 && !wire.hung_up;
                    return Ok(bytes);
                }
                Err(Errno::INTR) => {}
                Err(why) => {
                    wire.drained = why == Errno::AGAIN;
                    return Err(why.into());
                }
            }
        }
    }
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.wire.stream.send(&[IoSlice::new(bytes)])?;
        self.wire.written += sent as u64;
        Ok(sent)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.wire.stream.flush()?)
    }
}
