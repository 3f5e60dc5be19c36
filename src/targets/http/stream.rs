//! The bytes between a connection and its socket: as they are, or encrypted.

use std::{
    io::{self, IoSlice, Read, Write},
    os::fd::OwnedFd,
};

use rustix::{
    io::Errno,
    net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg},
};
use tokio_rustls::rustls::ServerConnection;

use super::counts::ServedCounts;

/// A non-blocking socket, plain or encrypted.
#[derive(Debug)]
pub(in crate::targets) enum PeerStream {
    /// As it is.
    Plain(OwnedFd),
    /// With TLS.
    Encrypted(Box<EncryptedPeer>),
}

/// An encrypted connection.
#[derive(Debug)]
pub(in crate::targets) struct EncryptedPeer {
    socket: Socket,
    session: ServerConnection,
    /// Whether the handshake has ended and is counted.
    is_counted: bool,
}

/// What a read has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::targets) struct Received {
    /// How many bytes; 0: the peer sends no more.
    pub bytes: usize,
    /// Whether there was nothing behind them.
    pub drained: bool,
}

impl PeerStream {
    /// An encrypted one, of which the handshake comes first.
    pub fn encrypted(socket: OwnedFd, session: ServerConnection) -> Self {
        let socket = Socket { descriptor: socket, drained: false };
        Self::Encrypted(Box::new(EncryptedPeer { socket, session, is_counted: false }))
    }

    /// The socket.
    pub fn socket(&self) -> &OwnedFd {
        match self {
            Self::Plain(socket) => socket,
            Self::Encrypted(peer) => &peer.socket.descriptor,
        }
    }

    /// Reads once.
    pub fn receive(
        &mut self,
        room: &mut [u8],
        counts: &mut ServedCounts,
    ) -> Result<Received, Errno> {
        match self {
            Self::Plain(socket) => {
                let (bytes, _) = recv(socket, &mut *room, RecvFlags::empty())?;
                Ok(Received { bytes, drained: bytes < room.len() })
            }
            Self::Encrypted(peer) => peer.receive(room, counts),
        }
    }

    /// Writes once; says how many bytes are taken.
    pub fn send(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        match self {
            Self::Plain(socket) => send_to(socket, slices),
            Self::Encrypted(peer) => peer.send(slices),
        }
    }

    /// Hands over what was taken and is still here.
    pub fn flush(&mut self) -> Result<(), Errno> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Encrypted(peer) => peer.flush(),
        }
    }

    /// Says that nothing more will come, where the protocol has words for it.
    pub fn say_end(&mut self) {
        if let Self::Encrypted(peer) = self {
            peer.session.send_close_notify();
            // Who does not read it sees the end of the connection.
            let _ = peer.flush();
        }
    }
}

impl EncryptedPeer {
    /// The next bytes of the peer. What comes of the handshake meanwhile is answered.
    fn receive(&mut self, room: &mut [u8], counts: &mut ServedCounts) -> Result<Received, Errno> {
        loop {
            match self.session.reader().read(room) {
                Ok(bytes) => {
                    let drained = self.socket.drained && bytes < room.len();
                    return Ok(Received { bytes, drained });
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                // It has closed the socket without saying so before.
                Err(_) => return Ok(Received { bytes: 0, drained: true }),
            }
            self.session.read_tls(&mut self.socket).map_err(|why| errno(&why))?;
            let understood = self.session.process_new_packets();
            // An answer, or the alert that says why there is none. What has no room comes later.
            let flushed = self.flush();
            if understood.is_err() {
                counts.refused_handshake();
                return Err(Errno::PROTO);
            }
            flushed.or_else(|why| if why == Errno::AGAIN { Ok(()) } else { Err(why) })?;
            self.count(counts);
        }
    }

    fn count(&mut self, counts: &mut ServedCounts) {
        if !self.is_counted && !self.session.is_handshaking() {
            self.is_counted = true;
            counts.shook_hands(self.session.handshake_kind());
        }
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        self.flush()?;
        let taken = self.session.writer().write_vectored(slices).map_err(|why| errno(&why))?;
        match self.flush() {
            Ok(()) | Err(Errno::AGAIN) => Ok(taken),
            Err(why) => Err(why),
        }
    }

    fn flush(&mut self) -> Result<(), Errno> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.socket).map_err(|why| errno(&why))?;
        }
        Ok(())
    }
}

/// The error of the system; nothing else comes from a socket.
fn errno(why: &io::Error) -> Errno {
    Errno::from_io_error(why).unwrap_or(Errno::PROTO)
}

fn send_to(socket: &OwnedFd, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
    match slices {
        [one] => send(socket, one, SendFlags::NOSIGNAL),
        more => sendmsg(socket, more, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL),
    }
}

/// A socket as the library of TLS wants it.
#[derive(Debug)]
struct Socket {
    descriptor: OwnedFd,
    /// Whether the last read has found less than it had room for.
    drained: bool,
}

impl Read for Socket {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let (bytes, _) = recv(&self.descriptor, &mut *room, RecvFlags::empty())?;
        self.drained = bytes < room.len();
        Ok(bytes)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send_to(&self.descriptor, &[IoSlice::new(bytes)])?)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(send_to(&self.descriptor, slices)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
