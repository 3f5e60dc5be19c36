//! The measured path: a few relaxed additions per operation, no lock and no allocation.
//!
//! Latencies go into arrays of atomic counters laid out like an HdrHistogram, a few for the whole
//! process rather than one per task, and become histograms when the load has ended. The first
//! threads that record, as many as there are CPUs, have arrays of their own, to which they add
//! without a locked instruction; the others share the rest.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use super::{
    Histo, NamedStream, Slice, Stream,
    slices::Slices,
    slot::{HIGHEST_NS, MOST_NS, lowest_value, slot_of, slots},
};

/// The window of intended starts that count, in ns of the monotonic clock.
#[derive(Debug)]
struct StartWindow {
    from_ns: AtomicU64,
    to_ns: AtomicU64,
}

impl StartWindow {
    #[inline]
    fn holds(&self, intended_ns: u64) -> bool {
        intended_ns >= self.from_ns.load(Relaxed) && intended_ns < self.to_ns.load(Relaxed)
    }
}

/// A page of memory, as all processors that this runs on have them at least.
const PAGE_BYTES: usize = 4_096;

struct Counters {
    slots: Box<[AtomicU64]>,
}

impl Counters {
    fn new(highest_ns: u64) -> Self {
        // Pages that are never counted in stay untouched, so the memory figure does not see them.
        // Up to 100 h these are 310 KiB at most.
        Self { slots: bytemuck::zeroed_slice_box(slots(highest_ns)) }
    }

    #[inline]
    fn add(&self, ns: u64, alone: bool) {
        let counter = &self.slots[slot_of(ns.max(1)).min(self.slots.len() - 1)];
        if alone {
            counter.store(counter.load(Relaxed) + 1, Relaxed);
        } else {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Memory in which something was counted, in bytes: pages that were not written to are not
    /// there.
    fn touched_bytes(&self) -> u64 {
        let pages = self.slots.chunks(PAGE_BYTES / size_of::<AtomicU64>());
        let touched = pages.filter(|page| page.iter().any(|counter| counter.load(Relaxed) > 0));
        touched.count() as u64 * PAGE_BYTES as u64
    }

    /// Counts all values as `ns`.
    fn count_as(&self, ns: u64, histo: &mut Histo) {
        let values = self.slots.iter().map(|counter| counter.load(Relaxed)).sum();
        histo.0.saturating_record_n(ns, values);
    }

    /// What is in the last slot may be any time that is as long or longer.
    fn drain_into(&self, histo: &mut Histo) {
        let last = lowest_value(self.slots.len() - 1);
        for (slot, counter) in self.slots.iter().enumerate() {
            let value = lowest_value(slot);
            let longer = u64::from(value == last);
            histo.0.clipped_record_n(value + longer, counter.load(Relaxed), last);
        }
    }
}

/// What one shard holds of one stream.
struct StreamCounters {
    /// Of operations that started when they were meant to: latency and service are one value,
    /// counted once, and lateness is none.
    both: Counters,
    latency: Counters,
    service: Counters,
    lateness: Counters,
    clipped: AtomicU64,
    errors: AtomicU64,
    timeouts: AtomicU64,
    censored: AtomicU64,
    passed_over: AtomicU64,
    passed_over_ns: AtomicU64,
}

impl StreamCounters {
    /// What few operations have. Apart, so that the way of all others stays short.
    #[cold]
    fn note(&self, clipped: bool, ending: Ending) {
        self.clipped.fetch_add(u64::from(clipped), Relaxed);
        match ending {
            Ending::Done => {}
            Ending::Error => {
                self.errors.fetch_add(1, Relaxed);
            }
            Ending::TimedOut => {
                self.timeouts.fetch_add(1, Relaxed);
            }
        }
    }
}

struct SharedCounters {
    /// Tells the recorders of this trial from others that a thread has recorded in.
    number: u64,
    /// So many shards, the first ones, are for one thread each.
    exclusive: usize,
    /// Threads that have recorded, here or in those of another load of the trial.
    threads: Arc<AtomicUsize>,
    window: StartWindow,
    /// `shards × streams`.
    streams: Vec<StreamCounters>,
    /// How late a probe ran, if there is one.
    delays: Counters,
    /// Of the load's task.
    slices: Slices,
    /// Times above are not told apart, in ns.
    highest_ns: u64,
    names: Vec<(String, bool)>,
    shards: usize,
}

/// Where the streams of a trial are recorded; cheap to clone.
#[derive(Clone)]
pub struct Recorders(Arc<SharedCounters>);

/// One slot's way into the recorders. The load's task is stream 0, named steps follow.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<SharedCounters>,
    /// Where threads record that have no shard of their own.
    shard: usize,
}

/// How many recorders there have been.
static NUMBER: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The recorders that this thread has recorded in, by number, and its place among the threads
    /// that have.
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

impl SharedCounters {
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
    /// Recorders of times up to 60 s.
    pub fn new(shards: usize, steps: Vec<(String, bool)>) -> Self {
        Self::up_to(HIGHEST_NS, shards, steps)
    }

    /// Room for the load's task and the named steps (name, whether of the load's own task). Half of
    /// the shards, rounded down, are for one thread each. No time is above `highest_ns` by what the
    /// plan allows: such times are told apart, at least up to 60 s and at most up to 100 h.
    pub fn up_to(highest_ns: u64, shards: usize, steps: Vec<(String, bool)>) -> Self {
        let number = NUMBER.fetch_add(1, Relaxed);
        Self::of_trial((number, Arc::default()), highest_ns, shards, steps)
    }

    /// Those of another load of the same trial: a thread has the same place in both.
    #[must_use]
    pub fn beside(&self, steps: Vec<(String, bool)>) -> Self {
        let trial = (self.0.number, self.0.threads.clone());
        Self::of_trial(trial, self.0.highest_ns, self.0.shards, steps)
    }

    fn of_trial(
        (number, threads): (u64, Arc<AtomicUsize>),
        highest_ns: u64,
        shards: usize,
        steps: Vec<(String, bool)>,
    ) -> Self {
        let highest_ns = highest_ns.clamp(HIGHEST_NS, MOST_NS);
        let streams = (0..shards * (steps.len() + 1)).map(|_| StreamCounters {
            both: Counters::new(highest_ns),
            latency: Counters::new(highest_ns),
            service: Counters::new(highest_ns),
            lateness: Counters::new(highest_ns),
            clipped: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            censored: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
            passed_over_ns: AtomicU64::new(0),
        });
        let window = StartWindow { from_ns: AtomicU64::new(u64::MAX), to_ns: AtomicU64::new(0) };
        Self(Arc::new(SharedCounters {
            number,
            exclusive: shards / 2,
            threads,
            window,
            streams: streams.collect(),
            delays: Counters::new(highest_ns),
            slices: Slices::new(shards, highest_ns),
            highest_ns,
            names: steps,
            shards,
        }))
    }

    /// Only operations whose intended start is in `[from_ns, to_ns)` are recorded from now on.
    pub fn set_window(&self, from_ns: u64, to_ns: u64) {
        self.0.window.from_ns.store(from_ns, Relaxed);
        self.0.window.to_ns.store(to_ns, Relaxed);
    }

    /// From now on completions of the load's task are counted by slices of time: of a window from
    /// `from_ns` to `to_ns`, at least ten, and of the warm-up that began at `start_ns`.
    pub fn slice(&self, start_ns: u64, from_ns: u64, to_ns: u64) {
        self.0.slices.begin(start_ns, from_ns, to_ns);
    }

    /// The slices of a window that in the end was so long, and of its warm-up.
    pub fn slices(&self, window_ns: u64) -> Vec<Slice> {
        self.0.slices.merged(window_ns)
    }

    /// Records a task of the load that was still in flight when the load was given up, as if it had
    /// ended there. One that had not been started (no `actual_ns`) has no service time. Says
    /// whether it was meant to start in the window.
    pub fn censor(&self, intended_ns: u64, actual_ns: Option<u64>, given_up_ns: u64) -> bool {
        if !self.0.window.holds(intended_ns) {
            return false;
        }
        // The task's stream of a shard that nobody has for himself: what is given up may go on.
        let counters = &self.0.streams[self.0.exclusive * self.0.per_shard()];
        let latency = given_up_ns.saturating_sub(intended_ns);
        counters.latency.add(latency, false);
        counters.lateness.add(actual_ns.unwrap_or(given_up_ns).saturating_sub(intended_ns), false);
        if let Some(actual_ns) = actual_ns {
            counters.service.add(given_up_ns.saturating_sub(actual_ns), false);
        }
        counters.clipped.fetch_add(u64::from(latency > self.0.highest_ns), Relaxed);
        counters.censored.fetch_add(1, Relaxed);
        true
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

    /// Memory that recording took while the load ran, in bytes, by the pages in which something was
    /// counted. What was written before is not among it.
    pub fn touched_bytes(&self) -> u64 {
        let of_stream = |stream: &StreamCounters| {
            [&stream.both, &stream.latency, &stream.service, &stream.lateness]
                .map(Counters::touched_bytes)
                .iter()
                .sum::<u64>()
        };
        self.0.streams.iter().map(of_stream).sum::<u64>() + self.0.delays.touched_bytes()
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
            merged.passed_over += counters.passed_over.load(Relaxed);
            merged.passed_over_ns += counters.passed_over_ns.load(Relaxed);
        }
        merged.count = merged.latency.count();
        merged
    }
}

/// Where a slot records its tasks. A type parameter of slots, so that what recording costs can be
/// measured within one binary: the other arm has [`Silent`] slots.
pub trait Record: Send + 'static {
    /// Records an operation of `stream`: intended start, actual start and completion in ns, and its
    /// ending.
    fn record(
        &self,
        stream: usize,
        intended_ns: u64,
        actual_ns: u64,
        completed_ns: u64,
        ending: Ending,
    );
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
    fn record(
        &self,
        stream: usize,
        intended_ns: u64,
        actual_ns: u64,
        completed_ns: u64,
        ending: Ending,
    ) {
        self.record(stream, intended_ns, actual_ns, completed_ns, ending);
    }
}

impl Recorder {
    /// Notes of a wait that was recorded that others were served first who had not waited so long.
    #[cold]
    pub fn passed_over(&self, stream: usize, asked_ns: u64, served_ns: u64) {
        if self.shared.window.holds(asked_ns) {
            let counters = &self.shared.streams[self.shard * self.shared.per_shard() + stream];
            counters.passed_over.fetch_add(1, Relaxed);
            counters.passed_over_ns.fetch_add(served_ns.saturating_sub(asked_ns), Relaxed);
        }
    }

    /// Records an operation of `stream`: intended start, actual start and completion in ns, and its
    /// ending.
    #[inline]
    pub fn record(
        &self,
        stream: usize,
        intended_ns: u64,
        actual_ns: u64,
        completed_ns: u64,
        ending: Ending,
    ) {
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
        if latency > shared.highest_ns || ending != Ending::Done {
            counters.note(latency > shared.highest_ns, ending);
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
        assert_eq!(
            (task.lateness.0.min(), task.lateness.0.max(), task.lateness.count()),
            (0, 10, 2)
        );
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
        assert_eq!(
            (task.latency.0.max(), task.service.0.max(), task.lateness.0.max()),
            (880, 870, 801)
        );
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

    #[test]
    fn memory_of_recording_is_that_of_the_pages_in_which_something_was_counted() {
        let recorders = Recorders::new(2, vec![("call".into(), true)]);
        recorders.set_window(0, u64::MAX);
        assert_eq!(recorders.touched_bytes(), 0);
        let recorder = recorders.of_slot(0);
        // Two values of one page, one of another, and one of another stream.
        for (stream, ns) in [(0, 1), (0, 100), (0, 1_000_000_000), (1, 5)] {
            recorder.record(stream, 0, 0, ns, Ending::Done);
        }
        assert_eq!(recorders.touched_bytes(), 3 * 4_096);
    }

    #[test]
    fn a_time_above_a_minute_is_recorded_as_it_is_where_the_plan_allows_it() {
        let minute_and_one = 61_000_000_000;
        let recorders = Recorders::up_to(120_000_000_000, 2, Vec::new());
        recorders.set_window(0, u64::MAX);
        for task in 0..20 {
            recorders.of_slot(0).record(
                0,
                task,
                task + task % 2,
                task + minute_and_one,
                Ending::Done,
            );
        }
        let task = recorders.task();
        assert_eq!((task.count, task.clipped, task.latency.clipped()), (20, 0, None));
        let p50 = task.latency.quantile(0.5).expect("ten lie above");
        assert!(p50.abs_diff(minute_and_one) <= minute_and_one / 1_000, "{p50}");
        assert!(task.latency.0.equivalent(task.latency.greatest().expect("known"), minute_and_one));
    }

    #[test]
    fn what_lies_beyond_the_range_is_known_to() {
        let recorders = Recorders::up_to(0, 2, Vec::new());
        recorders.set_window(0, u64::MAX);
        recorders.of_slot(0).record(0, 0, 0, 5_000, Ending::Done);
        for task in 0..20 {
            recorders.of_slot(0).record(0, task, task + 2, task + 61_000_000_000, Ending::Done);
        }
        recorders.censor(5, None, 62_000_000_000);
        let task = recorders.task();
        assert_eq!(task.clipped, 21);
        let (values, from_ns) = task.latency.clipped().expect("above 60 s");
        assert!(
            values == 21 && from_ns.abs_diff(HIGHEST_NS) < HIGHEST_NS / 1_000,
            "{values} from {from_ns}"
        );
        assert_eq!(
            (task.latency.quantile(0.5), task.latency.mean(), task.latency.greatest()),
            (None, None, None)
        );
        assert_eq!(task.service.clipped().map(|(values, _)| values), Some(20));
        assert_eq!(task.lateness.clipped().map(|(values, _)| values), Some(1));
    }
}
