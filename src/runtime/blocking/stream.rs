//! A blocking TCP stream behind hyper's asynchronous traits.

use std::{
    future::poll_fn,
    io::{self, IoSlice, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};

use super::{
    super::fill::fill,
    task::{BlockingTurn, deadline, expire, may_block},
};
use crate::clock;

/// A TCP stream whose reads block, but only when the task has nothing else to do.
pub struct BlockingStream {
    socket: TcpStream,
    read_limit: Option<Duration>,
    write_limit: Option<Duration>,
}

impl BlockingStream {
    /// Connects, at most until the task's deadline; then the time-out ends the task, as on every
    /// other executor.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        poll_fn(|_| Self::connect_until(address, deadline())).await
    }

    fn connect_until(address: SocketAddr, deadline: Option<u64>) -> Poll<io::Result<Self>> {
        let socket = match deadline.map(|at| (at, left(at))) {
            None => TcpStream::connect(address),
            Some((at, None)) => {
                expire(at);
                return Poll::Pending;
            }
            Some((at, Some(limit))) => match TcpStream::connect_timeout(&address, limit) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut && left(at).is_none() => {
                    expire(at);
                    return Poll::Pending;
                }
                result => result,
            },
        };
        let opened = socket.and_then(|socket| socket.set_nodelay(true).map(|()| socket));
        Poll::Ready(opened.map(Self::adopt))
    }

    /// A stream over a socket that is connected already.
    pub fn adopt(socket: TcpStream) -> Self {
        Self { socket, read_limit: None, write_limit: None }
    }

    /// Sets the socket's read limit, only if it changes.
    fn limit_reads(&mut self, limit: Option<Duration>) -> io::Result<()> {
        if !is_near(self.read_limit, limit) {
            self.socket.set_read_timeout(limit)?;
            self.read_limit = limit;
        }
        Ok(())
    }

    fn limit_writes(&mut self, limit: Option<Duration>) -> io::Result<()> {
        if !is_near(self.write_limit, limit) {
            self.socket.set_write_timeout(limit)?;
            self.write_limit = limit;
        }
        Ok(())
    }

    /// Reads, as its turn has it.
    fn take_turn(&mut self, turn: &BlockingTurn, free: &mut [u8]) -> Poll<io::Result<usize>> {
        match turn {
            BlockingTurn::Block(deadline) => {
                self.until(*deadline, Self::limit_reads, |socket| socket.read(free))
            }
            BlockingTurn::Look => match recv(&self.socket, free, RecvFlags::DONTWAIT) {
                Err(Errno::WOULDBLOCK | Errno::INTR) => Poll::Pending,
                read => Poll::Ready(read.map(|(read, _)| read).map_err(io::Error::from)),
            },
            BlockingTurn::Wait => Poll::Pending,
        }
    }

    /// One blocking call, repeated if the socket's coarser clock gave up before the deadline.
    fn until(
        &mut self,
        deadline: Option<u64>,
        set_limit: fn(&mut Self, Option<Duration>) -> io::Result<()>,
        mut call: impl FnMut(&mut TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let limit = match deadline.map(|at| (at, left(at))) {
                Some((at, None)) => {
                    expire(at);
                    return Poll::Pending;
                }
                Some((_, some)) => some,
                None => None,
            };
            set_limit(self, limit)?;
            match call(&mut self.socket) {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

/// Whether a limit that is set serves for another one: a call with an unchanged time-out must not
/// cost a system call only because a moment has passed since. The time-out then fires at most a
/// fiftieth late.
fn is_near(set: Option<Duration>, wanted: Option<Duration>) -> bool {
    match (set, wanted) {
        (Some(set), Some(wanted)) => set.abs_diff(wanted) <= wanted / 50 + Duration::from_millis(1),
        (set, wanted) => set == wanted,
    }
}

/// The time left until `at_ns`, rounded up to whole milliseconds; none if it has passed.
pub(super) fn left(at_ns: u64) -> Option<Duration> {
    let left = at_ns.saturating_sub(clock::now_ns());
    (left > 0).then(|| Duration::from_millis(left.div_ceil(1_000_000)))
}

impl Read for BlockingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let turn = may_block(context);
        if matches!(turn, BlockingTurn::Wait) {
            return Poll::Pending;
        }
        let mut pending = false;
        let filled = fill(buffer, |free| match self.take_turn(&turn, free) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                pending = true;
                Ok(0)
            }
        });
        if pending { Poll::Pending } else { Poll::Ready(filled) }
    }
}

impl Write for BlockingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.until(deadline(), Self::limit_writes, |socket| socket.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.until(deadline(), Self::limit_writes, |socket| socket.write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use rustix::net::{
        AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with,
    };

    use super::*;
    use crate::runtime::{Blocking, Io as _, NativeTimers as _, block_on};

    #[test]
    fn a_connect_that_meets_the_deadline_is_a_time_out_and_no_error() {
        // It has room for one connection, and accepts none: who comes next is not answered.
        let server =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .unwrap();
        bind(&server, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        listen(&server, 0).unwrap();
        let address: SocketAddr =
            SocketAddrV4::try_from(getsockname(&server).unwrap()).unwrap().into();
        let _first = TcpStream::connect(address).unwrap();
        for limit in [Duration::from_millis(20), Duration::ZERO] {
            assert!(block_on(Blocking::timeout(limit, Blocking::connect(address))).is_err());
        }
        // The system gives port 1 to nobody.
        let closed = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1).into();
        let refused =
            block_on(Blocking::timeout(Duration::from_secs(60), Blocking::connect(closed)))
                .unwrap();
        assert_eq!(refused.err().map(|error| error.kind()), Some(io::ErrorKind::ConnectionRefused));
    }

    #[test]
    fn a_limit_is_set_again_only_when_it_changes() {
        let ms = |ms| Some(Duration::from_millis(ms));
        assert!(is_near(None, None) && is_near(ms(100), ms(99)) && is_near(ms(100), ms(103)));
        assert!(!is_near(None, ms(100)) && !is_near(ms(100), None));
        assert!(!is_near(ms(100), ms(50)) && !is_near(ms(100), ms(104)));
    }
}
