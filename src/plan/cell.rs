//! Cells: one scenario, one executor, one combination of parameters, with all that a trial of it needs to know.

use std::time::Duration;

use super::Estimate;
use crate::{
    draw,
    limits::Limits,
    runtime::{self, ExecutorInfo, Setup, Style},
    scenario::{LoadKind, Param, Reach, Scenario, Variant, reach, time_of_task},
    step::{Cost, Times},
    store::{Absent, StoredCell},
    trial::{TrialPlan, wire},
};

/// What planning needs to know of this host.
#[derive(Debug, Clone)]
pub struct Machine {
    /// CPUs that may be used.
    pub cpus: Vec<usize>,
    /// Placement by hand; none: the target has the last CPU and the executor the rest.
    pub executor_cpus: Option<Vec<usize>>,
    /// Placement of targets by hand.
    pub target_cpus: Option<Vec<usize>>,
    /// Limits on threads and files.
    pub limits: Limits,
}

/// A cell of the plan.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The cell as a run file stores it.
    pub stored: StoredCell,
    /// Its trials, but for the round.
    pub trial: TrialPlan,
    /// How long one takes.
    pub estimate: Estimate,
}

/// Open files that a process has besides its sockets.
const OTHER_FILES: u64 = 64;

/// What starting and ending a thread costs the CPU on an ordinary machine of 2024, for estimates.
const NOMINAL_THREAD: Duration = Duration::from_micros(80);

/// All cells of a scenario, in the order of parameters and executors.
pub(super) fn cells<'a>(scenario: &'a Scenario, machine: &'a Machine) -> impl Iterator<Item = Cell> + 'a {
    scenario.variants.iter().flat_map(move |variant| {
        let known = variant.executors.names.iter().filter_map(|name| runtime::executor(name));
        known.map(move |executor| cell(scenario, variant, executor, machine))
    })
}

fn cell(scenario: &Scenario, variant: &Variant, executor: &ExecutorInfo, machine: &Machine) -> Cell {
    let (executor_cpus, target_cpus) = place(variant, machine);
    let cpus = if executor_cpus.is_empty() { machine.cpus.len() } else { executor_cpus.len() };
    let settings = &variant.executors;
    let setup = Setup {
        workers: settings.workers.unwrap_or(cpus).max(1),
        pool_size: settings.pool_size,
        stack_size: settings.stack_size,
    };
    let name = cell_name(&scenario.name, executor.name, &variant.params);
    let slots = slots(executor, &variant.load.kind, setup.pool_size);
    let cost = time_of_task(&variant.tasks, &variant.targets, &variant.load.task.text, executor.style != Style::Serial);
    let at_work = working_cpus(executor, cpus, setup.workers);
    let whole = with_thread(cost, executor, &variant.load.kind);
    let estimate = Estimate::new(&variant.load.kind, whole, slots, at_work, variant.run.warmup, variant.run.duration);
    let (load, load_words, tasks) = load_words(&variant.load.kind);
    let trial = TrialPlan {
        regatta_trial: wire::VERSION,
        cell: name.clone(),
        round: 0,
        executor: executor.name.into(),
        setup: setup.clone(),
        executor_cpus: executor_cpus.clone(),
        target_cpus: target_cpus.clone(),
        seed: work_seed(variant),
        targets: variant.targets.clone(),
        tasks: variant.tasks.clone(),
        load: variant.load.clone(),
        warmup: variant.run.warmup,
        duration: variant.run.duration,
        timeout: variant.run.timeout,
        least_task_ns: u64::try_from(cost.least.as_nanos()).unwrap_or(u64::MAX),
        per_task: per_task(variant),
        parent: None,
    };
    let stored = StoredCell {
        name,
        scenario: scenario.name.clone(),
        executor: executor.name.into(),
        label: if executor.style == Style::Pool {
            format!("{}({})", executor.name, setup.pool_size)
        } else {
            executor.name.into()
        },
        params: variant.params.clone(),
        task: variant.load.task.text.clone(),
        load: load.into(),
        load_words,
        tasks,
        slots,
        workers: setup.workers,
        executor_cpus,
        target_cpus,
        least_task_ns: u64::try_from(cost.least.as_nanos()).unwrap_or(u64::MAX),
        rounds: variant.run.rounds,
        absent: refusal(variant, executor, slots, &machine.limits).map(Absent::Refused),
    };
    Cell { stored, trial, estimate }
}

/// `scenario::executor::k=v,k=v`, without the last part where nothing is swept.
fn cell_name(scenario: &str, executor: &str, params: &[Param]) -> String {
    let params: Vec<String> = params.iter().map(|param| format!("{}={}", param.name, param.value)).collect();
    let values = if params.is_empty() { String::new() } else { format!("::{}", params.join(",")) };
    format!("{scenario}::{executor}{values}")
}

/// The seed of the draws depends on nothing but the scenario's seed: the same work for every executor and round.
fn work_seed(variant: &Variant) -> u64 {
    draw::mix(variant.run.seed, 0)
}

/// With a target in a process of its own it has the last CPU and the executor the rest; otherwise the executor has
/// all. One CPU alone is shared.
fn place(variant: &Variant, machine: &Machine) -> (Vec<usize>, Vec<usize>) {
    let has_process = variant.targets.iter().any(|target| target.spec.has_process());
    let (executor, target) = match machine.cpus.split_last() {
        Some((last, rest)) if has_process && !rest.is_empty() => (rest.to_vec(), vec![*last]),
        _ => (machine.cpus.clone(), Vec::new()),
    };
    let target = machine.target_cpus.clone().filter(|_| has_process).unwrap_or(target);
    (machine.executor_cpus.clone().unwrap_or(executor), target)
}

fn slots(executor: &ExecutorInfo, load: &LoadKind, pool_size: usize) -> u64 {
    let concurrency = concurrency(load);
    match executor.style {
        Style::Serial => 1,
        Style::Pool => concurrency.min(pool_size as u64),
        Style::ThreadPerTask | Style::Workers | Style::OneWorker => concurrency,
    }
}

/// How many CPUs can work on tasks at once.
fn working_cpus(executor: &ExecutorInfo, cpus: usize, workers: usize) -> usize {
    match executor.style {
        Style::Serial | Style::OneWorker => 1,
        Style::ThreadPerTask | Style::Pool => cpus,
        Style::Workers => cpus.min(workers),
    }
}

/// The cost of a task with that of its own thread, where every task of a batch starts one.
fn with_thread(cost: Cost, executor: &ExecutorInfo, load: &LoadKind) -> Cost {
    match (executor.style, load) {
        (Style::ThreadPerTask, LoadKind::Batch { .. }) => Cost {
            mean: cost.mean.saturating_add(NOMINAL_THREAD),
            cpu: cost.cpu.saturating_add(NOMINAL_THREAD),
            ..cost
        },
        _ => cost,
    }
}

fn concurrency(load: &LoadKind) -> u64 {
    match *load {
        LoadKind::Batch { tasks, .. } => tasks,
        LoadKind::Closed { concurrency, .. } => concurrency,
    }
}

/// The load's key, the load in words, and the tasks of a batch.
fn load_words(load: &LoadKind) -> (&'static str, String, Option<u64>) {
    match *load {
        LoadKind::Batch { tasks, .. } => ("batch", format!("batch of {tasks}"), Some(tasks)),
        LoadKind::Closed { concurrency, think, tasks } => {
            let clients = if concurrency == 1 { "1 client".into() } else { format!("{concurrency} clients") };
            let pause = if think == Duration::ZERO {
                String::new()
            } else {
                format!(", think time {}", crate::units::format_duration(think))
            };
            let end = tasks.map(|tasks| format!(", {tasks} tasks")).unwrap_or_default();
            ("closed", format!("closed, {clients}{pause}{end}"), None)
        }
    }
}

/// Executions of each step per task, by step number.
fn per_task(variant: &Variant) -> Vec<Option<u64>> {
    let mut first = Vec::new();
    let mut steps = 0;
    for task in &variant.tasks {
        first.push(steps);
        steps += task.steps.len();
    }
    let mut per_task = vec![Some(0); steps];
    for reached in reach(&variant.tasks, &variant.load.task.text) {
        per_task[first[reached.task] + reached.step] = reached.exact.then_some(reached.times as u64);
    }
    per_task
}

/// Why this host cannot run the cell: too many threads or sockets.
fn refusal(variant: &Variant, executor: &ExecutorInfo, slots: u64, limits: &Limits) -> Option<String> {
    let reached = reach(&variant.tasks, &variant.load.task.text);
    let step = |at: &Reach| &variant.tasks[at.task].steps[at.step].spec;
    let at_once = |at: &Reach| -> f64 {
        let counts = step(at).children().into_iter().map(|child| match child.times {
            Times::AtOnce(count) => count as f64,
            _ => 0.0,
        });
        at.times * counts.sum::<f64>()
    };
    let threads = match executor.style {
        Style::Serial | Style::OneWorker => 1,
        Style::ThreadPerTask => (slots as f64 * (1.0 + reached.iter().map(at_once).sum::<f64>())) as u64,
        Style::Pool => variant.executors.pool_size as u64,
        Style::Workers => variant.executors.workers.unwrap_or(1) as u64,
    };
    // Each step that acts on a server keeps a connection of its own per slot.
    let connects = |at: &&Reach| step(at).targets().iter().any(|target| target.kind == "http");
    let sockets: f64 = reached.iter().filter(connects).map(|at| at.times.max(1.0)).sum();
    let files = ((slots as f64 * sockets) as u64).saturating_add(OTHER_FILES);
    limits.refuse_threads(threads).or_else(|| limits.refuse_files(files))
}
