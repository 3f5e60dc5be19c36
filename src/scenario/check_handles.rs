//! Rules about background tasks: each is started by one step and ended by a later one of the same task,
//! and waits for nobody else.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    wire::File,
    wire_step::{WireStep, WireTask},
};
use crate::{
    config::{Diagnostics, Name},
    step::{HandleTouch, Touch},
};

/// Reports background tasks that nobody ends, or that were never started. The tasks must run no ring
/// of tasks.
pub(super) fn check(file: &File, diagnostics: &mut Diagnostics) {
    for task in file.tasks.0.iter().filter_map(|(_, task)| task.as_ref()) {
        of_task(task, diagnostics);
    }
    for step in file.steps().filter(|step| starts(step)) {
        if step.plan.timeout.is_some() {
            let message = "starting a task takes no time that could be limited".to_owned();
            let help = "put `timeout` on the step that joins it, or on a step of the task";
            diagnostics.error(step.timeout_span.clone(), message, Some(help.to_owned()));
        }
        waits(file, step, diagnostics);
    }
}

fn starts(step: &WireStep) -> bool {
    step.plan.spec.handle().is_some_and(|used| used.touch == HandleTouch::Starts)
}

/// The steps of one task, in order.
fn of_task(task: &WireTask, diagnostics: &mut Diagnostics) {
    let mut running: BTreeMap<&str, &Name> = BTreeMap::new();
    for used in task.steps.iter().filter_map(|step| step.plan.spec.handle()) {
        let name = used.name.text.as_str();
        let (message, help) = match (used.touch, running.remove(name)) {
            (HandleTouch::Starts, None) => {
                running.insert(name, used.name);
                continue;
            }
            (HandleTouch::Joins | HandleTouch::Cancels, Some(_)) => continue,
            (HandleTouch::Starts, Some(_)) => (
                format!("`{name}` is started again before it is joined"),
                "join or cancel it before, or give each a handle of its own",
            ),
            (HandleTouch::Joins | HandleTouch::Cancels, None) => (
                format!("no step before this one has started `{name}`, or it was ended before"),
                "add { spawn = { task = \"…\", handle = \"…\" } } before it, in the same task",
            ),
        };
        diagnostics.error(used.name.span.clone(), message, Some(help.to_owned()));
    }
    // A part of the task that cannot be read may end it.
    for (name, place) in running.into_iter().filter(|_| task.whole) {
        let message = format!("nobody waits for `{name}`");
        let help =
            format!("add {{ join = {{ handle = \"{name}\" }} }}, or a `cancel`, to this task");
        diagnostics.error(place.span.clone(), message, Some(help));
    }
}

/// Reports where a task in the background waits for what another task gives: that one may be behind
/// it in every way.
fn waits(file: &File, step: &WireStep, diagnostics: &mut Diagnostics) {
    for child in step.plan.spec.children() {
        let mut seen = BTreeSet::new();
        if let Some((key, task)) = waits_for_others(file, &child.task.text, &mut seen) {
            let message = format!(
                "others wait for a task in the background, or it for them: `{key}` in the task `{task}`"
            );
            let help = "start those who wait for each other with one `parallel`".to_owned();
            diagnostics.error(child.task.span.clone(), message, Some(help));
        }
    }
}

fn waits_for_others<'a>(
    file: &'a File,
    task: &'a str,
    seen: &mut BTreeSet<&'a str>,
) -> Option<(&'static str, &'a str)> {
    let steps = file.tasks.get(task).filter(|_| seen.insert(task))?.steps.iter();
    steps.map(|step| &step.plan.spec).find_map(|spec| {
        let touch = spec.shared().map(|used| used.touch);
        if let Some(
            Touch::Gives
            | Touch::Takes
            | Touch::Supplies(_)
            | Touch::Meets
            | Touch::Awaits
            | Touch::Sets
            | Touch::Clears,
        ) = touch
        {
            return Some((spec.key(), task));
        }
        let mut children = spec.children().into_iter();
        children.find_map(|child| waits_for_others(file, &child.task.text, seen))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scenario::{Overrides, from_text};

    /// What is wrong with these steps of the measured task.
    fn wrong(steps: &str) -> String {
        let text = format!(
            "schema = 1\nname = 'x'\n[shared.q]\nqueue = {{ capacity = 4 }}\n[tasks.main]\nsteps = [{steps}]\n\
             [tasks.child]\nsteps = [{{ noop = {{}} }}]\n[tasks.putter]\nsteps = [{{ repeat = {{ task = 'put', times = 2 }} }}]\n\
             [tasks.put]\nsteps = [{{ put = {{ queue = 'q' }} }}]\n[load.l]\ntask = 'main'\nbatch = {{ tasks = 1 }}\n"
        );
        let error = from_text(Path::new("x.toml"), &text, &Overrides::default()).err();
        error.map_or_else(String::new, |error| error.render(false))
    }

    const CHILD: &str = "{ spawn = { task = 'child', handle = 'h' } }";
    const JOIN: &str = "{ join = { handle = 'h' } }";

    #[test]
    fn each_background_task_is_ended_once_by_a_later_step() {
        let finds = |steps: &[&str], what: &str| {
            let found = wrong(&steps.join(", "));
            assert!(found.contains(what), "{found}");
        };
        finds(&[CHILD], "nobody waits for `h`");
        finds(&[JOIN, CHILD], "no step before this one has started `h`");
        finds(&[CHILD, JOIN, JOIN], "or it was ended before");
        finds(&[CHILD, CHILD, JOIN], "`h` is started again before it is joined");
        let limited = CHILD.replace("} }", "}, timeout = '1s' }");
        finds(&[&limited, JOIN], "put `timeout` on the step that joins it");
        let putter = CHILD.replace("child", "putter");
        finds(&[&putter, JOIN], "or it for them: `put` in the task `put`");
    }

    #[test]
    fn a_handle_may_be_used_again() {
        let found = wrong(&[CHILD, JOIN, CHILD, "{ cancel = { handle = 'h' } }"].join(", "));
        assert!(!found.contains("`h`"), "{found}");
    }
}
