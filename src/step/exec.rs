//! Steps as they run: built for one executor and one slot, erased, and free of allocation after the first call.
//!
//! An operation is written as an `async fn` on its own state ([`Operation`]). [`Reusable`] owns that state and one
//! boxed future whose memory is used again for every call. Combinators are operations too: their state is the
//! steps that they run. So everything in a task is a [`Step`], however deeply it is nested.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use tokio_util::sync::ReusableBoxFuture;

use crate::draw;

/// What a step is told when it starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Call {
    /// Index of the load's task, from 0: `${i}`.
    pub task: u64,
    /// Index among the children of the innermost `parallel` or `repeat`, from 0: `${j}`.
    pub child: u64,
    /// Key of all draws of this execution: equal for the same work, whoever does it and whenever.
    pub key: u64,
    /// When a parent issued this, in ns; 0 if nobody but the step before did.
    pub issued_ns: u64,
    /// The nearest deadline of the steps around this one.
    pub deadline_ns: Option<u64>,
}

impl Call {
    /// The call of a child: its own index and draws, the same task, deadline and issue.
    #[must_use]
    pub fn of_child(self, index: u64) -> Self {
        Self { child: index, key: draw::mix(self.key, index + 1), ..self }
    }
}

/// How a step ended that did not end the task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Bytes received or read.
    pub received: u64,
    /// Bytes sent or written.
    pub sent: u64,
    /// Errors that the scenario allows.
    pub errors: u64,
    /// Time-outs that the scenario allows.
    pub timeouts: u64,
}

impl Done {
    /// Adds what another step did.
    pub fn add(&mut self, other: Self) {
        self.received += other.received;
        self.sent += other.sent;
        self.errors += other.errors;
        self.timeouts += other.timeouts;
    }
}

/// Why a step ended its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A time-out with `on_timeout = "skip"`: the rest of the task is not done; so far this was.
    Skipped(Done),
    /// The work was not done as the scenario demands: the trial fails.
    Wrong(String),
}

impl Failure {
    /// The same failure, after other work was done.
    #[must_use]
    pub fn after(self, mut before: Done) -> Self {
        match self {
            Self::Skipped(done) => {
                before.add(done);
                Self::Skipped(before)
            }
            Self::Wrong(reason) => Self::Wrong(reason),
        }
    }
}

/// How a step ended.
pub type Outcome = Result<Done, Failure>;

/// What a step is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Get ready: open what is kept open, compute what is expected. Not measured.
    Prepare,
    /// Do it.
    Run(Call),
}

/// How often one instance of a step was executed, over the whole life of the process; the proof is made of these.
///
/// Kept outside the instance, so that what it did still counts when the instance is lost with a cancelled call.
#[derive(Debug, Default)]
pub struct TallyCell {
    started: AtomicU64,
    ended: AtomicU64,
    cancelled: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    errors: AtomicU64,
    timeouts: AtomicU64,
}

/// A reading of a [`TallyCell`], or the sum of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls begun.
    pub started: u64,
    /// Calls that ended by themselves, well or in an allowed way.
    pub ended: u64,
    /// Calls that were given up.
    pub cancelled: u64,
    /// What they did.
    pub done: Done,
}

/// Adds without a locked instruction: an instance has one owner at a time.
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed) + by, Relaxed);
}

impl TallyCell {
    fn end(&self, outcome: &Outcome) {
        bump(&self.ended, 1);
        if let Ok(done) | Err(Failure::Skipped(done)) = outcome {
            for (counter, by) in [
                (&self.received, done.received),
                (&self.sent, done.sent),
                (&self.errors, done.errors),
                (&self.timeouts, done.timeouts),
            ] {
                if by > 0 {
                    bump(counter, by);
                }
            }
        }
    }

    /// What was counted so far.
    pub fn read(&self) -> Tally {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        let done = Done {
            received: get(&self.received),
            sent: get(&self.sent),
            errors: get(&self.errors),
            timeouts: get(&self.timeouts),
        };
        Tally { started: get(&self.started), ended: get(&self.ended), cancelled: get(&self.cancelled), done }
    }
}

impl Tally {
    /// Adds another instance's.
    pub fn add(&mut self, other: Self) {
        self.started += other.started;
        self.ended += other.ended;
        self.cancelled += other.cancelled;
        self.done.add(other.done);
    }
}

/// A step built for one slot.
pub trait Step: Send {
    /// Begins; the step before must have ended or been cancelled.
    fn start(&mut self, work: Work);
    /// Goes on.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Outcome>;
    /// Gives up what was begun: connections in use are closed, never used again.
    fn cancel(&mut self);
}

/// An operation or a combinator, written as an `async fn` on its own state.
pub trait Operation: Send + Sized + 'static {
    /// Gets ready; not measured.
    fn prepare(&mut self) -> impl Future<Output = Outcome> + Send {
        std::future::ready(Ok(Done::default()))
    }
    /// Does it once.
    fn call(&mut self, call: Call) -> impl Future<Output = Outcome> + Send;
}

/// An operation's state, what it is asked to do, and how that ended: all of a call in one place, so that the future,
/// which is written anew for every call, holds no more than a pointer to it.
struct State<O> {
    operation: O,
    work: Work,
    outcome: Outcome,
}

type Running<O> = ReusableBoxFuture<'static, Box<State<O>>>;

/// An [`Operation`] as a [`Step`].
pub struct Reusable<O: Operation, F: Fn() -> O + Send> {
    make: F,
    /// The state while nothing runs; a running future owns it.
    idle: Option<Box<State<O>>>,
    running: Running<O>,
    /// Whether what runs is a call, not a preparation.
    measured: bool,
    /// None for what only wraps another step.
    tally: Option<Arc<TallyCell>>,
}

impl<O: Operation, F: Fn() -> O + Send> Reusable<O, F> {
    /// `make` gives fresh state, also after a cancelled call.
    pub fn new(tally: Option<Arc<TallyCell>>, make: F) -> Self {
        let idle = Some(State::boxed(make()));
        let running = ReusableBoxFuture::new(std::future::pending());
        Self { make, idle, running, measured: false, tally }
    }
}

impl<O> State<O> {
    fn boxed(operation: O) -> Box<Self> {
        Box::new(Self { operation, work: Work::Prepare, outcome: Ok(Done::default()) })
    }
}

async fn run<O: Operation>(mut state: Box<State<O>>) -> Box<State<O>> {
    state.outcome = match state.work {
        Work::Prepare => state.operation.prepare().await,
        Work::Run(call) => state.operation.call(call).await,
    };
    state
}

impl<O: Operation, F: Fn() -> O + Send> Step for Reusable<O, F> {
    fn start(&mut self, work: Work) {
        let mut state = self.idle.take().unwrap_or_else(|| State::boxed((self.make)()));
        state.work = work;
        self.measured = work != Work::Prepare;
        if let Some(tally) = self.tally.as_ref().filter(|_| self.measured) {
            bump(&tally.started, 1);
        }
        self.running.set(run(state));
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        let Poll::Ready(mut state) = self.running.poll(context) else { return Poll::Pending };
        let outcome = std::mem::replace(&mut state.outcome, Ok(Done::default()));
        self.idle = Some(state);
        if let Some(tally) = self.tally.as_ref().filter(|_| self.measured) {
            tally.end(&outcome);
        }
        Poll::Ready(outcome)
    }

    fn cancel(&mut self) {
        if self.idle.is_none() {
            self.running = ReusableBoxFuture::new(std::future::pending());
            self.count_cancelled();
        }
    }
}

impl<O: Operation, F: Fn() -> O + Send> Reusable<O, F> {
    fn count_cancelled(&mut self) {
        if let Some(tally) = self.tally.as_ref().filter(|_| std::mem::take(&mut self.measured)) {
            bump(&tally.cancelled, 1);
        }
    }
}

impl<O: Operation, F: Fn() -> O + Send> Drop for Reusable<O, F> {
    /// A task that is given up takes its steps with it, without having cancelled them.
    fn drop(&mut self) {
        if self.idle.is_none() {
            self.count_cancelled();
        }
    }
}

/// Waits for a started step.
pub struct Ended<'a>(pub &'a mut dyn Step);

impl Future for Ended<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        self.0.poll(context)
    }
}

/// The steps of a task, built for one slot.
pub struct Sequence {
    /// In order.
    pub steps: Vec<Box<dyn Step>>,
}

impl Sequence {
    /// Gets every step ready.
    pub async fn prepare(&mut self) -> Outcome {
        for step in &mut self.steps {
            step.start(Work::Prepare);
            Ended(step.as_mut()).await?;
        }
        Ok(Done::default())
    }

    /// Does the steps one after another.
    pub async fn run(&mut self, mut call: Call) -> Outcome {
        let mut done = Done::default();
        for step in &mut self.steps {
            step.start(Work::Run(call));
            match Ended(step.as_mut()).await {
                Ok(more) => done.add(more),
                Err(failure) => return Err(failure.after(done)),
            }
            // Only the first step was issued by the parent; the next one is issued by the end of this one.
            call.issued_ns = 0;
        }
        Ok(done)
    }

    /// Gives up whatever was begun.
    pub fn cancel(&mut self) {
        for step in &mut self.steps {
            step.cancel();
        }
    }
}
