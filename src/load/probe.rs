//! A probe: a task on the executor that asks to run every millisecond, and records how late it
//! runs. What blocks an event loop delays whatever else it should run, which the tasks that block
//! do not see.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    clock,
    measure::Recorders,
    runtime::{ExecutorInfo, NativeTimers, Runtime, Style},
};

/// So often the probe asks to run, in ns.
const PERIOD_NS: u64 = 1_000_000;
/// Nobody has told the probe to end.
const NOT_YET: u64 = u64::MAX;

/// A running probe.
pub struct RunningProbe<R: Runtime> {
    /// When the load ended, in ns of the clock.
    end_ns: Arc<AtomicU64>,
    task: R::Join<()>,
}

/// Why an executor with so many slots cannot run a probe beside its tasks, if so.
pub fn objection(info: &ExecutorInfo, slots: u64, pool_size: u64) -> Option<&'static str> {
    match info.style {
        Style::Serial => Some("one task runs after another, and nothing beside them"),
        Style::Pool | Style::Stealing if slots >= pool_size => {
            Some("every worker of the pool runs tasks, and none is free")
        }
        Style::Pool
        | Style::Stealing
        | Style::ThreadPerTask
        | Style::Workers
        | Style::OneWorker => None,
    }
}

impl<R: Runtime> RunningProbe<R> {
    /// Starts a probe, and waits until it has begun. An error means that the system refused a
    /// thread.
    pub fn start(runtime: &R, recorders: &Recorders) -> io::Result<Self> {
        let end_ns = Arc::new(AtomicU64::new(NOT_YET));
        let begun = Arc::new(AtomicBool::new(false));
        let probing = {
            let (recorders, end_ns, begun) = (recorders.clone(), end_ns.clone(), begun.clone());
            async move {
                begun.store(true, Relaxed);
                ticks::<R::Native>(recorders, end_ns).await;
            }
        };
        let task = runtime.spawn(probing)?;
        // A probe that still waits in a pool's queue when the load starts would be run by the next
        // worker that looks for a task of the load, and keep it to the end: the load would never
        // end, and so neither would the probe.
        runtime.block_on(async {
            while !begun.load(Relaxed) {
                R::Native::sleep(Duration::from_nanos(PERIOD_NS)).await;
            }
        });
        Ok(Self { end_ns, task })
    }

    /// Tells the probe that the load has ended, and waits for it.
    pub fn end(self, runtime: &R) {
        self.end_ns.store(clock::now_ns(), Relaxed);
        runtime.block_on(self.task);
    }

    /// Tells the probe that the load has ended, where the executor may hang.
    pub fn leave(self) {
        self.end_ns.store(clock::now_ns(), Relaxed);
    }
}

/// Ticks are due on a fixed grid, and all that were missed are recorded, each with its own
/// lateness: a loop that was blocked for a second kept a thousand of them waiting, not one.
async fn ticks<N: NativeTimers>(recorders: Recorders, end_ns: Arc<AtomicU64>) {
    let mut due_ns = clock::now_ns() + PERIOD_NS;
    loop {
        N::sleep(Duration::from_nanos(due_ns.saturating_sub(clock::now_ns()))).await;
        // An executor that nobody drives after the load is not late.
        let end_ns = end_ns.load(Relaxed);
        let now_ns = clock::now_ns().min(end_ns);
        while due_ns <= now_ns {
            recorders.delayed(due_ns, now_ns);
            due_ns += PERIOD_NS;
        }
        if end_ns != NOT_YET {
            return;
        }
    }
}
