//! Shared objects: what tasks wait on together, such as a queue, a mutex or a semaphore. One file
//! per kind, plus its two lines here.
//!
//! An object is described in a table `[shared.NAME]` of the scenario, made of the executor's own
//! primitives when a trial begins, and shared by all steps that name it. It keeps an account of its
//! own, which the proof compares with that of the steps. To add a kind: write its file after the
//! pattern of `mutex.rs`, declare it with `mod`, and name it in the table below.

mod barrier;
mod cells;
mod condition;
mod event;
mod event_word;
mod mutex;
mod objects;
mod queue;
mod ranked;
mod rate_limit;
mod rwlock;
mod semaphore;
mod spec;

pub use barrier::{BarrierOf, Party};
pub use condition::{ConditionOf, Ticketer};
pub use event::{EventOf, EventWaiter, Herald};
pub use mutex::{MutexHold, MutexOf};
pub use objects::{NamedShared, Objects, SharedError, facts};
pub use queue::{Putter, QueueOf, Taker};
pub use rate_limit::{Passer, RateLimit};
pub use rwlock::{ReadHold, RwLockOf, RwLockReader, RwLockWriter, WriteHold};
pub use semaphore::{Permit, SemaphoreOf, Sharer};
pub use spec::{Made, ObjectLine, SharedAccount, SharedCalls, SharedCounts, SharedKind};

spec::shared! {
    Queue => queue::SharedQueue,
    Mutex => mutex::SharedMutex,
    Semaphore => semaphore::SharedSemaphore,
    Rwlock => rwlock::SharedRwLock,
    Barrier => barrier::SharedBarrier,
    Event => event::SharedEvent,
    Condition => condition::SharedCondition,
    RateLimit => rate_limit::SharedRateLimit,
}
