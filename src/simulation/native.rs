//! The primitives of the simulated executor: timers in virtual time, and no network.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpStream},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::executor::{set_timer, unset_timer};
use crate::{
    clock,
    runtime::{
        Coordination, Elapsed, Io, ListenerCondition, ListenerEvent, NativeTimers, NativeWork,
        SmolChannel,
    },
};

/// Virtual timers, and blocking work where it stands.
pub(super) struct SimulatedNative;

/// A stream that cannot be: there is no network in virtual time.
pub(super) enum NoStream {}

impl hyper::rt::Read for NoStream {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match *self {}
    }
}

impl hyper::rt::Write for NoStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match *self {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}

/// Ready from a moment of virtual time on.
struct Sleep {
    until_ns: u64,
    timer: Option<(u64, u64)>,
}

impl Sleep {
    fn of(time: Duration) -> Self {
        Self { until_ns: clock::now_ns() + time.as_nanos() as u64, timer: None }
    }

    fn unset(&mut self) {
        if let Some(timer) = self.timer.take() {
            unset_timer(timer);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.unset();
        if clock::now_ns() >= self.until_ns {
            return Poll::Ready(());
        }
        self.timer = Some(set_timer(self.until_ns, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.unset();
    }
}

impl Coordination for SimulatedNative {
    type Semaphore = async_lock::Semaphore;
    type Mutex = async_lock::Mutex<u64>;
    type RwLock = async_lock::RwLock<()>;
    type Barrier = async_lock::Barrier;
    type Event = ListenerEvent;
    type Condition = ListenerCondition;
    type Channel = SmolChannel;
}

impl Io for SimulatedNative {
    type Conn = NoStream;

    async fn connect(address: SocketAddr) -> io::Result<NoStream> {
        Err(io::Error::new(io::ErrorKind::Unsupported, format!("{address} is not in virtual time")))
    }

    fn adopt(_: TcpStream) -> io::Result<NoStream> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl NativeTimers for SimulatedNative {
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        Sleep::of(time)
    }

    async fn timeout<F>(limit: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        let late = async {
            Sleep::of(limit).await;
            Err(Elapsed)
        };
        futures_lite::future::or(async { Ok(future.await) }, late).await
    }
}

impl NativeWork for SimulatedNative {
    fn yield_now() -> impl Future<Output = ()> + Send {
        futures_lite::future::yield_now()
    }

    async fn unblock<T, W>(work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        work()
    }
}
