//! `parallel`: starts a task several times at once and waits for all of them; what `gather` does.
//!
//! Every executor starts the children in its own way: threads, jobs of the pool, spawned tasks;
//! `sequential` runs them in order.

use std::{future::poll_fn, num::NonZeroU64, pin::Pin, task::Poll, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Child, Cost, Done, Ends, Failure, Lookup, Opening, Operation, Sequence, Site,
    Step, StepKind, StepOutcome, Times, site::ChildTask,
};
use crate::{
    clock,
    config::{Diagnostics, Field, Fields, Name, Node, choice_schema, read_choice},
    protocol,
    runtime::{NativeTimers as _, Runtime},
    targets::TargetSpec,
};

/// A fan-out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parallel {
    task: Name,
    count: NonZeroU64,
    #[serde(default)]
    errors: OnError,
}

/// What an allowed error or a time-out of a child means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OnError {
    /// They go on, and all are counted.
    #[default]
    Collect,
    /// They are cancelled where the executor can, and the task ends.
    FailFast,
}

const ERRORS: &[(&str, OnError)] =
    &[("collect", OnError::Collect), ("fail-fast", OnError::FailFast)];

impl Field for OnError {
    fn schema() -> serde_json::Value {
        choice_schema(ERRORS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, ERRORS, diagnostics)
    }
}

impl StepKind for Parallel {
    const KEY: &'static str = "parallel";
    const DOC: &'static str = "Starts a task several times at once and waits for all of them.";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let task = op.required("task", "The task that is started.");
        let count = op.required("count", "How often.");
        let errors = op.or(
            "errors",
            OnError::Collect,
            "`collect` lets the others go on after an allowed error or time-out; `fail-fast` cancels them.",
        );
        Some(Self { task: task?, count: count?, errors })
    }

    fn children(&self) -> Vec<Child<'_>> {
        let ends = if self.errors == OnError::FailFast { Ends::ByAny } else { Ends::Never };
        vec![Child { task: &self.task, times: Times::AtOnce(self.count.get()), ends }]
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn told(&self) -> Result<protocol::BriefOperation, String> {
        if self.errors == OnError::FailFast {
            return Err("the protocol has no `errors = \"fail-fast\"`".to_owned());
        }
        let (task, count) = (self.task.text.clone(), self.count.get());
        Ok(protocol::BriefOperation::Parallel { task, count })
    }

    fn heard(operation: &protocol::BriefOperation) -> Option<Result<Self, String>> {
        let protocol::BriefOperation::Parallel { task, count } = operation else { return None };
        let (task, errors) = (task.clone().into(), OnError::Collect);
        let count = NonZeroU64::new(*count).ok_or("`parallel` needs a `count` above zero");
        Some(count.map(|count| Self { task, count, errors }).map_err(str::to_owned))
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let (child, count, errors) = (site.child(&self.task.text)?, self.count.get(), self.errors);
        let runtime = site.trial.runtime.clone();
        Ok(site.operation(move || FanOut {
            children: (0..count).map(|_| Some(child.build())).collect(),
            joins: Vec::with_capacity(count as usize),
            rebuild: child.clone(),
            errors,
            runtime: runtime.clone(),
        }))
    }
}

type ChildEnd = (Sequence, StepOutcome);

struct FanOut<R: Runtime> {
    /// None where a child was lost by being cancelled.
    children: Vec<Option<Sequence>>,
    /// Empty between calls; kept for its memory.
    joins: Vec<Option<R::Join<ChildEnd>>>,
    rebuild: ChildTask,
    errors: OnError,
    runtime: R,
}

impl<R: Runtime> Operation for FanOut<R> {
    async fn prepare(&mut self) -> StepOutcome {
        for child in self.children.iter_mut().flatten() {
            child.prepare().await?;
        }
        Ok(Done::default())
    }

    /// Looks in preparation whether a child can be opened. Those that are kept open when they first
    /// run: before that they would hold connections that others wait for.
    async fn open(&mut self, when: Opening) -> StepOutcome {
        match when {
            Opening::Preparation => self.rebuild.try_out().await,
            Opening::FirstUse => Ok(Done::default()),
        }
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let call = Call { issued_ns: clock::now_ns(), ..call };
        for index in 0..self.children.len() {
            let child = self.children[index].take().unwrap_or_else(|| self.rebuild.build());
            self.rebuild.asked();
            match self.runtime.spawn(run_child::<R>(child, call.of_child(index as u64))) {
                Ok(join) => self.joins.push(Some(join)),
                Err(why) => {
                    self.joins.clear();
                    return Err(Failure::Refused(format!(
                        "the system refused a thread for child {index}: {why}; lower `count` or the concurrency"
                    )));
                }
            }
        }
        let outcome = match self.errors {
            OnError::Collect => self.collect().await,
            OnError::FailFast => self.fail_fast().await,
        };
        self.joins.clear();
        // The bytes are counted by the steps that moved them.
        outcome.map(|done| Done { received: 0, sent: 0, ..done })
    }
}

async fn run_child<R: Runtime>(mut child: Sequence, call: Call) -> ChildEnd {
    child.ask();
    let Some(deadline_ns) = call.deadline_ns else {
        let outcome = child.run(call).await;
        return (child, outcome);
    };
    let left = Duration::from_nanos(deadline_ns.saturating_sub(clock::now_ns()));
    let in_time = R::Native::timeout(left, child.run(call)).await;
    let outcome = in_time.unwrap_or_else(|_| {
        child.cancel();
        Err(Failure::Skipped(Done { timeouts: 1, ..Done::default() }))
    });
    (child, outcome)
}

/// What one child's outcome adds to its parent's.
fn fold(done: &mut Done, wrong: &mut Option<Failure>, outcome: StepOutcome) {
    match outcome {
        Ok(more) | Err(Failure::Skipped(more)) => done.add(more),
        Err(failure) => {
            wrong.get_or_insert(failure);
        }
    }
}

impl<R: Runtime> FanOut<R> {
    async fn collect(&mut self) -> StepOutcome {
        let (mut done, mut wrong) = (Done::default(), None);
        for (index, join) in self.joins.iter_mut().enumerate() {
            if let Some(join) = join.take() {
                let (child, outcome) = join.await;
                self.rebuild.returned();
                self.children[index] = Some(child);
                fold(&mut done, &mut wrong, outcome);
            }
        }
        wrong.map_or(Ok(done), Err)
    }

    /// Looks at whichever child ends; the first that did not end well cancels the rest.
    async fn fail_fast(&mut self) -> StepOutcome {
        let (mut done, mut wrong) = (Done::default(), None);
        let (children, joins, account) = (&mut self.children, &mut self.joins, &self.rebuild);
        let ended_early = poll_fn(|context| {
            let mut waiting = false;
            for (index, place) in joins.iter_mut().enumerate() {
                let Some(join) = place else { continue };
                let Poll::Ready((child, outcome)) = Pin::new(join).poll(context) else {
                    waiting = true;
                    continue;
                };
                account.returned();
                (*place, children[index]) = (None, Some(child));
                let well = matches!(&outcome, Ok(done) if done.errors == 0 && done.timeouts == 0);
                fold(&mut done, &mut wrong, outcome);
                if !well {
                    return Poll::Ready(true);
                }
            }
            if waiting { Poll::Pending } else { Poll::Ready(false) }
        })
        .await;
        match wrong {
            Some(wrong) => Err(wrong),
            None if ended_early => Err(Failure::Skipped(done)),
            None => Ok(done),
        }
    }
}
