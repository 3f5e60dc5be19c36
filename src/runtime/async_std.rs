//! `async-std`: discontinued upstream (RUSTSEC-2025-0052); raced because people still run it.
//!
//! Its pools are global to the process and sized once from the environment, so the trial's process
//! is started with `ASYNC_STD_THREAD_COUNT` and `BLOCKING_MAX_THREADS` set
//! ([`super::environment`]). It shares its reactor (async-io) and its blocking pool with smol:
//! equal numbers are to be expected.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_std::{net::TcpStream, task::JoinHandle};

use super::{
    Coordination, Elapsed, ExecutorInfo, Facts, Io, NativeTimers, NativeWork, Runtime, Setup,
    Style, channel::AsyncStdChannel, condition::ListenerCondition, event::ListenerEvent,
    futures_stream::FuturesStream, smol, threads_by_name,
};

/// async-std's global executor.
#[derive(Clone)]
pub struct AsyncStd;

/// The names of its workers, as far as the kernel keeps them (15 bytes of `async-std/runtime`).
const WORKER: &str = "async-std/runti";

/// A started task; cancelled when the handle is dropped, as tasks of other executors are.
pub struct AsyncStdJoining<T>(Option<JoinHandle<T>>);

impl<T> Future for AsyncStdJoining<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // A future is not polled again after it was ready, so the handle is there.
        #[expect(
            clippy::expect_used,
            reason = "polling a finished future breaks the contract of Future"
        )]
        let handle = self.0.as_mut().expect("polled after completion");
        let polled = Pin::new(handle).poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<T> Drop for AsyncStdJoining<T> {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take() {
            // The first poll of `cancel` marks the task; all later ones would only wait for it to
            // notice.
            let _ = pin!(handle.cancel()).poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl Runtime for AsyncStd {
    const INFO: ExecutorInfo = ExecutorInfo {
        name: "async-std",
        doc: "async-std, discontinued upstream (RUSTSEC-2025-0052).",
        style: Style::Workers,
    };

    type Native = AsyncStdNative;
    type Join<T: Send + 'static> = AsyncStdJoining<T>;

    fn start(_: &Setup) -> io::Result<Self> {
        Ok(Self)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        async_std::task::block_on(future)
    }

    fn spawn<F>(&self, future: F) -> io::Result<AsyncStdJoining<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(AsyncStdJoining(Some(async_std::task::spawn(future))))
    }

    fn spawn_detached<F>(&self, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(async_std::task::spawn(future));
        Ok(())
    }

    fn facts(&self) -> Facts {
        let workers = threads_by_name().get(WORKER).copied().unwrap_or(0);
        Facts::from([
            ("threads for tasks".into(), format!("{workers} workers, work stealing")),
            ("scheduler threads".into(), workers.to_string()),
            ("blocking work".into(), "the blocking crate's pool".into()),
            ("cap of the blocking pool".into(), smol::blocking_cap()),
            ("timer".into(), "async-io's ordered map, by epoll's time-out".into()),
            ("stream".into(), "non-blocking socket, epoll (async-io)".into()),
        ])
    }
}

/// async-std's own streams, timers and channel. Its mutex is that of async-lock, and it has no
/// semaphore but that of the same crate.
pub struct AsyncStdNative;

impl Coordination for AsyncStdNative {
    type Semaphore = async_lock::Semaphore;
    type Mutex = async_std::sync::Mutex<u64>;
    type RwLock = async_std::sync::RwLock<()>;
    type Barrier = async_lock::Barrier;
    type Event = ListenerEvent;
    type Condition = ListenerCondition;
    type Channel = AsyncStdChannel;
}

impl Io for AsyncStdNative {
    type Conn = FuturesStream<TcpStream>;

    async fn connect(address: SocketAddr) -> io::Result<Self::Conn> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(FuturesStream(stream))
    }

    fn adopt(stream: std::net::TcpStream) -> io::Result<Self::Conn> {
        stream.set_nonblocking(true)?;
        Ok(FuturesStream(stream.into()))
    }
}

impl NativeTimers for AsyncStdNative {
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        async_std::task::sleep(time)
    }

    async fn timeout<F>(limit: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        async_std::future::timeout(limit, future).await.map_err(|_| Elapsed)
    }
}

impl NativeWork for AsyncStdNative {
    fn yield_now() -> impl Future<Output = ()> + Send {
        async_std::task::yield_now()
    }

    fn unblock<T, W>(work: W) -> impl Future<Output = T> + Send
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        async_std::task::spawn_blocking(work)
    }
}
