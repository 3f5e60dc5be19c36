//! Executors: who runs the tasks. One file per executor, plus its two lines here.
//!
//! [`Runtime`] is who owns the threads, and [`Native`] the families of primitives that steps use,
//! statically dispatched. Executors name no step, and steps name no executor. To add one: write its
//! file after the pattern of `smol.rs`, declare it with `mod`, and name it in the table below.

#[cfg(feature = "async-std")]
mod async_std;
mod barrier;
mod blocking;
mod census;
mod channel;
#[cfg(all(feature = "compio", target_os = "linux"))]
mod compio;
mod condition;
mod elapsed;
mod event;
mod fill;
mod futures_stream;
mod job;
mod lane;
mod mutex;
mod native;
mod own_pool;
mod queue;
mod rayon;
mod rwlock;
mod semaphore;
mod sequential;
mod smol;
mod spec;
#[cfg(test)]
pub(crate) mod testing;
mod thread_pool;
mod threads;
mod ticket;
mod tokio;
mod tokio_current_thread;
mod tokio_parts;

pub use barrier::Barrier;
pub use blocking::{Blocking, block_on};
pub use census::threads_by_name;
pub use channel::{Channel, SmolChannel};
pub use condition::{Condition, ListenerCondition, Waking};
pub use elapsed::Elapsed;
pub use event::{EventFlag, ListenerEvent};
pub use mutex::{Guarded, Mutex};
pub use native::{Coordination, Io, Native, NativeTimers, NativeWork};
pub use own_pool::OwnPool;
pub use queue::{Queue, Tickets};
pub use rwlock::RwLock;
pub use semaphore::Semaphore;
pub use spec::{ExecutorInfo, Facts, Runtime, Setup, Style, Visitor};
pub use ticket::Ticket;

spec::executors! {
    sequential::Sequential,
    threads::Threads,
    thread_pool::ThreadPool,
    rayon::Rayon,
    tokio::Tokio,
    tokio_current_thread::TokioCurrentThread,
    #[cfg(feature = "async-std")]
    async_std::AsyncStd,
    smol::Smol,
    #[cfg(all(feature = "compio", target_os = "linux"))]
    compio::Compio,
}
