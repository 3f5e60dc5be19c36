//! Crowds: the children that one `parallel` starts, by what they do. A `choice` by number says
//! which child does what, so that some can be known to lead where others follow.

use crate::{
    scenario::{StepPlan, Task},
    step::{Child, StepSpec, Times},
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
}

/// The kinds of so many children that run a task, in the order in which their numbers begin. The
/// first choice by number among the task's own steps tells them apart.
pub(super) fn kinds<'a>(tasks: &'a [Task], name: &str, count: u64) -> Vec<CrowdKind<'a>> {
    let Some(task) = tasks.iter().find(|task| task.name == name) else { return Vec::new() };
    let steps = task.steps.as_slice();
    let mut choices = steps.iter().filter_map(|step| step.spec.turns());
    // Two of them would be told apart by both; then nobody knows.
    let turns = choices.next().filter(|_| choices.next().is_none());
    let Some(turns) = turns else { return vec![CrowdKind { count, steps, branch: None }] };
    let shares = shares(&turns, count).into_iter().enumerate();
    let kinds = shares.map(|(branch, count)| CrowdKind { count, steps, branch: Some(branch) });
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
