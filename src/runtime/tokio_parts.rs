//! What both tokio executors share: streams, timers, the blocking pool.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinHandle};

use super::{Elapsed, Facts, Native};

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

/// tokio's own streams, timers and blocking pool.
pub struct TokioNative;

impl Native for TokioNative {
    type Conn = TokioIo<TcpStream>;
    type Semaphore = ::tokio::sync::Semaphore;

    async fn connect(address: SocketAddr) -> io::Result<Self::Conn> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(stream))
    }

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

pub(super) fn facts(workers: &str, pool_size: usize) -> Facts {
    Facts::from([
        ("threads for tasks".into(), workers.into()),
        ("blocking work".into(), "tokio's blocking pool".into()),
        ("cap of the blocking pool".into(), pool_size.to_string()),
        ("timer".into(), "tokio's wheel, in steps of 1 ms".into()),
        ("stream".into(), "non-blocking socket, epoll (mio)".into()),
    ])
}
