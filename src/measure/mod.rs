//! Recording: what a trial measures, from a clock reading to a stored histogram.

mod histogram;
mod model;

pub use histogram::{Histo, Quantile};
pub use model::*;
