//! Executors: who runs the tasks. One file per executor, plus its two lines here.

/// What is known of an executor without starting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutorInfo {
    /// Its name in scenarios and cells.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub doc: &'static str,
    /// Whether at most one task runs at a time.
    pub serial: bool,
}

/// All executors, in the order in which they are shown.
pub const EXECUTORS: &[ExecutorInfo] = &[
    ExecutorInfo { name: "sequential", doc: "One thread, one task after another.", serial: true },
    ExecutorInfo { name: "threads", doc: "One OS thread per task or client.", serial: false },
    ExecutorInfo { name: "thread-pool", doc: "A fixed number of OS threads and one FIFO queue.", serial: false },
    ExecutorInfo { name: "tokio", doc: "tokio's multi-thread scheduler.", serial: false },
    ExecutorInfo { name: "tokio-current-thread", doc: "tokio on a single thread.", serial: false },
    ExecutorInfo { name: "async-std", doc: "async-std, discontinued upstream (RUSTSEC-2025-0052).", serial: false },
    ExecutorInfo { name: "smol", doc: "smol's executor, with as many threads as the others get.", serial: false },
];

/// Looks an executor up by name.
pub fn executor(name: &str) -> Option<&'static ExecutorInfo> {
    EXECUTORS.iter().find(|info| info.name == name)
}
