//! Crowds: the children that one `parallel` starts, by what they do. A `choice` by number says
//! which child does what, so that some can be known to lead where others follow.

use crate::{
    runtime::Style,
    scenario::{StepPlan, Task, Variant, reach},
    shared::SharedSpec,
    step::{Child, SharedUse, StepSpec, Times, Touch},
};

/// Children of a crowd that do the same.
#[derive(Debug)]
pub(super) struct CrowdKind<'a> {
    /// How many they are, above 0.
    pub(super) count: u64,
    /// What each of them does.
    pub(super) steps: &'a [StepPlan],
    /// The branch that they take where one of these steps is a choice by number.
    pub(super) branch: Option<usize>,
    /// Whether all of them come before those of the next kind: no kind has a second turn.
    pub(super) in_one_round: bool,
}

/// The kinds of so many children that run a task, in the order in which their numbers begin. The
/// first choice by number among the task's own steps tells them apart.
pub(super) fn kinds<'a>(tasks: &'a [Task], name: &str, count: u64) -> Vec<CrowdKind<'a>> {
    let Some(task) = tasks.iter().find(|task| task.name == name) else { return Vec::new() };
    let steps = task.steps.as_slice();
    let mut choices = steps.iter().filter_map(|step| step.spec.turns());
    // Two of them would be told apart by both; then nobody knows.
    let turns = choices.next().filter(|_| choices.next().is_none());
    let Some(turns) = turns else {
        return vec![CrowdKind { count, steps, branch: None, in_one_round: true }];
    };
    let in_one_round = count <= turns.iter().fold(0, |sum: u64, turns| sum.saturating_add(*turns));
    let shares = shares(&turns, count).into_iter().enumerate();
    let kind = |(branch, count)| CrowdKind { count, steps, branch: Some(branch), in_one_round };
    let kinds = shares.map(kind);
    kinds.filter(|kind| kind.count > 0).collect()
}

/// How many of so many numbers from 0 on are each branch's turn.
fn shares(turns: &[u64], count: u64) -> Vec<u64> {
    let round = turns.iter().fold(0u64, |sum, turns| sum.saturating_add(*turns)).max(1);
    let mut left = count % round;
    let share = |turns: &u64| {
        let rest = left.min(*turns);
        left -= rest;
        (count / round).saturating_mul(*turns).saturating_add(rest)
    };
    turns.iter().map(share).collect()
}

/// Whether so many tasks or children who wait for others at an object can do so until those come.
/// They must not wait for others at another object, too, or could wait for each other. And where a
/// thread is one task's at a time, each of them needs one, and so do who they wait for, all tasks,
/// of which there are so many, and the probe.
pub(super) fn can_wait(
    variant: &Variant,
    object: &str,
    followers: u64,
    slots: u64,
    (style, pool_size): (Style, u64),
) -> Result<(), String> {
    let reached = variant.loads.iter().flat_map(|load| reach(&variant.tasks, &load.task.text));
    let mut used = reached.filter_map(|at| variant.tasks[at.task].steps[at.step].spec.shared());
    let other = used.find(|used| used.name.text != object && waits_for_others(variant, used));
    if let Some(other) = other {
        return Err(format!(
            "tasks may wait for others at `{}`, too, and so for each other; let them do so in one place",
            other.name.text
        ));
    }
    let others = slots.saturating_add(u64::from(variant.run.probe));
    let needed = followers.saturating_add(others).saturating_add(1);
    if style != Style::Pool || pool_size >= needed {
        return Ok(());
    }
    Err(format!(
        "{followers} who wait, one who ends that, and {others} beside them (each task at once, and the probe) need \
         {needed} threads, and the pool has {pool_size}; raise its `size`"
    ))
}

/// Whether a step may wait there until somebody else has come.
pub(super) fn waits_for_others(variant: &Variant, used: &SharedUse<'_>) -> bool {
    let spec = variant.shared.iter().find(|named| named.name == used.name.text);
    match used.touch {
        Touch::Meets | Touch::Awaits => true,
        Touch::Takes => spec.is_some_and(|named| has_crowds(&named.spec)),
        _ => false,
    }
}

/// Whether those who take there may wait for children that were started with them.
pub(super) fn has_crowds(spec: &SharedSpec) -> bool {
    match spec {
        SharedSpec::Condition(_) => true,
        SharedSpec::Queue(queue) => queue.capacity().is_none(),
        _ => false,
    }
}

/// The children of a step; those of a choice by number are the one of this branch, where it is
/// known.
pub(super) fn chosen(spec: &StepSpec, branch: Option<usize>) -> Vec<Child<'_>> {
    let children = spec.children();
    match branch.filter(|_| spec.turns().is_some()) {
        None => children,
        Some(branch) => {
            let taken = children.into_iter().skip(branch).take(1);
            taken.map(|child| Child { times: Times::InOrder(1), ..child }).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_branch_has_its_share_of_the_numbers() {
        assert_eq!(shares(&[15, 1], 16), [15, 1]);
        assert_eq!(shares(&[15, 1], 15), [15, 0]);
        assert_eq!(shares(&[2, 1, 3], 10), [4, 2, 4]);
        assert_eq!(shares(&[1], u64::MAX), [u64::MAX]);
    }
}
