//! The bytes between a socket and a connection of HTTP/2, in memory: the library reads what came and
//! writes what is to go, and neither knows of a socket.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};

/// Most bytes that wait to go, unless one write is longer.
const ROOM: usize = 512 << 10;

/// What lies in the pipe. The server has one thread, so that nobody needs a lock.
#[derive(Debug, Default)]
pub(super) struct PipeBytes {
    came: Vec<u8>,
    /// How many of them are read.
    read: usize,
    goes: Vec<u8>,
    /// Whether the last write found no room.
    full: bool,
}

/// An end of the pipe. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Pipe(Rc<RefCell<PipeBytes>>);

impl Pipe {
    /// Bytes came from the socket.
    pub(super) fn give(&self, bytes: &[u8]) {
        self.0.borrow_mut().came.extend_from_slice(bytes);
    }

    /// Takes all that is to go, in exchange for an empty buffer.
    pub(super) fn take(&self, empty: &mut Vec<u8>) {
        std::mem::swap(&mut self.0.borrow_mut().goes, empty);
    }

    /// Whether nothing is to go: neither here, nor where the last write found no room.
    pub(super) fn is_empty(&self) -> bool {
        let pipe = self.0.borrow();
        pipe.goes.is_empty() && !pipe.full
    }

    /// Whether no more is taken before what is here has gone.
    pub(super) fn is_full(&self) -> bool {
        self.0.borrow().goes.len() >= ROOM
    }
}

impl Read for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut pipe = self.0.borrow_mut();
        let left = &pipe.came[pipe.read..];
        if left.is_empty() {
            pipe.came.clear();
            pipe.read = 0;
            // Whoever gives bytes polls the connection afterwards.
            return Poll::Pending;
        }
        let taken = left.len().min(room.remaining());
        room.put_slice(&left[..taken]);
        pipe.read += taken;
        Poll::Ready(Ok(()))
    }
}

impl Write for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut pipe = self.0.borrow_mut();
        pipe.full = pipe.goes.len() >= ROOM;
        if pipe.full {
            // Whoever takes bytes polls the connection afterwards.
            return Poll::Pending;
        }
        pipe.goes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
