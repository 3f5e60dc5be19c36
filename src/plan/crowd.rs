//! Crowds: the groups that one `parallel` starts, of whom some lead and others follow, and what they
//! need so that nobody waits for ever.

use super::pipes::pipes;
use crate::{
    runtime::Style,
    scenario::{Variant, reach},
    shared::SharedSpec,
    step::{SharedUse, Touch},
};

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
    if !style.is_pool() || pool_size >= needed {
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
        Touch::Takes => {
            spec.is_some_and(|named| has_crowds(&named.spec))
                || pipes(variant).contains(used.name.text.as_str())
        }
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
