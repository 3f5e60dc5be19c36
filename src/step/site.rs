//! Where a step is built: the trial's executor, tasks, targets and recorders, and the slot it is
//! built for.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    future::Future,
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use super::{
    asked_wait::AskedWait,
    exec::{Opening, Operation, Repeated, Step, Tallied, Work},
    ledger::{EdgeCell, Ledger, LedgerPage, Owned, TallyCell, ValueCell},
    outcome::{Failure, StepEnd, StepOutcome},
    sequence::Sequence,
};
use crate::{measure::Recorders, runtime::Runtime, shared::Objects, targets::Endpoint};

/// What all steps of a load share.
pub struct Trial<R> {
    /// The executor.
    pub runtime: R,
    /// Threads of a pool, where steps have one of their own.
    pub pool_size: usize,
    /// What the load calls the number of tasks at once, for messages.
    pub at_once: &'static str,
    /// The seed of every draw.
    pub seed: u64,
    /// The plan's tasks.
    pub tasks: Box<dyn PlannedTasks<R>>,
    /// The targets' endpoints by name.
    pub endpoints: HashMap<String, Endpoint>,
    /// Where named steps are recorded.
    pub recorders: Recorders,
    /// What every instance of every step has done, in all loads of the trial.
    pub ledger: Arc<Ledger>,
    /// The scenario's shared objects, of all loads of the trial.
    pub shared: Arc<Objects>,
    /// What steps of all slots share, such as pools of connections, in all loads of the trial.
    pub commons: Arc<Commons>,
}

/// The tasks of a plan, as those need them who build steps: a step knows no other kind of steps.
/// Steps are numbered through all tasks, in order.
pub trait PlannedTasks<R>: Send + Sync {
    /// The numbers of a task's steps; none: there is no such task.
    fn numbers(&self, task: &str) -> Option<Range<usize>>;

    /// All steps, by number.
    fn steps(&self) -> Vec<PlannedStep<'_>>;

    /// Builds the step that stands at a site, with its time limit and its recording.
    fn build(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError>;
}

/// A step of a plan, as other steps see it.
#[derive(Clone, Copy)]
pub struct PlannedStep<'a> {
    /// The task that it is of.
    pub task: &'a str,
    /// Its name, if it has one.
    pub name: Option<&'a str>,
    /// Its parameters, for those who know its kind.
    pub parameters: &'a dyn Any,
}

/// A step could not be built: the plan names something that it does not contain, or a target is of
/// another kind.
#[derive(Debug, thiserror::Error)]
#[error("the plan cannot be built: {0}")]
pub struct BuildError(pub String);

/// What several steps share, by type and name. Asked when they are built, never on the measured
/// path.
#[derive(Default)]
pub struct Commons(Mutex<HashMap<(TypeId, String), Arc<dyn Any + Send + Sync>>>);

impl Commons {
    /// What all that ask for this name and type share; made when it is first asked for.
    pub fn shared<T: Send + Sync + 'static>(&self, name: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = all
            .entry((TypeId::of::<T>(), name.to_owned()))
            .or_insert_with(|| Arc::new(make()))
            .clone();
        shared
            .downcast()
            .unwrap_or_else(|_| unreachable!("what is kept under a type is of that type"))
    }

    /// Lets go of everything.
    pub fn clear(&self) {
        // Moved out first, so that nothing is dropped with the lock in hand.
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(all);
    }
}

/// Where one step is built.
pub struct Site<R> {
    /// What all steps share.
    pub trial: Arc<Trial<R>>,
    /// The slot that it belongs to.
    pub slot: usize,
    /// Its number in the plan: all tasks' steps in order.
    pub number: usize,
    /// Where it counts what it does.
    page: Arc<LedgerPage>,
    /// What it shares with the other steps of its sequence, of which at most one runs at a time.
    pub commons: Arc<Commons>,
    /// Where the nearest `retry` around it looks for the wait that an answer asks for; none: no
    /// `retry` does.
    pub(super) asked: Option<Arc<AskedWait>>,
}

impl<R: Runtime> Trial<R> {
    /// Builds the steps of a task for a slot.
    pub fn sequence(self: &Arc<Self>, task: &str, slot: usize) -> Result<Sequence, BuildError> {
        self.sequence_on(&self.ledger.page(slot), task, slot, None)
    }

    /// The same, counting there.
    fn sequence_on(
        self: &Arc<Self>,
        page: &Arc<LedgerPage>,
        task: &str,
        slot: usize,
        asked: Option<&Arc<AskedWait>>,
    ) -> Result<Sequence, BuildError> {
        let numbers = self.tasks.numbers(task);
        let numbers = numbers.ok_or_else(|| BuildError(format!("there is no task `{task}`")))?;
        let commons = Arc::new(Commons::default());
        let site = |number| Site {
            trial: self.clone(),
            slot,
            number,
            page: page.clone(),
            commons: commons.clone(),
            asked: asked.cloned(),
        };
        let steps: Result<_, _> = numbers.map(|number| self.tasks.build(&site(number))).collect();
        Ok(Sequence::new(steps?))
    }
}

impl<R> Clone for Site<R> {
    fn clone(&self) -> Self {
        Self {
            trial: self.trial.clone(),
            slot: self.slot,
            number: self.number,
            page: self.page.clone(),
            commons: self.commons.clone(),
            asked: self.asked.clone(),
        }
    }
}

impl<R> Site<R> {
    /// The step's task and name, for messages; one without a name is called by its key.
    pub fn words(&self, key: &str) -> String {
        let steps = self.trial.tasks.steps();
        let (task, name) =
            steps.get(self.number).map_or(("?", None), |step| (step.task, step.name));
        format!("task {task}, step {}", name.unwrap_or(key))
    }
}

impl<R: Runtime> Site<R> {
    /// An operation as a step; `make` gives fresh state, also after a cancelled call.
    pub fn operation<O: Operation>(&self, make: impl Fn() -> O + Send + 'static) -> Box<dyn Step> {
        Box::new(Repeated::counted(Tallied::Calls(self.tally()), make))
    }

    /// Where it counts its calls.
    pub(super) fn tally(&self) -> Owned<TallyCell> {
        Owned::at(self.number as u32, &self.page)
    }

    /// Where each instance of it counts the calls after which its values are there.
    pub(super) fn value_counter(&self) -> impl Fn() -> Owned<ValueCell> + Send + Sync + use<R> {
        let (number, page) = (self.number as u32, self.page.clone());
        move || Owned::at(number, &page)
    }

    /// The tasks that this step runs, in the order of [`super::StepKind::children`]. Each is built
    /// once to see that it can be built, and then as often as it is needed.
    pub fn children<'a>(
        &self,
        tasks: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<ChildTask>, BuildError> {
        tasks.into_iter().enumerate().map(|(index, task)| self.child_at(index, task)).collect()
    }

    /// The only task that this step runs.
    pub fn child(&self, task: &str) -> Result<ChildTask, BuildError> {
        self.child_at(0, task)
    }

    fn child_at(&self, index: usize, task: &str) -> Result<ChildTask, BuildError> {
        let (trial, slot, page, name) =
            (self.trial.clone(), self.slot, self.page.clone(), task.to_owned());
        let asked = self.asked.clone();
        let first = Mutex::new(Some(trial.sequence_on(&page, task, slot, asked.as_ref())?));
        let account = Owned::at((self.number as u32, index as u32), &page);
        let build = move || {
            let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            first.map_or_else(|| trial.sequence_on(&page, &name, slot, asked.as_ref()), Ok)
        };
        Ok(ChildTask { build: Arc::new(build), account: Arc::new(account) })
    }

    /// The endpoint of a target, of the type that its kind gives.
    pub fn endpoint<E: Send + Sync + 'static>(&self, name: &str) -> Result<Arc<E>, BuildError> {
        let endpoint = self.trial.endpoints.get(name).cloned();
        let endpoint =
            endpoint.ok_or_else(|| BuildError(format!("there is no target `{name}`")))?;
        endpoint.downcast().map_err(|_| BuildError(format!("target `{name}` is of another kind")))
    }

    /// A shared object, of the type that its kind makes.
    pub fn shared<T: Send + Sync + 'static>(&self, name: &str) -> Result<Arc<T>, BuildError> {
        self.trial.shared.get(name).map_err(|error| BuildError(error.to_string()))
    }

    /// The draw of this step for one execution.
    pub fn seed(&self) -> u64 {
        crate::draw::mix(self.trial.seed, self.number as u64)
    }
}

/// Builds the sequences of a child task, and counts them.
#[derive(Clone)]
pub struct ChildTask {
    build: Arc<dyn Fn() -> Result<Sequence, BuildError> + Send + Sync>,
    account: Arc<Owned<EdgeCell>>,
}

impl ChildTask {
    /// Another instance of the task's steps.
    pub fn build(&self) -> Sequence {
        // The same plan was built before, and nothing that building depends on changes; were it
        // wrong, the sequence's first call would say so.
        (self.build)().unwrap_or_else(|error| Sequence::new(vec![Box::new(Broken(error))]))
    }

    /// Counts a child that is to run now.
    #[inline]
    pub fn asked(&self) {
        self.account.ask();
    }

    /// Counts a child whose end was seen.
    #[inline]
    pub fn returned(&self) {
        self.account.see();
    }

    /// Counts so many children of one call that are at work at once.
    pub fn crowd(&self, now: u64) {
        self.account.crowd(now);
    }

    /// Counts a child that was cancelled, and is gone. Said by the child.
    pub fn gone(&self) {
        self.account.leave();
    }

    /// Counts children that had not ended when they were given up on purpose.
    pub fn pending(&self, children: u64) {
        self.account.give_up(children);
    }

    /// Counts a child that ended before one whose end was seen earlier.
    pub fn seen_late(&self) {
        self.account.see_late();
    }

    /// The same task, for another one who asks for it at the same time: with an account of its own.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self { build: self.build.clone(), account: Arc::new(self.account.beside()) }
    }

    /// Looks whether another instance can be opened, and closes it again. In a box of its own: a
    /// call's future has no room for what is done once.
    pub fn try_out(&self) -> Pin<Box<dyn Future<Output = StepOutcome> + Send + '_>> {
        Box::pin(async {
            let mut instance = self.build();
            instance.prepare().await?;
            instance.open(Opening::Preparation).await
        })
    }
}

/// A step that could not be rebuilt.
pub(super) struct Broken(pub BuildError);

impl Step for Broken {
    fn start(&mut self, _: Work) {}

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<StepEnd> {
        Poll::Ready(StepEnd::Failed(Box::new(Failure::Wrong(self.0.to_string()))))
    }

    fn cancel(&mut self) {}

    fn stopped(&mut self, _: bool) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_for_a_name_and_a_type_gets_the_same() {
        let commons = Commons::default();
        let first = commons.shared("pool", || 7_u32);
        // Another type of this name is another thing, and does not replace the first.
        assert_eq!(*commons.shared("pool", || "seven"), "seven");
        assert_eq!((*commons.shared("pool", || 8_u32), *commons.shared("queue", || 9_u32)), (7, 9));
        assert!(Arc::ptr_eq(&first, &commons.shared("pool", || 8_u32)));
    }
}
