//! compio's own streams, timers and pool for blocking work. For what tasks wait on together it has
//! nothing: its users take crates that know no runtime, which are smol's.

use std::{
    future::{Future, poll_fn},
    io,
    net::{SocketAddr, TcpStream},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use compio_send_wrapper::SendWrapper;

use super::{
    super::{
        Coordination, Elapsed, Io, NativeTimers, NativeWork, channel::SmolChannel,
        condition::ListenerCondition, event::ListenerEvent,
    },
    home::RingHome,
    socket::RingSocket,
    stream::CompioStream,
};

/// compio's primitives.
pub struct CompioNative;

impl Coordination for CompioNative {
    type Semaphore = async_lock::Semaphore;
    type Mutex = async_lock::Mutex<u64>;
    type RwLock = async_lock::RwLock<()>;
    type Barrier = async_lock::Barrier;
    type Event = ListenerEvent;
    type Condition = ListenerCondition;
    type Channel = SmolChannel;
}

fn home() -> io::Result<Arc<RingHome>> {
    RingHome::here().ok_or_else(|| io::Error::other("compio was used outside of its executor"))
}

impl Io for CompioNative {
    type Conn = CompioStream;

    async fn connect(address: SocketAddr) -> io::Result<Self::Conn> {
        let home = home()?;
        let socket = RingSocket::connect(address, home.household.clone()).await?;
        Ok(CompioStream::over(socket, home))
    }

    fn adopt(stream: TcpStream) -> io::Result<Self::Conn> {
        // The ring waits for what is not there yet; of a socket that does not block it would say so
        // instead.
        stream.set_nonblocking(false)?;
        Ok(CompioStream::of(stream, home()?))
    }
}

impl NativeTimers for CompioNative {
    async fn sleep(time: Duration) {
        SendWrapper::new(::compio::time::sleep(time)).await;
    }

    async fn timeout<F>(limit: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        // compio's own is this, but that it asks in random order which has ended, and may not be
        // sent.
        let mut future = pin!(future);
        let mut late = pin!(Self::sleep(limit));
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            late.as_mut().poll(context).map(|()| Err(Elapsed))
        })
        .await
    }
}

impl NativeWork for CompioNative {
    fn yield_now() -> impl Future<Output = ()> + Send {
        futures_lite::future::yield_now()
    }

    async fn unblock<T, W>(work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        #[expect(clippy::expect_used, reason = "whoever asks for this is a task of the executor")]
        let home = RingHome::here().expect("compio was used outside of its executor");
        home.household.pool.run(work).await
    }
}
