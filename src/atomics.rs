//! What threads share without a lock, under one name: so that `tests/explore` can put loom's in its
//! place, and try every order in which threads may meet in the files that use it.

pub use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
    thread,
};

pub use atomic_waker::AtomicWaker;
pub use concurrent_queue::ConcurrentQueue;
pub use crossbeam_utils::atomic::AtomicCell;
