//! compio's way to a socket behind hyper's traits: operations that own their buffers, and between
//! them and the caller a copy.
//!
//! A stream has one buffer for each direction, of the size that compio's own adapters begin with,
//! and at most one operation of each under way. A write is accepted when its bytes are in the
//! buffer and its operation in the ring's queue; a flush waits until the kernel has taken them.

use std::{
    io::{self, IoSlice},
    net::TcpStream,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use ::compio::driver::op::{Recv, RecvFlags, Send as SendOp, SendFlags};
use hyper::rt::{Read, ReadBufCursor, Write};

use super::{home::RingHome, side::RingSide, socket::RingSocket};

/// Bytes of each buffer.
pub(super) const ROOM: usize = 8 << 10;

/// A connection of compio.
pub struct CompioStream {
    socket: Arc<RingSocket>,
    /// Where its operations belong.
    home: Arc<RingHome>,
    reading: RingSide<Recv<Vec<u8>, Arc<RingSocket>>>,
    /// What has been read and not been taken: from here to there in the buffer.
    unread: (usize, usize),
    writing: RingSide<SendOp<Vec<u8>, Arc<RingSocket>>>,
}

impl CompioStream {
    /// A stream over a connected socket, which belongs to the calling thread at first.
    pub(super) fn over(socket: Arc<RingSocket>, home: Arc<RingHome>) -> Self {
        let (reading, writing) = (RingSide::Idle(Vec::new()), RingSide::Idle(Vec::new()));
        Self { socket, home, reading, unread: (0, 0), writing }
    }

    /// The same over a connection of the standard library.
    pub(super) fn of(stream: TcpStream, home: Arc<RingHome>) -> Self {
        Self::over(RingSocket::new(stream, home.household.clone()), home)
    }

    /// Moves to the thread that uses it.
    #[inline]
    fn settle(&mut self) -> io::Result<()> {
        if self.home.is_here() { Ok(()) } else { self.move_house() }
    }

    #[cold]
    fn move_house(&mut self) -> io::Result<()> {
        let outside = || io::Error::other("a stream of compio was used outside of its executor");
        let here = RingHome::here().ok_or_else(outside)?;
        self.reading.lend(&self.home);
        self.writing.lend(&self.home);
        self.home = here;
        Ok(())
    }

    /// Waits until something is unread; nothing is at the stream's end.
    fn poll_unread(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unread.0 < self.unread.1 {
            return Poll::Ready(Ok(()));
        }
        let socket = &self.socket;
        let landed = if self.reading.is_idle() {
            let receive = |mut buffer: Vec<u8>| {
                // All of it is written once, so that whatever the kernel says to have filled may be
                // read.
                buffer.resize(ROOM, 0);
                Recv::new(socket.clone(), buffer, RecvFlags::empty())
            };
            self.reading.begin(receive, context)
        } else {
            self.reading.poll_landed(context)
        };
        let filled = ready!(landed)?;
        self.unread = (0, filled);
        Poll::Ready(Ok(()))
    }

    /// Waits until the kernel has taken all that was written.
    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let landed = match &self.writing {
                RingSide::Idle(buffer) if buffer.is_empty() => return Poll::Ready(Ok(())),
                RingSide::Idle(_) => {
                    let socket = &self.socket;
                    let send = |buffer| SendOp::new(socket.clone(), buffer, sending());
                    self.writing.begin(send, context)
                }
                RingSide::Submitted(_) | RingSide::Lent(_) => self.writing.poll_landed(context),
            };
            let sent = ready!(landed).and_then(|sent| match sent {
                0 => Err(io::ErrorKind::WriteZero.into()),
                sent => Ok(sent),
            });
            if let RingSide::Idle(buffer) = &mut self.writing {
                // What could not be sent is nobody's any more.
                let gone = sent.as_ref().map_or(buffer.len(), |sent| *sent);
                buffer.drain(..gone.min(buffer.len()));
            }
            sent?;
        }
    }

    /// Takes what fits of these parts, once all before them is sent, and begins to send it.
    fn poll_take(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.settle()?;
        ready!(self.poll_sent(context))?;
        let RingSide::Idle(buffer) = &mut self.writing else {
            unreachable!("all is sent, and nothing is under way");
        };
        buffer.reserve_exact(ROOM);
        for part in parts {
            let room = ROOM - buffer.len();
            buffer.extend_from_slice(&part[..part.len().min(room)]);
        }
        let taken = buffer.len();
        match self.poll_sent(context) {
            Poll::Ready(Err(why)) => Poll::Ready(Err(why)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }
}

/// Whoever writes to a closed connection gets an error and no signal; and `MSG_WAITALL`, for which
/// rustix has no name: the kernel goes on with what did not fit, so that a write ends by itself.
fn sending() -> SendFlags {
    SendFlags::NOSIGNAL | SendFlags::from_bits_retain(0x100)
}

impl Read for CompioStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.settle()?;
        ready!(self.poll_unread(context))?;
        let (from, to) = self.unread;
        let to = to.min(from + buffer.remaining());
        if let RingSide::Idle(bytes) = &self.reading {
            buffer.put_slice(&bytes[from..to]);
        }
        self.unread.0 = to;
        Poll::Ready(Ok(()))
    }
}

impl Write for CompioStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_take(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_take(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.settle()?;
        self.poll_sent(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.settle()?;
        ready!(self.poll_sent(context))?;
        Poll::Ready(self.socket.end_writing())
    }
}

impl Drop for CompioStream {
    /// What was written is still sent, if the peer takes it; nobody waits for an answer.
    fn drop(&mut self) {
        let (reads, writes) = (!self.reading.is_idle(), !self.writing.is_idle());
        if !reads && !writes {
            return;
        }
        self.socket.give_up(u64::from(reads) + u64::from(writes));
        if reads {
            self.socket.end_reading();
        }
        let reading = std::mem::replace(&mut self.reading, RingSide::Idle(Vec::new()));
        let writing = std::mem::replace(&mut self.writing, RingSide::Idle(Vec::new()));
        self.home.take_back((reading, writing));
    }
}
