//! A job in a pool of threads: a future that a worker drives to its end, and the handle of whoever
//! waits for it.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread,
};

use super::{
    blocking::{Meanwhile, block_on_beside},
    lane::Turns,
    queue::Job,
};

/// What a pool calls that which its workers do while they wait, in the fairness manifest.
pub(super) const MEANWHILE: &str = "a worker that waits for children";

/// A job in a pool. `M` is what its thread does while it waits.
pub(super) struct PoolJob<F: Future, M> {
    state: Mutex<JobState<F>>,
    meanwhile: M,
}

struct JobState<F: Future> {
    stage: JobStage<F>,
    /// Who waits for its end.
    waker: Option<Waker>,
}

enum JobStage<F: Future> {
    Waiting(F),
    Running,
    Done(thread::Result<F::Output>),
    Taken,
}

impl<F: Future, M> PoolJob<F, M> {
    /// A job that nobody has begun.
    pub(super) fn new(meanwhile: M, future: F) -> Self {
        let state = JobState { stage: JobStage::Waiting(future), waker: None };
        Self { state: Mutex::new(state), meanwhile }
    }

    fn lock(&self) -> MutexGuard<'_, JobState<F>> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the job for running, if nobody has.
    fn claim(&self) -> Option<F> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.stage, JobStage::Running) {
            JobStage::Waiting(future) => Some(future),
            other => {
                state.stage = other;
                None
            }
        }
    }

    fn finish(&self, output: thread::Result<F::Output>) {
        let waker = {
            let mut state = self.lock();
            state.stage = JobStage::Done(output);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<F, M> Job for PoolJob<F, M>
where
    F: Future + Send,
    F::Output: Send,
    M: Meanwhile,
{
    fn run(&self) {
        if let Some(future) = self.claim() {
            let run = AssertUnwindSafe(|| block_on_beside(&self.meanwhile, future));
            self.finish(catch_unwind(run));
        }
    }
}

/// What the waiting task needs of a job, whatever its future is.
trait Awaited<T>: Send + Sync {
    /// The output; or nothing, and the context's waker is woken when it is there.
    fn poll_output(&self, context: &Context<'_>) -> Poll<thread::Result<T>>;
    /// Forgets a job that has not begun.
    fn give_up(&self);
}

impl<F, M> Awaited<F::Output> for PoolJob<F, M>
where
    F: Future + Send,
    F::Output: Send,
    M: Meanwhile,
{
    fn poll_output(&self, context: &Context<'_>) -> Poll<thread::Result<F::Output>> {
        if self.meanwhile.begins_own() {
            self.run();
        }
        let mut state = self.lock();
        if let JobStage::Done(_) = state.stage
            && let JobStage::Done(output) = std::mem::replace(&mut state.stage, JobStage::Taken)
        {
            return Poll::Ready(output);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn give_up(&self) {
        drop(self.claim());
    }
}

/// A lane is waited for, and goes on by its worker's turns.
impl<F, M> Awaited<F::Output> for Turns<F, M>
where
    F: Future + Send,
    F::Output: Send,
    M: Meanwhile,
{
    fn poll_output(&self, context: &Context<'_>) -> Poll<thread::Result<F::Output>> {
        self.poll_ended(context)
    }

    /// A lane ends when its load does.
    fn give_up(&self) {}
}

/// A started job's handle.
pub struct PoolJoin<T>(Arc<dyn Awaited<T>>);

impl<T> PoolJoin<T> {
    /// The handle of a job or a lane.
    #[expect(private_bounds, reason = "nobody else has what can be awaited so")]
    pub(super) fn of(awaited: Arc<impl Awaited<T> + 'static>) -> Self {
        Self(awaited)
    }
}

impl<T> Future for PoolJoin<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.0.poll_output(context).map(|output| match output {
            Ok(output) => output,
            Err(panic) => resume_unwind(panic),
        })
    }
}

impl<T> Drop for PoolJoin<T> {
    fn drop(&mut self) {
        self.0.give_up();
    }
}
