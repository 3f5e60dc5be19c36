//! A task in the background of another one: `spawn` starts it, and `join` or `cancel` ends it. All of
//! them are steps of one sequence, of which one runs at a time.
//!
//! Whether it has ended or was cancelled is decided once, by one word, whoever comes first. It says
//! itself that it is gone, when its steps are: what it held is free then.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire, Release},
        },
    },
    task::{Context, Poll},
};

use atomic_waker::AtomicWaker;

use super::{
    Call, Failure, Sequence, Step, StepEnd, StepOutcome,
    child::{ChildEnd, run_child},
    exec::Work,
    site::ChildTask,
};
use crate::{clock, runtime::Runtime};

/// The step that starts background tasks, by its number, and what it starts.
pub(super) type Origin = (usize, ChildTask);

/// What the steps of a sequence know of a background task, by its name.
pub(super) struct Handle<R: Runtime> {
    life: Arc<Life>,
    /// Never contended: one step of a sequence runs at a time.
    kept: Mutex<HandleState<R>>,
}

struct HandleState<R: Runtime> {
    running: Option<BackgroundTask<R>>,
    /// The steps of tasks that have ended, by the number of the step that starts them, for the next one.
    spare: Vec<(usize, Sequence)>,
    /// Tasks started.
    started: u64,
}

/// A background task that was started and not yet joined.
pub(super) struct BackgroundTask<R: Runtime> {
    join: R::Join<ChildEnd>,
    origin: Origin,
    /// Its number, from 1.
    number: u64,
}

impl<R: Runtime> Default for Handle<R> {
    fn default() -> Self {
        let kept = Mutex::new(HandleState { running: None, spare: Vec::new(), started: 0 });
        Self { life: Arc::default(), kept }
    }
}

impl<R: Runtime> Handle<R> {
    fn kept(&self) -> MutexGuard<'_, HandleState<R>> {
        // No code that could panic runs under the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Steps for a task that is to be started.
    pub(super) fn steps(&self, (step, child): &Origin) -> Sequence {
        let mut kept = self.kept();
        let found = kept.spare.iter().position(|(of, _)| of == step);
        let spare = found.map(|at| kept.spare.swap_remove(at).1);
        drop(kept);
        spare.unwrap_or_else(|| child.build())
    }

    /// Keeps steps for the next one that this step starts.
    pub(super) fn keep(&self, step: usize, steps: Sequence) {
        self.kept().spare.push((step, steps));
    }

    /// Starts a task; the one before was joined or given up.
    pub(super) fn start(&self, origin: &Origin, call: Call, runtime: &R) -> std::io::Result<()> {
        let (steps, (step, child)) = (self.steps(origin), origin);
        child.asked();
        let number = {
            let mut kept = self.kept();
            kept.started += 1;
            kept.started
        };
        self.life.begin(number);
        let lives = Lives { life: self.life.clone(), child: child.clone(), number };
        let call = Call { issued_ns: clock::now_ns(), ..call.of_child(0) };
        let join = runtime.spawn(run_child::<R, _>(steps, call, move || lives))?;
        self.kept().running = Some(BackgroundTask { join, origin: (*step, child.clone()), number });
        Ok(())
    }

    /// The task that was started, for whoever ends it.
    pub(super) fn take(&self) -> Result<BackgroundTask<R>, Failure> {
        let none = || Failure::Wrong("nothing was started that could be ended".to_owned());
        self.kept().running.take().ok_or_else(none)
    }

    /// Waits for a task's end, and answers how it ended; none: the deadline of its call ended it.
    pub(super) async fn join(&self, running: BackgroundTask<R>) -> Option<StepOutcome> {
        if R::INFO.style.joins_block() {
            // Who joins a thread cannot look at the time meanwhile.
            self.until_gone(running.number).await;
        }
        let ChildEnd { steps, outcome } = running.join.await;
        let (step, child) = &running.origin;
        self.keep(*step, steps);
        outcome.inspect(|_| child.returned())
    }

    /// Cancels a task, unless it has ended, and waits until it is gone. Answers whoever has ended.
    pub(super) async fn cancel(&self, running: BackgroundTask<R>) -> Option<BackgroundTask<R>> {
        if !self.life.cancel(running.number) {
            return Some(running);
        }
        running.origin.1.pending(1);
        drop(running.join);
        self.until_gone(running.number).await;
        None
    }

    async fn until_gone(&self, number: u64) {
        poll_fn(|context| {
            self.life.waker.register(context.waker());
            if self.life.is_over(number) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn give_up(&self) {
        let running = self.kept().running.take();
        drop(running);
    }
}

/// How far the last background task has come: its number, and whether it lives, was cancelled or is
/// gone.
#[derive(Default)]
struct Life {
    word: AtomicU64,
    waker: AtomicWaker,
}

impl Life {
    const BITS: u32 = 2;
    const LIVES: u64 = 1;
    const CANCELLED: u64 = 2;
    const GONE: u64 = 3;

    const fn word(number: u64, state: u64) -> u64 {
        number << Self::BITS | state
    }

    fn begin(&self, number: u64) {
        self.word.store(Self::word(number, Self::LIVES), Release);
    }

    /// From now on the task is cancelled, unless it is over.
    fn cancel(&self, number: u64) -> bool {
        let (lives, cancelled) =
            (Self::word(number, Self::LIVES), Self::word(number, Self::CANCELLED));
        self.word.compare_exchange(lives, cancelled, AcqRel, Acquire).is_ok()
    }

    /// The task is over. If it was cancelled, that is counted before anybody can see that it is gone.
    /// One that was given up may end beside a later one, and says nothing.
    fn end(&self, number: u64, count: impl FnOnce()) {
        let [lives, cancelled, gone] =
            [Self::LIVES, Self::CANCELLED, Self::GONE].map(|state| Self::word(number, state));
        let ended = self.word.compare_exchange(lives, gone, AcqRel, Acquire);
        if ended == Err(cancelled) {
            count();
            // Only where the `cancel` was given up has another one begun meanwhile.
            let _ = self.word.compare_exchange(cancelled, gone, AcqRel, Acquire);
        }
        self.waker.wake();
    }

    fn is_over(&self, number: u64) -> bool {
        self.word.load(Acquire) >= Self::word(number, Self::GONE)
    }
}

/// A background task, as long as its steps are there.
struct Lives {
    life: Arc<Life>,
    child: ChildTask,
    number: u64,
}

impl Drop for Lives {
    fn drop(&mut self) {
        self.life.end(self.number, || self.child.gone());
    }
}

/// A step that starts something in the background: what is still there when the task is given up, or
/// ends early, is given up, too.
pub(super) struct Leaves<R: Runtime> {
    pub step: Box<dyn Step>,
    pub handle: Arc<Handle<R>>,
}

impl<R: Runtime> Step for Leaves<R> {
    fn start(&mut self, work: Work) {
        self.step.start(work);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<StepEnd> {
        self.step.poll(context)
    }

    fn cancel(&mut self) {
        self.step.cancel();
        self.handle.give_up();
    }

    fn stopped(&mut self, begun: bool) {
        self.step.stopped(begun);
    }
}
