//! Regatta races concurrency executors on the same declarative workload and proves that it was the
//! same.
//!
//! Data flows one way:
//!
//! ```text
//! scenario.toml ─▶ Scenario ─▶ Plan [Trial…] ─▶ child process ─▶ Measurements ─▶ run.jsonl ─▶ Analysis ─▶ table · HTML
//!   config,          plan          trial, run      load × step ×     measure         store       analysis    report
//!   scenario                                       runtime, targets
//! ```
//!
//! ARCHITECTURE.md says which module may know which.

pub mod analysis;
mod atomics;
pub mod cgroup;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod draw;
pub mod exit;
pub mod limits;
pub mod load;
pub mod measure;
pub mod plan;
pub mod protocol;
pub mod report;
pub mod run;
pub mod runtime;
pub mod scenario;
pub mod secret;
pub mod shared;
#[cfg(test)]
mod simulation;
pub mod step;
pub mod store;
pub mod targets;
pub mod trial;
pub mod units;
