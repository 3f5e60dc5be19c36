//! Regatta races concurrency executors on the same declarative workload and proves that it was the same.

pub mod analysis;
pub mod clock;
pub mod config;
pub mod draw;
pub mod load;
pub mod measure;
pub mod runtime;
pub mod scenario;
pub mod step;
pub mod store;
pub mod target;
pub mod trial;
pub mod units;
