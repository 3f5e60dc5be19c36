//! Cells: one scenario, one executor, one combination of parameters, with all that a trial of it
//! needs to know.

use std::time::Duration;

use super::{Contender, Estimate, beneath, events, meetings, peers, pipelines, refusal::Demand};
use crate::{
    draw,
    limits::Limits,
    protocol::Program,
    runtime::{Setup, Style},
    scenario::{Load, LoadKind, Param, Reach, Scenario, Variant, fan_out, reach, time_of_task},
    step::Cost,
    step::HandleTouch,
    store::{Absent, Lane, StoredCell, StoredLoad, StoredProgram},
    targets::TargetSpec,
    trial::{TrialLoad, TrialPlan, wire},
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
pub(super) fn cells<'a>(
    scenario: &'a Scenario,
    machine: &'a Machine,
) -> impl Iterator<Item = Cell> + 'a {
    scenario.variants.iter().flat_map(move |variant| {
        let names = variant.executors.names.iter();
        let known = names.filter_map(|name| Contender::of(name, &variant.executors));
        known.map(move |contender| cell(scenario, variant, contender, machine))
    })
}

fn cell(
    scenario: &Scenario,
    variant: &Variant,
    contender: Contender<'_>,
    machine: &Machine,
) -> Cell {
    let (executor_cpus, target_cpus) = place(variant, machine);
    let cpus = if executor_cpus.is_empty() { machine.cpus.len() } else { executor_cpus.len() };
    let settings = &variant.executors;
    let setup = Setup {
        workers: settings.workers.unwrap_or(cpus).max(1),
        pool_size: settings.pool_size,
        stack_size: settings.stack_size,
    };
    let name = cell_name(&scenario.name, contender.name, &variant.params);
    let at_work = working_cpus(contender, cpus, setup.workers);
    let each: Vec<PlannedLoad> = variant
        .loads
        .iter()
        .map(|load| planned(load, variant, contender, &setup, at_work))
        .collect();
    let estimate = Estimate::together(each.iter().map(|load| load.estimate));
    let demand = Demand::new(variant, contender.style, setup.pool_size as u64);
    let refused = demand.refusal(&machine.limits);
    let refused = refused.or_else(|| demand.too_long(each.iter().map(|load| load.cost.least)));
    let absent = not_applicable(variant, contender, &setup).or(refused.map(Absent::Refused));
    let trial = TrialPlan {
        regatta_trial: wire::VERSION,
        cell: name.clone(),
        round: 0,
        executor: contender.name.into(),
        program: contender.program.cloned(),
        setup: setup.clone(),
        executor_cpus: executor_cpus.clone(),
        target_cpus: target_cpus.clone(),
        seed: work_seed(variant),
        targets: variant.targets.clone(),
        shared: peers::used(variant),
        data: variant.data.clone(),
        tasks: variant.tasks.clone(),
        loads: each.iter().map(|load| load.trial.clone()).collect(),
        warmup: variant.run.warmup,
        duration: variant.run.duration,
        timeout: variant.run.timeout,
        probe: variant.run.probe,
        parent: None,
    };
    let stored = StoredCell {
        name,
        scenario: scenario.name.clone(),
        executor: contender.name.into(),
        label: label(contender, &setup),
        program: contender.program.map(stored),
        files: scenario.files.clone(),
        params: variant.params.clone(),
        lane: lane(variant),
        loads: each.into_iter().map(|load| load.stored).collect(),
        workers: setup.workers,
        working_cpus: at_work,
        executor_cpus,
        target_cpus,
        rounds: variant.run.rounds,
        absent,
    };
    let (memory, remote_connections) = (demand.memory(), demand.opens_remote_connections());
    Cell { stored, trial, estimate, memory, remote_connections }
}

/// A load of a cell, with what it takes.
struct PlannedLoad {
    /// As a run file stores it.
    stored: StoredLoad,
    /// As a trial runs it.
    trial: TrialLoad,
    /// What a task costs.
    pub cost: Cost,
    /// How long a trial of it alone takes.
    estimate: Estimate,
}

fn planned(
    load: &Load,
    variant: &Variant,
    contender: Contender<'_>,
    setup: &Setup,
    at_work: usize,
) -> PlannedLoad {
    let (most, pool_size) = (load.kind.concurrency(), setup.pool_size as u64);
    let fans_out = fan_out(&variant.tasks, &load.task.text) > 0;
    let slots = contender.style.begun(most, pool_size, fans_out);
    let concurrent = contender.style != Style::Serial;
    let cost = time_of_task(&variant.tasks, &variant.targets, &load.task.text, concurrent);
    let (whole, run) = (with_thread(cost, contender, &load.kind), &variant.run);
    let at_once = contender.style.slots(most, pool_size);
    let estimate = Estimate::new(&load.kind, whole, at_once, at_work, run.warmup, run.duration);
    let has_server = variant.targets.iter().any(|target| target.spec.is_own_server());
    let estimate = if has_server { estimate.with_unknown_server(&load.kind) } else { estimate };
    let (name, task, kind) = (load.name.clone(), load.task.text.clone(), load.kind.clone());
    let least_task_ns = u64::try_from(cost.least.as_nanos()).unwrap_or(u64::MAX);
    let thinks_vary = !kind.think().spread().is_zero();
    let delays_vary = cost.mean.saturating_sub(cost.cpu) > cost.least || thinks_vary;
    let trial = TrialLoad {
        name: name.clone(),
        task: task.clone(),
        kind: kind.clone(),
        least_task_ns,
        delays_vary,
    };
    let stored = StoredLoad { name, task, kind, slots, least_task_ns };
    PlannedLoad { stored, trial, cost, estimate }
}

/// Why an executor cannot do what a variant asks for, whatever the host.
fn not_applicable(variant: &Variant, contender: Contender<'_>, setup: &Setup) -> Option<Absent> {
    let loads = variant.loads.len();
    let at_once = (loads > 1 && contender.style == Style::Serial)
        .then(|| format!("it runs one task at a time, and {loads} loads are to run at once"));
    at_once
        .or_else(|| peers::missing(variant, contender.style, setup.pool_size as u64))
        .or_else(|| pipelines::stuck(variant, contender.style, setup.pool_size as u64))
        .or_else(|| pipelines::crowded(variant, contender.style))
        .or_else(|| meetings::unsure(variant, contender.style, setup.pool_size as u64))
        .or_else(|| cannot_cancel(variant, contender.style))
        .or_else(|| undriven(variant, contender.style))
        .or_else(|| beneath::waits(variant, contender.style))
        .or_else(|| events::unset(variant, contender.style, setup.pool_size as u64))
        .map(Absent::NotApplicable)
}

/// A thread can only end itself.
fn cannot_cancel(variant: &Variant, style: Style) -> Option<String> {
    if style.shares_threads() {
        return None;
    }
    let mut reached = variant.loads.iter().flat_map(|load| reach(&variant.tasks, &load.task.text));
    let cancels = |at: Reach| {
        let used = variant.tasks[at.task].steps[at.step].spec.handle()?;
        (used.touch == HandleTouch::Cancels).then(|| used.name.text.clone())
    };
    let name = reached.find_map(cancels)?;
    Some(format!(
        "nobody can cancel `{name}`, which has a thread of its own; give its steps a `timeout`"
    ))
}

/// A connection that many share is driven by a task of its own. Where a thread is one task's at a
/// time, and all of them block, that task would have to be a thread which no blocking program has.
fn undriven(variant: &Variant, style: Style) -> Option<String> {
    if style.shares_threads() {
        return None;
    }
    let mut reached = variant.loads.iter().flat_map(|load| reach(&variant.tasks, &load.task.text));
    let shares = |at: Reach| {
        let step = &variant.tasks[at.task].steps[at.step].spec;
        let target = |name: &str| variant.targets.iter().find(|target| target.name == name);
        step.targets().into_iter().find_map(|used| match &target(&used.name.text)?.spec {
            TargetSpec::Http(server) => {
                server.http2.as_ref()?.shared().map(|_| used.name.text.clone())
            }
            _ => None,
        })
    };
    let name = reached.find_map(shares)?;
    Some(format!(
        "its threads block, and nobody drives the HTTP/2 connections that are shared on target `{name}`; write \
         http2 = {{ connections = \"per-slot\" }}"
    ))
}

/// The executor's name, with its size where that is a part of what it is.
fn label(contender: Contender<'_>, setup: &Setup) -> String {
    let size =
        if contender.style.is_pool() { format!("({})", setup.pool_size) } else { String::new() };
    format!("{}{size}", contender.name)
}

/// A program as a run file stores it, before it was asked who it is.
fn stored(program: &Program) -> StoredProgram {
    StoredProgram { command: program.command.clone(), ..StoredProgram::default() }
}

/// One step that is done as a library's users do it makes the whole cell so.
fn lane(variant: &Variant) -> Lane {
    let mut reached = variant.loads.iter().flat_map(|load| reach(&variant.tasks, &load.task.text));
    let is_idiomatic = |at: Reach| variant.tasks[at.task].steps[at.step].spec.is_idiomatic();
    if reached.any(is_idiomatic) { Lane::Idiomatic } else { Lane::SameCode }
}

/// `scenario::executor::k=v,k=v`, without the last part where nothing is swept. Different cells
/// have different names.
pub(super) fn cell_name(scenario: &str, executor: &str, params: &[Param]) -> String {
    let params: Vec<String> = params.iter().map(ToString::to_string).collect();
    let values = if params.is_empty() { String::new() } else { format!("::{}", params.join(",")) };
    format!("{scenario}::{executor}{values}")
}

/// The seed of the draws depends on nothing but the scenario's seed: the same work for every
/// executor and round.
fn work_seed(variant: &Variant) -> u64 {
    draw::mix(variant.run.seed, 0)
}

/// What is not the executor's has the last CPU: targets in processes of their own, and the pacer of
/// an open load. The executor has the rest, or all where there is nothing of the kind. One CPU
/// alone is shared.
fn place(variant: &Variant, machine: &Machine) -> (Vec<usize>, Vec<usize>) {
    let has_process = variant.targets.iter().any(|target| target.spec.has_process());
    let is_paced = |load: &Load| matches!(load.kind, LoadKind::Open { .. });
    let apart = has_process || variant.loads.iter().any(is_paced);
    let (executor, target) = match machine.cpus.split_last() {
        Some((last, rest)) if apart && !rest.is_empty() => (rest.to_vec(), vec![*last]),
        _ => (machine.cpus.clone(), Vec::new()),
    };
    let target = machine.target_cpus.clone().filter(|_| apart).unwrap_or(target);
    (machine.executor_cpus.clone().unwrap_or(executor), target)
}

/// How many CPUs can work on tasks at once.
fn working_cpus(contender: Contender<'_>, cpus: usize, workers: usize) -> usize {
    match contender.style {
        Style::Serial | Style::OneWorker => 1,
        Style::ThreadPerTask | Style::Pool | Style::Stealing => cpus,
        Style::Workers => cpus.min(workers),
    }
}

/// The cost of a task with that of its own thread, where every task starts one.
fn with_thread(cost: Cost, contender: Contender<'_>, load: &LoadKind) -> Cost {
    match (contender.style, load) {
        (Style::ThreadPerTask, LoadKind::Batch { .. } | LoadKind::Open { .. }) => Cost {
            mean: cost.mean.saturating_add(NOMINAL_THREAD),
            cpu: cost.cpu.saturating_add(NOMINAL_THREAD),
            ..cost
        },
        _ => cost,
    }
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

    /// What nothing had to be quoted for is called as ever: stored runs and filters go by the
    /// names.
    #[test]
    fn the_cells_of_our_scenarios_have_plain_names() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let folders = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir());
        let files = folders
            .flat_map(|folder| std::fs::read_dir(folder).unwrap())
            .map(|entry| entry.unwrap().path());
        let mut swept = 0;
        for file in files.filter(|file| file.extension().is_some_and(|end| end == "toml")) {
            for cell in all_cells(&scenario::read(&file, &Overrides::default()).unwrap()) {
                let values: Vec<_> = cell
                    .params
                    .iter()
                    .map(|param| format!("{}={}", param.name, param.value))
                    .collect();
                let values = if values.is_empty() {
                    String::new()
                } else {
                    format!("::{}", values.join(","))
                };
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
        let scenario =
            scenario::from_text(Path::new("x.toml"), text, &Overrides::default()).unwrap();
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
            let scenario =
                scenario::from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
            let limits = Limits::default();
            let machine =
                Machine { cpus: cpus.to_vec(), executor_cpus: None, target_cpus: None, limits };
            let cell = cells(&scenario, &machine).next().unwrap();
            (cell.stored.executor_cpus, cell.stored.target_cpus)
        };
        let (nap, get) =
            ("{ sleep = { time = '1ms' } }", "{ http = { target = 'api', path = '/' } }");
        let (batch, open) = ("batch = { tasks = 10 }", "open = { rate = '1k/s' }");
        assert_eq!(place(nap, batch, &[0, 1, 2]), (vec![0, 1, 2], vec![]));
        assert_eq!(place(get, batch, &[0, 1, 2]), (vec![0, 1], vec![2]));
        assert_eq!(place(nap, open, &[0, 1, 2]), (vec![0, 1], vec![2]));
        assert_eq!(place(nap, open, &[3]), (vec![3], vec![]));
    }

    #[test]
    fn shared_connections_are_not_for_those_who_block() {
        let absent = |http: &str| {
            let text = format!(
                "schema = 1\nname = 'x'\n[targets.api]\nhttp = {{ {http} }}\n[tasks.t]\nsteps = [{{ repeat = {{ task = 'get', times = 2 }} }}]\n\
                 [tasks.get]\nsteps = [{{ http = {{ target = 'api', path = '/' }} }}]\n\
                 [load.l]\ntask = 't'\nclosed = {{ concurrency = 2 }}\n"
            );
            let scenario =
                scenario::from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
            let cells = all_cells(&scenario).into_iter();
            let why = |cell: StoredCell| match cell.absent {
                Some(Absent::NotApplicable(why)) => Some((cell.executor, why)),
                _ => None,
            };
            cells.filter_map(why).collect::<Vec<_>>()
        };
        assert_eq!(absent(""), []);
        assert_eq!(absent("http2 = { connections = 'per-slot' }"), []);
        let absent = absent("http2 = { connections = 3 }");
        let names: Vec<&str> = absent.iter().map(|(executor, _)| executor.as_str()).collect();
        assert_eq!(names, ["sequential", "threads", "thread-pool", "rayon"]);
        for (_, why) in &absent {
            assert!(
                why.contains("the HTTP/2 connections that are shared") && why.contains("`api`"),
                "{why}"
            );
            assert!(why.contains("connections = \"per-slot\""), "{why}");
        }
    }
}
