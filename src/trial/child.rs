//! The child's side of a trial: targets, executor, load, proof.

use std::{
    io::{self, Read},
    os::unix::process::CommandExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use super::{
    parent::environment,
    place,
    proof::{self, Evidence},
    scratch::Scratch,
    server::ProcessLauncher,
    wire::{Answer, TrialPlan},
};
use crate::{
    clock, draw,
    load::{self, Batch, Closed, End, LoadError, Shared, Slot},
    measure::{self, Measurements, ProcessSample, Recorders, TargetReport},
    runtime::{self, Runtime, Visitor},
    scenario::LoadKind,
    step::{BuildError, Ledger, Task, Trial},
    store::{FailureKind, TrialFailure},
    target::{Start, Started, TargetError},
};

/// Recorder shards: more than CPUs, so that threads seldom share one, and few enough not to show in memory.
const SHARDS_PER_CPU: usize = 2;
/// How often the watcher counts threads, in ns.
const GLANCE_NS: u64 = 20_000_000;

/// Why a trial could not be measured.
#[derive(Debug, thiserror::Error)]
enum TrialError {
    #[error("{0}")]
    Target(#[from] TargetError),
    #[error("{0}")]
    Build(#[from] BuildError),
    #[error("{0}")]
    Load(#[from] LoadError),
    #[error("{0}")]
    Wrong(String),
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
}

impl TrialError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Target(_) => FailureKind::Target,
            Self::Load(LoadError::Thread { .. }) | Self::System { .. } => FailureKind::Refused,
            Self::Load(LoadError::Prepare(_)) | Self::Wrong(_) => FailureKind::WrongResult,
            Self::Build(_) => FailureKind::Crashed,
        }
    }
}

/// Ends this process when its standard input ends: the second line of defence, should the kernel not kill it.
pub fn die_with_stdin(parent: Option<u32>) {
    if parent.is_some_and(|parent| !place::die_with_parent(parent)) {
        std::process::exit(FATHERLESS);
    }
    thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = io::stdin().lock().read_to_end(&mut rest);
        std::process::exit(FATHERLESS);
    });
}

/// Nobody sees the exit code of a process whose parent is gone.
const FATHERLESS: i32 = 1;

/// Some executors size their pools once from the environment. If this process was started by hand without it, it
/// starts itself again with it; returns only if that is not necessary, or not possible.
pub fn ensure_environment(plan: &TrialPlan) -> io::Result<()> {
    let wanted = [
        ("ASYNC_STD_THREAD_COUNT", plan.setup.workers.to_string()),
        ("BLOCKING_MAX_THREADS", plan.setup.pool_size.to_string()),
    ];
    if wanted.iter().all(|(name, value)| std::env::var(name).as_ref() == Ok(value)) {
        return Ok(());
    }
    Err(environment(&std::env::current_exe()?, plan).args(std::env::args_os().skip(1)).exec())
}

/// Runs a trial in this process, on the executor that its plan names.
pub fn run(plan: &TrialPlan) -> Answer {
    let program = std::env::current_exe().map_err(|source| TrialError::System { what: "no program", source });
    answer(program.and_then(|program| {
        measure(plan, &program, |race| {
            runtime::dispatch(&plan.executor, race).unwrap_or_else(|| {
                let reason = format!("this build has no executor `{}`; build with its cargo feature", plan.executor);
                Err(TrialError::Wrong(reason))
            })
        })
    }))
}

/// Runs a trial in this process on the executor `R`, for executors that are not in the table. `program` is the
/// `regatta` binary, which the plan's embedded targets run in.
pub fn run_on<R: Runtime>(plan: &TrialPlan, program: &Path) -> Answer {
    answer(measure(plan, program, |race| race.visit::<R>()))
}

fn answer(outcome: Result<Measurements, TrialError>) -> Answer {
    match outcome {
        Ok(measurements) => Answer::Measured(Box::new(measurements)),
        Err(error) => Answer::Failed(TrialFailure { kind: error.kind(), reason: error.to_string() }),
    }
}

/// Starts the plan's targets, goes to the executor's CPUs, and races.
fn measure(
    plan: &TrialPlan,
    program: &Path,
    race: impl FnOnce(Race<'_>) -> Result<Measurements, TrialError>,
) -> Result<Measurements, TrialError> {
    place::raise_file_limit();
    let system = |what: &'static str| move |source| TrialError::System { what, source };
    let scratch = Scratch::new().map_err(system("no scratch folder"))?;
    let launcher = ProcessLauncher { program, cpus: &plan.target_cpus };
    let mut targets = Vec::new();
    for target in &plan.targets {
        let folder = scratch.path().join(&target.name);
        std::fs::create_dir(&folder).map_err(system("no scratch folder"))?;
        let seed = draw::mix(plan.seed, targets.len() as u64);
        let start = Start { name: &target.name, seed, scratch: &folder, launcher: &launcher };
        targets.push(target.spec.start(&start)?);
    }
    place::pin(&plan.executor_cpus).map_err(system("placement"))?;
    race(Race { plan, targets: &mut targets })
}

/// The counters at an edge of the window.
struct Edge {
    process: ProcessSample,
    targets_ns: Vec<Option<u64>>,
}

struct Race<'a> {
    plan: &'a TrialPlan,
    targets: &'a mut [Box<dyn Started>],
}

impl Visitor for Race<'_> {
    type Output = Result<Measurements, TrialError>;

    fn visit<R: Runtime>(self) -> Self::Output {
        let plan = self.plan;
        let system = |source| TrialError::System { what: "the executor could not be started", source };
        let runtime = R::start(&plan.setup).map_err(system)?;
        let shared = Arc::new(Shared::default());
        let recorders = Recorders::new(SHARDS_PER_CPU * place::allowed_cpus().len(), named_steps(plan));
        let trial = Arc::new(self.trial(&runtime, &recorders));
        let mut slots = slots(plan, &trial, &shared)?;
        load::prepare(&runtime, &mut slots).map_err(|why| blame(self.targets, why.into()))?;

        let prepared_memory_bytes = measure::resident_memory_bytes();
        let pids: Vec<Option<u32>> = self.targets.iter().map(|target| target.pid()).collect();
        let watcher = Watcher::start(plan.target_cpus.clone());
        let outcome = run_load(plan, &runtime, &mut slots, &recorders, || Edge::now(&pids))?;
        let peak_threads = watcher.stop();

        if let Some(reason) = shared.wrong() {
            return Err(blame(self.targets, TrialError::Wrong(reason.to_owned())));
        }
        let reports = reports(self.targets, &pids, &outcome, plan)?;
        let tallies = trial.ledger.read(plan.per_task.len());
        let evidence = Evidence {
            plan,
            outcome: &outcome,
            slots: slots.len() as u64,
            tasks_run: slots.iter().map(Slot::tasks_run).sum(),
            timeouts: slots.iter().map(Slot::timeouts).sum(),
            recorded: recorders.task(),
            tallies: &tallies,
            reports: &reports,
        };
        let proof = proof::check(&evidence).map_err(TrialError::Wrong)?;
        let (before, after) = &outcome.edges;
        let own_ns = own_cpu_ns(before, after);
        let mut facts = runtime.facts();
        facts.extend(common_facts(plan, &outcome, slots.len()));
        let measurements = Measurements {
            window_ns: outcome.window_ns,
            completed: outcome.completed,
            task: evidence.recorded.clone(),
            steps: recorders.steps(),
            cpu_user_ns: after.process.cpu_user_ns - before.process.cpu_user_ns,
            cpu_system_ns: after.process.cpu_system_ns - before.process.cpu_system_ns,
            switches_voluntary: after.process.switches_voluntary - before.process.switches_voluntary,
            switches_involuntary: after.process.switches_involuntary - before.process.switches_involuntary,
            peak_memory_bytes: measure::peak_memory_bytes(),
            prepared_memory_bytes,
            peak_threads,
            host: after.process.host_since(&before.process, own_ns),
            targets: reports.clone(),
            proof,
            facts,
            makespans_ns: outcome.makespans_ns,
        };
        drop(slots);
        drop(trial);
        runtime.stop();
        Ok(measurements)
    }
}

impl Race<'_> {
    fn trial<R: Runtime>(&self, runtime: &R, recorders: &Recorders) -> Trial<R> {
        let named = self.plan.targets.iter().map(|target| target.name.clone());
        Trial {
            runtime: runtime.clone(),
            seed: self.plan.seed,
            tasks: self.plan.tasks.clone(),
            endpoints: named.zip(self.targets.iter().map(|target| target.endpoint())).collect(),
            recorders: recorders.clone(),
            ledger: Ledger::default(),
        }
    }
}

fn slots<R: Runtime>(plan: &TrialPlan, trial: &Arc<Trial<R>>, shared: &Arc<Shared>) -> Result<Vec<Slot>, BuildError> {
    let concurrency = match plan.load.kind {
        LoadKind::Batch { tasks, .. } => tasks,
        LoadKind::Closed { concurrency, .. } => concurrency,
    };
    (0..trial.runtime.slots(concurrency) as usize)
        .map(|number| {
            let steps = trial.sequence(&plan.load.task.text, number)?;
            Ok(Slot::new(number, steps, &trial.recorders, shared.clone(), plan.seed))
        })
        .collect()
}

fn run_load<R: Runtime>(
    plan: &TrialPlan,
    runtime: &R,
    slots: &mut Vec<Slot>,
    recorders: &Recorders,
    sample: impl Fn() -> Edge + Sync,
) -> Result<load::Outcome<Edge>, LoadError> {
    let warmup_ns = plan.warmup.as_nanos() as u64;
    match plan.load.kind {
        LoadKind::Batch { tasks, repeat } => Batch { tasks, repeat, warmup_ns }.run(runtime, slots, recorders, sample),
        LoadKind::Closed { concurrency, think, tasks } => {
            let end = tasks.map_or(End::After(plan.duration.as_nanos() as u64), End::Tasks);
            let think_ns = think.as_nanos() as u64;
            Closed { clients: concurrency, think_ns, end, warmup_ns }.run(runtime, slots, recorders, sample)
        }
    }
}

/// The named steps, and whether they belong to the load's own task.
fn named_steps(plan: &TrialPlan) -> Vec<(String, bool)> {
    let own = |task: &Task| task.name == plan.load.task.text;
    plan.tasks
        .iter()
        .flat_map(|task| task.steps.iter().filter_map(move |step| Some((step.name.clone()?, own(task)))))
        .collect()
}

impl Edge {
    fn now(pids: &[Option<u32>]) -> Self {
        let targets_ns = pids.iter().map(|pid| pid.and_then(measure::cpu_ns_of)).collect();
        Self { process: ProcessSample::take(), targets_ns }
    }
}

fn own_cpu_ns(before: &Edge, after: &Edge) -> u64 {
    let own = |edge: &Edge| {
        edge.process.cpu_user_ns + edge.process.cpu_system_ns + edge.targets_ns.iter().flatten().sum::<u64>()
    };
    own(after).saturating_sub(own(before))
}

/// What went wrong because a target has ended is that target's failure.
fn blame(targets: &mut [Box<dyn Started>], error: TrialError) -> TrialError {
    match targets.iter_mut().find_map(|target| target.report().err()) {
        Some(TargetError { name, reason }) => TargetError { name, reason: format!("{reason}; so: {error}") }.into(),
        None => error,
    }
}

/// Each target's account, with the CPU time that its process used in the window.
fn reports(
    targets: &mut [Box<dyn Started>],
    pids: &[Option<u32>],
    outcome: &load::Outcome<Edge>,
    plan: &TrialPlan,
) -> Result<Vec<TargetReport>, TargetError> {
    let (before, after) = &outcome.edges;
    let cpus = plan.target_cpus.len().max(1) as f64;
    let mut reports = Vec::new();
    for (at, target) in targets.iter_mut().enumerate() {
        let mut report = target.report()?;
        if let (Some(_), Some(from), Some(to)) = (pids[at], before.targets_ns[at], after.targets_ns[at]) {
            let used = to.saturating_sub(from);
            report.cpu_ns = Some(used);
            report.busy = Some(used as f64 / (outcome.window_ns.max(1) as f64 * cpus));
        }
        reports.push(report);
    }
    Ok(reports)
}

/// Facts that do not depend on the executor's kind.
fn common_facts(plan: &TrialPlan, outcome: &load::Outcome<Edge>, slots: usize) -> Vec<(String, String)> {
    let cpus = |cpus: &[usize]| if cpus.is_empty() { "any".to_owned() } else { format!("{cpus:?}") };
    let mut facts = vec![
        ("slots".to_owned(), slots.to_string()),
        ("executor CPUs".to_owned(), cpus(&plan.executor_cpus)),
        ("allocator".to_owned(), "system".to_owned()),
        ("sockets".to_owned(), "TCP_NODELAY".to_owned()),
        ("timer".to_owned(), "the executor's own".to_owned()),
    ];
    if plan.targets.iter().any(|target| target.spec.has_process()) {
        facts.push(("target CPUs".to_owned(), cpus(&plan.target_cpus)));
    }
    if let Some((least, most)) = outcome.per_client {
        facts.push(("tasks per client".to_owned(), format!("{least} to {most}")));
    }
    facts
}

/// Counts this process's threads while the load runs, from the target's CPUs.
struct Watcher {
    stop: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl Watcher {
    fn start(cpus: Vec<usize>) -> Self {
        let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, highest) = (stop.clone(), most.clone());
        let thread = thread::spawn(move || {
            // Without its own CPUs it watches from wherever it is.
            let _ = place::pin(&cpus);
            while !stopped.load(Relaxed) {
                // The watcher itself is not one of the trial's threads.
                highest.fetch_max(measure::thread_count().saturating_sub(1), Relaxed);
                clock::sleep_until(clock::now_ns() + GLANCE_NS);
            }
        });
        Self { stop, most, thread }
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Relaxed);
        // The watcher does nothing that could panic.
        let _ = self.thread.join();
        self.most.load(Relaxed)
    }
}
