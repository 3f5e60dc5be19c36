//! `repeat`: runs a task several times, one after another.

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Child, Cost, Done, Ends, Lookup, Opening, Operation, Sequence, Site, Step,
    StepKind, StepOutcome, Times, site::ChildTask,
};
use crate::{
    config::{Fields, Name},
    protocol,
    runtime::Runtime,
    targets::TargetSpec,
};

/// A loop over a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Repeat {
    task: Name,
    times: std::num::NonZeroU64,
}

impl StepKind for Repeat {
    const KEY: &'static str = "repeat";
    const DOC: &'static str = "Runs a task several times, one after another.";
    const PROOF: &'static str = "children are `times` for each call that ended well";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let task = op.required("task", "The task that is run.");
        let times = op.required("times", "How often.");
        Some(Self { task: task?, times: times? })
    }

    fn children(&self) -> Vec<Child<'_>> {
        vec![Child {
            task: &self.task,
            times: Times::InOrder(self.times.get()),
            ends: Ends::BySkip,
        }]
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn told(&self) -> Result<protocol::BriefOperation, String> {
        let (task, times) = (self.task.text.clone(), self.times.get());
        Ok(protocol::BriefOperation::Repeat { task, times })
    }

    fn heard(operation: &protocol::BriefOperation) -> Option<Result<Self, String>> {
        let protocol::BriefOperation::Repeat { task, times } = operation else { return None };
        let times = std::num::NonZeroU64::new(*times).ok_or("`repeat` needs `times` above zero");
        Some(times.map(|times| Self { task: task.clone().into(), times }).map_err(str::to_owned))
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let (child, times) = (site.child(&self.task.text)?, self.times.get());
        Ok(site.operation(move || Loop { body: child.build(), child: child.clone(), times }))
    }
}

struct Loop {
    body: Sequence,
    child: ChildTask,
    times: u64,
}

impl Operation for Loop {
    async fn prepare(&mut self) -> StepOutcome {
        self.body.prepare().await
    }

    async fn open(&mut self, when: Opening) -> StepOutcome {
        self.body.open(when).await
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let mut done = Done::default();
        for turn in 0..self.times {
            self.child.asked();
            let outcome = self.body.run(call.of_child(turn)).await;
            self.child.returned();
            match outcome {
                Ok(more) => done.add(more),
                Err(failure) => return Err(failure.after(done)),
            }
        }
        Ok(done)
    }
}
