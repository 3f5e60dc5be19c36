//! The handle of a started task. The task lives on its worker: wherever the handle is dropped, the
//! task is given up there.
//!
//! compio's own handle is asked and dropped on its worker only. Asked on another thread, it misses a
//! task that ends in that very moment, and waits for ever; dropped there, it marks the task as given
//! up after it has woken it, when the worker may have looked already (compio-executor 0.1.4).

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread,
};

use ::compio::runtime::{JoinError, JoinHandle};
use futures_lite::FutureExt as _;
use tokio::sync::oneshot;

use super::home::RingHome;

/// A started task; given up when the handle is dropped, as tasks of other executors are.
pub struct CompioJoin<T: Send + 'static> {
    home: Arc<RingHome>,
    task: JoinStage<T>,
}

enum JoinStage<T> {
    /// By the thread that waits for it, which is its worker.
    Here(JoinHandle<T>),
    /// By another thread: it says what came of it.
    There(oneshot::Receiver<thread::Result<T>>, Arc<TaskHold>),
    Ended,
}

/// Where a worker keeps compio's handle of a task that another thread has started.
struct TaskHold(Mutex<HoldState>);

enum HoldState {
    /// The worker has not come to it.
    NotYet,
    Running(JoinHandle<()>),
    /// Nobody waits for it any more.
    GivenUp,
}

impl TaskHold {
    fn lock(&self) -> MutexGuard<'_, HoldState> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the task, on its worker; a task that was given up before is dropped there.
    fn start(&self, task: impl Future<Output = ()> + 'static) {
        let mut anchored = self.lock();
        if matches!(*anchored, HoldState::NotYet) {
            *anchored = HoldState::Running(::compio::runtime::spawn(task));
        } else {
            drop(anchored);
            drop(task);
        }
    }

    fn let_go(&self) -> Option<JoinHandle<()>> {
        match std::mem::replace(&mut *self.lock(), HoldState::GivenUp) {
            HoldState::Running(handle) => Some(handle),
            HoldState::NotYet | HoldState::GivenUp => None,
        }
    }
}

impl<T: Send + 'static> CompioJoin<T> {
    /// Starts a task on the worker that the caller is.
    pub(super) fn here(home: Arc<RingHome>, future: impl Future<Output = T> + 'static) -> Self {
        Self { home, task: JoinStage::Here(::compio::runtime::spawn(future)) }
    }

    /// Has a worker start a task; nothing if that has ended.
    pub(super) fn at(
        home: Arc<RingHome>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<Self> {
        let task = Self::send(&home, future)?;
        Some(Self { home, task })
    }

    fn send(
        home: &RingHome,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<JoinStage<T>> {
        let (tell, told) = oneshot::channel();
        // Boxed, or whoever wraps it would have it twice in its own memory.
        let future = Box::pin(future);
        let anchor = Arc::new(TaskHold(Mutex::new(HoldState::NotYet)));
        let its = anchor.clone();
        let errand = move || {
            its.start(async move {
                // Nobody listens where it is given up in this moment.
                let _ = tell.send(AssertUnwindSafe(future).catch_unwind().await);
            });
        };
        home.run(Box::new(errand)).ok()?;
        Some(JoinStage::There(told, anchor))
    }

    /// The handle is on another thread than its task: from now on that says what came of it.
    #[cold]
    fn move_away(&mut self) {
        if let JoinStage::Here(handle) = std::mem::replace(&mut self.task, JoinStage::Ended) {
            let waiting = async { output_of(handle.await) };
            #[expect(clippy::expect_used, reason = "a worker that ends has nobody who waits")]
            let sent = Self::send(&self.home, waiting).expect(GONE);
            self.task = sent;
        }
    }
}

/// Why a task that was awaited can have come to nothing.
const GONE: &str = "the worker ended before its task did";

fn output_of<T>(ended: Result<T, JoinError>) -> T {
    match ended {
        Ok(output) => output,
        Err(JoinError::Panicked(panic)) => std::panic::resume_unwind(panic),
        // A task is given up only by dropping its handle, which then is polled no more.
        Err(JoinError::Cancelled) => panic!("{GONE}"),
    }
}

impl<T: Send + 'static> Future for CompioJoin<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if matches!(self.task, JoinStage::Here(_)) && !self.home.is_here() {
            self.move_away();
        }
        let output = match &mut self.task {
            JoinStage::Here(handle) => match Pin::new(handle).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(ended) => output_of(ended),
            },
            JoinStage::There(told, anchor) => match Pin::new(told).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(told) => {
                    if let Some(handle) = anchor.let_go() {
                        handle.detach();
                    }
                    match told {
                        Ok(Ok(output)) => output,
                        Ok(Err(panic)) => std::panic::resume_unwind(panic),
                        Err(oneshot::error::RecvError { .. }) => panic!("{GONE}"),
                    }
                }
            },
            JoinStage::Ended => panic!("a task's handle was polled after its end"),
        };
        self.task = JoinStage::Ended;
        Poll::Ready(output)
    }
}

impl<T: Send + 'static> Drop for CompioJoin<T> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.task, JoinStage::Ended) {
            JoinStage::Ended => {}
            JoinStage::Here(handle) => self.home.take_back(handle),
            JoinStage::There(_, anchor) => {
                if let Some(handle) = anchor.let_go() {
                    self.home.take_back(handle);
                }
            }
        }
    }
}
