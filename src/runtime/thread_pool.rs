//! `thread-pool`: a fixed number of OS threads and one first-in-first-out queue.
//!
//! A worker that waits for jobs which its own task has started runs those of them that nobody has
//! taken yet, and parks otherwise. So nested jobs cannot deadlock (by induction on the tree of
//! jobs), and no foreign work gets into the latency of the task that waits.

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{Builder, JoinHandle},
};

use super::{
    ExecutorInfo, Facts, Queue, Runtime, Setup, Style, Tickets,
    blocking::{self, Blocking, OnlyParks},
    job::{MEANWHILE, PoolJob, PoolJoin},
    lane::Turns,
    queue::FoundWork,
    threads::DEFAULT_STACK,
};

/// A pool of worker threads.
#[derive(Clone)]
pub struct ThreadPool {
    queue: Arc<Queue>,
    workers: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

fn work(queue: &Queue, worker: usize) {
    loop {
        match queue.next_work(worker) {
            FoundWork::Job(job) => job.run(),
            FoundWork::Turn(lane, ticket) => {
                lane.turn(ticket);
            }
            FoundWork::Closed => break,
        }
    }
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
        let job = Arc::new(PoolJob::new(OnlyParks, future));
        self.queue.push_job(job.clone());
        Ok(PoolJoin::of(job))
    }

    fn spawn_detached<F>(&self, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.queue.push_job(Arc::new(PoolJob::new(OnlyParks, future)));
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
        let lane = Arc::new(Turns::new(desk, OnlyParks, future));
        tickets.serve(number, lane.clone());
        Ok(PoolJoin::of(lane))
    }

    fn queue(&self) -> Option<&Arc<Queue>> {
        Some(&self.queue)
    }

    fn facts(&self) -> Facts {
        let started = self.workers.lock().unwrap_or_else(PoisonError::into_inner).len();
        Facts::from([
            ("threads for tasks".into(), format!("{started} in a pool")),
            (MEANWHILE.into(), "runs those of its own that nobody has begun".into()),
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
