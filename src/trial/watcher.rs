//! Counts this process's threads while a load runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use super::place;
use crate::{clock, measure};

/// How often it looks, in ns.
const GLANCE_NS: u64 = 50_000_000;

/// A thread that counts threads, on the target's CPUs.
pub(super) struct Watcher {
    stop: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl Watcher {
    /// Starts counting the threads of this process.
    pub(super) fn start(cpus: Vec<usize>) -> Self {
        // The watcher itself is not one of the trial's threads.
        Self::of(cpus, || measure::thread_count().saturating_sub(1))
    }

    /// Starts looking at so many threads.
    pub(super) fn of(cpus: Vec<usize>, count: impl Fn() -> u64 + Send + 'static) -> Self {
        let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, highest) = (stop.clone(), most.clone());
        let thread = thread::spawn(move || {
            // Without its own CPUs it watches from wherever it is.
            let _ = place::pin(&cpus);
            measure::note_helper();
            while !stopped.load(Relaxed) {
                highest.fetch_max(count(), Relaxed);
                clock::sleep_until(clock::now_ns() + GLANCE_NS);
            }
        });
        Self { stop, most, thread }
    }

    /// Stops counting; the most threads that were seen at once, without its own.
    pub(super) fn stop(self) -> u64 {
        self.stop.store(true, Relaxed);
        // The watcher does nothing that could panic.
        let _ = self.thread.join();
        self.most.load(Relaxed)
    }
}
