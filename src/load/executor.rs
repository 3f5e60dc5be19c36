//! The thread on which an executor runs a closed load that ends by time: waited for as long as one
//! wants to, and left behind with whatever hangs on it.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{LoadError, LoadShared};
use crate::clock;

/// Tasks of an executor that runs them where it is started had the stack of the main thread: as
/// long as that may be.
const STACK: usize = 8 << 20;
/// How often it is looked whether the trial must fail, in ns.
const GLANCE_NS: u64 = 50_000_000;
/// What does not hang may take so long to notice that the load was given up, and it is looked so
/// often for it, in ns.
const GRACE_NS: u64 = 100_000_000;
const LAST_GLANCE_NS: u64 = 1_000_000;

/// A running load.
pub(super) struct Executor {
    /// Closed by the thread's end, whatever that is.
    ended: Receiver<()>,
    thread: JoinHandle<Result<(), LoadError>>,
}

impl Executor {
    pub(super) fn start(
        work: impl FnOnce() -> Result<(), LoadError> + Send + 'static,
    ) -> Result<Self, LoadError> {
        let (ends, ended) = channel();
        let thread =
            thread::Builder::new().name("executor".into()).stack_size(STACK).spawn(move || {
                let _ends = ends;
                work()
            });
        let thread =
            thread.map_err(|source| LoadError::Thread { started: 0, wanted: 1, source })?;
        Ok(Self { ended, thread })
    }

    /// Waits for the load, but not longer than to this moment; whether it has ended.
    pub(super) fn ends_before(&self, limit_ns: u64) -> bool {
        let rest = Duration::from_nanos(limit_ns.saturating_sub(clock::now_ns()));
        matches!(self.ended.recv_timeout(rest), Err(RecvTimeoutError::Disconnected))
    }

    /// What came of it, once it has ended.
    pub(super) fn join(self) -> Result<(), LoadError> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Sleeps until an edge of the window, or until a trial that must fail has stopped its clients.
pub(super) fn sleep_until(until_ns: u64, shared: &LoadShared) {
    while clock::now_ns() < until_ns && !shared.stopped() {
        clock::sleep_until(until_ns.min(clock::now_ns() + GLANCE_NS));
    }
}

/// Lets what does not hang come to its end.
pub(super) fn grace(all_are_back: impl Fn() -> bool) {
    let limit_ns = clock::now_ns() + GRACE_NS;
    while clock::now_ns() < limit_ns && !all_are_back() {
        clock::sleep_until(clock::now_ns() + LAST_GLANCE_NS);
    }
}
