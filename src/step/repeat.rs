//! `repeat`: runs a task several times, one after another.

use serde::{Deserialize, Serialize};

use super::{Child, Cost, StepKind, Times};
use crate::{
    config::{Fields, Name},
    target::TargetSpec,
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

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let task = op.required("task", "The task that is run.");
        let times = op.required("times", "How often.");
        Some(Self { task: task?, times: times? })
    }

    fn children(&self) -> Vec<Child<'_>> {
        vec![Child { task: &self.task, times: Times::InOrder(self.times.get()) }]
    }

    fn cancellable(&self) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }
}
