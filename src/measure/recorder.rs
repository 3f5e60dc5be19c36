//! The measured path: a few relaxed additions per operation, no lock and no allocation.
//!
//! Latencies go into arrays of atomic counters laid out like an HdrHistogram, a few for the whole process rather
//! than one per task, and become histograms when the load has ended. The first threads that record, as many as there
//! are CPUs, have arrays of their own, to which they add without a locked instruction; the others share the rest.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
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
    fn add(&self, ns: u64, alone: bool) {
        let counter = &self.slots[slot_of(ns.clamp(1, HIGHEST_NS))];
        if alone {
            counter.store(counter.load(Relaxed) + 1, Relaxed);
        } else {
            counter.fetch_add(1, Relaxed);
        }
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
    /// Tells these recorders from others that a thread has recorded in.
    number: u64,
    /// So many shards, the first ones, are for one thread each.
    exclusive: usize,
    /// Threads that have recorded.
    threads: AtomicUsize,
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

/// One slot's way into the recorders. The load's task is stream 0, named steps follow.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    /// Where threads record that have no shard of their own.
    shard: usize,
}

/// How many recorders there have been.
static NUMBER: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The recorders that this thread has recorded in, by number, and its place among the threads that have.
    static PLACE: Cell<(u64, usize)> = const { Cell::new((0, 0)) };
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

impl Shared {
    fn per_shard(&self) -> usize {
        self.names.len() + 1
    }

    /// This thread's place among those that have recorded here.
    #[inline]
    fn place(&self) -> usize {
        let (number, place) = PLACE.get();
        if number == self.number { place } else { self.new_place() }
    }

    #[cold]
    fn new_place(&self) -> usize {
        let place = self.threads.fetch_add(1, Relaxed);
        PLACE.set((self.number, place));
        place
    }
}

impl Recorders {
    /// Room for the load's task and the named steps (name, whether of the load's own task). Half of the shards, rounded
    /// down, are for one thread each.
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
        Self(Arc::new(Shared {
            number: NUMBER.fetch_add(1, Relaxed),
            exclusive: shards / 2,
            threads: AtomicUsize::new(0),
            window,
            streams: streams.collect(),
            delays: Counters::new(),
            slices: Slices::new(shards),
            names: steps,
            shards,
        }))
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
        // The task's stream of a shard that nobody has for himself: what is given up may go on.
        let counters = &self.0.streams[self.0.exclusive * self.0.per_shard()];
        let latency = given_up_ns.saturating_sub(intended_ns);
        counters.latency.add(latency, false);
        counters.lateness.add(actual_ns.unwrap_or(given_up_ns).saturating_sub(intended_ns), false);
        if let Some(actual_ns) = actual_ns {
            counters.service.add(given_up_ns.saturating_sub(actual_ns), false);
        }
        counters.clipped.fetch_add(u64::from(latency > HIGHEST_NS), Relaxed);
        counters.censored.fetch_add(1, Relaxed);
    }

    /// Records that a probe which was due in the window ran so late.
    #[inline]
    pub fn delayed(&self, due_ns: u64, now_ns: u64) {
        if self.0.window.holds(due_ns) {
            self.0.delays.add(now_ns.saturating_sub(due_ns), false);
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
        let (shared, exclusive) = (self.0.clone(), self.0.exclusive);
        Recorder { shard: exclusive + slot % (shared.shards - exclusive), shared }
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
        for shard in 0..self.0.shards {
            let counters = &self.0.streams[shard * self.0.per_shard() + stream];
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
        let (shared, latency) = (&*self.shared, completed_ns.saturating_sub(intended_ns));
        let place = shared.place();
        let alone = place < shared.exclusive;
        let shard = if alone { place } else { self.shard };
        if stream == 0 {
            shared.slices.add(shard, latency, completed_ns, alone);
        }
        if !shared.window.holds(intended_ns) {
            return;
        }
        let counters = &shared.streams[shard * shared.per_shard() + stream];
        if actual_ns == intended_ns {
            counters.both.add(latency, alone);
        } else {
            counters.latency.add(latency, alone);
            counters.service.add(completed_ns.saturating_sub(actual_ns), alone);
            counters.lateness.add(actual_ns.saturating_sub(intended_ns), alone);
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
    fn nothing_is_lost_with_more_threads_than_shards() {
        const TIMES: u64 = 10_000;
        let recorders = Recorders::new(4, vec![("call".into(), true)]);
        recorders.set_window(0, u64::MAX);
        let threads: Vec<_> = (0..6)
            .map(|slot| {
                let recorder = recorders.of_slot(slot);
                std::thread::spawn(move || {
                    for at in 0..TIMES {
                        recorder.record(0, at, at + at % 2, at + 5, Ending::Done);
                        recorder.record(1, at, at, at + 5, Ending::Done);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("records without a panic");
        }
        let (task, steps) = (recorders.task(), recorders.steps());
        assert_eq!(
            (task.latency.count(), task.service.count(), task.lateness.count()),
            (6 * TIMES, 6 * TIMES, 6 * TIMES)
        );
        assert_eq!(steps[0].stream.count, 6 * TIMES);
    }

    #[test]
    fn a_thread_s_place_in_one_recorder_is_not_its_place_in_another() {
        let [first, second] = [Recorders::new(2, Vec::new()), Recorders::new(2, Vec::new())];
        for recorders in [&first, &second, &first, &second] {
            recorders.set_window(0, u64::MAX);
            recorders.of_slot(0).record(0, 1, 1, 9, Ending::Done);
        }
        assert_eq!((first.task().count, second.task().count), (2, 2));
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
