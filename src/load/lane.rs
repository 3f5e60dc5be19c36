//! Slots and the lanes in which they run: what all loads share.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use crossbeam_utils::atomic::AtomicCell;

use super::log::{GiveUpSignal, SlotAccount, SlotLog, SlotSeen};
use crate::{
    clock, draw,
    measure::{Record, Recorder, Recorders},
    runtime::{Runtime, Tickets},
    step::{self, Call, Failure, Opening, Sequence, StepEnd},
};

/// Index of the first task that only warms up; far from those that are measured, so that no key is
/// used twice.
pub const WARMUP_TASKS: u64 = 1 << 40;

/// Where clients share threads, one lets others run after this long without a pause, in ns: four
/// clients that never wait on one worker would otherwise be one client. A thread need not: the
/// kernel takes turns for it.
const LONGEST_TURN_NS: u64 = 1_000_000;

/// Why the trial must fail, if it must: all of its loads stop then.
#[derive(Default)]
struct TrialFault {
    stop: AtomicBool,
    failure: OnceLock<Failure>,
}

/// What all slots of a load share.
#[derive(Default)]
pub struct LoadShared {
    trouble: Arc<TrialFault>,
    pub(super) given_up: GiveUpSignal,
    /// Steps whose connections were opened in preparation, for the slot that is used first.
    ready: AtomicCell<Option<Box<Sequence>>>,
}

impl LoadShared {
    /// That of another load of the same trial.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self { trouble: self.trouble.clone(), ..Self::default() }
    }

    /// Why the trial must fail, if it must.
    pub fn failure(&self) -> Option<&Failure> {
        self.trouble.failure.get()
    }

    pub(super) fn fail(&self, failure: Failure) {
        // Only the first reason counts; the others follow from it as often as not.
        let _ = self.trouble.failure.set(failure);
        self.trouble.stop.store(true, Relaxed);
    }

    /// Closes what was opened for a slot and never used.
    pub fn close(&self) {
        drop(self.ready.take());
    }

    /// Whether no further task should start.
    #[inline]
    pub fn stopped(&self) -> bool {
        self.trouble.stop.load(Relaxed)
    }
}

/// A place in which one task at a time runs: its steps with their connections, and its recorder.
pub struct Slot<Rec = Recorder> {
    steps: Sequence,
    recorder: Rec,
    shared: Arc<LoadShared>,
    seed: u64,
    log: Arc<SlotLog>,
    /// Which of its lane's clients runs the next task, by its place.
    pub(super) client: u64,
    /// Tasks run that were meant to start in the window.
    measured: u64,
    /// Clients that have run their last task here.
    clients: u64,
    /// Tasks run.
    pub(super) ran: u64,
    /// Tasks completed inside the window given by `count_until`.
    pub(super) completed: u64,
    /// Completions at or after `.0` and before `.1` are counted.
    pub(super) window: (u64, u64),
    /// When the last task completed.
    pub(super) last_ns: u64,
    /// Tasks of the clients that ended in this slot: of the first one, and of more where there are
    /// more.
    pub(super) per_client: (Option<u64>, Vec<u64>),
    /// The longest time that a task took from its intended start on, in ns.
    pub(super) longest_ns: u64,
}

/// A load could not be run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The system refused a thread.
    #[error(
        "the system refused thread {started} of {wanted}: {source}; lower the concurrency, or raise the limit on processes (ulimit -u, kernel.threads-max, vm.max_map_count)"
    )]
    Thread {
        /// Threads that were running.
        started: usize,
        /// Threads that were wanted.
        wanted: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A slot could not get ready.
    #[error("{0}")]
    Prepare(Failure),
    /// Tasks were lost.
    #[error("{0}")]
    Lost(String),
}

impl Slot {
    /// A slot that runs `steps`.
    pub fn new(
        number: usize,
        steps: Sequence,
        recorders: &Recorders,
        shared: Arc<LoadShared>,
        seed: u64,
    ) -> Self {
        Self::recording_in(recorders.of_slot(number), steps, shared, seed)
    }
}

impl<Rec: Record> Slot<Rec> {
    /// A slot that runs `steps` and records them there.
    pub fn recording_in(
        recorder: Rec,
        steps: Sequence,
        shared: Arc<LoadShared>,
        seed: u64,
    ) -> Self {
        Self {
            steps,
            recorder,
            shared,
            seed,
            log: Arc::default(),
            client: 0,
            measured: 0,
            clients: 0,
            ran: 0,
            completed: 0,
            window: (0, u64::MAX),
            last_ns: 0,
            per_client: (None, Vec::new()),
            longest_ns: 0,
        }
    }

    /// Runs one task and records it; returns when it completed, or nothing if the load has given it
    /// up meanwhile: then the slot must not be used any more. The caller goes on with
    /// [`Slot::rests`]. A slot that is used for the first time opens its connections before: the
    /// task is late by that, and no slower.
    pub(super) async fn run(
        &mut self,
        task: u64,
        intended_ns: u64,
        mut actual_ns: u64,
    ) -> Option<u64> {
        self.log.begin(self.client, actual_ns);
        let mut opened = Ok(());
        if !self.is_open() {
            opened = poll_fn(|context| self.poll_open(context)).await;
            actual_ns = clock::now_ns();
            self.log.begin(self.client, actual_ns);
        }
        let (completed_ns, ended) = match opened {
            Ok(()) => {
                self.start(task, intended_ns);
                let ended = poll_fn(|context| self.poll(context)).await;
                (clock::now_ns(), ended)
            }
            Err(failure) => (actual_ns, StepEnd::Failed(Box::new(failure))),
        };
        if !self.log.settles(&self.shared.given_up) {
            return None;
        }
        self.settle(task, (intended_ns, actual_ns, completed_ns), ended);
        self.measured += u64::from(intended_ns >= self.window.0 && intended_ns < self.window.1);
        Some(completed_ns)
    }

    /// Says that all is settled of the task that was run, its client's next turn included.
    #[inline]
    pub(super) fn rests(&self) {
        let Self { ran: ended, measured, completed, clients, .. } = *self;
        self.log.done(&SlotAccount { ended, measured, completed, clients });
    }

    /// Whether the steps have opened the connections that they keep.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.steps.is_open()
    }

    /// Goes on with opening what the steps keep, unless they have; the first slot of all takes what
    /// preparation has opened.
    pub(super) fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if let Some(ready) = self.shared.ready.take() {
            self.steps = *ready;
        }
        self.steps.poll_open(Opening::FirstUse, context)
    }

    /// Begins a task.
    pub(super) fn start(&mut self, task: u64, intended_ns: u64) {
        let key = draw::mix(self.seed, task);
        self.steps.start(Call { task, key, issued_ns: intended_ns, ..Call::default() });
    }

    /// Goes on with the task that was begun; says how it ended.
    #[inline]
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<StepEnd> {
        self.steps.poll(context)
    }

    /// Records a task that was run: intended start, actual start and completion in ns, and how it
    /// ended.
    pub(super) fn settle(&mut self, task: u64, times_ns: (u64, u64, u64), ended: StepEnd) {
        let (intended_ns, actual_ns, completed_ns) = times_ns;
        self.ran += 1;
        self.last_ns = completed_ns;
        self.longest_ns = self.longest_ns.max(completed_ns.saturating_sub(intended_ns));
        if completed_ns >= self.window.0 && completed_ns < self.window.1 {
            self.completed += 1;
        }
        self.recorder.record(0, intended_ns, actual_ns, completed_ns, step::ending(&ended));
        if let StepEnd::Failed(failure) = ended {
            self.shared.fail(failure.at(format_args!("task {task}")));
        }
    }

    /// Whether no further task should start.
    #[inline]
    pub(super) fn stopped(&self) -> bool {
        self.shared.stopped()
    }

    pub(super) fn shared(&self) -> Arc<LoadShared> {
        self.shared.clone()
    }

    /// Tasks that this slot has run, in the whole life of the process.
    pub fn tasks_run(&self) -> u64 {
        self.ran
    }

    /// Notes how many tasks a client has completed that ends here, and lets `end` say so; false if
    /// the load has given up meanwhile.
    pub(super) fn client_ended(&mut self, tasks: u64, end: impl FnOnce()) -> bool {
        self.log.runs_none();
        if !self.log.settles(&self.shared.given_up) {
            return false;
        }
        end();
        // Most slots have one client, for which nothing is allocated: memory by client would be the
        // harness's.
        match self.per_client.0 {
            None => self.per_client.0 = Some(tasks),
            Some(_) => self.per_client.1.push(tasks),
        }
        self.clients += 1;
        self.rests();
        true
    }

    /// Whether its clients may begin tasks: the trial need not fail, and the load has not given up.
    #[inline]
    pub(super) fn goes_on(&self) -> bool {
        !self.shared.stopped() && !self.shared.given_up.is_said()
    }

    pub(super) fn log(&self) -> Arc<SlotLog> {
        self.log.clone()
    }

    pub(super) fn turn(&self) -> Turn {
        Turn { log: self.log.clone(), seen: 0, since_ns: 0 }
    }
}

/// How long a lane has run without a pause: found by counting polls, not by reading clocks.
pub(super) struct Turn {
    log: Arc<SlotLog>,
    seen: u64,
    since_ns: u64,
}

impl Turn {
    /// Whether the lane has run for too long at `now_ns`, without having been suspended since.
    #[inline]
    pub(super) fn is_over(&mut self, now_ns: u64) -> bool {
        let polls = self.log.polls.load(Relaxed);
        if polls != self.seen {
            self.seen = polls;
            self.since_ns = now_ns;
        }
        now_ns - self.since_ns > LONGEST_TURN_NS
    }

    /// The lane has stepped back until `now_ns`.
    pub(super) fn begins(&mut self, now_ns: u64) {
        self.since_ns = now_ns;
    }
}

/// Counts the polls of a lane, which tell its [`Turn`] that it was suspended.
async fn counted<F: Future>(log: Arc<SlotLog>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        log.polls.store(log.polls.load(Relaxed) + 1, Relaxed);
        future.as_mut().poll(context)
    })
    .await
}

/// Starts one lane per slot, waits for all of them, and gives the slots back.
pub(super) fn run_lanes<R, Rec, F>(
    runtime: &R,
    slots: &mut Vec<Slot<Rec>>,
    lane: impl Fn(usize, Slot<Rec>) -> F,
) -> Result<(), LoadError>
where
    R: Runtime,
    Rec: Record,
    F: Future<Output = Slot<Rec>> + Send + 'static,
{
    let given = std::mem::take(slots);
    runtime.block_on(start_lanes(runtime, given, lane, |slot| slots.push(slot)))
}

/// Starts one lane per slot, waits for all of them, and hands on what they give back.
pub(super) async fn start_lanes<R, Rec, F>(
    runtime: &R,
    slots: Vec<Slot<Rec>>,
    lane: impl Fn(usize, Slot<Rec>) -> F,
    ended: impl FnMut(F::Output),
) -> Result<(), LoadError>
where
    R: Runtime,
    Rec: Record,
    F: Future<Output: Send> + Send + 'static,
{
    let start = |number, log, slot| runtime.spawn(counted(log, lane(number, slot)));
    start_all::<R, _, _>(slots, start, ended).await
}

/// The same for lanes that take their work from a pool's queue.
pub(super) async fn start_serving<R, Rec, F>(
    runtime: &R,
    tickets: &Tickets,
    slots: Vec<Slot<Rec>>,
    lane: impl Fn(usize, Slot<Rec>, Tickets) -> F,
    ended: impl FnMut(F::Output),
) -> Result<(), LoadError>
where
    R: Runtime,
    Rec: Record,
    F: Future<Output: Send> + Send + 'static,
{
    let start = |number, log, slot| {
        let its = tickets.of_lane();
        runtime.spawn_lane(&its, number, counted(log, lane(number, slot, its.clone())))
    };
    start_all::<R, _, _>(slots, start, ended).await
}

async fn start_all<R: Runtime, Rec: Record, T: Send + 'static>(
    slots: Vec<Slot<Rec>>,
    start: impl Fn(usize, Arc<SlotLog>, Slot<Rec>) -> io::Result<R::Join<T>>,
    mut ended: impl FnMut(T),
) -> Result<(), LoadError> {
    let wanted = slots.len();
    let mut lanes = Vec::with_capacity(wanted);
    let mut refused = None;
    for (number, slot) in slots.into_iter().enumerate() {
        match start(number, slot.log(), slot) {
            Ok(started) => lanes.push(started),
            Err(source) => {
                refused = Some(LoadError::Thread { started: number, wanted, source });
                break;
            }
        }
    }
    for lane in lanes {
        ended(lane.await);
    }
    refused.map_or(Ok(()), Err)
}

/// What is under way in the slots, for whoever looks on from outside.
pub struct Lookout(Vec<Arc<SlotLog>>);

impl Lookout {
    /// Over these slots, wherever they go.
    pub fn over<'a, Rec: Record>(slots: impl IntoIterator<Item = &'a Slot<Rec>>) -> Self {
        Self(slots.into_iter().map(Slot::log).collect())
    }

    /// Tasks that run, and when the first of them has started, in ns.
    pub fn running(&self) -> (u64, Option<u64>) {
        let running = self.0.iter().filter_map(|log| match log.look() {
            SlotSeen::Running(_, since_ns) => Some(since_ns),
            SlotSeen::Idle | SlotSeen::Settling => None,
        });
        running.fold((0, None), |(tasks, first), since_ns| {
            (tasks + 1, Some(first.unwrap_or(since_ns).min(since_ns)))
        })
    }
}

/// Gets all slots ready, at most 256 at once, as far as that needs no connection. `first` are the
/// same steps once more: they open what they keep, so that what cannot be opened is found before
/// anything is measured. The slot that is used first takes them over, so that no connection is held
/// in vain: a server may serve one at a time.
pub fn prepare<R: Runtime, Rec: Record>(
    runtime: &R,
    slots: &mut Vec<Slot<Rec>>,
    first: Option<Sequence>,
) -> Result<(), LoadError> {
    const AT_ONCE: usize = 256;
    let mut ready = Vec::with_capacity(slots.len());
    let mut rest = std::mem::take(slots).into_iter();
    loop {
        let mut some: Vec<Slot<Rec>> = rest.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            break;
        }
        run_lanes(runtime, &mut some, |_, mut slot| async move {
            if let Err(failure) = slot.steps.prepare().await {
                slot.shared.fail(failure);
            }
            slot
        })?;
        if let Some(failure) = some.first().and_then(|slot| slot.shared.failure()) {
            return Err(LoadError::Prepare(failure.clone()));
        }
        ready.append(&mut some);
    }
    *slots = ready;
    let (Some(first), Some(slot)) = (first, slots.first()) else { return Ok(()) };
    let opened = open_first(runtime, first)?;
    slot.shared.ready.store(Some(Box::new(opened)));
    Ok(())
}

/// Opens what the steps of a slot keep, on the executor itself: connections belong to its reactor.
fn open_first<R: Runtime>(runtime: &R, mut steps: Sequence) -> Result<Sequence, LoadError> {
    let refused = |source| LoadError::Thread { started: 0, wanted: 1, source };
    let opening = async move {
        let opened = steps.prepare().await;
        let opened = if opened.is_ok() { steps.open(Opening::Preparation).await } else { opened };
        (steps, opened)
    };
    let (steps, opened) =
        runtime.block_on(async { Ok(runtime.spawn(opening).map_err(refused)?.await) })?;
    match opened {
        Err(failure) => Err(LoadError::Prepare(failure)),
        Ok(_) => Ok(steps),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicU64, time::Duration};

    use super::*;
    use crate::{
        load::{Closed, ClosedEnd},
        runtime::{self, Setup, Visitor},
        step::{Done, Operation, Repeated, StepOutcome},
        units::Distribution,
    };

    const OPENING: Duration = Duration::from_millis(30);

    /// Takes its time to open, and does nothing.
    struct Slow {
        opened: Arc<AtomicU64>,
    }

    impl Operation for Slow {
        async fn open(&mut self, _: Opening) -> StepOutcome {
            std::thread::sleep(OPENING);
            self.opened.fetch_add(1, Relaxed);
            Ok(Done::default())
        }

        async fn call(&mut self, _: Call) -> StepOutcome {
            Ok(Done::default())
        }
    }

    fn steps(opened: &Arc<AtomicU64>) -> Sequence {
        let opened = opened.clone();
        Sequence::new(vec![Box::new(Repeated::new(move || Slow { opened: opened.clone() }))])
    }

    /// Three clients of one task each; preparation opens for the first of them.
    struct ThreeClients;

    impl Visitor for ThreeClients {
        type Output = (u64, u64, crate::measure::Stream);

        fn visit<R: Runtime>(self) -> Self::Output {
            let runtime = R::start(&Setup { workers: 1, pool_size: 3, stack_size: None }).unwrap();
            let (recorders, shared, opened) =
                (Recorders::new(1, Vec::new()), Arc::default(), Arc::default());
            let slot =
                |number| Slot::new(number, steps(&opened), &recorders, Arc::clone(&shared), 1);
            let mut slots: Vec<Slot> = (0..R::INFO.style.slots(3, 3) as usize).map(slot).collect();
            let wanted = slots.len() as u64;
            prepare(&runtime, &mut slots, Some(steps(&opened))).unwrap();
            assert_eq!(opened.load(Relaxed), 1, "preparation opens one");
            let think = Distribution::Const(Duration::ZERO);
            let load = Closed {
                clients: 3,
                stages: None,
                think,
                end: ClosedEnd::Tasks(3),
                warmup_ns: 0,
                drain_ns: 0,
                seed: 1,
            };
            load.run(&runtime, &mut slots, &recorders, &()).unwrap();
            runtime.stop();
            (wanted, opened.load(Relaxed), recorders.task())
        }
    }

    #[test]
    fn a_slot_opens_before_the_clock_of_its_first_task() {
        for executor in runtime::EXECUTORS {
            let (slots, opened, task) = runtime::dispatch(executor.name, ThreeClients).unwrap();
            // The worker of a pool that came too late for a task opens nothing.
            assert!((1..=slots).contains(&opened), "{}: {opened} of {slots}", executor.name);
            assert_eq!(task.latency.count(), 3, "{}", executor.name);
            if opened > 1 {
                // Whoever opens is late by that; nobody is slow, for opening is no part of the
                // service.
                assert!(task.lateness.0.max() >= OPENING.as_nanos() as u64, "{}", executor.name);
            }
            assert!(task.service.0.min() < OPENING.as_nanos() as u64, "{}", executor.name);
        }
    }
}
