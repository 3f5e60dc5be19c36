//! A connected socket, shared by its stream and by the operations that the kernel has on it: it is
//! closed when the last of them lets go of it.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use ::compio::{buf::BufResult, driver::op::Connect, runtime::submit};
use compio_send_wrapper::SendWrapper;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};

use super::household::Household;

/// A socket, and what was given up on it.
pub(super) struct RingSocket {
    stream: TcpStream,
    household: Arc<Household>,
    /// Operations that nobody waits for any more, and that the kernel had.
    given_up: AtomicU64,
}

impl RingSocket {
    pub(super) fn new(stream: TcpStream, household: Arc<Household>) -> Arc<Self> {
        Arc::new(Self { stream, household, given_up: AtomicU64::new(0) })
    }

    /// Opens a connection by an operation of the ring.
    pub(super) async fn connect(
        address: SocketAddr,
        household: Arc<Household>,
    ) -> io::Result<Arc<Self>> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        // By a system call of its own: kernels before 5.19 have no operation for it, and compio would
        // make it on a thread.
        let flags = SocketFlags::CLOEXEC;
        let made = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        let socket = Self::new(made.into(), household);
        let waiting = ConnectGuard(&socket);
        let connect = Connect::new(socket.clone(), address.into());
        let BufResult(connected, _) = SendWrapper::new(submit(connect)).await;
        std::mem::forget(waiting);
        connected?;
        socket.stream.set_nodelay(true)?;
        Ok(socket)
    }

    /// Nobody waits for so many operations any more that the kernel has.
    pub(super) fn give_up(&self, operations: u64) {
        self.given_up.fetch_add(operations, Relaxed);
        self.household.note_given_up(operations);
    }

    /// A read that is under way ends at once. compio asks the kernel for that, too; but where its
    /// queue is full it does not, and a read that nobody ends keeps the connection open.
    pub(super) fn end_reading(&self) {
        // Of a socket whose peer is gone the read has ended.
        let _ = self.stream.shutdown(Shutdown::Read);
    }

    /// The other side sees that nothing more will come.
    pub(super) fn end_writing(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

impl Drop for RingSocket {
    fn drop(&mut self) {
        self.household.note_returned(*self.given_up.get_mut());
    }
}

impl AsFd for RingSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Somebody waits for an operation of this socket.
struct ConnectGuard<'a>(&'a RingSocket);

impl Drop for ConnectGuard<'_> {
    fn drop(&mut self) {
        self.0.give_up(1);
        // Of a socket that is not connected it says so, and has ended the attempt.
        let _ = self.0.stream.shutdown(Shutdown::Both);
    }
}
