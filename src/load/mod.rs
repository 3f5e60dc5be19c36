//! Loads: how tasks arrive, and the slots that run them. One file per load.
//!
//! `t` is a task's intended start, `a` its actual start, `c` its completion. Latency is c − t in
//! every load and service is c − a.

mod batch;
mod clients;
mod closed;
mod executor;
mod giving_up;
mod lane;
mod log;
pub mod open;
mod outcome;
mod probe;
mod turns;
mod window;

pub use batch::Batch;
pub use clients::{ClientStage, attendance};
pub use closed::{CLIENT_BYTES, Closed, ClosedEnd, Launched, per_client};
pub use giving_up::{Drained, Left};
pub use lane::{LoadError, LoadShared, Lookout, Slot, WARMUP_TASKS, prepare};
pub use open::{Arrival, Open, Overflow, Stage};
pub use outcome::LoadOutcome;
pub use probe::{RunningProbe, objection};
pub use window::Window;
