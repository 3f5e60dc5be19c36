//! Analysis: from a stored run to figures. Pure; knows nothing of how trials are executed.

mod model;
pub mod stats;

pub use model::*;
