//! What an executor is: the trait that each implements, and what is known of it without starting
//! it.

use std::{collections::BTreeMap, future::Future, io, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Native, Queue, Tickets};

/// What is known of an executor without starting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutorInfo {
    /// Its name in scenarios and cells.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub doc: &'static str,
    /// Who runs its tasks.
    pub style: Style,
}

/// Who runs an executor's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One thread, one task at a time.
    Serial,
    /// An OS thread for each task or client, so that the limits on threads apply.
    ThreadPerTask,
    /// A fixed number of threads, each with one task at a time.
    Pool,
    /// The same, but that a thread whose task waits for children runs others meanwhile: more may
    /// have begun than there are threads.
    Stealing,
    /// Scheduler threads, whose number is `workers`.
    Workers,
    /// A scheduler on one thread, whatever `workers` says.
    OneWorker,
}

impl Style {
    /// How many of `concurrency` tasks run at once at most, with a pool of this size.
    pub const fn slots(self, concurrency: u64, pool_size: u64) -> u64 {
        match self {
            Self::Serial => 1,
            Self::Pool | Self::Stealing if pool_size < concurrency => pool_size,
            Self::Pool | Self::Stealing | Self::ThreadPerTask | Self::Workers | Self::OneWorker => {
                concurrency
            }
        }
    }

    /// How many of `concurrency` tasks have begun at once at most, where they start children or do
    /// not: each of them owns a slot with its connections.
    pub const fn begun(self, concurrency: u64, pool_size: u64, fans_out: bool) -> u64 {
        match self {
            Self::Stealing if fans_out => concurrency,
            _ => self.slots(concurrency, pool_size),
        }
    }

    /// Whether it has a fixed number of threads, each with one task at a time; the number is in the
    /// executor's label.
    pub const fn is_pool(self) -> bool {
        matches!(self, Self::Pool | Self::Stealing)
    }

    /// Whether tasks take turns on a thread by their own good will. Otherwise a thread is one
    /// task's at a time, and the kernel takes the CPU from it.
    pub const fn shares_threads(self) -> bool {
        matches!(self, Self::Workers | Self::OneWorker)
    }

    /// Whether who polls a task's handle waits there until the task has ended, as who joins a
    /// thread does.
    pub const fn joins_block(self) -> bool {
        matches!(self, Self::ThreadPerTask)
    }
}

/// How an executor is set up: the same for all of them, as far as it applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Scheduler threads.
    pub workers: usize,
    /// Threads of the thread pool, and the cap of every pool for blocking work.
    pub pool_size: usize,
    /// Stack of each thread that a blocking executor starts, in bytes; none: 2 MiB, Rust's default.
    pub stack_size: Option<u64>,
}

/// What an executor says of itself, for the fairness manifest: label and value.
pub type Facts = BTreeMap<String, String>;

/// An executor: who owns the threads and what runs on them.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// What is known of it without starting it.
    const INFO: ExecutorInfo;

    /// Its primitives. Steps are built for these, so that executors with the same primitives share
    /// their code.
    type Native: Native;
    /// A started task's handle. Dropping it before it is ready gives the task up where the executor
    /// can.
    type Join<T: Send + 'static>: Future<Output = T> + Send + Unpin + 'static;

    /// Why this host cannot run it, in words; none: it can. It may ask the kernel.
    fn unavailable() -> Option<String> {
        None
    }

    /// Starts the executor's threads.
    fn start(setup: &Setup) -> io::Result<Self>;

    /// Runs a future to its end on the calling thread, inside the executor.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Starts a task. An error means that the system refused a thread.
    fn spawn<F>(&self, future: F) -> io::Result<Self::Join<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Starts a task that nobody waits for and that nothing gives up. An error means that the
    /// system refused a thread.
    fn spawn_detached<F>(&self, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static;

    /// Starts a lane that takes its work from the queue, by its number among those of its load. An
    /// error means that the system refused a thread.
    fn spawn_lane<F>(
        &self,
        _tickets: &Tickets,
        _number: usize,
        future: F,
    ) -> io::Result<Self::Join<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(future)
    }

    /// The queue in which tasks wait for one of a fixed number of workers, where there is one.
    fn queue(&self) -> Option<&Arc<Queue>> {
        None
    }

    /// A load's way to the workers of a pool, by its place among the loads of its trial; none:
    /// lanes look after their clients themselves.
    fn tickets(&self, load: usize) -> Option<Tickets> {
        self.queue().map(|queue| Tickets::new(queue, load))
    }

    /// From now on so many loads share the workers of a pool.
    fn share(&self, loads: usize) {
        if let Some(queue) = self.queue() {
            queue.share(loads);
        }
    }

    /// What the executor says of itself.
    fn facts(&self) -> Facts;

    /// Ends the executor's threads.
    fn stop(self) {}
}

/// Something to be done with an executor that is only known by name.
pub trait Visitor {
    /// What comes of it.
    type Output;
    /// Does it with this executor.
    fn visit<R: Runtime>(self) -> Self::Output;
}

/// Writes the table of executors from one line each.
macro_rules! executors {
    ($($(#[$gate:meta])* $path:path,)*) => {
        /// All executors of this build, in the order in which they are shown.
        pub const EXECUTORS: &[ExecutorInfo] = &[$($(#[$gate])* <$path as Runtime>::INFO,)*];

        /// Calls the visitor with the executor called `name`; `None` if this build has none of that
        /// name.
        pub fn dispatch<V: Visitor>(name: &str, visitor: V) -> Option<V::Output> {
            $($(#[$gate])*
            if name == <$path as Runtime>::INFO.name {
                return Some(visitor.visit::<$path>());
            })*
            None
        }

        /// Why this host cannot run the executor called `name`, in words; none: it can, or there is
        /// none of that name.
        pub fn unavailable(name: &str) -> Option<String> {
            $($(#[$gate])*
            if name == <$path as Runtime>::INFO.name {
                return <$path as Runtime>::unavailable();
            })*
            None
        }

        /// Looks an executor up by name.
        pub fn executor(name: &str) -> Option<&'static ExecutorInfo> {
            EXECUTORS.iter().find(|info| info.name == name)
        }
    };
}
pub(super) use executors;
