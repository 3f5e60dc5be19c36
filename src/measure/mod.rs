//! Recording: what a trial measures, from a clock reading to a stored histogram.

mod histogram;
mod metric;
mod model;
mod process;
mod recorder;

pub use histogram::{Histo, QUANTILES, Quantile};
pub use metric::MetricId;
pub use model::*;
pub use process::{ProcessSample, cpu_ns_of, peak_memory_bytes, resident_memory_bytes, thread_count};
pub use recorder::{Ending, Recorder, Recorders};
