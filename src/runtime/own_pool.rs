//! `blocking = "own-pool"`: a pool of threads of the scenario's own, apart from the executor.
//!
//! It is what users build who want blocking work bounded, or apart from everything else that the
//! executor's pool does: rayon's pool, and a one-shot channel for the answer. It is the same code
//! under every executor; only the wake-up of the task that waits is the executor's own.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rayon_core::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

/// A pool of threads that is the same under every executor.
pub struct OwnPool(ThreadPool);

impl OwnPool {
    /// Starts so many threads; an error says why the system has refused one.
    pub fn start(threads: usize) -> Result<Self, String> {
        let builder = ThreadPoolBuilder::new().num_threads(threads);
        let named = builder.thread_name(|number| format!("own-pool-{number}"));
        named.build().map(Self).map_err(|why| why.to_string())
    }

    /// Does the work on one of its threads, in the order in which it is handed over. Whoever gives
    /// it up leaves it to be done.
    pub async fn run<T, W>(&self, work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.0.spawn_fifo(move || {
            // An error means that nobody waits any more.
            let _ = answer.send(catch_unwind(AssertUnwindSafe(work)));
        });
        match answered.await {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => unreachable!("what is in the pool is done, and answers whatever happens"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::runtime::block_on;

    #[test]
    fn work_is_done_there_and_so_is_a_panic() {
        let pool = OwnPool::start(2).unwrap();
        let where_it_ran = || thread::current().name().unwrap_or_default().to_owned();
        assert!(block_on(pool.run(where_it_ran)).starts_with("own-pool-"));
        let broken = AssertUnwindSafe(|| block_on(pool.run(|| panic!("by work"))));
        assert!(catch_unwind(broken).is_err());
        assert_eq!(block_on(pool.run(|| 5)), 5);
    }
}
