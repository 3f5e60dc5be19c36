//! Analysis: from a stored run to figures. Pure; knows nothing of how trials are executed.

mod cell;
pub mod metrics;
mod model;
mod ratio;
pub mod stats;

pub use metrics::{Axis, Better, METRICS, MetricInfo};
pub use model::*;
