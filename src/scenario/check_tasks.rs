//! Rules between tasks and targets: every name is declared and used, no task runs itself, time-outs
//! can end steps.

use std::collections::{BTreeSet, HashMap};

use super::{
    check_handles, check_rows, check_shared, check_values,
    wire::File,
    wire_step::{WireStep, WireTask},
};
use crate::{
    config::{Diagnostics, Name},
    step::StepSpec,
};

/// Tasks inside tasks; each level is a future inside a future, or a job that waits for a job.
const MOST_LEVELS: usize = 32;

/// Reports what is wrong with names of tasks, targets and steps, and with time-outs; what nothing
/// uses goes to `unused`.
pub(super) fn check(file: &File, diagnostics: &mut Diagnostics, unused: &mut Diagnostics) {
    check_empty(file, diagnostics);
    check_targets(file, diagnostics);
    check_shared::names(file, diagnostics);
    check_children(file, diagnostics);
    check_step_names(file, diagnostics);
    check_values::check(file, diagnostics);
    check_rows::check(file, diagnostics);
    let mut walk = TaskWalk::new(file);
    for index in 0..file.tasks.0.len() {
        walk.levels(index, diagnostics);
    }
    if !walk.has_cycle {
        check_timeouts(file, &walk, diagnostics);
        check_shared::order(file, diagnostics);
        check_handles::check(file, diagnostics);
    }
    // What a broken part of the file uses is not known, and a misspelt name has not used what it
    // meant.
    if file.is_whole() && diagnostics.is_empty() {
        check_unused(file, &walk, unused);
        check_shared::unused(file, unused);
        check_values::unused(file, unused);
        check_rows::unused(file, unused);
    }
}

fn check_empty(file: &File, diagnostics: &mut Diagnostics) {
    for (name, task) in &file.tasks.0 {
        if task.as_ref().is_some_and(|task| task.steps.is_empty() && task.whole) {
            let help = "add a step, for example { noop = {} }".to_owned();
            diagnostics.error(
                name.span.clone(),
                format!("the task `{}` has no steps", name.text),
                Some(help),
            );
        }
    }
}

fn check_targets(file: &File, diagnostics: &mut Diagnostics) {
    let used = file
        .steps()
        .flat_map(|step| step.plan.spec.targets().into_iter().map(move |target| (step, target)));
    for (step, target) in used {
        let name = &target.name.text;
        if !file.targets.has(name) {
            target.name.report_unknown("target", "targets", file.targets.names(), diagnostics);
        } else if let Some(spec) = file.targets.get(name).filter(|spec| spec.key() != target.kind) {
            let message =
                format!("`{name}` is of the kind `{}`, not `{}`", spec.key(), target.kind);
            let help = format!("name a target of the kind `{}`", target.kind);
            diagnostics.error(target.name.span.clone(), message, Some(help));
        } else if let Some((message, help)) =
            file.targets.get(name).and_then(|spec| step.plan.spec.complaint(spec))
        {
            diagnostics.error(target.name.span.clone(), message, Some(help));
        }
    }
}

fn check_children(file: &File, diagnostics: &mut Diagnostics) {
    let children = file.steps().flat_map(|step| step.plan.spec.children()).map(|child| child.task);
    let loads = file.load.0.iter().filter_map(|(_, load)| Some(&load.as_ref()?.task));
    for name in children.chain(loads).filter(|name| !file.tasks.has(&name.text)) {
        name.report_unknown("task", "tasks", file.tasks.names(), diagnostics);
    }
}

/// Two steps with one name would share a histogram; so would a step and the task of the load.
fn check_step_names(file: &File, diagnostics: &mut Diagnostics) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let tasks = file.load.0.iter().filter_map(|(_, load)| Some(load.as_ref()?.task.text.as_str()));
    let names = file.load.0.iter().map(|(name, _)| name.text.as_str());
    let measured: BTreeSet<&str> =
        if file.load.0.len() > 1 { tasks.chain(names).collect() } else { tasks.collect() };
    for name in file.steps().filter_map(|step| step.name.as_ref()) {
        let help = Some("give each step a name of its own".to_owned());
        if !seen.insert(&name.text) {
            diagnostics.error(
                name.span.clone(),
                format!("two steps are called `{}`", name.text),
                help,
            );
        } else if measured.contains(name.text.as_str()) {
            let message = format!("the task that is measured is called `{}` too", name.text);
            diagnostics.error(name.span.clone(), message, help);
        }
    }
}

fn check_timeouts(file: &File, walk: &TaskWalk<'_>, diagnostics: &mut Diagnostics) {
    for step in file.steps().filter(|step| step.plan.timeout.is_some()) {
        let Some((key, task)) = walk.runs_to_its_end(&step.plan.spec, &mut BTreeSet::new()) else {
            continue;
        };
        let place = task.map_or(String::new(), |task| format!(" in the task `{task}`"));
        let message = format!("a time-out cannot end `{key}`{place}, which runs to its end");
        let help = "remove `timeout`, or put it on steps that wait, such as `sleep`".to_owned();
        diagnostics.error(step.timeout_span.clone(), message, Some(help));
    }
}

fn check_unused(file: &File, walk: &TaskWalk<'_>, diagnostics: &mut Diagnostics) {
    let mut used = BTreeSet::new();
    for (_, load) in &file.load.0 {
        let root = load.as_ref().and_then(|load| walk.index.get(load.task.text.as_str()));
        if let Some(root) = root {
            walk.collect(*root, &mut used);
        }
    }
    let help = |what| Some(format!("use the {what}, or remove it"));
    let unused = file.tasks.0.iter().enumerate().filter(|(at, _)| !used.contains(at));
    for (_, (name, _)) in unused {
        diagnostics.error(
            name.span.clone(),
            format!("nothing runs the task `{}`", name.text),
            help("task"),
        );
    }
    let targets: BTreeSet<&str> = file
        .steps()
        .flat_map(|step| step.plan.spec.targets())
        .map(|target| target.name.text.as_str())
        .collect();
    for (name, _) in file.targets.0.iter().filter(|(name, _)| !targets.contains(name.text.as_str()))
    {
        diagnostics.error(
            name.span.clone(),
            format!("nothing uses the target `{}`", name.text),
            help("target"),
        );
    }
}

/// Following tasks into the tasks that they run.
struct TaskWalk<'a> {
    file: &'a File,
    tasks: &'a [(Name, Option<WireTask>)],
    index: HashMap<&'a str, usize>,
    /// Levels of tasks below each task, as far as they are known.
    known: Vec<Option<usize>>,
    path: Vec<usize>,
    has_cycle: bool,
}

impl<'a> TaskWalk<'a> {
    fn new(file: &'a File) -> Self {
        let tasks = file.tasks.0.as_slice();
        let index =
            tasks.iter().enumerate().map(|(at, (name, _))| (name.text.as_str(), at)).collect();
        Self {
            file,
            tasks,
            index,
            known: vec![None; tasks.len()],
            path: Vec::new(),
            has_cycle: false,
        }
    }

    fn steps(&self, task: usize) -> impl Iterator<Item = &'a WireStep> + use<'a> {
        self.tasks[task].1.iter().flat_map(|task| &task.steps)
    }

    /// The levels of tasks from this one down; reports cycles and towers.
    fn levels(&mut self, task: usize, diagnostics: &mut Diagnostics) -> usize {
        if let Some(levels) = self.known[task] {
            return levels;
        }
        self.path.push(task);
        let mut below = 0;
        for name in
            self.steps(task).flat_map(|step| step.plan.spec.children()).map(|child| child.task)
        {
            let Some(&child) = self.index.get(name.text.as_str()) else { continue };
            if let Some(start) = self.path.iter().position(|on_path| *on_path == child) {
                self.report_cycle(start, name, diagnostics);
            } else if self.path.len() < MOST_LEVELS {
                below = below.max(self.levels(child, diagnostics));
            } else {
                below = MOST_LEVELS;
            }
            if below >= MOST_LEVELS && !self.has_cycle {
                self.has_cycle = true;
                let message = format!("tasks run tasks over more than {MOST_LEVELS} levels");
                diagnostics.error(name.span.clone(), message, None);
            }
        }
        self.path.pop();
        self.known[task] = Some(below + 1);
        below + 1
    }

    fn report_cycle(&mut self, start: usize, closing: &Name, diagnostics: &mut Diagnostics) {
        self.has_cycle = true;
        let names = self.path[start..].iter().map(|task| self.tasks[*task].0.text.as_str());
        let cycle: Vec<&str> = names.chain([closing.text.as_str()]).collect();
        let message = format!("the task `{}` runs itself: {}", closing.text, cycle.join(" → "));
        diagnostics.error(
            closing.span.clone(),
            message,
            Some("a task cannot be part of itself".to_owned()),
        );
    }

    /// A step that no time-out can end, in `spec` or in what it runs: its key, and the task where
    /// it stands.
    fn runs_to_its_end(
        &self,
        spec: &'a StepSpec,
        seen: &mut BTreeSet<usize>,
    ) -> Option<(&'static str, Option<&'a str>)> {
        if !spec.cancellable(&|name| self.file.targets.get(name)) {
            return Some((spec.key(), None));
        }
        spec.children().into_iter().find_map(|child| {
            let task = *self.index.get(child.task.text.as_str())?;
            if !seen.insert(task) {
                return None;
            }
            let (key, place) =
                self.steps(task).find_map(|step| self.runs_to_its_end(&step.plan.spec, seen))?;
            Some((key, place.or(Some(self.tasks[task].0.text.as_str()))))
        })
    }

    /// Adds a task and all that it runs.
    fn collect(&self, task: usize, used: &mut BTreeSet<usize>) {
        if used.insert(task) {
            for child in self.steps(task).flat_map(|step| step.plan.spec.children()) {
                if let Some(child) = self.index.get(child.task.text.as_str()) {
                    self.collect(*child, used);
                }
            }
        }
    }
}
