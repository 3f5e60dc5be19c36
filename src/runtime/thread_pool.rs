//! `thread-pool`: a fixed number of OS threads and one first-in-first-out queue.
//!
//! A worker that waits for jobs which its own task has started runs those of them that nobody has
//! taken yet, and parks otherwise. So nested jobs cannot deadlock (by induction on the tree of
//! jobs), and no foreign work gets into the latency of the task that waits.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread::{Builder, JoinHandle},
};

use super::{
    ExecutorInfo, Facts, Queue, Runtime, Setup, Style, Tickets,
    blocking::{self, Blocking},
    lane::Turns,
    queue::{FoundWork, Job},
    threads::DEFAULT_STACK,
};

/// A pool of worker threads.
#[derive(Clone)]
pub struct ThreadPool {
    queue: Arc<Queue>,
    workers: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// A job in the pool: not begun, running, or done.
struct PoolJob<F: Future> {
    state: Mutex<JobState<F>>,
}

enum JobState<F: Future> {
    Waiting(F),
    Running(Option<Waker>),
    Done(std::thread::Result<F::Output>),
    Taken,
}

impl<F: Future> PoolJob<F> {
    fn lock(&self) -> MutexGuard<'_, JobState<F>> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the job for running, if nobody has.
    fn claim(&self) -> Option<F> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, JobState::Running(None)) {
            JobState::Waiting(future) => Some(future),
            other => {
                *state = other;
                None
            }
        }
    }

    fn finish(&self, output: std::thread::Result<F::Output>) {
        let before = std::mem::replace(&mut *self.lock(), JobState::Done(output));
        if let JobState::Running(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl<F> Job for PoolJob<F>
where
    F: Future + Send,
    F::Output: Send,
{
    fn run(&self) {
        if let Some(future) = self.claim() {
            let run = std::panic::AssertUnwindSafe(|| blocking::block_on(future));
            self.finish(std::panic::catch_unwind(run));
        }
    }
}

/// What the waiting task needs of a job, whatever its future is.
trait Awaited<T>: Send + Sync {
    /// The output; or nothing, and the context's waker is woken when it is there.
    fn poll_output(&self, context: &Context<'_>) -> Poll<std::thread::Result<T>>;
    /// Forgets a job that has not begun.
    fn give_up(&self);
}

impl<F> Awaited<F::Output> for PoolJob<F>
where
    F: Future + Send,
    F::Output: Send,
{
    fn poll_output(&self, context: &Context<'_>) -> Poll<std::thread::Result<F::Output>> {
        self.run();
        let mut state = self.lock();
        if let JobState::Done(output) = std::mem::replace(&mut *state, JobState::Taken) {
            return Poll::Ready(output);
        }
        *state = JobState::Running(Some(context.waker().clone()));
        Poll::Pending
    }

    fn give_up(&self) {
        drop(self.claim());
    }
}

/// A started job's handle.
pub struct PoolJoin<T>(Arc<dyn Awaited<T>>);

impl<T> Future for PoolJoin<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.0.poll_output(context).map(|output| match output {
            Ok(output) => output,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

impl<T> Drop for PoolJoin<T> {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

fn work(queue: &Queue, worker: usize) {
    loop {
        match queue.next_work(worker) {
            FoundWork::Job(job) => job.run(),
            FoundWork::Turn(lane, ticket) => lane.turn(ticket),
            FoundWork::Closed => break,
        }
    }
}

/// A lane is waited for, and goes on by its worker's turns.
impl<F> Awaited<F::Output> for Turns<F>
where
    F: Future + Send,
    F::Output: Send,
{
    fn poll_output(&self, context: &Context<'_>) -> Poll<std::thread::Result<F::Output>> {
        self.poll_ended(context)
    }

    /// A lane ends when its load does.
    fn give_up(&self) {}
}

impl Runtime for ThreadPool {
    const INFO: ExecutorInfo = ExecutorInfo {
        name: "thread-pool",
        doc: "A fixed number of OS threads and one first-in-first-out queue.",
        style: Style::Pool,
    };

    type Native = Blocking;
    type Join<T: Send + 'static> = PoolJoin<T>;

    fn start(setup: &Setup) -> io::Result<Self> {
        let stack_size = setup.stack_size.unwrap_or(DEFAULT_STACK) as usize;
        let queue = Arc::new(Queue::default());
        let workers: io::Result<Vec<_>> = (0..setup.pool_size)
            .map(|number| {
                let queue = queue.clone();
                let builder = Builder::new().name(format!("pool-{number}")).stack_size(stack_size);
                builder.spawn(move || work(&queue, number))
            })
            .collect();
        Ok(Self { queue, workers: Arc::new(Mutex::new(workers?)) })
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        blocking::block_on(future)
    }

    fn spawn<F>(&self, future: F) -> io::Result<PoolJoin<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let job = Arc::new(PoolJob { state: Mutex::new(JobState::Waiting(future)) });
        self.queue.push_job(job.clone());
        Ok(PoolJoin(job))
    }

    fn spawn_detached<F>(&self, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.queue.push_job(Arc::new(PoolJob { state: Mutex::new(JobState::Waiting(future)) }));
        Ok(())
    }

    /// A lane of one load alone has a worker for itself. Where loads share the workers, the one
    /// with the lane's number serves it turn by turn.
    fn spawn_lane<F>(
        &self,
        tickets: &Tickets,
        number: usize,
        future: F,
    ) -> io::Result<PoolJoin<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let Some(desk) = tickets.desk() else { return self.spawn(future) };
        let lane = Arc::new(Turns::new(desk, future));
        tickets.serve(number, lane.clone());
        Ok(PoolJoin(lane))
    }

    fn queue(&self) -> Option<&Arc<Queue>> {
        Some(&self.queue)
    }

    fn facts(&self) -> Facts {
        let started = self.workers.lock().unwrap_or_else(PoisonError::into_inner).len();
        Facts::from([
            ("threads for tasks".into(), format!("{started} in a pool")),
            ("blocking work".into(), "inline".into()),
            ("stream".into(), "blocking socket".into()),
            ("timer".into(), "the kernel's: nanosleep and time-outs of sockets".into()),
        ])
    }

    fn stop(self) {
        self.queue.close();
        let workers =
            std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            // A worker cannot panic: jobs catch their own panics and hand them to whoever waits.
            let _ = worker.join();
        }
    }
}
