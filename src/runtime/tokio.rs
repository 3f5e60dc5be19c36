//! `tokio`: tokio's multi-thread, work-stealing scheduler.

use ::tokio::runtime::{Builder, Runtime as TokioRuntime};

use super::{
    ExecutorInfo, Facts, Setup, Style,
    tokio_parts::{Flavour, TokioOf},
};

/// tokio with a number of worker threads.
pub type Tokio = TokioOf<WorkStealing>;

/// Worker threads that steal from each other.
pub struct WorkStealing;

impl Flavour for WorkStealing {
    const INFO: ExecutorInfo = ExecutorInfo {
        name: "tokio",
        doc: "tokio's multi-thread scheduler.",
        style: Style::Workers,
    };

    fn builder(setup: &Setup) -> Builder {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(setup.workers);
        builder
    }

    fn facts(runtime: &TokioRuntime) -> Facts {
        let workers = runtime.metrics().num_workers();
        Facts::from([
            ("threads for tasks".into(), format!("{workers} workers, work stealing")),
            ("scheduler threads".into(), workers.to_string()),
        ])
    }
}
