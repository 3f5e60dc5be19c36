//! The primitives of the blocking executors.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpStream},
    task::Poll,
    time::Duration,
};

use super::{
    super::{Coordination, Elapsed, Io, NativeTimers, NativeWork},
    barrier::BlockingBarrier,
    channel::BlockingChannel,
    condition::BlockingCondition,
    event::BlockingEvent,
    mutex::BlockingMutex,
    rwlock::BlockingRwLock,
    semaphore::BlockingSemaphore,
    stream::BlockingStream,
    task,
};

/// Blocking sockets, `thread::sleep`, blocking work where it stands, and condition variables.
pub struct Blocking;

impl Coordination for Blocking {
    type Semaphore = BlockingSemaphore;
    type Mutex = BlockingMutex;
    type RwLock = BlockingRwLock;
    type Barrier = BlockingBarrier;
    type Event = BlockingEvent;
    type Condition = BlockingCondition;
    type Channel = BlockingChannel;
}

impl Io for Blocking {
    type Conn = BlockingStream;

    async fn connect(address: SocketAddr) -> io::Result<BlockingStream> {
        BlockingStream::connect(address).await
    }

    fn adopt(stream: TcpStream) -> io::Result<BlockingStream> {
        Ok(BlockingStream::adopt(stream))
    }

    fn look<T>(poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        task::look(poll)
    }

    fn begin() {
        task::begin();
    }
}

impl NativeTimers for Blocking {
    async fn sleep(time: Duration) {
        task::sleep(time).await;
    }

    async fn timeout<F>(limit: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        task::timeout(limit, future).await
    }
}

impl NativeWork for Blocking {
    async fn yield_now() {
        std::thread::yield_now();
    }

    async fn wait_for<F>(other: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        // A worker of rayon that ran other work meanwhile could come back late, or never: what it
        // runs may wait for what this task holds.
        task::block_on(other)
    }

    async fn unblock<T, W>(work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        work()
    }
}
