//! Pipes: queues between groups of one `parallel`, where some only put and others only take. What they
//! are is asked in several places; whether they always come to an end stands in `pipelines.rs`.

use std::collections::BTreeSet;

use crate::{
    scenario::{StepPlan, Task, Variant},
    shared::SharedSpec,
    step::{Child, Times, Touch},
};

/// The queues of a variant that are pipes.
pub(super) fn pipes(variant: &Variant) -> BTreeSet<&str> {
    let queues = variant.shared.iter().filter_map(|named| {
        matches!(named.spec, SharedSpec::Queue(_)).then_some(named.name.as_str())
    });
    let tasks = Pipes { tasks: &variant.tasks };
    queues.filter(|queue| tasks.groups().any(|groups| tasks.is_pipe(&groups, queue))).collect()
}

/// Tasks that are looked through for groups. They must be validated: no cycles, no unknown names.
pub(super) struct Pipes<'a> {
    /// All of a variant.
    pub(super) tasks: &'a [Task],
}

impl<'a> Pipes<'a> {
    /// The steps of a task.
    pub(super) fn steps(&self, task: &str) -> &'a [StepPlan] {
        let tasks = self.tasks;
        tasks.iter().find(|known| known.name == task).map_or(&[], |task| &task.steps)
    }

    /// The groups of each `parallel` that has some.
    pub(super) fn groups(&self) -> impl Iterator<Item = Vec<Child<'a>>> {
        let steps = self.tasks.iter().flat_map(|task| &task.steps);
        steps.map(|step| step.spec.children()).filter(|children| are_groups(children))
    }

    /// Whether a step acts on a queue, itself or in what it runs.
    pub(super) fn touches(&self, step: &StepPlan, queue: &str) -> bool {
        self.any(step, &|step| {
            let used = step.spec.shared();
            used.is_some_and(|used| used.name.text == queue)
        })
    }

    /// Whether something is so of a step or of what it runs.
    pub(super) fn any(&self, step: &StepPlan, so: &dyn Fn(&StepPlan) -> bool) -> bool {
        let children = step.spec.children();
        let below =
            |child: &Child<'_>| self.steps(&child.task.text).iter().any(|step| self.any(step, so));
        so(step) || children.iter().any(below)
    }

    /// Whether one of these groups only puts into a queue, or only takes from it.
    pub(super) fn is_pipe(&self, groups: &[Child<'_>], queue: &str) -> bool {
        let one_sided = |group: &Child<'_>| {
            let side = |touch| {
                let does = |step: &StepPlan| {
                    let used = step.spec.shared();
                    used.is_some_and(|used| used.name.text == queue && used.touch == touch)
                };
                self.steps(&group.task.text).iter().any(|step| self.any(step, &does))
            };
            side(Touch::Gives) != side(Touch::Takes)
        };
        groups.iter().any(one_sided)
    }

    /// Whether a task does this to a queue, itself or in what it runs.
    pub(super) fn does(&self, task: &str, queue: &str, touch: Touch) -> bool {
        let does = |step: &StepPlan| {
            let used = step.spec.shared();
            used.is_some_and(|used| used.name.text == queue && used.touch == touch)
        };
        self.steps(task).iter().any(|step| self.any(step, &does))
    }
}

/// Whether these children are groups of a `parallel`.
pub(super) fn are_groups(children: &[Child<'_>]) -> bool {
    children.iter().any(|child| matches!(child.times, Times::Beside(_)))
}
