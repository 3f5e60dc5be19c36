//! What the blocking executors share: the same futures as everywhere, driven so that each wait is
//! one blocking system call, as a synchronous programmer would write it.
//!
//! Nothing blocks while the task could still do something else. Only when the whole task can
//! make no progress does [`block_on`] allow one blocking call and poll again. So an HTTP GET is one
//! write and one read.

mod barrier;
mod channel;
mod condition;
mod event;
mod line;
mod mutex;
mod native;
mod parker;
mod rwlock;
mod semaphore;
mod stream;
mod task;

pub use native::Blocking;
pub use task::block_on;
pub(super) use task::{Meanwhile, OnlyParks, block_on_beside, park_until};
