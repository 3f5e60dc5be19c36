//! The harness tested on truth: the loads, slots and recorders that measure for real, run on a
//! virtual clock against a simulated server whose latencies are known in closed form. Compiled for
//! tests only.
//!
//! `executor` and `native` are an executor in virtual time on one thread, `server` is what its
//! slots call, `rig` builds the slots. `oracle` compares what was recorded with what must be,
//! `laws` has the closed forms. The rest are the tests (METHODOLOGY, "Tested on truth").

mod batch;
mod capacity;
mod closed;
mod executor;
mod laws;
mod mutant;
mod native;
mod open;
mod oracle;
mod order;
mod pool;
mod probe;
mod rig;
mod server;
mod starvation;
mod together;
mod verdict;

use executor::{Simulated, simulate};
use native::SimulatedNative;
