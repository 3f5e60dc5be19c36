//! Executors: who runs the tasks. One file per executor, plus its two lines here.
//!
//! [`Runtime`] is who owns the threads, and [`Native`] the streams and timers that steps use, statically dispatched.
//! Executors name no step, and steps name no executor. To add one: write its file after the pattern of `tokio.rs`,
//! declare it with `mod`, and name it in the table below.

#[cfg(feature = "async-std")]
mod async_std;
mod blocking;
mod census;
mod fill;
mod futures_stream;
mod queue;
mod semaphore;
mod sequential;
mod smol;
mod spec;
mod thread_pool;
mod threads;
mod tokio;
mod tokio_current_thread;
mod tokio_parts;

pub use blocking::{Blocking, block_on};
pub use census::threads_by_name;
pub use queue::{Queue, Ticket};
pub use semaphore::Semaphore;
pub use spec::{Elapsed, ExecutorInfo, Facts, Native, Runtime, Setup, Style, Visitor};

spec::executors! {
    sequential::Sequential,
    threads::Threads,
    thread_pool::ThreadPool,
    tokio::Tokio,
    tokio_current_thread::TokioCurrentThread,
    #[cfg(feature = "async-std")]
    async_std::AsyncStd,
    smol::Smol,
}
