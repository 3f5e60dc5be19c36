//! What the draws of a racer's tasks must have been, where the tasks are known: how often each step
//! is called, and what a server answers that draws its answers.

use std::collections::BTreeMap;

use super::{
    proof::numbered_steps,
    wire::{TrialLoad, TrialPlan},
};
use crate::{
    draw,
    load::WARMUP_TASKS,
    protocol::LoadAccount,
    scenario::LoadKind,
    step::{StepPlan, Times},
    targets::{TargetSpec, http},
};

/// Calls that are drawn one by one, at most.
const MOST_CALLS: u64 = 2_000_000;

/// How often a task calls the steps that `counts` picks by number; none where that is not always
/// the same.
pub(super) fn calls(
    plan: &TrialPlan,
    task: &str,
    counts: impl Fn(usize, &StepPlan) -> bool,
) -> Option<u64> {
    of_task(plan, task, &counts)
}

fn of_task(plan: &TrialPlan, task: &str, counts: &dyn Fn(usize, &StepPlan) -> bool) -> Option<u64> {
    let mut sum = 0_u64;
    for (number, step) in steps_of(plan, task) {
        if step.timeout.is_some() {
            return None;
        }
        sum = sum.saturating_add(u64::from(counts(number, step)));
        for child in step.spec.children() {
            let times = always(child.times)?;
            sum =
                sum.saturating_add(of_task(plan, &child.task.text, counts)?.saturating_mul(times));
        }
    }
    Some(sum)
}

/// How often a child is run, where that is always the same.
fn always(times: Times) -> Option<u64> {
    match times {
        Times::InOrder(count)
        | Times::AtOnce(count)
        | Times::Beside(count)
        | Times::SomeAtOnce { count, .. }
        | Times::AsCompleted(count)
        | Times::AfterEach(count) => Some(count),
        Times::InBackground => Some(1),
        Times::FirstOf(_)
        | Times::Within { .. }
        | Times::AtMostOnce
        | Times::UpTo(_)
        | Times::Chance(_) => None,
    }
}

/// The steps of a task, with their numbers.
fn steps_of<'a>(plan: &'a TrialPlan, task: &'a str) -> impl Iterator<Item = (usize, &'a StepPlan)> {
    let before: usize = plan
        .tasks
        .iter()
        .take_while(|known| known.name != task)
        .map(|known| known.steps.len())
        .sum();
    let steps =
        plan.tasks.iter().find(|known| known.name == task).map_or(0, |known| known.steps.len());
    numbered_steps(plan).map(|(_, step)| step).enumerate().skip(before).take(steps)
}

/// How often the embedded server `name` has answered with each of its statuses, if all tasks had
/// the keys that they should; nothing where it draws none. An error says why that is not known.
pub(super) fn answers(
    plan: &TrialPlan,
    pairs: &[(&TrialLoad, &LoadAccount)],
    name: &str,
) -> Result<BTreeMap<u16, u64>, String> {
    let place = plan.targets.iter().position(|target| target.name == name);
    let Some((place, TargetSpec::Http(spec))) =
        place.map(|place| (place, &plan.targets[place].spec))
    else {
        return Ok(BTreeMap::new());
    };
    if spec.url.is_some() || spec.status.len() < 2 {
        return Ok(BTreeMap::new());
    }
    let seed = draw::mix(plan.seed, place as u64);
    let mut drawn = Drawn { plan, name, spec, seed, counts: BTreeMap::new() };
    for (load, said) in pairs {
        let is_on = |step: &StepPlan| step.spec.targets().iter().any(|used| used.name.text == name);
        let calls = calls(plan, &load.task, |_, step| is_on(step))
            .ok_or("how often steps are called is up to time-outs, draws or retries")?;
        if calls.saturating_mul(said.ended) > MOST_CALLS {
            return Err("there were too many calls to draw them once more".to_owned());
        }
        for task in indices(load, said)? {
            drawn.task(&load.task, draw::mix(plan.seed, task));
        }
    }
    for status in spec.status.iter().map(|entry| entry.status) {
        drawn.counts.entry(status).or_insert(0);
    }
    Ok(drawn.counts)
}

/// The indices of the tasks that a load has run.
fn indices(load: &TrialLoad, said: &LoadAccount) -> Result<Vec<u64>, String> {
    if said.left.running + said.left.waiting > 0 {
        return Err("tasks were given up".to_owned());
    }
    match load.kind {
        LoadKind::Batch { .. } => {
            let warm = (0..said.before).map(|task| WARMUP_TASKS + task);
            Ok(warm.chain(0..said.ended.saturating_sub(said.before)).collect())
        }
        LoadKind::Closed { tasks: Some(tasks), .. } if said.before == 0 => Ok((0..tasks).collect()),
        LoadKind::Closed { tasks: Some(_), .. } => {
            Err("nobody knows how many tasks each client did in the warm-up".to_owned())
        }
        LoadKind::Closed { tasks: None, .. } => {
            let clients = said.clients.len() as u64;
            if clients != load.kind.concurrency() || said.clients.iter().sum::<u64>() != said.ended
            {
                return Err("the racer does not say how many tasks each client did".to_owned());
            }
            let each =
                said.clients.iter().zip(0..).flat_map(|(&tasks, client)| {
                    (0..tasks).map(move |turn| client + turn * clients)
                });
            Ok(each.collect())
        }
        LoadKind::Open { .. } => {
            let dropped = said.arrivals.as_ref().is_none_or(|arrived| arrived.dropped > 0);
            if dropped {
                return Err("nobody knows which arrivals were dropped".to_owned());
            }
            Ok((0..said.ended).collect())
        }
    }
}

struct Drawn<'a> {
    plan: &'a TrialPlan,
    name: &'a str,
    spec: &'a http::HttpTarget,
    /// The server's.
    seed: u64,
    counts: BTreeMap<u16, u64>,
}

impl Drawn<'_> {
    /// Counts the answers to a task with this key.
    fn task(&mut self, task: &str, key: u64) {
        for (number, step) in steps_of(self.plan, task) {
            if step.spec.targets().iter().any(|used| used.name.text == self.name) {
                let id = draw::mix(draw::mix(self.plan.seed, number as u64), key);
                let (status, _) = http::response_for(self.spec, self.seed, id);
                *self.counts.entry(status).or_insert(0) += 1;
            }
            for child in step.spec.children() {
                let Some(times) = always(child.times) else { continue };
                for index in 0..times {
                    self.task(&child.task.text, draw::mix(key, index + 1));
                }
            }
        }
    }
}
