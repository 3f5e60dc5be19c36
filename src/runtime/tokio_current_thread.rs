//! `tokio-current-thread`: tokio on a single thread, the one that waits for the run to end.

use ::tokio::runtime::{Builder, Runtime as TokioRuntime};

use super::{
    ExecutorInfo, Facts, Setup, Style,
    tokio_parts::{Flavour, TokioOf},
};

/// tokio on the calling thread.
pub type TokioCurrentThread = TokioOf<CurrentThread>;

/// The calling thread alone.
pub struct CurrentThread;

impl Flavour for CurrentThread {
    const INFO: ExecutorInfo = ExecutorInfo {
        name: "tokio-current-thread",
        doc: "tokio on a single thread.",
        style: Style::OneWorker,
    };

    fn builder(_: &Setup) -> Builder {
        Builder::new_current_thread()
    }

    fn facts(_: &TokioRuntime) -> Facts {
        Facts::from([("threads for tasks".into(), "1, the main thread".into())])
    }
}
