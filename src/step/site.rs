//! Where a step is built: the trial's executor, tasks, targets and recorders, and the slot it is built for.

use std::{
    any::Any,
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use super::{
    OnTimeout, StepPlan, StepSpec, Task,
    exec::{Failure, Opening, Operation, Outcome, Repeated, Step, Tally, TallyCell, Work},
    limited::Limited,
    recorded::Recorded,
    sequence::Sequence,
};
use crate::{measure::Recorders, runtime::Runtime, target::Endpoint};

/// What all steps of a trial share.
pub struct Trial<R> {
    /// The executor.
    pub runtime: R,
    /// What the load calls the number of tasks at once, for messages.
    pub at_once: &'static str,
    /// The seed of every draw.
    pub seed: u64,
    /// The plan's tasks.
    pub tasks: Vec<Task>,
    /// The targets' endpoints by name.
    pub endpoints: HashMap<String, Endpoint>,
    /// Where named steps are recorded.
    pub recorders: Recorders,
    /// What every instance of every step has done.
    pub ledger: Ledger,
    /// What steps of all slots share, such as pools of connections.
    pub commons: Commons,
}

/// The tallies of all instances, each with the number of its step in the plan.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Vec<(usize, Arc<TallyCell>)>>);

impl Ledger {
    /// A cell for a new instance of step `number`.
    fn open(&self, number: usize) -> Arc<TallyCell> {
        let cell = Arc::new(TallyCell::default());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((number, cell.clone()));
        cell
    }

    /// The sums by step number, for `steps` steps.
    pub fn read(&self, steps: usize) -> Vec<Tally> {
        let mut sums = vec![Tally::default(); steps];
        for (number, cell) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            sums[*number].add(cell.read());
        }
        sums
    }
}

/// A step could not be built: the plan names something that it does not contain, or a target is of another kind.
#[derive(Debug, thiserror::Error)]
#[error("the plan cannot be built: {0}")]
pub struct BuildError(pub String);

/// What several steps share, by name. Asked when they are built, never on the measured path.
#[derive(Default)]
pub struct Commons(Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>);

impl Commons {
    /// What all that ask for this name and type share; made when it is first asked for.
    pub fn shared<T: Send + Sync + 'static>(&self, name: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(name).cloned().and_then(|shared| shared.downcast().ok());
        found.unwrap_or_else(|| {
            let made = Arc::new(make());
            all.insert(name.to_owned(), made.clone());
            made
        })
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
    /// What it shares with the other steps of its sequence, of which at most one runs at a time.
    pub commons: Arc<Commons>,
}

impl<R: Runtime> Trial<R> {
    /// Builds the steps of a task for a slot.
    pub fn sequence(self: &Arc<Self>, task: &str, slot: usize) -> Result<Sequence, BuildError> {
        let mut number = 0;
        let commons = Arc::new(Commons::default());
        for candidate in &self.tasks {
            if candidate.name == task {
                let numbered = candidate.steps.iter().enumerate();
                let steps: Result<_, _> =
                    numbered.map(|(at, plan)| self.step(plan, slot, number + at, &commons)).collect();
                return Ok(Sequence::new(steps?));
            }
            number += candidate.steps.len();
        }
        Err(BuildError(format!("there is no task `{task}`")))
    }

    /// Builds one step: the operation, its time limit around it, and its recording around both.
    fn step(
        self: &Arc<Self>,
        plan: &StepPlan,
        slot: usize,
        number: usize,
        commons: &Arc<Commons>,
    ) -> Result<Box<dyn Step>, BuildError> {
        let site = Site { trial: self.clone(), slot, number, commons: commons.clone() };
        let mut step = plan.spec.build(&site)?;
        if let Some(limit) = plan.timeout {
            step = limited(&site, plan, step, limit);
        }
        if let Some(stream) = plan.name.as_deref().and_then(|name| self.recorders.stream_of(name)) {
            step = Box::new(Recorded::new(step, self.recorders.of_slot(slot), stream));
        }
        Ok(step)
    }
}

fn limited<R: Runtime>(
    site: &Site<R>,
    plan: &StepPlan,
    step: Box<dyn Step>,
    limit: std::time::Duration,
) -> Box<dyn Step> {
    let name = plan.name.as_deref().unwrap_or(plan.spec.key());
    let targets = plan.spec.targets();
    let words = match targets.first() {
        Some(used) => format!("`{name}` on target `{}`", used.name.text),
        None => format!("`{name}`"),
    };
    let (on_timeout, spec, site): (OnTimeout, StepSpec, _) = (plan.on_timeout, plan.spec.clone(), site.clone());
    Limited::<R::Native>::wrap(step, limit, on_timeout, words, move || spec.build(&site))
}

impl<R> Clone for Site<R> {
    fn clone(&self) -> Self {
        Self { trial: self.trial.clone(), slot: self.slot, number: self.number, commons: self.commons.clone() }
    }
}

impl<R: Runtime> Site<R> {
    /// An operation as a step; `make` gives fresh state, also after a cancelled call.
    pub fn operation<O: Operation>(&self, make: impl Fn() -> O + Send + 'static) -> Box<dyn Step> {
        Box::new(Repeated::new(Some(self.trial.ledger.open(self.number)), make))
    }

    /// A task that this step runs. Built once to see that it can be built, and then as often as it is needed.
    pub fn child(&self, task: &str) -> Result<ChildTask, BuildError> {
        let (trial, slot, name) = (self.trial.clone(), self.slot, task.to_owned());
        let first = Mutex::new(Some(trial.sequence(task, slot)?));
        let build = move || {
            let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            first.map_or_else(|| trial.sequence(&name, slot), Ok)
        };
        Ok(ChildTask(Arc::new(build)))
    }

    /// The endpoint of a target, of the type that its kind gives.
    pub fn endpoint<E: Send + Sync + 'static>(&self, name: &str) -> Result<Arc<E>, BuildError> {
        let endpoint = self.trial.endpoints.get(name).cloned();
        let endpoint = endpoint.ok_or_else(|| BuildError(format!("there is no target `{name}`")))?;
        endpoint.downcast().map_err(|_| BuildError(format!("target `{name}` is of another kind")))
    }

    /// The draw of this step for one execution.
    pub fn seed(&self) -> u64 {
        crate::draw::mix(self.trial.seed, self.number as u64)
    }
}

/// Builds the sequences of a child task.
#[derive(Clone)]
pub struct ChildTask(Arc<dyn Fn() -> Result<Sequence, BuildError> + Send + Sync>);

impl ChildTask {
    /// Another instance of the task's steps.
    pub fn build(&self) -> Sequence {
        // The same plan was built before, and nothing that building depends on changes; were it wrong, the sequence's
        // first call would say so.
        (self.0)().unwrap_or_else(|error| Sequence::new(vec![Box::new(Broken(error))]))
    }

    /// Looks whether another instance can be opened, and closes it again. In a box of its own: a call's future has no
    /// room for what is done once.
    pub fn try_out(&self) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
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

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<Outcome> {
        Poll::Ready(Err(Failure::Wrong(self.0.to_string())))
    }

    fn cancel(&mut self) {}
}
