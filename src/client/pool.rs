//! A pool: at most so many connections for all tasks, which wait for one in the executor's own way.
//!
//! A connection is opened when a task gets a permit and none is idle. One that was lost is not
//! given back; its permit is. The one that was idle for longest is taken first, so that all of them
//! are used, and so that those behind one which has been idle for too short a time have been, too.

use std::{sync::Arc, time::Duration};

use concurrent_queue::ConcurrentQueue;

use super::{Fault, FaultKind, turns::PoolTurns};
use crate::runtime::{Native, Semaphore as _};

/// Connections of the type `T` that tasks share.
pub struct Pool<N: Native, T> {
    permits: N::Semaphore,
    idle: ConcurrentQueue<T>,
    limit: Option<Duration>,
    turns: PoolTurns,
    places: u64,
}

/// The right to one connection, and the connection if there was an idle one. Dropping it gives the
/// right back.
pub struct Lease<N: Native, T: Send + 'static> {
    pool: Arc<Pool<N, T>>,
    idle: Option<T>,
    passed_over: bool,
}

impl<N: Native, T: Send + 'static> Pool<N, T> {
    /// A pool of at most `most` connections, for one of which a task waits at most `limit`.
    pub fn new(most: usize, limit: Option<Duration>) -> Self {
        let most = most.max(1);
        let (permits, idle) = (N::Semaphore::new(most), ConcurrentQueue::bounded(most));
        Self { permits, idle, limit, turns: PoolTurns::default(), places: most as u64 }
    }

    /// Waits for the right to a connection.
    pub async fn acquire(self: &Arc<Self>) -> Result<Lease<N, T>, Fault> {
        let Some(limit) = self.limit else { return Ok(self.acquire_patiently().await) };
        let waiting = self.turns.wait();
        match N::timeout(limit, self.permits.acquire()).await {
            Ok(()) => Ok(self.lease(waiting.served(self.places))),
            Err(_) => Err(Fault::new(
                FaultKind::PoolTimeout,
                format!(
                    "no connection of the pool became free within {limit:?}; raise `max` or `acquire_timeout`"
                ),
            )),
        }
    }

    /// Waits for as long as it takes, whatever the limit: for what is not measured.
    pub async fn acquire_patiently(self: &Arc<Self>) -> Lease<N, T> {
        let waiting = self.turns.wait();
        self.permits.acquire().await;
        self.lease(waiting.served(self.places))
    }

    fn lease(self: &Arc<Self>, passed_over: bool) -> Lease<N, T> {
        // Empty, or never closed: either way there is none.
        Lease { pool: self.clone(), idle: self.idle.pop().ok(), passed_over }
    }
}

impl<N: Native, T: Send + 'static> Lease<N, T> {
    /// The idle connection, if there was one.
    pub fn take(&mut self) -> Option<T> {
        self.idle.take()
    }

    /// Another one that is idle, in place of one that was of no use.
    pub fn take_next(&mut self) -> Option<T> {
        self.take().or_else(|| self.pool.idle.pop().ok())
    }

    /// Whether many that had not waited so long were served first.
    pub fn was_passed_over(&self) -> bool {
        self.passed_over
    }

    /// Gives the connection and the right to one back.
    pub fn give_back(mut self, connection: T) {
        self.idle = Some(connection);
    }
}

impl<N: Native, T: Send + 'static> Drop for Lease<N, T> {
    fn drop(&mut self) {
        if let Some(connection) = self.idle.take() {
            // There is room: there are no more connections than permits.
            let _ = self.pool.idle.push(connection);
        }
        self.pool.permits.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, block_on};

    #[test]
    fn what_is_given_back_is_used_again() {
        let pool: Arc<Pool<Blocking, u32>> = Arc::new(Pool::new(2, None));
        let (mut first, mut second) =
            (block_on(pool.acquire()).unwrap(), block_on(pool.acquire()).unwrap());
        assert_eq!((first.take(), second.take()), (None, None));
        first.give_back(1);
        second.give_back(2);
        // In the order in which they were given back.
        assert_eq!(block_on(pool.acquire()).unwrap().take(), Some(1));
        // That one was lost; its right is not.
        assert_eq!(block_on(pool.acquire()).unwrap().take(), Some(2));
        let (_third, _fourth) =
            (block_on(pool.acquire()).unwrap(), block_on(pool.acquire()).unwrap());
    }

    #[test]
    fn nobody_waits_for_ever() {
        let pool: Arc<Pool<Blocking, u32>> =
            Arc::new(Pool::new(1, Some(Duration::from_millis(20))));
        let held = block_on(pool.acquire()).unwrap();
        let fault = block_on(pool.acquire()).err().unwrap();
        assert_eq!(fault.kind, FaultKind::PoolTimeout);
        drop(held);
        assert!(block_on(pool.acquire()).is_ok());
    }

    #[test]
    fn who_is_patient_outlasts_the_limit() {
        let pool: Arc<Pool<Blocking, u32>> = Arc::new(Pool::new(1, Some(Duration::from_millis(1))));
        let held = block_on(pool.acquire()).unwrap();
        let other = pool.clone();
        let waiting = std::thread::spawn(move || block_on(other.acquire_patiently()).take());
        // One that is not patient gives up meanwhile.
        assert!(block_on(pool.acquire()).is_err());
        held.give_back(7);
        assert_eq!(waiting.join().unwrap(), Some(7));
    }

    #[test]
    fn a_permit_wakes_who_waits_for_it() {
        let pool: Arc<Pool<Blocking, u32>> = Arc::new(Pool::new(1, None));
        let held = block_on(pool.acquire()).unwrap();
        let other = pool.clone();
        let waiting = std::thread::spawn(move || block_on(other.acquire()).unwrap().take());
        held.give_back(7);
        assert_eq!(waiting.join().unwrap(), Some(7));
    }
}
