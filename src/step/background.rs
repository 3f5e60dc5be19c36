//! A task in the background of another one: `spawn` starts it, and `join` or `cancel` ends it. All of
//! them are steps of one sequence, of which one runs at a time.
//!
//! Whether it has ended or was cancelled is decided once, by one word, whoever comes first. It says
//! itself that it is gone, when its steps are: what it held is free then.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use super::{
    Call, Failure, Sequence, Step, StepEnd, StepOutcome,
    child::{ChildEnd, run_child},
    exec::Work,
    life::Life,
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
        poll_fn(|context| self.life.poll_over(number, context)).await;
    }

    fn give_up(&self) {
        let running = self.kept().running.take();
        drop(running);
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
