//! Trials: one cell, run once in a fresh process. The only layer that starts processes.
//!
//! [`parent`] starts the child, watches over it and kills it; [`child`] builds the executor, runs the load and
//! proves the work; [`server`] is the process of an embedded target; [`wire`] is what they say to each other;
//! [`servers`] asks who answers at the targets.

mod apart;
mod charging;
pub mod child;
mod connected;
mod edge;
mod last_words;
pub mod parent;
mod place;
mod proof;
mod race;
mod scratch;
pub mod server;
mod servers;
mod waits;
mod watcher;
pub mod wire;
mod witness;

pub use place::allowed_cpus;
pub use servers::servers;
pub use wire::{Answer, Ended, TrialPlan};
