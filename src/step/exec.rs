//! Steps as they run: built for one executor and one slot, erased, and free of allocation after the
//! first call.
//!
//! An operation is written as an `async fn` on its own state ([`Operation`]). [`Repeated`] keeps
//! that state in one boxed future that never ends: each call is asked for and answered through a
//! few words beside it. Combinators are operations too: their state is the steps that they run. So
//! everything in a task is a [`Step`], however deeply it is nested.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use super::{
    ledger::{Owned, TallyCell},
    outcome::{Done, Failure, StepEnd, StepOutcome},
};
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
    /// In preparation, by the instance that looks for all whether everything can be opened: nothing
    /// may go wrong, and what is to be learned is learned.
    Preparation,
    /// By any other instance, just before its first call. Where the scenario allows errors, what
    /// cannot be opened is left to the call, which counts it.
    FirstUse,
}

/// A step built for one slot.
pub trait Step: Send {
    /// Begins; the step before must have ended or been cancelled.
    fn start(&mut self, work: Work);
    /// Goes on.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<StepEnd>;
    /// Gives up what was begun: connections in use are closed, never used again.
    fn cancel(&mut self);
    /// The task ends here, before its end: counted for the proof. A first step may not have begun.
    fn stopped(&mut self, begun: bool);
}

/// An operation or a combinator, written as an `async fn` on its own state.
pub trait Operation: Send + Sized + 'static {
    /// Gets ready, as far as that needs no connection; not measured.
    fn prepare(&mut self) -> impl Future<Output = StepOutcome> + Send {
        std::future::ready(Ok(Done::default()))
    }
    /// Opens what is kept from call to call, before the clock of the first one is read. What a lost
    /// connection needs afterwards is opened by the call.
    fn open(&mut self, _when: Opening) -> impl Future<Output = StepOutcome> + Send {
        std::future::ready(Ok(Done::default()))
    }
    /// Does it once.
    fn call(&mut self, call: Call) -> impl Future<Output = StepOutcome> + Send;
}

/// What a [`Repeated`] step and its future tell each other. Both are polled by the same task, one
/// after the other, so relaxed atomics are only there to say so without a lock.
#[derive(Default)]
struct CallHandOff {
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

impl CallHandOff {
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
            Work::Open(Opening::Preparation) => {
                return self.state.store(Self::OPEN_TO_LOOK, Relaxed);
            }
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

    fn answer(&self, outcome: StepOutcome) {
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

    /// The answer, once it is there; it is then idle.
    #[inline]
    fn answered(&self) -> Poll<StepOutcome> {
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

/// Does whatever the hand-off asks for, for ever.
async fn serve<O: Operation>(mut operation: O, hand_off: Arc<CallHandOff>) {
    loop {
        let outcome = match poll_fn(|_| hand_off.asked()).await {
            Work::Prepare => operation.prepare().await,
            Work::Open(when) => operation.open(when).await,
            Work::Run(call) => operation.call(call).await,
        };
        hand_off.answer(outcome);
    }
}

/// An [`Operation`] as a [`Step`]: one boxed future that never ends and does one call after
/// another, so that a call neither allocates nor moves anything larger than its arguments.
pub struct Repeated<O: Operation, F: Fn() -> O + Send> {
    make: F,
    /// None after a call was given up, which takes the operation's state with it.
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    hand_off: Arc<CallHandOff>,
    /// Whether a call, not a preparation, is under way.
    calling: bool,
    tally: Tallied,
}

/// What is counted of a [`Repeated`] step, and where.
pub(super) enum Tallied {
    /// Its calls, and the tasks that end with it.
    Calls(Owned<TallyCell>),
    /// The tasks that end with it: it wraps another step, which counts the calls.
    Stops(Owned<TallyCell>),
    /// Nothing.
    #[cfg(test)]
    Nothing,
}

impl Tallied {
    /// Where calls are counted.
    #[inline]
    fn calls(&self) -> Option<&TallyCell> {
        if let Self::Calls(cell) = self { Some(cell) } else { None }
    }
}

impl<O: Operation, F: Fn() -> O + Send> Repeated<O, F> {
    /// `make` gives fresh state, also after a cancelled call.
    pub(super) fn counted(tally: Tallied, make: F) -> Self {
        let hand_off = Arc::new(CallHandOff::default());
        let future: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(serve(make(), hand_off.clone()));
        Self { make, future: Some(future), hand_off, calling: false, tally }
    }

    /// One that nobody asks for its account.
    #[cfg(test)]
    pub(crate) fn new(make: F) -> Self {
        Self::counted(Tallied::Nothing, make)
    }

    fn count_cancelled(&mut self) {
        if let Some(tally) = self.tally.calls().filter(|_| std::mem::take(&mut self.calling)) {
            tally.cancel();
        }
    }
}

impl<O: Operation, F: Fn() -> O + Send> Step for Repeated<O, F> {
    fn start(&mut self, work: Work) {
        self.calling = matches!(work, Work::Run(_));
        if let Some(tally) = self.tally.calls().filter(|_| self.calling) {
            tally.start();
        }
        self.hand_off.ask(work);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<StepEnd> {
        let future = self
            .future
            .get_or_insert_with(|| Box::pin(serve((self.make)(), self.hand_off.clone())));
        // It never ends; it is pending once it waits for the next call, too.
        let _ = future.as_mut().poll(context);
        let Poll::Ready(outcome) = self.hand_off.answered() else { return Poll::Pending };
        if let Some(tally) = self.tally.calls().filter(|_| std::mem::take(&mut self.calling)) {
            tally.end(&outcome);
        }
        Poll::Ready(outcome.into())
    }

    fn cancel(&mut self) {
        if self.hand_off.state.swap(CallHandOff::IDLE, Relaxed) != CallHandOff::IDLE {
            self.future = None;
            self.count_cancelled();
        }
    }

    fn stopped(&mut self, begun: bool) {
        match &self.tally {
            Tallied::Calls(cell) | Tallied::Stops(cell) => cell.stop(begun),
            #[cfg(test)]
            Tallied::Nothing => {}
        }
    }
}

impl<O: Operation, F: Fn() -> O + Send> Drop for Repeated<O, F> {
    /// A task that is given up takes its steps with it, without having cancelled them.
    fn drop(&mut self) {
        self.count_cancelled();
    }
}
