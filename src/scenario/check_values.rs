//! Rules about values that steps take from answers: each is taken by one step and used by later ones of
//! the same task.

use std::collections::BTreeSet;

use super::{
    wire::File,
    wire_step::{WireStep, WireTask},
};
use crate::{
    config::{Diagnostics, Name},
    step::OnTimeout,
};

/// Reports values that are used and were not taken, and those that are taken twice, or perhaps not.
pub(super) fn check(file: &File, diagnostics: &mut Diagnostics) {
    for task in file.tasks.0.iter().filter_map(|(_, task)| task.as_ref()) {
        let mut taken: BTreeSet<&str> = BTreeSet::new();
        for step in &task.steps {
            // A part of the task that cannot be read may take it.
            let lacking = step
                .plan
                .spec
                .uses()
                .into_iter()
                .filter(|used| task.whole && !taken.contains(used.text.as_str()));
            lacking.for_each(|used| report_lacking(file, task, used, diagnostics));
            for name in step.plan.spec.takes() {
                if !taken.insert(&name.text) {
                    let message = format!("`{}` is taken twice in this task", name.text);
                    let help = "give each value a name of its own".to_owned();
                    diagnostics.error(name.span.clone(), message, Some(help));
                }
            }
            check_timeout(step, diagnostics);
        }
    }
}

/// Reports values that nobody uses.
pub(super) fn unused(file: &File, diagnostics: &mut Diagnostics) {
    for task in file.tasks.0.iter().filter_map(|(_, task)| task.as_ref()) {
        let uses = task.steps.iter().flat_map(|step| step.plan.spec.uses());
        let used: BTreeSet<&str> = uses.map(|name| name.text.as_str()).collect();
        let takes = task.steps.iter().flat_map(|step| step.plan.spec.takes());
        for name in takes.filter(|name| !used.contains(name.text.as_str())) {
            let message = format!("nothing uses the value `{}`", name.text);
            let help = format!(
                "write `${{value:{}}}` in a later step of this task, or remove it",
                name.text
            );
            diagnostics.error(name.span.clone(), message, Some(help));
        }
    }
}

fn report_lacking(file: &File, task: &WireTask, used: &Name, diagnostics: &mut Diagnostics) {
    let name = used.text.as_str();
    let takes = |task: &WireTask| {
        task.steps.iter().any(|step| step.plan.spec.takes().iter().any(|taken| taken.text == name))
    };
    let elsewhere = file.tasks.0.iter().find(|(_, other)| other.as_ref().is_some_and(takes));
    let (message, help) = match elsewhere {
        _ if takes(task) => (
            format!("no step before this one takes `{name}`"),
            "let the step that takes it come before this one".to_owned(),
        ),
        Some((other, _)) => (
            format!(
                "`{name}` is taken in the task `{}`, and values do not cross tasks",
                other.text
            ),
            "take it and use it in the steps of one task".to_owned(),
        ),
        None => (
            format!("no step before this one takes `{name}`"),
            format!(
                "add take = {{ {name} = {{ header = \"…\" }} }} to an `http` before it, in the same task"
            ),
        ),
    };
    diagnostics.error(used.span.clone(), message, Some(help));
}

/// Reports a step that takes values and may be passed over.
fn check_timeout(step: &WireStep, diagnostics: &mut Diagnostics) {
    let (plan, defaults) = (&step.plan, step.plan.spec.defaults());
    let has_default = |name: &Name| defaults.iter().any(|(of, _)| *of == name.text);
    let lacking = plan.spec.takes().into_iter().find(|name| !has_default(name));
    if let Some(name) = lacking.filter(|_| plan.on_timeout == OnTimeout::Ignore) {
        let message = format!("after a time-out that is ignored there is no `{}`", name.text);
        let help = "write on_timeout = \"skip\", which leaves out the steps that need it, or give the value a `default`"
            .to_owned();
        diagnostics.error(step.timeout_span.clone(), message, Some(help));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scenario::{Overrides, from_text};

    /// What is wrong with these steps of the measured task, and of a task that it runs.
    fn wrong(steps: &[&str], child: &str) -> String {
        let steps = steps.join(", ");
        let text = format!(
            "schema = 1\nname = 'x'\n[targets.api]\nhttp = {{}}\n[tasks.main]\nsteps = [{steps}, {{ repeat = {{ task = 'child', times = 2 }} }}]\n\
             [tasks.child]\nsteps = [{child}]\n[load.l]\ntask = 'main'\nbatch = {{ tasks = 1 }}\n"
        );
        let error = from_text(Path::new("x.toml"), &text, &Overrides::default()).err();
        error.map_or_else(String::new, |error| error.render(false))
    }

    const TAKE: &str =
        "{ http = { target = 'api', path = '/login', take = { token = { header = 'x' } } } }";
    const USE: &str =
        "{ http = { target = 'api', path = '/me', headers = { a = 'b ${value:token}' } } }";
    const NONE: &str = "{ noop = {} }";

    #[test]
    fn each_value_is_taken_once_and_used_by_later_steps_of_the_same_task() {
        let finds = |steps: &[&str], child: &str, what: &str, remedy: &str| {
            let found = wrong(steps, child);
            assert!(found.contains(what) && found.contains(remedy), "{found}");
            assert!(found.contains("x.toml:"), "{found}");
            assert_eq!(found.matches("error").count(), 1, "{found}");
        };
        finds(&[USE], NONE, "no step before this one takes `token`", "add take = { token");
        finds(&[USE, TAKE], NONE, "no step before this one takes `token`", "come before this one");
        finds(&[TAKE, TAKE, USE], NONE, "`token` is taken twice", "a name of its own");
        finds(&[TAKE], NONE, "nothing uses the value `token`", "`${value:token}`");
        finds(&[TAKE, USE], USE, "the task `main`, and values do not cross tasks", "of one task");
        let itself = TAKE.replace("/login", "/${value:token}");
        finds(&[&itself], NONE, "no step before this one takes", "come before");
        let ignored = TAKE.replace("} } } }", "} } }, timeout = '1s', on_timeout = 'ignore' }");
        finds(&[&ignored, USE], NONE, "there is no `token`", "on_timeout = \"skip\"");
        let sleep = "{ sleep = { time = '${value:token}' } }";
        finds(&[TAKE, USE, sleep], NONE, "duration", "");
    }

    #[test]
    fn a_value_may_be_used_often_and_in_each_task() {
        let child = format!("{TAKE}, {USE}");
        assert_eq!(wrong(&[TAKE, USE, USE], &child), "");
        let skipped = TAKE.replace("} } } }", "} } }, timeout = '1s', on_timeout = 'skip' }");
        assert_eq!(wrong(&[&skipped, USE], NONE), "");
        let ignored =
            "{ header = 'x', default = 'none' } } }, timeout = '1s', on_timeout = 'ignore' }";
        let ignored = TAKE.replace("{ header = 'x' } } } }", ignored);
        assert_eq!(wrong(&[&ignored, USE], NONE), "");
        let two = ignored.replace("take = {", "take = { id = { json = '/id' },");
        let both = USE.replace("/me", "/${value:id}");
        let found = wrong(&[&two, &both], NONE);
        assert!(found.contains("there is no `id`") && found.contains("a `default`"), "{found}");
    }
}
