//! `compio`: io_uring, and a runtime on each thread. Operations own their buffers and complete; a
//! task stays on the thread where it was started.
//!
//! compio's tasks, streams and timers belong to a thread. The executor's are started there, and
//! dropped there; a stream that another thread uses moves to it (`side`), and a handle that another
//! thread drops is sent home (`home`). Only io_uring is built in: it never polls in silence.

mod home;
mod household;
mod join;
mod native;
mod pool;
mod probe;
mod side;
mod socket;
mod stream;
#[cfg(test)]
mod tests;

use std::{
    future::Future,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread::{Builder, JoinHandle},
};

use super::{ExecutorInfo, Facts, Runtime, Setup, Style};
use home::{RingHome, WAKE_PLACES};
use household::Household;
use join::CompioJoin;
use native::CompioNative;
use stream::ROOM;

/// compio with a number of worker threads, each with a runtime of its own.
#[derive(Clone)]
pub struct Compio {
    household: Arc<Household>,
    workers: Arc<[Arc<RingHome>]>,
    hired: Arc<Mutex<Vec<HiredWorker>>>,
    /// Tasks that were started by others than workers, and those that nobody waits for: whose turn it
    /// is.
    started: Arc<AtomicUsize>,
}

/// A worker, and the thread to wait for when it is dismissed.
type HiredWorker = (Arc<RingHome>, JoinHandle<()>);

/// Where a task that is started now will live.
enum SpawnPlace {
    /// On this thread, which is a worker.
    Here(Arc<RingHome>),
    /// On that worker.
    There(Arc<RingHome>),
}

impl Compio {
    /// The caller's own thread if it is a worker, and else the worker whose turn it is.
    fn place(&self) -> SpawnPlace {
        let is_ours =
            |home: &Arc<RingHome>| home.is_worker && Arc::ptr_eq(&home.household, &self.household);
        if let Some(home) = RingHome::here().filter(is_ours) {
            return SpawnPlace::Here(home);
        }
        SpawnPlace::There(self.next_worker().clone())
    }

    /// The worker whose turn it is.
    fn next_worker(&self) -> &Arc<RingHome> {
        &self.workers[self.started.fetch_add(1, Relaxed) % self.workers.len()]
    }
}

/// Starts a worker, and waits until it has a ring.
fn hire(household: &Arc<Household>, number: usize) -> io::Result<HiredWorker> {
    let (ready, is_ready) = mpsc::channel();
    let household = household.clone();
    let thread = Builder::new().name(format!("compio-{number}")).spawn(move || {
        RingHome::work(&household, move |home| {
            // Whoever started it waits for this.
            let _ = ready.send(home);
        });
    })?;
    let home = is_ready.recv().unwrap_or_else(|_| Err(io::Error::other("a worker panicked")))?;
    Ok((home, thread))
}

/// Ends workers, and waits for them.
fn dismiss(workers: impl IntoIterator<Item = HiredWorker>) {
    let closed = workers.into_iter().map(|(home, thread)| {
        home.close();
        thread
    });
    for thread in closed.collect::<Vec<_>>() {
        // A worker that panicked has already handed its panic to whoever awaited the task.
        let _ = thread.join();
    }
}

fn ended() -> io::Error {
    io::Error::other("the executor has ended")
}

impl Runtime for Compio {
    const INFO: ExecutorInfo = ExecutorInfo {
        name: "compio",
        doc: "compio over io_uring: completions instead of readiness, and a runtime on each thread.",
        style: Style::Workers,
    };

    type Native = CompioNative;
    type Join<T: Send + 'static> = CompioJoin<T>;

    fn unavailable() -> Option<String> {
        probe::unavailable()
    }

    fn start(setup: &Setup) -> io::Result<Self> {
        let household = Arc::new(Household::new(setup.pool_size));
        let mut hired = Vec::new();
        for number in 0..setup.workers.max(1) {
            match hire(&household, number) {
                Ok(worker) => hired.push(worker),
                Err(why) => {
                    dismiss(hired);
                    return Err(why);
                }
            }
        }
        let workers = hired.iter().map(|(home, _)| home.clone()).collect();
        let hired = Arc::new(Mutex::new(hired));
        Ok(Self { household, workers, hired, started: Arc::default() })
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        RingHome::block_on(&self.household, future)
    }

    fn spawn<F>(&self, future: F) -> io::Result<CompioJoin<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.place() {
            SpawnPlace::Here(home) => Ok(CompioJoin::here(home, future)),
            SpawnPlace::There(home) => CompioJoin::at(home, future).ok_or_else(ended),
        }
    }

    fn spawn_detached<F>(&self, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Always to the worker whose turn it is: arrivals of an open load are started by a task of one
        // worker, and would all be its own.
        let start = move || ::compio::runtime::spawn(future).detach();
        self.next_worker().run(Box::new(start)).map_err(|_| ended())
    }

    fn facts(&self) -> Facts {
        let workers = self.workers.len();
        let (given_up, held) = self.household.given_up();
        let fact = |what: &str, value: String| (what.to_owned(), value);
        Facts::from([
            fact("threads for tasks", format!("{workers} workers, a ring each, no stealing")),
            fact("scheduler threads", workers.to_string()),
            fact("where tasks run", "those of a load in turn, children where they began".into()),
            fact("blocking work", "compio's pool, behind a queue of ours".into()),
            fact("cap of the blocking pool", self.household.pool.size().to_string()),
            fact("timer", "compio's ordered map, by io_uring_enter's time-out".into()),
            fact(
                "stream",
                format!("io_uring operations with buffers of their own, {} KiB", ROOM >> 10),
            ),
            fact("places for tasks woken by other threads", WAKE_PLACES.to_string()),
            fact("operations moved between workers", self.household.lent().to_string()),
            fact("operations given up in flight", given_up.to_string()),
            fact("operations given up that the kernel still has", held.to_string()),
        ])
    }

    fn stop(self) {
        let hired = std::mem::take(&mut *self.hired.lock().unwrap_or_else(PoisonError::into_inner));
        dismiss(hired);
        home::leave();
    }
}
