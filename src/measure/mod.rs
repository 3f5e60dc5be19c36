//! Recording: what a trial measures, from a clock reading to a stored histogram.

mod counts;
mod histogram;
mod host;
mod listener;
mod metric;
mod model;
mod outside;
mod process;
mod recorder;
mod slices;
mod slot;
mod tree;

pub use counts::{RecordedSlot, SlotCounts, TooLarge};
pub use histogram::{Bound, Histo, QUANTILES, Quantile};
pub use host::{HostSample, HostSpan, TICK_NS};
pub use listener::{Listening, listening, listening_at};
pub use metric::MetricId;
pub use model::*;
pub use outside::{Outside, ProcessSet};
pub use process::{
    HelperTimes, ProcessSample, ProcessTimes, note_helper, peak_memory_bytes,
    resident_memory_bytes, thread_count, thread_waited_ns, times_of,
};
pub use recorder::{Ending, Record, Recorder, Recorders, Silent};
pub use slot::{HIGHEST_NS, MOST_NS};
pub use tree::{Kin, Watched};
