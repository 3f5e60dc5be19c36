//! Recording: what a trial measures, from a clock reading to a stored histogram.

mod counts;
mod histogram;
mod host;
mod listener;
mod metric;
mod model;
mod process;
mod recorder;
mod slices;
mod tree;

pub use counts::{Counts, Recorded, TooLarge};
pub use histogram::{Bound, HIGHEST_NS, Histo, MOST_NS, QUANTILES, Quantile};
pub use host::{HostSample, Span, TICK_NS};
pub use listener::{Listening, listening, listening_at};
pub use metric::MetricId;
pub use model::*;
pub use process::{
    HelperTimes, ProcessSample, Times, note_helper, peak_memory_bytes, resident_memory_bytes, thread_count,
    thread_waited_ns, times_of,
};
pub use recorder::{Ending, Record, Recorder, Recorders, Silent};
pub use tree::{Kin, Watched};
