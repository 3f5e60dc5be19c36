//! `tokio`: tokio's multi-thread, work-stealing scheduler.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use super::{
    Elapsed, ExecutorInfo, Facts, Runtime, Setup, Style,
    tokio_parts::{self, Stream, TokioJoin},
};

/// tokio with a number of worker threads.
#[derive(Clone)]
pub struct Tokio {
    runtime: Arc<::tokio::runtime::Runtime>,
    setup: Setup,
}

impl Runtime for Tokio {
    const INFO: ExecutorInfo =
        ExecutorInfo { name: "tokio", doc: "tokio's multi-thread scheduler.", style: Style::Workers };

    type Conn = Stream;
    type Join<T: Send + 'static> = TokioJoin<T>;

    fn start(setup: &Setup) -> io::Result<Self> {
        let runtime = ::tokio::runtime::Builder::new_multi_thread()
            .worker_threads(setup.workers)
            .max_blocking_threads(setup.pool_size)
            .enable_all()
            .build()?;
        Ok(Self { runtime: Arc::new(runtime), setup: setup.clone() })
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn spawn<F>(&self, future: F) -> io::Result<TokioJoin<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(TokioJoin(self.runtime.spawn(future)))
    }

    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Stream>> + Send {
        tokio_parts::connect(address)
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        ::tokio::time::sleep(time)
    }

    fn timeout<F>(limit: Duration, future: F) -> impl Future<Output = Result<F::Output, Elapsed>> + Send
    where
        F: Future + Send,
        F::Output: Send,
    {
        tokio_parts::timeout(limit, future)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        ::tokio::task::yield_now()
    }

    fn unblock<T, W>(work: W) -> impl Future<Output = T> + Send
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        tokio_parts::unblock(work)
    }

    fn facts(&self) -> Facts {
        tokio_parts::facts(&format!("{} workers, work stealing", self.setup.workers), self.setup.pool_size)
    }
}
