//! Trials: one cell, run once in a fresh process. The only layer that starts processes.
//!
//! [`parent`] starts the child, watches over it and kills it; [`child`] builds the executor, runs
//! the load and proves the work; [`server`] is the process of an embedded target; [`wire`] is what
//! they say to each other; [`servers`] asks who answers at the targets; `workers.rs` is the processes
//! that steps compute in.

mod apart;
mod brief;
mod charging;
pub mod child;
pub mod conformance;
mod connected;
mod draws;
mod edge;
mod error;
mod judge;
mod last_words;
mod loads;
mod own_racer;
pub mod parent;
mod place;
mod proof;
mod race;
mod racer;
mod referee;
mod scratch;
pub mod server;
mod servers;
mod waits;
mod watcher;
mod window;
pub mod wire;
mod witness;
mod workers;

pub use brief::objection;
pub use own_racer::{RefereeLine, race};
pub use place::allowed_cpus;
pub use race::unavailable;
pub use racer::hello;
pub use servers::servers;
pub use wire::{Answer, Ended, TrialLoad, TrialPlan};
pub use workers::work;
