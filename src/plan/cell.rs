//! Cells: one scenario, one executor, one combination of parameters, with all that a trial of it needs to know.

use std::time::Duration;

use super::{Estimate, refusal::Demand};
use crate::{
    draw,
    limits::Limits,
    load::{Arrival, Overflow},
    runtime::{self, ExecutorInfo, Setup, Style},
    scenario::{LoadKind, Param, Reach, Scenario, Variant, reach, time_of_task},
    step::Cost,
    store::{Absent, Lane, StoredCell},
    trial::{TrialPlan, wire},
    units::Rate,
};

/// What planning needs to know of this host.
#[derive(Debug, Clone)]
pub struct Machine {
    /// CPUs that may be used.
    pub cpus: Vec<usize>,
    /// Placement by hand; none: targets and pacer have the last CPU, and the executor the rest.
    pub executor_cpus: Option<Vec<usize>>,
    /// Placement of targets and pacer by hand.
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
    /// Memory that its slots and what waits for them take at least, in bytes.
    pub memory: u64,
    /// Whether its tasks open and close connections to a server on another host.
    pub remote_connections: bool,
}

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
    let has_server = variant.targets.iter().any(|target| target.spec.is_own_server());
    let estimate = if has_server { estimate.with_unknown_server(&variant.load.kind) } else { estimate };
    let demand = Demand::new(variant, executor, slots);
    let refused = demand.refusal(&machine.limits).or_else(|| demand.too_long(cost.least));
    let (load, load_words, tasks) = load_words(&variant.load.kind);
    let [think_ns, think_spread_ns] = think_ns(&variant.load.kind);
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
        probe: variant.run.probe,
        least_task_ns: u64::try_from(cost.least.as_nanos()).unwrap_or(u64::MAX),
        delays_vary: cost.mean.saturating_sub(cost.cpu) > cost.least || think_spread_ns > 0,
        per_task: per_task(variant),
        parent: None,
    };
    let stored = StoredCell {
        name,
        scenario: scenario.name.clone(),
        executor: executor.name.into(),
        label: label(executor, &setup),
        params: variant.params.clone(),
        lane: lane(variant),
        task: variant.load.task.text.clone(),
        load: load.into(),
        load_words,
        tasks,
        clients: clients(&variant.load.kind),
        think_ns,
        think_spread_ns,
        slots,
        workers: setup.workers,
        working_cpus: at_work,
        executor_cpus,
        target_cpus,
        least_task_ns: u64::try_from(cost.least.as_nanos()).unwrap_or(u64::MAX),
        rounds: variant.run.rounds,
        absent: refused.map(Absent::Refused),
    };
    let (memory, remote_connections) = (demand.memory(), demand.opens_remote_connections());
    Cell { stored, trial, estimate, memory, remote_connections }
}

/// The executor's name, with its size where that is a part of what it is.
fn label(executor: &ExecutorInfo, setup: &Setup) -> String {
    let size = if executor.style == Style::Pool { format!("({})", setup.pool_size) } else { String::new() };
    format!("{}{size}", executor.name)
}

/// One step that is done as a library's users do it makes the whole cell so.
fn lane(variant: &Variant) -> Lane {
    let reached = reach(&variant.tasks, &variant.load.task.text);
    let is_idiomatic = |at: &Reach| variant.tasks[at.task].steps[at.step].spec.is_idiomatic();
    if reached.iter().any(is_idiomatic) { Lane::Idiomatic } else { Lane::SameCode }
}

/// `scenario::executor::k=v,k=v`, without the last part where nothing is swept. Different cells have different names.
pub(super) fn cell_name(scenario: &str, executor: &str, params: &[Param]) -> String {
    let params: Vec<String> = params.iter().map(ToString::to_string).collect();
    let values = if params.is_empty() { String::new() } else { format!("::{}", params.join(",")) };
    format!("{scenario}::{executor}{values}")
}

/// The seed of the draws depends on nothing but the scenario's seed: the same work for every executor and round.
fn work_seed(variant: &Variant) -> u64 {
    draw::mix(variant.run.seed, 0)
}

/// What is not the executor's has the last CPU: targets in processes of their own, and the pacer of an open load. The
/// executor has the rest, or all where there is nothing of the kind. One CPU alone is shared.
fn place(variant: &Variant, machine: &Machine) -> (Vec<usize>, Vec<usize>) {
    let has_process = variant.targets.iter().any(|target| target.spec.has_process());
    let apart = has_process || matches!(variant.load.kind, LoadKind::Open { .. });
    let (executor, target) = match machine.cpus.split_last() {
        Some((last, rest)) if apart && !rest.is_empty() => (rest.to_vec(), vec![*last]),
        _ => (machine.cpus.clone(), Vec::new()),
    };
    let target = machine.target_cpus.clone().filter(|_| apart).unwrap_or(target);
    (machine.executor_cpus.clone().unwrap_or(executor), target)
}

fn slots(executor: &ExecutorInfo, load: &LoadKind, pool_size: usize) -> u64 {
    let concurrency = load.concurrency();
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

/// The cost of a task with that of its own thread, where every task starts one.
fn with_thread(cost: Cost, executor: &ExecutorInfo, load: &LoadKind) -> Cost {
    match (executor.style, load) {
        (Style::ThreadPerTask, LoadKind::Batch { .. } | LoadKind::Open { .. }) => Cost {
            mean: cost.mean.saturating_add(NOMINAL_THREAD),
            cpu: cost.cpu.saturating_add(NOMINAL_THREAD),
            ..cost
        },
        _ => cost,
    }
}

/// Clients of a closed load.
fn clients(load: &LoadKind) -> u64 {
    match *load {
        LoadKind::Closed { concurrency, .. } => concurrency,
        LoadKind::Batch { .. } | LoadKind::Open { .. } => 0,
    }
}

/// Mean and standard deviation of the think time of a closed load, in ns.
fn think_ns(load: &LoadKind) -> [u64; 2] {
    match load {
        LoadKind::Closed { think, .. } => {
            [think.mean(), think.spread()].map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
        }
        LoadKind::Batch { .. } | LoadKind::Open { .. } => [0; 2],
    }
}

/// The load's key, the load in words, and the tasks of a batch or after which a closed load ends.
fn load_words(load: &LoadKind) -> (&'static str, String, Option<u64>) {
    match *load {
        LoadKind::Batch { tasks, .. } => ("batch", format!("batch of {tasks}"), Some(tasks)),
        LoadKind::Open { .. } => ("open", open_words(load), None),
        LoadKind::Closed { concurrency, think, tasks, .. } => {
            let clients = if concurrency == 1 { "1 client".into() } else { format!("{concurrency} clients") };
            let pause = if think.mean().is_zero() { String::new() } else { format!(", think time {think}") };
            let end = tasks.map(|tasks| format!(", {tasks} tasks")).unwrap_or_default();
            ("closed", format!("closed, {clients}{pause}{end}"), tasks)
        }
    }
}

/// Such as `open, 2k/s poisson, at most 1024 in flight`.
pub(super) fn open_words(load: &LoadKind) -> String {
    let LoadKind::Open { rate, arrival, max_in_flight, overflow, stages, .. } = load else { return String::new() };
    let rates = match stages.as_slice() {
        [] => Rate(*rate).to_string(),
        [only] if only.from.total_cmp(&only.to).is_eq() => Rate(only.to).to_string(),
        stages => {
            let ends = || stages.iter().flat_map(|stage| [stage.from, stage.to]);
            let (least, most) = (ends().fold(f64::INFINITY, f64::min), ends().fold(0.0, f64::max));
            let count = if stages.len() == 1 { "1 stage".to_owned() } else { format!("{} stages", stages.len()) };
            format!("{count} of {} to {}", Rate(least), Rate(most))
        }
    };
    let arrival = if *arrival == Arrival::Poisson { " poisson" } else { "" };
    let full = if *overflow == Overflow::Delay { ", others wait" } else { "" };
    format!("open, {rates}{arrival}, at most {max_in_flight} in flight{full}")
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{scenario, scenario::Overrides};

    fn all_cells(scenario: &Scenario) -> Vec<StoredCell> {
        let limits = Limits::default();
        let machine = Machine { cpus: vec![0], executor_cpus: None, target_cpus: None, limits };
        cells(scenario, &machine).map(|cell| cell.stored).collect()
    }

    /// What nothing had to be quoted for is called as ever: stored runs and filters go by the names.
    #[test]
    fn the_cells_of_our_scenarios_have_plain_names() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let folders =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
        let mut swept = 0;
        for file in files.filter(|file| file.extension().is_some_and(|end| end == "toml")) {
            for cell in all_cells(&scenario::read(&file, &Overrides::default()).unwrap()) {
                let values: Vec<_> =
                    cell.params.iter().map(|param| format!("{}={}", param.name, param.value)).collect();
                let values = if values.is_empty() { String::new() } else { format!("::{}", values.join(",")) };
                assert_eq!(cell.name, format!("{}::{}{values}", cell.scenario, cell.executor));
                swept += cell.params.len();
            }
        }
        assert!(swept > 100, "{swept}");
    }

    #[test]
    fn values_that_hold_separators_make_cells_of_their_own() {
        let text = "schema = 1\nname = 'x'\n[sweep]\na = ['/x', '/x,b=/y']\nb = ['/y,b=/z', '/z']\n\
            [executors]\nuse = ['tokio']\n[targets.api]\nhttp = {}\n[tasks.t]\nsteps = [\
            { http = { target = 'api', path = '${a}' } }, { http = { target = 'api', path = '${b}' } }]\n\
            [load.l]\ntask = 't'\nclosed = { concurrency = 1 }\n";
        let scenario = scenario::from_text(Path::new("x.toml"), text, &Overrides::default()).unwrap();
        let names: Vec<String> = all_cells(&scenario).into_iter().map(|cell| cell.name).collect();
        assert_eq!(
            names,
            [
                "x::tokio::a=/x,b=\"/y,b=/z\"",
                "x::tokio::a=/x,b=/z",
                "x::tokio::a=\"/x,b=/y\",b=\"/y,b=/z\"",
                "x::tokio::a=\"/x,b=/y\",b=/z",
            ]
        );
    }

    #[test]
    fn servers_and_pacers_have_the_last_cpu_where_there_is_another() {
        let place = |step: &str, load: &str, cpus: &[usize]| {
            let target = if step.contains("api") { "[targets.api]\nhttp = {}\n" } else { "" };
            let text = format!(
                "schema = 1\nname = 'x'\n{target}[tasks.t]\nsteps = [{step}]\n[load.l]\ntask = 't'\n{load}\n[executors]\n\
                 use = ['tokio']\n"
            );
            let scenario = scenario::from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
            let limits = Limits::default();
            let machine = Machine { cpus: cpus.to_vec(), executor_cpus: None, target_cpus: None, limits };
            let cell = cells(&scenario, &machine).next().unwrap();
            (cell.stored.executor_cpus, cell.stored.target_cpus)
        };
        let (nap, get) = ("{ sleep = { time = '1ms' } }", "{ http = { target = 'api', path = '/' } }");
        let (batch, open) = ("batch = { tasks = 10 }", "open = { rate = '1k/s' }");
        assert_eq!(place(nap, batch, &[0, 1, 2]), (vec![0, 1, 2], vec![]));
        assert_eq!(place(get, batch, &[0, 1, 2]), (vec![0, 1], vec![2]));
        assert_eq!(place(nap, open, &[0, 1, 2]), (vec![0, 1], vec![2]));
        assert_eq!(place(nap, open, &[3]), (vec![3], vec![]));
    }
}
