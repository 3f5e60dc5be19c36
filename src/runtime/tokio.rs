//! `tokio`: tokio's multi-thread, work-stealing scheduler.

use std::{future::Future, io, sync::Arc};

use super::{
    ExecutorInfo, Facts, Runtime, Setup, Style,
    tokio_parts::{self, TokioJoin, TokioNative},
};

/// tokio with a number of worker threads.
#[derive(Clone)]
pub struct Tokio {
    runtime: Arc<::tokio::runtime::Runtime>,
    pool_size: usize,
}

impl Runtime for Tokio {
    const INFO: ExecutorInfo =
        ExecutorInfo { name: "tokio", doc: "tokio's multi-thread scheduler.", style: Style::Workers };

    type Native = TokioNative;
    type Join<T: Send + 'static> = TokioJoin<T>;

    fn start(setup: &Setup) -> io::Result<Self> {
        let runtime = ::tokio::runtime::Builder::new_multi_thread()
            .worker_threads(setup.workers)
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
        let workers = self.runtime.metrics().num_workers();
        let mut facts = tokio_parts::facts(&format!("{workers} workers, work stealing"), self.pool_size);
        facts.insert("scheduler threads".into(), workers.to_string());
        facts
    }
}
