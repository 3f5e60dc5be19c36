//! Cells: one scenario, one executor, one combination of parameters, with all that a trial of it needs to know.

use std::time::Duration;

use super::Estimate;
use crate::{
    draw,
    limits::Limits,
    load::{Arrival, Overflow},
    runtime::{self, ExecutorInfo, Setup, Style},
    scenario::{LoadKind, Param, Reach, Scenario, Variant, reach, time_of_task},
    step::{Cost, Times},
    store::{Absent, Lane, StoredCell},
    target::TargetSpec,
    trial::{TrialPlan, wire},
    units::{self, Rate},
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
    /// Memory that its slots take at least, in bytes.
    pub memory: u64,
    /// Whether its tasks open and close connections to a server on another host.
    pub remote_connections: bool,
}

/// Open files that a process has besides its sockets.
const OTHER_FILES: u64 = 64;

/// Open files of a customary client: its socket, and three of the runtime that PostgreSQL's has inside (tokio's epoll,
/// the file that wakes it, and a second handle on the first).
const FILES_OF_A_CLIENT: f64 = 4.0;

/// What a slot takes at least, in bytes: its future, its generator of draws and its share of the counts. A thread's
/// stack is left out, for memory that it does not touch costs nothing.
const SLOT_BYTES: u64 = 1024;

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
    let refused = refusal(variant, executor, slots, &machine.limits).or_else(|| too_long(variant, cost.least, slots));
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
        probe: variant.run.probe,
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
        lane: lane(variant),
        task: variant.load.task.text.clone(),
        load: load.into(),
        load_words,
        tasks,
        clients: clients(&variant.load.kind),
        think_ns: think_ns(&variant.load.kind),
        slots,
        workers: setup.workers,
        working_cpus: at_work,
        executor_cpus,
        target_cpus,
        least_task_ns: u64::try_from(cost.least.as_nanos()).unwrap_or(u64::MAX),
        rounds: variant.run.rounds,
        absent: refused.map(Absent::Refused),
    };
    let (memory, remote_connections) = (slots.saturating_mul(SLOT_BYTES), remote_connections(variant).0);
    Cell { stored, trial, estimate, memory, remote_connections }
}

/// One step that is done as a library's users do it makes the whole cell so.
fn lane(variant: &Variant) -> Lane {
    let reached = reach(&variant.tasks, &variant.load.task.text);
    let is_idiomatic = |at: &Reach| variant.tasks[at.task].steps[at.step].spec.is_idiomatic();
    if reached.iter().any(is_idiomatic) { Lane::Idiomatic } else { Lane::SameCode }
}

/// `scenario::executor::k=v,k=v`, without the last part where nothing is swept.
pub(super) fn cell_name(scenario: &str, executor: &str, params: &[Param]) -> String {
    let params: Vec<String> = params.iter().map(|param| format!("{}={}", param.name, param.value)).collect();
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

/// Think time of a closed load, in ns.
fn think_ns(load: &LoadKind) -> u64 {
    match *load {
        LoadKind::Closed { think, .. } => u64::try_from(think.as_nanos()).unwrap_or(u64::MAX),
        LoadKind::Batch { .. } | LoadKind::Open { .. } => 0,
    }
}

/// The load's key, the load in words, and the tasks of a batch or after which a closed load ends.
fn load_words(load: &LoadKind) -> (&'static str, String, Option<u64>) {
    match *load {
        LoadKind::Batch { tasks, .. } => ("batch", format!("batch of {tasks}"), Some(tasks)),
        LoadKind::Open { .. } => ("open", open_words(load), None),
        LoadKind::Closed { concurrency, think, tasks } => {
            let clients = if concurrency == 1 { "1 client".into() } else { format!("{concurrency} clients") };
            let pause = if think == Duration::ZERO {
                String::new()
            } else {
                format!(", think time {}", units::format_duration(think))
            };
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

/// Why this host cannot run the cell: too many threads or sockets, or too little memory.
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
    // Each step that acts on a server keeps a connection of its own per slot; a customary client may have more open.
    let is_server = |name: &str| match variant.targets.iter().find(|target| target.name == name).map(|t| &t.spec) {
        Some(TargetSpec::Http(_) | TargetSpec::Document(_)) => true,
        Some(TargetSpec::Sql(database)) => database.is_server(),
        _ => false,
    };
    let connects = |at: &&Reach| step(at).targets().iter().any(|target| is_server(&target.name.text));
    let files = |at: &Reach| if step(at).is_idiomatic() { FILES_OF_A_CLIENT } else { 1.0 };
    let sockets: f64 = reached.iter().filter(connects).map(|at| at.times.max(1.0) * files(at)).sum();
    let files = ((slots as f64 * sockets) as u64).saturating_add(OTHER_FILES);
    let lower = match variant.load.kind {
        LoadKind::Open { .. } => "lower `max_in_flight`",
        LoadKind::Batch { .. } | LoadKind::Closed { .. } => "lower the concurrency",
    };
    let (lower_threads, lower_slots) = match executor.style {
        Style::Pool => ("lower `size` under [executors.thread-pool]", "lower `size` under [executors.thread-pool]"),
        Style::Workers => ("lower `workers` under [executors]", lower),
        Style::Serial | Style::OneWorker | Style::ThreadPerTask => (lower, lower),
    };
    let threads = limits.refuse_threads(threads, lower_threads);
    let files = || limits.refuse_files(files, lower_slots);
    let ports = || {
        let wanted = remote_connections(variant).1?;
        limits.refuse_ports(wanted, "keep connections (`connection = \"keep\"`), or lower the number of tasks")
    };
    threads
        .or_else(files)
        .or_else(ports)
        .or_else(|| limits.refuse_memory(slots.saturating_mul(SLOT_BYTES), lower_slots))
}

/// Whether a trial opens and closes connections to servers on other hosts, and how many; no number where the load
/// ends by time.
fn remote_connections(variant: &Variant) -> (bool, Option<u64>) {
    let remote = |name: &str| {
        let spec = variant.targets.iter().find(|target| target.name == name).map(|target| &target.spec);
        matches!(spec, Some(TargetSpec::Http(server)) if server.is_remote())
    };
    let reached = reach(&variant.tasks, &variant.load.task.text);
    let opens = |at: &&Reach| {
        let step = &variant.tasks[at.task].steps[at.step].spec;
        step.connects_per_call() && step.targets().iter().any(|target| remote(&target.name.text))
    };
    let per_task: f64 = reached.iter().filter(opens).map(|at| at.times).sum();
    let tasks = match variant.load.kind {
        LoadKind::Batch { tasks, repeat } => Some(tasks.saturating_mul(u64::from(repeat.unwrap_or(1)))),
        LoadKind::Closed { tasks, .. } => tasks,
        // A port is kept for a minute. Stages have no one rate.
        LoadKind::Open { rate, ref stages, .. } if stages.is_empty() => {
            let whole = variant.run.warmup + variant.run.duration;
            Some((rate * whole.as_secs_f64().min(60.0)) as u64)
        }
        LoadKind::Open { .. } => None,
    };
    (per_task > 0.0, tasks.map(|tasks| (tasks as f64 * per_task) as u64).filter(|wanted| *wanted > 0))
}

/// Why every trial of a batch would be killed: its delays alone take longer than its `timeout`.
fn too_long(variant: &Variant, least: Duration, slots: u64) -> Option<String> {
    let LoadKind::Batch { tasks, repeat } = variant.load.kind else { return None };
    let rounds = tasks.div_ceil(slots.max(1));
    let once = least.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX));
    let warming = if variant.run.warmup.is_zero() { Duration::ZERO } else { variant.run.warmup.max(once) };
    let whole = warming.saturating_add(once.saturating_mul(repeat.unwrap_or(1)));
    let timeout = variant.run.timeout;
    (whole >= timeout).then(|| {
        let (whole, timeout) = (units::format_duration(whole), units::format_duration(timeout));
        format!("takes at least {whole}, and is killed after {timeout}; raise `timeout` under [run], or lower `tasks`")
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{limits::Limit, scenario, scenario::Overrides};

    /// Why the cells of a batch of 1 000 naps of 1 s are refused, by executor.
    fn refusals(limits: Limits) -> Vec<(String, String)> {
        let text = "schema = 1\nname = 'x'\n[tasks.nap]\nsteps = [{ sleep = { time = '1s' } }]\n[load.b]\ntask = 'nap'\n\
                    batch = { tasks = 1000 }\n[executors]\nuse = ['sequential', 'thread-pool', 'tokio']\n";
        let scenario = scenario::from_text(Path::new("x.toml"), text, &Overrides::default()).unwrap();
        let machine = Machine { cpus: vec![0], executor_cpus: None, target_cpus: None, limits };
        let refused = cells(&scenario, &machine).filter_map(|cell| match cell.stored.absent {
            Some(Absent::Refused(reason)) => Some((cell.stored.executor, reason)),
            _ => None,
        });
        refused.collect()
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

    #[test]
    fn a_batch_that_its_watchdog_would_kill_is_refused() {
        let refused = refusals(Limits::default());
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].0 == "sequential" && refused[0].1.contains("raise `timeout`"), "{refused:?}");
    }

    #[test]
    fn the_remedy_names_the_key_of_the_executor() {
        let limit = |left| Limit { left, name: "few", remedy: "raise it" };
        let refused = refusals(Limits { threads: vec![limit(0)], ..Limits::default() });
        assert!(refused[1].1.contains("lower `size` under [executors.thread-pool], or `raise it`"), "{refused:?}");
        let refused = refusals(Limits { memory: vec![limit(100 * SLOT_BYTES)], ..Limits::default() });
        let (executor, reason) = &refused[1];
        assert!(executor == "tokio" && reason.contains("memory") && reason.contains("lower the conc"), "{refused:?}");
    }

    #[test]
    fn one_customary_client_makes_the_cell_idiomatic() {
        let planned = |second: &str, limit: u64| {
            let text = format!(
                "schema = 1\nname = 'x'\n[targets.db]\nsql = {{ url = '${{env:DATABASE_URL}}' }}\n[tasks.t]\nsteps = [\
                 {{ sql = {{ target = 'db', query = 'SELECT 1' }} }}, {{ repeat = {{ task = 'u', times = 1 }} }}]\n[tasks.u]\n\
                 steps = [{{ sql = {{ target = 'db', query = 'SELECT 1', driver = '{second}' }} }}]\n[load.b]\ntask = 't'\n\
                 closed = {{ concurrency = 10 }}\n[executors]\nuse = ['tokio']\n"
            );
            let scenario = scenario::from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
            let files = vec![Limit { left: limit, name: "few", remedy: "raise it" }];
            let machine = Machine {
                cpus: vec![0],
                executor_cpus: None,
                target_cpus: None,
                limits: Limits { files, ..Limits::default() },
            };
            let cell = cells(&scenario, &machine).next().unwrap();
            (cell.stored.lane, cell.stored.absent.is_some())
        };
        assert_eq!(planned("same", OTHER_FILES + 20), (Lane::SameCode, false));
        assert_eq!(planned("same", OTHER_FILES + 19), (Lane::SameCode, true));
        // Such a client may have a runtime inside.
        assert_eq!(planned("customary", OTHER_FILES + 50), (Lane::Idiomatic, false));
        assert_eq!(planned("customary", OTHER_FILES + 49), (Lane::Idiomatic, true));
    }

    #[test]
    fn a_connection_per_call_to_another_host_needs_a_port() {
        let refused = |url: &str, connection: &str, left: u64| {
            let text = format!(
                "schema = 1\nname = 'x'\n[targets.api]\nhttp = {{ url = '{url}' }}\n[tasks.get]\nsteps = [{{ http = \
                 {{ target = 'api', path = '/', connection = '{connection}' }} }}]\n[load.b]\ntask = 'get'\n\
                 batch = {{ tasks = 10, repeat = 3 }}\n[executors]\nuse = ['tokio']\n"
            );
            let scenario = scenario::from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
            let ports = vec![Limit { left, name: "range", remedy: "raise it" }];
            let limits = Limits { ports, ..Limits::default() };
            let machine = Machine { cpus: vec![0], executor_cpus: None, target_cpus: None, limits };
            let all: Vec<Cell> = cells(&scenario, &machine).collect();
            (all[0].stored.absent.is_some(), all[0].remote_connections)
        };
        assert_eq!(refused("http://db.example:80", "per-call", 29), (true, true));
        assert_eq!(refused("http://db.example:80", "per-call", 30), (false, true));
        assert_eq!(refused("http://db.example:80", "keep", 29), (false, false));
        assert_eq!(refused("http://127.0.0.1:80", "per-call", 29), (false, false));
    }
}
