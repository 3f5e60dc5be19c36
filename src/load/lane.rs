//! Slots and the lanes in which they run: what all loads share.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use crate::{
    clock, draw,
    measure::{Record, Recorder, Recorders},
    runtime::Runtime,
    step::{self, Call, Failure, Sequence},
};

/// After this long without a pause a client lets others run, in ns: four clients that never wait on one worker
/// would otherwise be one client.
const LONGEST_TURN_NS: u64 = 1_000_000;

/// What all slots of a trial share.
#[derive(Debug, Default)]
pub struct Shared {
    stop: AtomicBool,
    failure: OnceLock<Failure>,
}

impl Shared {
    /// Why the trial must fail, if it must.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.get()
    }

    pub(super) fn fail(&self, failure: Failure) {
        // Only the first reason counts; the others follow from it as often as not.
        let _ = self.failure.set(failure);
        self.stop.store(true, Relaxed);
    }

    /// Whether no further task should start.
    #[inline]
    pub fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }
}

/// A place in which one task at a time runs: its steps with their connections, and its recorder.
pub struct Slot<Rec = Recorder> {
    steps: Sequence,
    recorder: Rec,
    shared: Arc<Shared>,
    seed: u64,
    polls: Arc<AtomicU64>,
    /// Tasks run.
    pub(super) ran: u64,
    /// Time-outs that the scenario allows.
    pub(super) timeouts: u64,
    /// Tasks completed inside the window given by `count_until`.
    pub(super) completed: u64,
    /// Completions at or after `.0` and before `.1` are counted.
    pub(super) window: (u64, u64),
    /// When the last task completed.
    pub(super) last_ns: u64,
    /// Tasks of the clients that ended in this slot: of the first one, and of more where there are more.
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
    pub fn new(number: usize, steps: Sequence, recorders: &Recorders, shared: Arc<Shared>, seed: u64) -> Self {
        Self::recording_in(recorders.of_slot(number), steps, shared, seed)
    }
}

impl<Rec: Record> Slot<Rec> {
    /// A slot that runs `steps` and records them there.
    pub fn recording_in(recorder: Rec, steps: Sequence, shared: Arc<Shared>, seed: u64) -> Self {
        Self {
            steps,
            recorder,
            shared,
            seed,
            polls: Arc::default(),
            ran: 0,
            timeouts: 0,
            completed: 0,
            window: (0, u64::MAX),
            last_ns: 0,
            per_client: (None, Vec::new()),
            longest_ns: 0,
        }
    }

    /// Runs one task and records it; returns when it completed.
    pub(super) async fn run(&mut self, task: u64, intended_ns: u64, actual_ns: u64) -> u64 {
        self.start(task, intended_ns);
        let (completed_ns, outcome) = poll_fn(|context| self.poll(context)).await;
        self.settle(task, (intended_ns, actual_ns, completed_ns), outcome);
        completed_ns
    }

    /// Begins a task.
    pub(super) fn start(&mut self, task: u64, intended_ns: u64) {
        let key = draw::mix(self.seed, task);
        self.steps.start(Call { task, key, issued_ns: intended_ns, ..Call::default() });
    }

    /// Goes on with the task that was begun; says when it completed, and how.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(u64, step::Outcome)> {
        self.steps.poll(context).map(|outcome| (clock::now_ns(), outcome))
    }

    /// Records a task that was run: intended start, actual start and completion in ns, and how it ended.
    pub(super) fn settle(&mut self, task: u64, times_ns: (u64, u64, u64), outcome: step::Outcome) {
        let (intended_ns, actual_ns, completed_ns) = times_ns;
        self.ran += 1;
        self.last_ns = completed_ns;
        self.longest_ns = self.longest_ns.max(completed_ns.saturating_sub(intended_ns));
        if completed_ns >= self.window.0 && completed_ns < self.window.1 {
            self.completed += 1;
        }
        self.recorder.record(0, intended_ns, actual_ns, completed_ns, step::ending(&outcome));
        match outcome {
            Ok(done) | Err(Failure::Skipped(done)) => self.timeouts += done.timeouts,
            Err(failure) => self.shared.fail(failure.at(format_args!("task {task}"))),
        }
    }

    /// Whether no further task should start.
    #[inline]
    pub(super) fn stopped(&self) -> bool {
        self.shared.stopped()
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Tasks that this slot has run, in the whole life of the process.
    pub fn tasks_run(&self) -> u64 {
        self.ran
    }

    /// Time-outs in this slot, in the whole life of the process.
    pub fn timeouts(&self) -> u64 {
        self.timeouts
    }

    /// Notes how many tasks a client has completed that ends here.
    pub(super) fn client_ended(&mut self, tasks: u64) {
        // Most slots have one client, for which nothing is allocated: memory by client would be the harness's.
        match self.per_client.0 {
            None => self.per_client.0 = Some(tasks),
            Some(_) => self.per_client.1.push(tasks),
        }
    }

    pub(super) fn turn(&self) -> Turn {
        Turn { polls: self.polls.clone(), seen: 0, since_ns: 0 }
    }
}

/// How long a lane has run without a pause: found by counting polls, not by reading clocks.
pub(super) struct Turn {
    polls: Arc<AtomicU64>,
    seen: u64,
    since_ns: u64,
}

impl Turn {
    /// Whether the lane has run for too long at `now_ns`, without having been suspended since.
    #[inline]
    pub(super) fn is_over(&mut self, now_ns: u64) -> bool {
        let polls = self.polls.load(Relaxed);
        if polls != self.seen {
            self.seen = polls;
            self.since_ns = now_ns;
        }
        now_ns - self.since_ns > LONGEST_TURN_NS
    }

    /// The lane has stepped back until `now_ns`. A blocking executor has nobody to step back for: without this it
    /// would do so after every task.
    pub(super) fn begins(&mut self, now_ns: u64) {
        self.since_ns = now_ns;
    }
}

/// Counts the polls of a lane, which tell its [`Turn`] that it was suspended.
async fn counted<F: Future>(polls: Arc<AtomicU64>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        polls.store(polls.load(Relaxed) + 1, Relaxed);
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
    let wanted = slots.len();
    let mut lanes = Vec::with_capacity(wanted);
    let given = std::mem::take(slots);
    runtime.block_on(async {
        let mut refused = None;
        for (number, slot) in given.into_iter().enumerate() {
            let polls = slot.polls.clone();
            match runtime.spawn(counted(polls, lane(number, slot))) {
                Ok(started) => lanes.push(started),
                Err(source) => {
                    refused = Some(LoadError::Thread { started: number, wanted, source });
                    break;
                }
            }
        }
        for lane in lanes {
            slots.push(lane.await);
        }
        refused.map_or(Ok(()), Err)
    })
}

/// Gets all slots ready, at most 256 at once, on the executor itself: connections belong to its reactor.
pub fn prepare<R: Runtime, Rec: Record>(runtime: &R, slots: &mut Vec<Slot<Rec>>) -> Result<(), LoadError> {
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
    Ok(())
}
