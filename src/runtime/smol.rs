//! `smol`: its executor with as many threads as the others get.
//!
//! smol's global executor has one thread unless told otherwise, which would make an unfair race, so
//! the executor is built from smol's own parts: async-executor, async-io and blocking.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use async_executor::{Executor, Task};
use async_io::{Async, Timer};

use super::{
    Coordination, Elapsed, ExecutorInfo, Facts, Io, NativeTimers, NativeWork, Runtime, Setup,
    Style, channel::SmolChannel, condition::ListenerCondition, event::ListenerEvent,
    futures_stream::FuturesStream,
};

/// smol with a number of worker threads.
#[derive(Clone)]
pub struct Smol {
    executor: Arc<Executor<'static>>,
    workers: Arc<Mutex<Vec<JoinHandle<()>>>>,
    stop: Arc<event_listener::Event>,
}

impl Runtime for Smol {
    const INFO: ExecutorInfo = ExecutorInfo {
        name: "smol",
        doc: "smol's executor, with as many threads as the others get.",
        style: Style::Workers,
    };

    type Native = SmolNative;
    type Join<T: Send + 'static> = Task<T>;

    fn start(setup: &Setup) -> io::Result<Self> {
        let executor = Arc::new(Executor::new());
        let stop = Arc::new(event_listener::Event::new());
        let workers: io::Result<Vec<_>> = (0..setup.workers)
            .map(|number| {
                let (executor, stopped) = (executor.clone(), stop.listen());
                let builder = Builder::new().name(format!("smol-{number}"));
                builder.spawn(move || async_io::block_on(executor.run(stopped)))
            })
            .collect();
        Ok(Self { executor, workers: Arc::new(Mutex::new(workers?)), stop })
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        async_io::block_on(future)
    }

    fn spawn<F>(&self, future: F) -> io::Result<Task<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(self.executor.spawn(future))
    }

    fn spawn_detached<F>(&self, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.executor.spawn(future).detach();
        Ok(())
    }

    fn facts(&self) -> Facts {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).len();
        Facts::from([
            ("threads for tasks".into(), format!("{workers} workers, work stealing")),
            ("scheduler threads".into(), workers.to_string()),
            ("blocking work".into(), "the blocking crate's pool".into()),
            ("cap of the blocking pool".into(), blocking_cap()),
            ("timer".into(), "async-io's ordered map, by epoll's time-out".into()),
            ("stream".into(), "non-blocking socket, epoll (async-io)".into()),
        ])
    }

    fn stop(self) {
        self.stop.notify(usize::MAX);
        let workers =
            std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            // A worker that panicked has already handed its panic to whoever awaited the task.
            let _ = worker.join();
        }
    }
}

/// The most threads of the blocking crate's pool, which heeds nothing but the environment.
pub(super) fn blocking_cap() -> String {
    std::env::var("BLOCKING_MAX_THREADS").unwrap_or_else(|_| "the crate's default".into())
}

/// smol's own streams and timers, those of async-io; the pool of the blocking crate; and what its
/// tasks wait on, which is of async-lock and async-channel.
pub struct SmolNative;

impl Coordination for SmolNative {
    type Semaphore = async_lock::Semaphore;
    type Mutex = async_lock::Mutex<u64>;
    type RwLock = async_lock::RwLock<()>;
    type Barrier = async_lock::Barrier;
    type Event = ListenerEvent;
    type Condition = ListenerCondition;
    type Channel = SmolChannel;
}

impl Io for SmolNative {
    type Conn = FuturesStream<Async<TcpStream>>;

    async fn connect(address: SocketAddr) -> io::Result<Self::Conn> {
        let stream = Async::<TcpStream>::connect(address).await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(FuturesStream(stream))
    }

    fn adopt(stream: TcpStream) -> io::Result<Self::Conn> {
        Async::new(stream).map(FuturesStream)
    }
}

impl NativeTimers for SmolNative {
    async fn sleep(time: Duration) {
        Timer::after(time).await;
    }

    async fn timeout<F>(limit: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        let in_time = async { Ok(future.await) };
        let late = async {
            Timer::after(limit).await;
            Err(Elapsed)
        };
        futures_lite::future::or(in_time, late).await
    }
}

impl NativeWork for SmolNative {
    fn yield_now() -> impl Future<Output = ()> + Send {
        futures_lite::future::yield_now()
    }

    fn unblock<T, W>(work: W) -> impl Future<Output = T> + Send
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        blocking::unblock(work)
    }
}
