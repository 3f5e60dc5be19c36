//! What follows from the tree of tasks: how often each step is executed, how long a task takes at
//! least, and how many children its fan-outs have.

use std::{collections::HashMap, time::Duration};

use super::{NamedTarget, OnTimeout, StepPlan, Task};
use crate::{
    config::Name,
    step::{Child, Cost, Ends, Times},
    targets::TargetSpec,
};

/// How often a step is executed for each task of the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reach {
    /// Index of the task in which the step stands.
    pub task: usize,
    /// Index of the step in that task.
    pub step: usize,
    /// Executions per task of the load: the mean where chance decides, and the most where a
    /// time-out may end them.
    pub times: f64,
}

/// How often each step is executed while the task called `root` is executed once, in the order of
/// tasks and steps; steps that it does not reach are left out. The tasks must be validated: no
/// cycles, no unknown names.
pub fn reach(tasks: &[Task], root: &str) -> Vec<Reach> {
    let mut count = Count { tasks: Tasks::new(tasks), reached: vec![0.0; tasks.len()] };
    for task in count.tasks.in_order_of_use(root) {
        count.pass_on(task, tasks[task].name == root);
    }
    let reached = count.reached.iter().enumerate().filter(|(_, times)| **times > 0.0);
    reached
        .flat_map(|(task, &times)| {
            (0..tasks[task].steps.len()).map(move |step| Reach { task, step, times })
        })
        .collect()
}

/// The time of one task called `root`: a bound that it cannot be shorter than, and an estimate.
///
/// `concurrent` says whether the executor runs children at once; then the longest of them counts,
/// else all.
pub fn time_of_task(tasks: &[Task], targets: &[NamedTarget], root: &str, concurrent: bool) -> Cost {
    let tasks = Tasks::new(tasks);
    let mut order = tasks.in_order_of_use(root);
    let mut clock = Clock { targets, concurrent, known: HashMap::new(), tasks };
    // Children first, so that every task is computed once.
    order.reverse();
    let costs = order.iter().map(|task| clock.task(*task));
    costs.last().unwrap_or_default()
}

/// How many children of fan-outs there are for each slot that runs the task called `root`: each has
/// its own steps, built before the first task begins.
pub fn fan_out(tasks: &[Task], root: &str) -> u64 {
    let tasks = Tasks::new(tasks);
    let order = tasks.in_order_of_use(root);
    let mut known = vec![0_u64; tasks.list.len()];
    // Children first, so that every task is counted once.
    for &task in order.iter().rev() {
        let children = tasks.list[task].steps.iter().flat_map(|step| step.spec.children());
        let counts = children.map(|child| {
            let below = tasks.index.get(child.task.text.as_str()).map_or(0, |child| known[*child]);
            match child.times {
                Times::AtOnce(count)
                | Times::Beside(count)
                | Times::AsCompleted(count)
                | Times::FirstOf(count)
                | Times::Within { count, .. } => count.saturating_mul(below.saturating_add(1)),
                Times::SomeAtOnce { most, .. } => most.saturating_mul(below.saturating_add(1)),
                Times::InBackground => below.saturating_add(1),
                Times::InOrder(_)
                | Times::AfterEach(_)
                | Times::UpTo(_)
                | Times::AtMostOnce
                | Times::Chance(_) => below,
            }
        });
        known[task] = counts.fold(0, u64::saturating_add);
    }
    order.first().map_or(0, |root| known[*root])
}

/// Tasks by name.
struct Tasks<'a> {
    list: &'a [Task],
    index: HashMap<&'a str, usize>,
}

impl<'a> Tasks<'a> {
    fn new(list: &'a [Task]) -> Self {
        Self {
            list,
            index: list.iter().enumerate().map(|(at, task)| (task.name.as_str(), at)).collect(),
        }
    }

    /// The tasks that `root` reaches, each before those that it runs.
    fn in_order_of_use(&self, root: &str) -> Vec<usize> {
        let mut order = Vec::new();
        let mut seen = vec![false; self.list.len()];
        self.index.get(root).into_iter().for_each(|root| self.visit(*root, &mut seen, &mut order));
        order.reverse();
        order
    }

    fn visit(&self, task: usize, seen: &mut [bool], order: &mut Vec<usize>) {
        if std::mem::replace(&mut seen[task], true) {
            return;
        }
        for child in self.list[task].steps.iter().flat_map(|step| step.spec.children()) {
            self.index
                .get(child.task.text.as_str())
                .into_iter()
                .for_each(|child| self.visit(*child, seen, order));
        }
        order.push(task);
    }
}

struct Count<'a> {
    tasks: Tasks<'a>,
    /// Executions of each task.
    reached: Vec<f64>,
}

impl Count<'_> {
    /// Adds a task's executions to those of the tasks that it runs.
    fn pass_on(&mut self, task: usize, is_root: bool) {
        if is_root {
            self.reached[task] += 1.0;
        }
        let times = self.reached[task];
        for Child { task: child, times: each, .. } in
            self.tasks.list[task].steps.iter().flat_map(|step| step.spec.children())
        {
            let Some(&child) = self.tasks.index.get(child.text.as_str()) else { continue };
            let factor = match each {
                Times::InOrder(count)
                | Times::AtOnce(count)
                | Times::Beside(count)
                | Times::SomeAtOnce { count, .. }
                | Times::AsCompleted(count)
                | Times::AfterEach(count)
                | Times::FirstOf(count)
                | Times::Within { count, .. }
                | Times::UpTo(count) => count as f64,
                Times::InBackground | Times::AtMostOnce => 1.0,
                Times::Chance(chance) => chance,
            };
            self.reached[child] += times * factor;
        }
    }
}

/// What is known of a task.
#[derive(Clone, Copy, Default)]
struct Known {
    cost: Cost,
    /// When a time-out that skips the rest may end it, at the earliest.
    skipped: Option<Duration>,
    /// Whether it may have time-outs or errors that the scenario allows.
    may_be_unwell: bool,
}

struct Clock<'a> {
    tasks: Tasks<'a>,
    targets: &'a [NamedTarget],
    concurrent: bool,
    known: HashMap<usize, Known>,
}

impl Clock<'_> {
    /// The time of a task, once those of the tasks that it runs are known.
    fn task(&mut self, task: usize) -> Cost {
        let mut total = Cost::default();
        let mut skipped: Option<Duration> = None;
        let mut may_be_unwell = false;
        for plan in &self.tasks.list[task].steps {
            let exit = self.exit(plan).map(|exit| total.least.saturating_add(exit));
            skipped = skipped.into_iter().chain(exit).min();
            may_be_unwell |= self.may_be_unwell(plan);
            total = in_sequence(total, self.step(plan));
        }
        total.least = skipped.map_or(total.least, |exit| exit.min(total.least));
        self.known.insert(task, Known { cost: total, skipped, may_be_unwell });
        total
    }

    /// How long after its start a step may end its task, at the earliest: by its own time-out, or
    /// by that of a child.
    fn exit(&self, plan: &StepPlan) -> Option<Duration> {
        let own = plan.timeout.filter(|_| plan.on_timeout == OnTimeout::Skip);
        // An error may come at once.
        let own = own.into_iter().chain(plan.spec.may_end_task().then_some(Duration::ZERO));
        let children = plan.spec.children().into_iter().filter_map(|child| {
            let known = self.known(child.task);
            match child.ends {
                Ends::BySkip => known.skipped,
                Ends::ByAny => known.may_be_unwell.then_some(known.cost.least),
                Ends::Never => None,
            }
        });
        own.chain(children).min()
    }

    /// Whether a step may have a time-out, or an error of a target, that does not fail the trial.
    fn may_be_unwell(&self, plan: &StepPlan) -> bool {
        let allows = plan.timeout.is_some() && plan.on_timeout != OnTimeout::Fail;
        let children = plan.spec.children();
        allows
            || !plan.spec.targets().is_empty()
            || children.iter().any(|child| {
                matches!(child.times, Times::Within { .. }) || self.known(child.task).may_be_unwell
            })
    }

    fn known(&self, task: &Name) -> Known {
        let index = self.tasks.index.get(task.text.as_str());
        index.and_then(|task| self.known.get(task)).copied().unwrap_or_default()
    }

    fn step(&self, plan: &StepPlan) -> Cost {
        let target = |name: &str| -> Option<&TargetSpec> {
            self.targets.iter().find(|target| target.name == name).map(|target| &target.spec)
        };
        let children = plan.spec.children();
        let beside = |child: &Child<'_>| self.concurrent && matches!(child.times, Times::Beside(_));
        let (together, in_turn): (Vec<_>, Vec<_>) = children.into_iter().partition(beside);
        let together = together.into_iter().map(|child| self.child(child)).reduce(at_once);
        let in_turn = in_turn.into_iter().map(|child| self.child(child)).chain(together);
        let whole = in_turn.fold(plan.spec.cost(&target), in_sequence);
        match plan.timeout {
            Some(timeout) => Cost {
                least: whole.least.min(timeout),
                mean: whole.mean.min(timeout),
                cpu: whole.cpu.min(timeout),
            },
            None => whole,
        }
    }

    fn child(&self, child: Child<'_>) -> Cost {
        let once = self.known(child.task).cost;
        match child.times {
            Times::AtOnce(count) | Times::Beside(count) | Times::AsCompleted(count)
                if self.concurrent =>
            {
                if count == 0 {
                    Cost::default()
                } else {
                    // The delays of children overlap, their work for the CPU does not.
                    Cost { cpu: times(once.cpu, count as f64), ..once }
                }
            }
            // However they are shared out, somebody's turn comes so late.
            Times::SomeAtOnce { count, most } if self.concurrent => {
                let turns = multiple(once, count.div_ceil(most.max(1)) as f64);
                Cost { cpu: times(once.cpu, count as f64), ..turns }
            }
            Times::AtOnce(count)
            | Times::Beside(count)
            | Times::InOrder(count)
            | Times::SomeAtOnce { count, .. }
            | Times::AsCompleted(count)
            | Times::AfterEach(count) => multiple(once, count as f64),
            Times::FirstOf(count) if self.concurrent => {
                Cost { cpu: times(once.cpu, count as f64), ..once }
            }
            // How many attempts there are is not known, but that they make the time vary is: one in
            // a hundred is tried again.
            Times::UpTo(count) if count > 1 => {
                Cost { mean: once.mean.mul_f64(1.01), cpu: once.cpu, least: once.least }
            }
            // Whoever needs longer is given up. One after another, all together have this time.
            Times::Within { count, time } => {
                let most = if self.concurrent { 1.0 } else { count as f64 };
                let whole = multiple(once, most);
                let cpu = times(once.cpu, count as f64).min(time);
                Cost { least: whole.least.min(time), mean: whole.mean.min(time), cpu }
            }
            // The steps after it are at work meanwhile, and it may be cancelled.
            Times::InBackground if self.concurrent => Cost { least: Duration::ZERO, ..once },
            Times::AtMostOnce => Cost { least: Duration::ZERO, ..once },
            Times::FirstOf(_) | Times::UpTo(_) | Times::InBackground => once,
            Times::Chance(chance) if chance >= 1.0 => once,
            Times::Chance(chance) => Cost { least: Duration::ZERO, ..multiple(once, chance) },
        }
    }
}

fn in_sequence(first: Cost, second: Cost) -> Cost {
    Cost {
        least: first.least.saturating_add(second.least),
        mean: first.mean.saturating_add(second.mean),
        cpu: first.cpu.saturating_add(second.cpu),
    }
}

/// The longer of both delays; their work for the CPU adds up.
fn at_once(first: Cost, second: Cost) -> Cost {
    Cost {
        least: first.least.max(second.least),
        mean: first.mean.max(second.mean),
        cpu: first.cpu.saturating_add(second.cpu),
    }
}

fn multiple(once: Cost, factor: f64) -> Cost {
    Cost {
        least: times(once.least, factor),
        mean: times(once.mean, factor),
        cpu: times(once.cpu, factor),
    }
}

/// A multiple of a duration; beyond 584 years it stays there.
fn times(duration: Duration, factor: f64) -> Duration {
    Duration::from_nanos((duration.as_nanos() as f64 * factor) as u64)
}

#[cfg(test)]
mod tests;
