//! Children of whom so many are at work at once, and the next one begins as soon as one has ended.
//!
//! So many runners take the numbers of the children one after another. Each is started as a child
//! is, and a worker of a pool that waits for them is one of them itself: were they started one by
//! one by whoever waits, nothing would be started while it runs one.

use std::sync::Arc;

use super::{
    super::{
        Call, Done, Failure, Opening, Operation, Sequence, StepOutcome,
        child::{fold, is_out_of_time, run_child, until_time_is_up},
        site::ChildTask,
    },
    crowd::{CallCount, Crowd},
};
use crate::{clock, runtime::Runtime};

/// A runner's end: itself, for the next call, and what its children did; nothing where the deadline
/// of the call ended one.
type RunnerEnd = (ChildRunner, Option<StepOutcome>);

pub(super) struct ChildWindow<R: Runtime> {
    /// None where one was lost by being cancelled.
    runners: Vec<Option<ChildRunner>>,
    /// Empty between calls; kept for its memory.
    joins: Vec<Option<R::Join<RunnerEnd>>>,
    child: ChildTask,
    turns: Arc<ChildTurns>,
    /// Calls begun.
    calls: u32,
    runtime: R,
}

/// Who runs children, one after another.
struct ChildRunner {
    steps: Sequence,
    /// With an account of its own.
    child: ChildTask,
}

impl ChildRunner {
    fn of(child: &ChildTask) -> Self {
        Self { steps: child.build(), child: child.beside() }
    }
}

/// Whose turn it is. Runners of calls that were given up take no more turns once the next call has
/// begun, or the window is gone.
struct ChildTurns {
    /// The number of the child that is next.
    next: CallCount,
    count: u32,
    crowd: Arc<Crowd>,
}

impl ChildTurns {
    fn begin(&self, call: u32) {
        self.crowd.begin(call);
        self.next.begin(call);
    }

    /// The number of the child that is next in a call.
    fn take(&self, call: u32) -> Option<u32> {
        self.next.change(call, |next| (next < self.count).then_some(next + 1))
    }

    /// Whether all children of the last call have had their turn.
    fn are_over(&self) -> bool {
        self.next.get() == self.count
    }
}

impl<R: Runtime> ChildWindow<R> {
    pub(super) fn new(child: &ChildTask, (count, most): (u32, u32), runtime: R) -> Self {
        let runners = most.min(count);
        let turns = ChildTurns { next: CallCount::default(), count, crowd: Crowd::of(child) };
        Self {
            runners: (0..runners).map(|_| Some(ChildRunner::of(child))).collect(),
            joins: Vec::with_capacity(runners as usize),
            child: child.clone(),
            turns: Arc::new(turns),
            calls: 0,
            runtime,
        }
    }

    fn start(&mut self, place: usize, call: Call) -> Result<(), Failure> {
        let runner = self.runners[place].take().unwrap_or_else(|| ChildRunner::of(&self.child));
        let run = run::<R>(runner, self.turns.clone(), self.calls, call);
        let join = self.runtime.spawn(run).map_err(|why| {
            Failure::Refused(format!(
                "the system refused a thread for {} children at once: {why}; lower `at_once` or the concurrency",
                place + 1
            ))
        })?;
        self.joins.push(Some(join));
        Ok(())
    }

    async fn all(&mut self) -> StepOutcome {
        let (mut done, mut wrong, mut cut) = (Done::default(), None, false);
        for (place, join) in self.joins.iter_mut().enumerate() {
            if let Some(join) = join.take() {
                let (runner, outcome) = join.await;
                self.runners[place] = Some(runner);
                match outcome {
                    Some(outcome) => fold(&mut done, &mut wrong, outcome),
                    None => cut = true,
                }
            }
        }
        if cut && wrong.is_none() {
            until_time_is_up::<R::Native>().await;
        }
        wrong.map_or(Ok(done), Err)
    }
}

impl<R: Runtime> Drop for ChildWindow<R> {
    /// A call that is given up takes the window with it, and its runners may still be at work.
    fn drop(&mut self) {
        self.turns.next.begin(self.calls.wrapping_add(1));
    }
}

impl<R: Runtime> Operation for ChildWindow<R> {
    async fn prepare(&mut self) -> StepOutcome {
        for runner in self.runners.iter_mut().flatten() {
            runner.steps.prepare().await?;
        }
        Ok(Done::default())
    }

    /// As in a fan-out: whoever looks whether a child can be opened, and nobody else beforehand.
    async fn open(&mut self, when: Opening) -> StepOutcome {
        match when {
            Opening::Preparation => self.child.try_out().await,
            Opening::FirstUse => Ok(Done::default()),
        }
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        self.calls = self.calls.wrapping_add(1);
        self.turns.begin(self.calls);
        for place in 0..self.runners.len() {
            if let Err(failure) = self.start(place, call) {
                self.joins.clear();
                return Err(failure);
            }
        }
        let outcome = self.all().await;
        self.joins.clear();
        if outcome.is_ok() && !self.turns.are_over() && is_out_of_time(call) {
            until_time_is_up::<R::Native>().await;
        }
        outcome
    }
}

/// Runs one child after another, until there are no more or time is up.
async fn run<R: Runtime>(
    mut runner: ChildRunner,
    turns: Arc<ChildTurns>,
    number: u32,
    call: Call,
) -> RunnerEnd {
    let (mut done, mut wrong) = (Done::default(), None);
    while !is_out_of_time(call)
        && let Some(index) = turns.take(number)
    {
        let child = Call { issued_ns: clock::now_ns(), ..call.of_child(u64::from(index)) };
        runner.child.asked();
        let crowd = turns.crowd.clone();
        let end = run_child::<R, _>(runner.steps, child, || crowd.enter(number)).await;
        runner.steps = end.steps;
        let Some(outcome) = end.outcome else { return (runner, wrong.map(Err)) };
        runner.child.returned();
        fold(&mut done, &mut wrong, outcome);
    }
    (runner, Some(wrong.map_or(Ok(done), Err)))
}
