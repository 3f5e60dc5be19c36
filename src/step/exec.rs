//! Steps as they run: built for one executor and one slot, erased, and free of allocation after the first call.
//!
//! An operation is written as an `async fn` on its own state ([`Operation`]). [`Repeated`] keeps that state in one
//! boxed future that never ends: each call is asked for and answered through a few words beside it. Combinators are
//! operations too: their state is the steps that they run. So everything in a task is a [`Step`], however deeply it
//! is nested.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use crate::{
    client::{Fault, FaultKind},
    draw,
};

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

/// Why a step ended its task. All but a skipped task make the trial fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A time-out with `on_timeout = "skip"`: the rest of the task is not done; so far this was.
    #[error("the task was skipped")]
    Skipped(Done),
    /// The work was not done as the scenario demands.
    #[error("{0}")]
    Wrong(String),
    /// A target did not do its part: it could not be reached, or the connection was lost.
    #[error("{0}")]
    Target(String),
    /// The system refused something that the work needs, such as a thread, a file or a port.
    #[error("{0}")]
    Refused(String),
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
            failed => failed,
        }
    }

    /// A fault of a server's, in these words.
    pub fn of_fault(fault: &Fault, words: String) -> Self {
        Self::of_kind(fault.kind, words)
    }

    /// The same of a kind of faults.
    pub fn of_kind(kind: FaultKind, words: String) -> Self {
        match kind {
            kind if kind.is_the_server_s() => Self::Target(words),
            kind if kind.is_the_system_s() => Self::Refused(words),
            _ => Self::Wrong(words),
        }
    }

    /// The same failure, its reason said after where it happened.
    #[must_use]
    pub fn at(self, place: impl std::fmt::Display) -> Self {
        let placed = |reason| format!("{place}: {reason}");
        match self {
            Self::Skipped(done) => Self::Skipped(done),
            Self::Wrong(reason) => Self::Wrong(placed(reason)),
            Self::Target(reason) => Self::Target(placed(reason)),
            Self::Refused(reason) => Self::Refused(placed(reason)),
        }
    }
}

/// How a step ended.
pub type Outcome = Result<Done, Failure>;

/// What a step is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Get ready without a connection: compute what is expected. Not measured.
    Prepare,
    /// Open what is kept from call to call. Not a part of any call.
    Open(Opening),
    /// Do it.
    Run(Call),
}

/// When a step opens what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// In preparation, by the instance that looks for all whether everything can be opened: nothing may go wrong, and
    /// what is to be learned is learned.
    Preparation,
    /// By any other instance, just before its first call. Where the scenario allows errors, what cannot be opened is
    /// left to the call, which counts it.
    FirstUse,
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
    /// Gets ready, as far as that needs no connection; not measured.
    fn prepare(&mut self) -> impl Future<Output = Outcome> + Send {
        std::future::ready(Ok(Done::default()))
    }
    /// Opens what is kept from call to call, before the clock of the first one is read. What a lost connection needs
    /// afterwards is opened by the call.
    fn open(&mut self, _when: Opening) -> impl Future<Output = Outcome> + Send {
        std::future::ready(Ok(Done::default()))
    }
    /// Does it once.
    fn call(&mut self, call: Call) -> impl Future<Output = Outcome> + Send;
}

/// What a [`Repeated`] step and its future tell each other. Both are polled by the same task, one after the other, so
/// relaxed atomics are only there to say so without a lock.
#[derive(Default)]
struct Port {
    state: AtomicU8,
    task: AtomicU64,
    child: AtomicU64,
    key: AtomicU64,
    issued_ns: AtomicU64,
    /// Zero for none.
    deadline_ns: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    errors: AtomicU64,
    timeouts: AtomicU64,
    /// Touched only when a call does not end well.
    failure: Mutex<Option<Failure>>,
}

impl Port {
    const IDLE: u8 = 0;
    const PREPARE: u8 = 1;
    const RUN: u8 = 2;
    const DONE: u8 = 3;
    const FAILED: u8 = 4;
    const OPEN_TO_LOOK: u8 = 5;
    const OPEN_TO_USE: u8 = 6;

    fn ask(&self, work: Work) {
        let call = match work {
            Work::Prepare => return self.state.store(Self::PREPARE, Relaxed),
            Work::Open(Opening::Preparation) => return self.state.store(Self::OPEN_TO_LOOK, Relaxed),
            Work::Open(Opening::FirstUse) => return self.state.store(Self::OPEN_TO_USE, Relaxed),
            Work::Run(call) => call,
        };
        self.task.store(call.task, Relaxed);
        self.child.store(call.child, Relaxed);
        self.key.store(call.key, Relaxed);
        self.issued_ns.store(call.issued_ns, Relaxed);
        self.deadline_ns.store(call.deadline_ns.unwrap_or(0), Relaxed);
        self.state.store(Self::RUN, Relaxed);
    }

    fn asked(&self) -> Poll<Work> {
        match self.state.load(Relaxed) {
            Self::PREPARE => Poll::Ready(Work::Prepare),
            Self::OPEN_TO_LOOK => Poll::Ready(Work::Open(Opening::Preparation)),
            Self::OPEN_TO_USE => Poll::Ready(Work::Open(Opening::FirstUse)),
            Self::RUN => Poll::Ready(Work::Run(Call {
                task: self.task.load(Relaxed),
                child: self.child.load(Relaxed),
                key: self.key.load(Relaxed),
                issued_ns: self.issued_ns.load(Relaxed),
                deadline_ns: Some(self.deadline_ns.load(Relaxed)).filter(|&at| at > 0),
            })),
            _ => Poll::Pending,
        }
    }

    fn answer(&self, outcome: Outcome) {
        match outcome {
            Ok(done) => {
                self.received.store(done.received, Relaxed);
                self.sent.store(done.sent, Relaxed);
                self.errors.store(done.errors, Relaxed);
                self.timeouts.store(done.timeouts, Relaxed);
                self.state.store(Self::DONE, Relaxed);
            }
            Err(failure) => {
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                self.state.store(Self::FAILED, Relaxed);
            }
        }
    }

    /// The answer, once it is there; the port is then idle.
    fn answered(&self) -> Poll<Outcome> {
        let outcome = match self.state.load(Relaxed) {
            Self::DONE => Ok(Done {
                received: self.received.load(Relaxed),
                sent: self.sent.load(Relaxed),
                errors: self.errors.load(Relaxed),
                timeouts: self.timeouts.load(Relaxed),
            }),
            Self::FAILED => {
                let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
                failure.map_or_else(|| Ok(Done::default()), Err)
            }
            _ => return Poll::Pending,
        };
        self.state.store(Self::IDLE, Relaxed);
        Poll::Ready(outcome)
    }
}

/// Does whatever the port asks for, for ever.
async fn serve<O: Operation>(mut operation: O, port: Arc<Port>) {
    loop {
        let outcome = match poll_fn(|_| port.asked()).await {
            Work::Prepare => operation.prepare().await,
            Work::Open(when) => operation.open(when).await,
            Work::Run(call) => operation.call(call).await,
        };
        port.answer(outcome);
    }
}

/// An [`Operation`] as a [`Step`]: one boxed future that never ends and does one call after another, so that a call
/// neither allocates nor moves anything larger than its arguments.
pub struct Repeated<O: Operation, F: Fn() -> O + Send> {
    make: F,
    /// None after a call was given up, which takes the operation's state with it.
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    port: Arc<Port>,
    /// Whether a call, not a preparation, is under way.
    calling: bool,
    /// None for what only wraps another step.
    tally: Option<Arc<TallyCell>>,
}

impl<O: Operation, F: Fn() -> O + Send> Repeated<O, F> {
    /// `make` gives fresh state, also after a cancelled call.
    pub fn new(tally: Option<Arc<TallyCell>>, make: F) -> Self {
        let port = Arc::new(Port::default());
        let future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(serve(make(), port.clone()));
        Self { make, future: Some(future), port, calling: false, tally }
    }

    fn count_cancelled(&mut self) {
        if let Some(tally) = self.tally.as_ref().filter(|_| std::mem::take(&mut self.calling)) {
            bump(&tally.cancelled, 1);
        }
    }
}

impl<O: Operation, F: Fn() -> O + Send> Step for Repeated<O, F> {
    fn start(&mut self, work: Work) {
        self.calling = matches!(work, Work::Run(_));
        if let Some(tally) = self.tally.as_ref().filter(|_| self.calling) {
            bump(&tally.started, 1);
        }
        self.port.ask(work);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        let future = self.future.get_or_insert_with(|| Box::pin(serve((self.make)(), self.port.clone())));
        // It never ends; it is pending once it waits for the next call, too.
        let _ = future.as_mut().poll(context);
        let Poll::Ready(outcome) = self.port.answered() else { return Poll::Pending };
        if let Some(tally) = self.tally.as_ref().filter(|_| std::mem::take(&mut self.calling)) {
            tally.end(&outcome);
        }
        Poll::Ready(outcome)
    }

    fn cancel(&mut self) {
        if self.port.state.swap(Port::IDLE, Relaxed) != Port::IDLE {
            self.future = None;
            self.count_cancelled();
        }
    }
}

impl<O: Operation, F: Fn() -> O + Send> Drop for Repeated<O, F> {
    /// A task that is given up takes its steps with it, without having cancelled them.
    fn drop(&mut self) {
        self.count_cancelled();
    }
}
