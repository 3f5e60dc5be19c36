//! The measured path: a few relaxed additions per operation, no lock and no allocation.
//!
//! Latencies go into arrays of atomic counters laid out like an HdrHistogram, a few for the whole process rather
//! than one per task, and become histograms when the load has ended.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    Histo, NamedStream, Slice, Stream,
    histogram::{HIGHEST_NS, SLOTS, lowest_value, slot_of},
    slices::Slices,
};

/// The window of intended starts that count, in ns of the monotonic clock.
#[derive(Debug)]
struct Window {
    from_ns: AtomicU64,
    to_ns: AtomicU64,
}

impl Window {
    #[inline]
    fn holds(&self, intended_ns: u64) -> bool {
        intended_ns >= self.from_ns.load(Relaxed) && intended_ns < self.to_ns.load(Relaxed)
    }
}

struct Counters {
    slots: Box<[AtomicU64]>,
}

impl Counters {
    fn new() -> Self {
        // Pages that are never counted in stay untouched, so the memory figure does not see them.
        Self { slots: bytemuck::zeroed_slice_box(SLOTS) }
    }

    #[inline]
    fn add(&self, ns: u64) {
        self.slots[slot_of(ns.clamp(1, HIGHEST_NS))].fetch_add(1, Relaxed);
    }

    /// Counts all values as `ns`.
    fn count_as(&self, ns: u64, histo: &mut Histo) {
        let values = self.slots.iter().map(|counter| counter.load(Relaxed)).sum();
        histo.0.saturating_record_n(ns, values);
    }

    fn drain_into(&self, histo: &mut Histo) {
        for (slot, counter) in self.slots.iter().enumerate() {
            let count = counter.load(Relaxed);
            if count > 0 {
                // Saturating, because the lowest value of a slot is always within the histogram's bounds.
                histo.0.saturating_record_n(lowest_value(slot), count);
            }
        }
    }
}

/// What one shard holds of one stream.
struct StreamCounters {
    /// Of operations that started when they were meant to: latency and service are one value, counted once, and
    /// lateness is none.
    both: Counters,
    latency: Counters,
    service: Counters,
    lateness: Counters,
    clipped: AtomicU64,
    errors: AtomicU64,
    timeouts: AtomicU64,
    censored: AtomicU64,
}

struct Shared {
    window: Window,
    /// `shards × streams`.
    streams: Vec<StreamCounters>,
    /// How late a probe ran, if there is one.
    delays: Counters,
    /// Of the load's task.
    slices: Slices,
    names: Vec<(String, bool)>,
    shards: usize,
}

/// Where the streams of a trial are recorded; cheap to clone.
#[derive(Clone)]
pub struct Recorders(Arc<Shared>);

/// One slot's way into the recorders: its shard. The load's task is stream 0, named steps follow.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    shard: usize,
}

/// How an operation ended, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Done,
    /// In an error that the scenario allows.
    Error,
    /// At its time limit.
    TimedOut,
}

impl Recorders {
    /// Room for the load's task and the named steps (name, whether of the load's own task).
    pub fn new(shards: usize, steps: Vec<(String, bool)>) -> Self {
        let streams = (0..shards * (steps.len() + 1)).map(|_| StreamCounters {
            both: Counters::new(),
            latency: Counters::new(),
            service: Counters::new(),
            lateness: Counters::new(),
            clipped: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            censored: AtomicU64::new(0),
        });
        let window = Window { from_ns: AtomicU64::new(u64::MAX), to_ns: AtomicU64::new(0) };
        let (streams, delays, slices) = (streams.collect(), Counters::new(), Slices::new(shards));
        Self(Arc::new(Shared { window, streams, delays, slices, names: steps, shards }))
    }

    /// Only operations whose intended start is in `[from_ns, to_ns)` are recorded from now on.
    pub fn set_window(&self, from_ns: u64, to_ns: u64) {
        self.0.window.from_ns.store(from_ns, Relaxed);
        self.0.window.to_ns.store(to_ns, Relaxed);
    }

    /// From now on completions of the load's task are counted by slices of time: of a window from `from_ns` to `to_ns`,
    /// at least ten, and of the warm-up that began at `start_ns`.
    pub fn slice(&self, start_ns: u64, from_ns: u64, to_ns: u64) {
        self.0.slices.begin(start_ns, from_ns, to_ns);
    }

    /// The slices of a window that in the end was so long, and of its warm-up.
    pub fn slices(&self, window_ns: u64) -> Vec<Slice> {
        self.0.slices.merged(window_ns)
    }

    /// Records a task of the load that was still in flight when the load was given up, as if it had ended there.
    /// One that had not been started (no `actual_ns`) has no service time.
    pub fn censor(&self, intended_ns: u64, actual_ns: Option<u64>, given_up_ns: u64) {
        if !self.0.window.holds(intended_ns) {
            return;
        }
        // The task's stream of the first shard: this happens after the load, in one thread.
        let counters = &self.0.streams[0];
        let latency = given_up_ns.saturating_sub(intended_ns);
        counters.latency.add(latency);
        counters.lateness.add(actual_ns.unwrap_or(given_up_ns).saturating_sub(intended_ns));
        if let Some(actual_ns) = actual_ns {
            counters.service.add(given_up_ns.saturating_sub(actual_ns));
        }
        counters.clipped.fetch_add(u64::from(latency > HIGHEST_NS), Relaxed);
        counters.censored.fetch_add(1, Relaxed);
    }

    /// Records that a probe which was due in the window ran so late.
    #[inline]
    pub fn delayed(&self, due_ns: u64, now_ns: u64) {
        if self.0.window.holds(due_ns) {
            self.0.delays.add(now_ns.saturating_sub(due_ns));
        }
    }

    /// How late a probe ran.
    pub fn delays(&self) -> Histo {
        let mut delays = Histo::new();
        self.0.delays.drain_into(&mut delays);
        delays
    }

    /// The recorder of a slot.
    pub fn of_slot(&self, slot: usize) -> Recorder {
        Recorder { shared: self.0.clone(), shard: slot % self.0.shards }
    }

    /// The stream number of a named step.
    pub fn stream_of(&self, name: &str) -> Option<usize> {
        self.0.names.iter().position(|(known, _)| known == name).map(|at| at + 1)
    }

    /// The load's task, after the load has ended.
    pub fn task(&self) -> Stream {
        self.merged(0)
    }

    /// The named steps, after the load has ended.
    pub fn steps(&self) -> Vec<NamedStream> {
        let named = |(at, (name, top_level)): (usize, &(String, bool))| NamedStream {
            name: name.clone(),
            top_level: *top_level,
            stream: self.merged(at + 1),
        };
        self.0.names.iter().enumerate().map(named).collect()
    }

    fn merged(&self, stream: usize) -> Stream {
        let mut merged = Stream::default();
        let per_shard = self.0.names.len() + 1;
        for shard in 0..self.0.shards {
            let counters = &self.0.streams[shard * per_shard + stream];
            counters.both.drain_into(&mut merged.latency);
            counters.both.drain_into(&mut merged.service);
            counters.latency.drain_into(&mut merged.latency);
            counters.service.drain_into(&mut merged.service);
            counters.lateness.drain_into(&mut merged.lateness);
            counters.both.count_as(0, &mut merged.lateness);
            merged.clipped += counters.clipped.load(Relaxed);
            merged.errors += counters.errors.load(Relaxed);
            merged.timeouts += counters.timeouts.load(Relaxed);
            merged.censored += counters.censored.load(Relaxed);
        }
        merged.count = merged.latency.count();
        merged
    }
}

/// Where a slot records its tasks. A type parameter of slots, so that what recording costs can be measured within one
/// binary: the other arm has [`Silent`] slots.
pub trait Record: Send + 'static {
    /// Records an operation of `stream`: intended start, actual start and completion in ns, and its ending.
    fn record(&self, stream: usize, intended_ns: u64, actual_ns: u64, completed_ns: u64, ending: Ending);
}

/// Records nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Record for Silent {
    #[inline]
    fn record(&self, _: usize, _: u64, _: u64, _: u64, _: Ending) {}
}

impl Record for Recorder {
    #[inline]
    fn record(&self, stream: usize, intended_ns: u64, actual_ns: u64, completed_ns: u64, ending: Ending) {
        self.record(stream, intended_ns, actual_ns, completed_ns, ending);
    }
}

impl Recorder {
    /// Records an operation of `stream`: intended start, actual start and completion in ns, and its ending.
    #[inline]
    pub fn record(&self, stream: usize, intended_ns: u64, actual_ns: u64, completed_ns: u64, ending: Ending) {
        let latency = completed_ns.saturating_sub(intended_ns);
        if stream == 0 {
            self.shared.slices.add(self.shard, latency, completed_ns);
        }
        if !self.shared.window.holds(intended_ns) {
            return;
        }
        let counters = &self.shared.streams[self.shard * (self.shared.names.len() + 1) + stream];
        if actual_ns == intended_ns {
            counters.both.add(latency);
        } else {
            counters.latency.add(latency);
            counters.service.add(completed_ns.saturating_sub(actual_ns));
            counters.lateness.add(actual_ns.saturating_sub(intended_ns));
        }
        if latency > HIGHEST_NS {
            counters.clipped.fetch_add(1, Relaxed);
        }
        match ending {
            Ending::Done => {}
            Ending::Error => {
                counters.errors.fetch_add(1, Relaxed);
            }
            Ending::TimedOut => {
                counters.timeouts.fetch_add(1, Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_only_inside_the_window() {
        let recorders = Recorders::new(2, vec![("call".into(), true)]);
        let (first, second) = (recorders.of_slot(0), recorders.of_slot(3));
        first.record(0, 50, 50, 60, Ending::Done);
        recorders.set_window(100, 200);
        first.record(0, 99, 99, 150, Ending::Done);
        first.record(0, 100, 110, 150, Ending::Done);
        second.record(0, 199, 199, 900, Ending::TimedOut);
        second.record(0, 200, 200, 201, Ending::Done);
        second.record(1, 150, 150, 155, Ending::Error);
        let task = recorders.task();
        assert_eq!((task.count, task.errors, task.timeouts), (2, 0, 1));
        assert_eq!((task.latency.0.min(), task.latency.0.max()), (50, 701));
        assert_eq!(task.service.0.min(), 40);
        assert_eq!((task.lateness.0.min(), task.lateness.0.max(), task.lateness.count()), (0, 10, 2));
        assert_eq!(task.service.count(), task.latency.count());
        let steps = recorders.steps();
        assert_eq!((steps[0].stream.errors, steps[0].stream.latency.count()), (1, 1));
    }

    #[test]
    fn what_was_in_flight_when_the_load_was_given_up_counts_as_if_it_had_ended_there() {
        let recorders = Recorders::new(2, Vec::new());
        recorders.set_window(100, 200);
        recorders.of_slot(1).record(0, 150, 150, 160, Ending::Done);
        recorders.censor(120, Some(130), 1_000);
        recorders.censor(199, None, 1_000);
        recorders.censor(99, Some(99), 1_000);
        let task = recorders.task();
        assert_eq!((task.count, task.censored, task.service.count()), (3, 2, 2));
        assert_eq!((task.latency.0.max(), task.service.0.max(), task.lateness.0.max()), (880, 870, 801));
    }

    #[test]
    fn clips_above_sixty_seconds_and_says_so() {
        let recorders = Recorders::new(1, Vec::new());
        recorders.set_window(0, u64::MAX);
        recorders.of_slot(0).record(0, 0, 0, HIGHEST_NS + 1, Ending::Done);
        let task = recorders.task();
        assert_eq!(task.clipped, 1);
        assert_eq!(task.latency.count(), 1);
    }
}
