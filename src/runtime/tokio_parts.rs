//! What both tokio executors share: all but how the runtime is built. Streams, timers, the blocking
//! pool.

use std::{
    future::Future,
    io,
    marker::PhantomData,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime as TokioRuntime},
    task::JoinHandle,
};

use super::{
    Coordination, Elapsed, ExecutorInfo, Facts, Io, NativeTimers, NativeWork, Runtime, Setup,
    channel::TokioChannel, condition::TokioCondition, event::TokioEvent,
};

/// How a runtime of tokio is built, and what is to be said of it.
pub trait Flavour: Send + Sync + 'static {
    /// What is known of the executor without starting it.
    const INFO: ExecutorInfo;

    /// A builder with its scheduler set up.
    fn builder(setup: &Setup) -> Builder;

    /// Who runs its tasks.
    fn facts(runtime: &TokioRuntime) -> Facts;
}

/// tokio, with one of its schedulers.
pub struct TokioOf<F> {
    runtime: Arc<TokioRuntime>,
    pool_size: usize,
    flavour: PhantomData<fn() -> F>,
}

// Derived, it would ask for a flavour that can be cloned.
impl<F> Clone for TokioOf<F> {
    fn clone(&self) -> Self {
        Self { runtime: self.runtime.clone(), pool_size: self.pool_size, flavour: PhantomData }
    }
}

impl<F: Flavour> Runtime for TokioOf<F> {
    const INFO: ExecutorInfo = F::INFO;

    type Native = TokioNative;
    type Join<T: Send + 'static> = TokioJoin<T>;

    fn start(setup: &Setup) -> io::Result<Self> {
        let runtime =
            F::builder(setup).max_blocking_threads(setup.pool_size).enable_all().build()?;
        Ok(Self { runtime: Arc::new(runtime), pool_size: setup.pool_size, flavour: PhantomData })
    }

    fn block_on<T: Future>(&self, future: T) -> T::Output {
        self.runtime.block_on(future)
    }

    fn spawn<T>(&self, future: T) -> io::Result<TokioJoin<T::Output>>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        Ok(TokioJoin(self.runtime.spawn(future)))
    }

    fn spawn_detached<T>(&self, future: T) -> io::Result<()>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        drop(self.runtime.spawn(future));
        Ok(())
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts::from([
            ("blocking work".into(), "tokio's blocking pool".into()),
            ("cap of the blocking pool".into(), self.pool_size.to_string()),
            ("timer".into(), "tokio's wheel, in steps of 1 ms".into()),
            ("stream".into(), "non-blocking socket, epoll (mio)".into()),
        ]);
        facts.extend(F::facts(&self.runtime));
        facts
    }
}

/// A started task; aborted when the handle is dropped, as tasks of other executors are.
pub struct TokioJoin<T>(pub(super) JoinHandle<T>);

impl<T> Future for TokioJoin<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(context).map(|ended| match ended {
            Ok(output) => output,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // A task is aborted only by dropping this handle, which then is polled no more.
                Err(_) => unreachable!("a task was cancelled while it was awaited"),
            },
        })
    }
}

impl<T> Drop for TokioJoin<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// tokio's own streams, timers, blocking pool, and what its tasks wait on.
pub struct TokioNative;

impl Coordination for TokioNative {
    type Semaphore = ::tokio::sync::Semaphore;
    type Mutex = ::tokio::sync::Mutex<u64>;
    type RwLock = ::tokio::sync::RwLock<()>;
    type Barrier = ::tokio::sync::Barrier;
    type Event = TokioEvent;
    type Condition = TokioCondition;
    type Channel = TokioChannel;
}

impl Io for TokioNative {
    type Conn = TokioIo<TcpStream>;

    async fn connect(address: SocketAddr) -> io::Result<Self::Conn> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(stream))
    }

    fn adopt(stream: std::net::TcpStream) -> io::Result<Self::Conn> {
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream).map(TokioIo::new)
    }
}

impl NativeTimers for TokioNative {
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        ::tokio::time::sleep(time)
    }

    async fn timeout<F>(limit: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        ::tokio::time::timeout(limit, future).await.map_err(|_| Elapsed)
    }
}

impl NativeWork for TokioNative {
    fn yield_now() -> impl Future<Output = ()> + Send {
        ::tokio::task::yield_now()
    }

    fn unblock<T, W>(work: W) -> impl Future<Output = T> + Send
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        TokioJoin(::tokio::task::spawn_blocking(work))
    }
}
