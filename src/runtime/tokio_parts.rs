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

use super::{Elapsed, Facts};

/// tokio's stream, as hyper sees it.
pub(super) type Stream = TokioIo<TcpStream>;

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

pub(super) async fn connect(address: SocketAddr) -> io::Result<Stream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

pub(super) async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    ::tokio::time::timeout(limit, future).await.map_err(|_| Elapsed)
}

pub(super) async fn unblock<T, W>(work: W) -> T
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    TokioJoin(::tokio::task::spawn_blocking(work)).await
}

pub(super) fn facts(workers: &str, pool_size: usize) -> Facts {
    Facts::from([
        ("threads for tasks".into(), workers.into()),
        ("blocking work".into(), format!("tokio's blocking pool, at most {pool_size} threads")),
        ("stream".into(), "non-blocking socket, epoll (mio)".into()),
    ])
}
