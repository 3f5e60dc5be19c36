//! compio's pool for blocking work, behind a queue of ours: it has none. Where all its threads are
//! busy, it lets the thread of the scheduler spin until one is free.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::compio::{
    buf::{BufResult, IntoInner},
    driver::{AsyncifyPool, op::Asyncify},
    runtime::submit,
};
use compio_send_wrapper::SendWrapper;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What its threads are called: all 15 bytes that the kernel keeps.
pub(super) const POOL_THREAD: &std::ffi::CStr = c"compio-blocking";

/// A thread that nobody needs ends after so long: compio's default.
const IDLE: Duration = Duration::from_secs(60);

/// The pool for blocking work of all threads of an executor.
pub(super) struct BlockingPool {
    threads: AsyncifyPool,
    size: usize,
    /// Whoever has a place finds a thread. Others wait in the order in which they came.
    places: Arc<Semaphore>,
    /// compio counts a thread when it runs: two that started one at once would start one too many.
    handing_over: Mutex<()>,
}

thread_local! {
    static IS_NAMED: Cell<bool> = const { Cell::new(false) };
}

impl BlockingPool {
    pub(super) fn new(size: usize) -> Self {
        let size = size.max(1);
        Self {
            threads: AsyncifyPool::new(size, IDLE),
            size,
            places: Arc::new(Semaphore::new(size)),
            handing_over: Mutex::new(()),
        }
    }

    /// compio's handle of its threads.
    pub(super) fn threads(&self) -> AsyncifyPool {
        self.threads.clone()
    }

    /// The most threads that it has.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        match self.places.clone().acquire_owned().await {
            Ok(place) => place,
            Err(_) => unreachable!("nobody closes the queue of the pool"),
        }
    }

    /// Does the work on one of its threads. Who gives it up while it waits takes it out of the
    /// queue; later it is done.
    pub(super) async fn run<T, W>(&self, work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let place = self.place().await;
        let mut working = SendWrapper::new(submit(Asyncify::new(move || {
            name_thread();
            let done = work();
            drop(place);
            BufResult(Ok(0), done)
        })));
        let ended = poll_fn(|context| {
            // The first poll hands it over.
            let _one = self.handing_over.lock().unwrap_or_else(PoisonError::into_inner);
            Pin::new(&mut working).poll(context)
        });
        ended.await.1.into_inner()
    }
}

/// compio's threads have the name of the thread that has started them, a worker's.
fn name_thread() {
    if !IS_NAMED.replace(true) {
        // A thread without its name works as well.
        let _ = rustix::thread::set_name(POOL_THREAD);
    }
}
