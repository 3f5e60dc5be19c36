//! `tokio-current-thread`: tokio on a single thread, the one that waits for the run to end.

use std::{future::Future, io, sync::Arc};

use super::{
    ExecutorInfo, Facts, Runtime, Setup, Style,
    tokio_parts::{self, TokioJoin, TokioNative},
};

/// tokio on the calling thread.
#[derive(Clone)]
pub struct TokioCurrentThread {
    runtime: Arc<::tokio::runtime::Runtime>,
    pool_size: usize,
}

impl Runtime for TokioCurrentThread {
    const INFO: ExecutorInfo =
        ExecutorInfo { name: "tokio-current-thread", doc: "tokio on a single thread.", style: Style::OneWorker };

    type Native = TokioNative;
    type Join<T: Send + 'static> = TokioJoin<T>;

    fn start(setup: &Setup) -> io::Result<Self> {
        let runtime = ::tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(setup.pool_size)
            .enable_all()
            .build()?;
        Ok(Self { runtime: Arc::new(runtime), pool_size: setup.pool_size })
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

    fn spawn_detached<F>(&self, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.runtime.spawn(future));
        Ok(())
    }

    fn facts(&self) -> Facts {
        tokio_parts::facts("1, the main thread", self.pool_size)
    }
}
