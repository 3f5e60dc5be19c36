//! The primitives of an executor's world, by families: streams, time, turns on its threads, and
//! what tasks wait on together.
//!
//! Several executors may share them. Blocking executors have them too: their futures are driven by
//! a small `block_on` over blocking calls, so that the system calls are those of hand-written
//! blocking code (`blocking/`).

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    task::Poll,
    time::Duration,
};

use super::{Barrier, Channel, Condition, Elapsed, EventFlag, Mutex, RwLock, Semaphore};

/// All families. A type that has them all is one, and a step asks for no more than it uses.
pub trait Native: Io + NativeTimers + NativeWork + Coordination {}

impl<T: Io + NativeTimers + NativeWork + Coordination> Native for T {}

/// Who has the thread.
pub trait NativeWork: Send + Sync + 'static {
    /// Lets other tasks run, where they can only run if this one steps back.
    fn yield_now() -> impl Future<Output = ()> + Send;

    /// Waits for what a thread that is not the executor's does for this task. Where a thread is one
    /// task's at a time, it waits, too, and does nothing else.
    fn wait_for<F>(other: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send,
        F::Output: Send,
    {
        other
    }

    /// Runs blocking work where it does not hold up the scheduler: inline where there is none.
    fn unblock<T, W>(work: W) -> impl Future<Output = T> + Send
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static;
}

/// Timers.
pub trait NativeTimers: Send + Sync + 'static {
    /// Waits with the native timer.
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;

    /// Ends `future` after `limit` with the native timer.
    fn timeout<F>(
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + Send
    where
        F: Future + Send,
        F::Output: Send;
}

/// Streams over sockets.
pub trait Io: NativeWork {
    /// A stream over a socket.
    type Conn: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static;

    /// Opens a TCP connection without delay (`TCP_NODELAY`).
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::Conn>> + Send;

    /// Takes over a stream that is connected already, whatever its address is.
    fn adopt(stream: TcpStream) -> io::Result<Self::Conn>;

    /// Opens a stream to a socket in the file system, where blocking work belongs: there is no
    /// reactor's way to do so, and a server that is busy lets it wait.
    fn connect_local(path: &Path) -> impl Future<Output = io::Result<Self::Conn>> + Send {
        let path = path.to_owned();
        async move {
            let stream = Self::unblock(move || UnixStream::connect(path)).await?;
            // Reading, writing and waiting are the same for both kinds of socket, so that one type
            // serves for them.
            Self::adopt(TcpStream::from(OwnedFd::from(stream)))
        }
    }

    /// Polls what reads a stream, so that it sees whether the peer has closed it; the stream does
    /// not wait. Only streams that block need that: the others see it by themselves whenever they
    /// are polled, and nothing is done.
    fn look<T>(_poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        Poll::Pending
    }

    /// Begins an exchange on a connection that is kept: what was left of the one before gives no
    /// stream leave to wait. Only streams that block need that.
    fn begin() {}
}

/// What tasks wait on together.
pub trait Coordination: Send + Sync + 'static {
    /// What tasks wait on when there are fewer of something than tasks.
    type Semaphore: Semaphore;
    /// What lets one task at a time in.
    type Mutex: Mutex;
    /// What lets readers in together, and a writer alone.
    type RwLock: RwLock;
    /// Where tasks wait until all have come.
    type Barrier: Barrier;
    /// What tasks wait for until it is set.
    type Event: EventFlag;
    /// Tickets that tasks wait for.
    type Condition: Condition;
    /// A bounded queue between tasks.
    type Channel: Channel;
}
