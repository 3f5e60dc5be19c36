//! One trial on one executor: slots, load, proof, measurements.

use std::sync::Arc;

use super::{
    apart, charging,
    child::TrialError,
    connected::Connected,
    edge::{self, Edge},
    last_words, place,
    proof::{self, Evidence},
    waits,
    watcher::Watcher,
    wire::TrialPlan,
    witness,
};
use crate::{
    clock,
    load::{
        self, Batch, Closed, End, LoadError, Lookout, Open, Probe, Shared, Slot, Stage,
        open::{Account, Censored, Course, RealTime},
    },
    measure::{self, Clients, Delay, Measurements, POOL_FACTS, ProofLine, Recorders, TargetReport, Watched},
    runtime::{Facts, Native, Runtime, Semaphore as _, Visitor},
    scenario::LoadKind,
    secret,
    step::{BuildError, Commons, Ledger, Tally, Task, Trial},
    target::{Started, TargetError, pool_stream},
    units::{format_duration, format_ns},
};

/// Recorder shards: more than CPUs, so that threads seldom share one, and few enough not to show in memory.
const SHARDS_PER_CPU: usize = 2;

/// A trial whose targets are ready, and whose executor is still only a name.
pub(super) struct Race<'a> {
    pub(super) plan: &'a TrialPlan,
    pub(super) targets: &'a mut [Box<dyn Started>],
    /// When this process began, in ns of the clock.
    pub(super) begun_ns: u64,
}

impl Visitor for Race<'_> {
    type Output = Result<Measurements, TrialError>;

    /// Builds the executor and its slots, runs the load, and proves what was done.
    fn visit<R: Runtime>(self) -> Self::Output {
        let plan = self.plan;
        let system = |source| TrialError::System { what: "the executor could not be started", source };
        let runtime = R::start(&plan.setup).map_err(system)?;
        let shared = Arc::new(Shared::default());
        let recorders = recorders(plan);
        let trial = Arc::new(self.trial(&runtime, &recorders));
        let running = last_words::watch(plan, &trial);
        let mut slots = slots(plan, &trial, &shared)?;
        let first = trial.sequence(&plan.load.task.text, 0)?;
        load::prepare(&runtime, &mut slots, Some(first)).map_err(|why| blame(self.targets, why.into()))?;

        let prepared_memory_bytes = measure::resident_memory_bytes();
        let watched: Vec<Option<Watched>> = self.targets.iter().map(|target| target.watched()).collect();
        let (servers, charged) = (edge::cpus(&watched), charging::to_processes());
        let connected = Connected::of(plan, self.targets);
        let watcher = Watcher::start(plan.target_cpus.clone());
        let probe = probe(plan, &runtime, &recorders, slots.len() as u64)?;
        let sample = || Edge::now(&watched, plan.parent, &connected);
        running.look_over(Lookout::over(&slots));
        let outcome = run_load(plan, self.begun_ns, &runtime, &mut slots, &recorders, sample)?;
        drop(running);
        let hangs = outcome.given_up() > 0;
        let unfinished = waits::of_clients(plan, &outcome, &trial.ledger);
        let delay = probe.map(|probe| delay(probe, &runtime, &recorders, hangs));
        let peak_threads = watcher.stop();
        if let Some(failure) = shared.failure() {
            return Err(blame(self.targets, TrialError::Step(failure.clone())));
        }

        let (peak_memory_bytes, recorder_memory_bytes) = (measure::peak_memory_bytes(), recorders.touched_bytes());
        let facts = self.facts(&runtime, &outcome, slots.len(), &connected);
        let accounts = Accounts::of(&outcome, &slots);
        // What is open is closed before the targets report, so that they can see that it was.
        drop(slots);
        shared.close();
        trial.commons.clear();
        let reports = edge::reports(self.targets, &outcome.edges, plan)?;
        let tallies = trial.ledger.read(plan.per_task.len());
        let proof = proven(plan, &outcome, &accounts, &recorders, &tallies, &reports)?;
        some_completed(plan, outcome.completed, &recorders, unfinished.as_deref())?;
        let measurements = Measurements {
            makespans_ns: outcome.makespans_ns.clone(),
            window_ns: outcome.window_ns,
            completed: outcome.completed,
            clients: outcome.per_client.map(|clients| Clients { delays_vary: plan.delays_vary, ..clients }),
            arrivals: outcome.open.as_ref().map(|landed| landed.arrivals.clone()),
            task: recorders.task(),
            steps: recorders.steps(),
            delay,
            slices: recorders.slices(outcome.window_ns),
            peak_memory_bytes,
            prepared_memory_bytes,
            recorder_memory_bytes,
            pool_threads_before: outcome.edges.0.pool_threads(),
            peak_threads,
            targets: reports,
            proof,
            facts,
            unfinished,
            ..edge::used(plan, charged, &servers, &outcome.edges)
        };
        drop(trial);
        end(runtime, hangs);
        Ok(measurements)
    }
}

/// Stops the executor. Tasks that hang would be waited for: they end with the process.
fn end<R: Runtime>(runtime: R, hangs: bool) {
    if hangs {
        std::mem::forget(runtime);
    } else {
        runtime.stop();
    }
}

/// Recorders of every time that the plan allows: nothing takes longer than the watchdog lets the trial live.
fn recorders(plan: &TrialPlan) -> Recorders {
    let longest_ns = u64::try_from(plan.timeout.as_nanos()).unwrap_or(u64::MAX);
    // With room for one more slot: what is in the last one is only known to be so long or longer.
    let longest_ns = longest_ns.saturating_add(longest_ns / 256);
    Recorders::up_to(longest_ns, SHARDS_PER_CPU * place::allowed_cpus().len(), named_steps(plan))
}

/// Starts a probe beside the load, or says why there can be none; nothing where none is wanted.
fn probe<R: Runtime>(
    plan: &TrialPlan,
    runtime: &R,
    recorders: &Recorders,
    slots: u64,
) -> Result<Option<Result<Probe<R>, &'static str>>, TrialError> {
    if !plan.probe {
        return Ok(None);
    }
    if let Some(why) = load::objection(&R::INFO, slots, plan.setup.pool_size as u64) {
        return Ok(Some(Err(why)));
    }
    let system = |source| TrialError::System { what: "the probe could not be started", source };
    Probe::start(runtime, recorders).map(|probe| Some(Ok(probe))).map_err(system)
}

/// Ends a probe, and says what it has seen.
fn delay<R: Runtime>(probe: Result<Probe<R>, &'static str>, runtime: &R, recorders: &Recorders, hangs: bool) -> Delay {
    match probe {
        Ok(probe) if hangs => probe.leave(),
        Ok(probe) => probe.end(runtime),
        Err(why) => return Delay::NotApplicable(why.to_owned()),
    }
    Delay::Measured(recorders.delays())
}

/// What the slots counted.
struct Accounts {
    slots: u64,
    tasks_run: u64,
    timeouts: u64,
}

impl Accounts {
    /// Slots of a load that ends by time need not have come back; their account is outside of them.
    fn of(outcome: &load::Outcome<Edge>, slots: &[Slot]) -> Self {
        let (tasks_run, timeouts) = match (&outcome.open, &outcome.closed) {
            (Some(open), _) => (open.totals.ended, open.totals.timeouts),
            (_, Some(closed)) => (closed.ended, closed.timeouts),
            _ => (slots.iter().map(Slot::tasks_run).sum(), slots.iter().map(Slot::timeouts).sum()),
        };
        Self { slots: slots.len() as u64, tasks_run, timeouts }
    }
}

/// Compares what everybody counted.
fn proven(
    plan: &TrialPlan,
    outcome: &load::Outcome<Edge>,
    accounts: &Accounts,
    recorders: &Recorders,
    tallies: &[Tally],
    reports: &[TargetReport],
) -> Result<Vec<ProofLine>, TrialError> {
    let evidence = Evidence {
        plan,
        outcome,
        slots: accounts.slots,
        tasks_run: accounts.tasks_run,
        timeouts: accounts.timeouts,
        recorded: recorders.task(),
        tallies,
        reports,
    };
    proof::check(&evidence).map_err(TrialError::Wrong)
}

/// Work that is right is no figure yet: where a load ends by time, some task must have ended before.
fn some_completed(
    plan: &TrialPlan,
    completed: u64,
    recorders: &Recorders,
    unfinished: Option<&str>,
) -> Result<(), TrialError> {
    let by_time = matches!(plan.load.kind, LoadKind::Closed { tasks: None, .. });
    if !by_time || completed > 0 {
        return Ok(());
    }
    if let Some(unfinished) = unfinished {
        return Err(TrialError::Hangs(format!("no task completed in the measured window: {unfinished}")));
    }
    let least = recorders.task().latency.least();
    let took = least.map_or_else(String::new, |ns| format!(": those that began in it took {} or more", format_ns(ns)));
    Err(TrialError::TooShort { window: format_duration(plan.duration), took })
}

impl Race<'_> {
    /// The fairness manifest, while threads and connections are still there.
    fn facts<R: Runtime>(
        &self,
        runtime: &R,
        outcome: &load::Outcome<Edge>,
        slots: usize,
        connected: &Connected,
    ) -> Facts {
        let (plan, (before, after)) = (self.plan, &outcome.edges);
        let mut facts = runtime.facts();
        facts.extend(common_facts(plan, outcome, slots));
        facts.extend(turns::<R::Native>(plan));
        facts.extend(steps_back::<R>(plan));
        facts.extend(witness::facts(runtime));
        // A server may say what it was told.
        let told = self.targets.iter().flat_map(|target| target.facts());
        facts.extend(told.map(|(what, value)| (what, secret::blanked(&value))));
        facts.extend(apart::facts(plan, self.targets));
        facts.extend(connected.facts(&before.opened, &after.opened));
        facts.insert("pool threads before the window".to_owned(), before.pool_threads().to_string());
        facts
    }

    fn trial<R: Runtime>(&self, runtime: &R, recorders: &Recorders) -> Trial<R> {
        let named = self.plan.targets.iter().map(|target| target.name.clone());
        Trial {
            runtime: runtime.clone(),
            at_once: at_once(&self.plan.load.kind),
            seed: self.plan.seed,
            tasks: self.plan.tasks.clone(),
            endpoints: named.zip(self.targets.iter().map(|target| target.endpoint())).collect(),
            recorders: recorders.clone(),
            ledger: Ledger::default(),
            commons: Commons::default(),
        }
    }
}

fn slots<R: Runtime>(plan: &TrialPlan, trial: &Arc<Trial<R>>, shared: &Arc<Shared>) -> Result<Vec<Slot>, BuildError> {
    (0..trial.runtime.slots(plan.load.kind.concurrency()) as usize)
        .map(|number| {
            let steps = trial.sequence(&plan.load.task.text, number)?;
            Ok(Slot::new(number, steps, &trial.recorders, shared.clone(), plan.seed))
        })
        .collect()
}

fn run_load<R: Runtime>(
    plan: &TrialPlan,
    begun_ns: u64,
    runtime: &R,
    slots: &mut Vec<Slot>,
    recorders: &Recorders,
    sample: impl Fn() -> Edge,
) -> Result<load::Outcome<Edge>, LoadError> {
    let warmup_ns = plan.warmup.as_nanos() as u64;
    match plan.load.kind.clone() {
        LoadKind::Batch { tasks, repeat } => Batch { tasks, repeat, warmup_ns }.run(runtime, slots, recorders, sample),
        LoadKind::Closed { concurrency: clients, think, tasks, drain } => {
            let end = tasks.map_or(End::After(plan.duration.as_nanos() as u64), End::Tasks);
            let left_ns = waits::deadline_ns(plan, begun_ns)
                .saturating_sub(clock::now_ns())
                .saturating_sub(warmup_ns)
                .saturating_sub(plan.duration.as_nanos() as u64);
            let drain_ns = u64::try_from(drain.as_nanos()).unwrap_or(u64::MAX).min(left_ns);
            let load = Closed { clients, think, end, warmup_ns, drain_ns, seed: plan.seed };
            load.run(runtime, slots, recorders, sample)
        }
        LoadKind::Open { rate, arrival, max_in_flight, overflow, stages, drain } => {
            let hold = || vec![Stage { from: rate, to: rate, length_ns: plan.duration.as_nanos() as u64 }];
            let stages = if stages.is_empty() { hold() } else { stages };
            let (drain_ns, seed) = (drain.as_nanos() as u64, plan.seed);
            let load = Open { rate, stages, arrival, max_in_flight, overflow, warmup_ns, drain_ns, seed };
            load.run(runtime, slots, recorders, sample, pacing(plan))
        }
    }
}

/// What the pacer's thread does: it leaves the executor's CPUs where there are others, and keeps time.
fn pacing(plan: &TrialPlan) -> impl FnOnce(Course) -> (Account, Censored) + Send + 'static {
    let (cpus, spin) = (plan.target_cpus.clone(), may_spin(plan));
    move |course| {
        // Without its own CPUs it keeps time from wherever it is.
        let _ = place::pin(&cpus);
        place::wake_punctually();
        measure::note_helper();
        futures_lite::future::block_on(course.run(RealTime { spin }))
    }
}

/// Whether a pacer that spins takes a CPU from nobody: none from the executor, and from the process of a target, ours or
/// not, not the only one.
fn may_spin(plan: &TrialPlan) -> bool {
    let cpus = &plan.target_cpus;
    let apart = !cpus.is_empty() && !cpus.iter().any(|cpu| plan.executor_cpus.contains(cpu));
    apart && (cpus.len() > 1 || plan.targets.iter().all(|target| target.spec.is_embedded()))
}

/// Who lets others run where clients of a closed load share threads and never wait: of blocking executors it is the kernel.
fn steps_back<R: Runtime>(plan: &TrialPlan) -> Option<(String, String)> {
    let way = if R::INFO.style.shares_threads() { "after 1ms without a pause" } else { "never: the kernel preempts" };
    matches!(plan.load.kind, LoadKind::Closed { .. }).then(|| ("a client steps back".to_owned(), way.to_owned()))
}

/// Who is next where tasks wait for a connection of a pool: that is the semaphore's affair, and no two worlds agree.
fn turns<N: Native>(plan: &TrialPlan) -> Vec<(String, String)> {
    let has_pool = plan.targets.iter().any(|target| target.spec.has_pool());
    let values = [N::Semaphore::NAME, N::Semaphore::TURNS];
    let facts = POOL_FACTS.into_iter().zip(values).filter(|_| has_pool);
    facts.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What a load calls the number of tasks at once.
fn at_once(load: &LoadKind) -> &'static str {
    match load {
        LoadKind::Batch { .. } => "`tasks` of the batch",
        LoadKind::Closed { .. } => "`concurrency`",
        LoadKind::Open { .. } => "`max_in_flight`",
    }
}

fn has_process(plan: &TrialPlan) -> bool {
    plan.targets.iter().any(|target| target.spec.has_process())
}

/// The named steps, and whether they belong to the load's own task; and the waits for a connection of each pool.
fn named_steps(plan: &TrialPlan) -> Vec<(String, bool)> {
    let own = |task: &Task| task.name == plan.load.task.text;
    let steps = plan
        .tasks
        .iter()
        .flat_map(|task| task.steps.iter().filter_map(move |step| Some((step.name.clone()?, own(task)))));
    let pools = plan.targets.iter().filter(|target| target.spec.has_pool());
    steps.chain(pools.map(|target| (pool_stream(&target.name), false))).collect()
}

/// What went wrong because a target has ended is that target's failure.
fn blame(targets: &mut [Box<dyn Started>], error: TrialError) -> TrialError {
    match targets.iter_mut().find_map(|target| target.answers().err()) {
        Some(TargetError { name, reason }) => TargetError { name, reason: format!("{reason}; so: {error}") }.into(),
        None => error,
    }
}

/// Facts that do not depend on the executor's kind.
fn common_facts(plan: &TrialPlan, outcome: &load::Outcome<Edge>, slots: usize) -> Vec<(String, String)> {
    let cpus = |cpus: &[usize]| if cpus.is_empty() { "any".to_owned() } else { format!("{cpus:?}") };
    let mut facts = vec![("slots".to_owned(), slots.to_string()), ("allocator".to_owned(), "system".to_owned())];
    if has_process(plan) {
        facts.push(("target CPUs".to_owned(), cpus(&plan.target_cpus)));
    }
    if outcome.open.is_some() {
        let way = if may_spin(plan) { "spins before each arrival" } else { "sleeps until each arrival" };
        facts.push(("pacer".to_owned(), format!("CPUs {}, {way}", cpus(&plan.target_cpus))));
    }
    if let Some(clients) = outcome.per_client {
        facts.push(("tasks per client".to_owned(), format!("{} to {}", clients.least, clients.most)));
    }
    facts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Ending;

    #[test]
    fn whatever_a_trial_lives_to_see_is_recorded_as_it_is() {
        for (timeout_s, took_s) in [(60, 59), (120, 61), (1_200, 900), (36_000, 35_999)] {
            let plan = TrialPlan { timeout: Duration::from_secs(timeout_s), ..crate::trial::proof::tests::plan() };
            let (recorders, took_ns) = (recorders(&plan), took_s * 1_000_000_000);
            recorders.set_window(0, u64::MAX);
            recorders.of_slot(0).record(0, 7, 7, 7 + took_ns, Ending::Done);
            let latency = recorders.task().latency;
            let greatest = latency.greatest().expect("it is told apart");
            assert!(latency.0.equivalent(greatest, took_ns), "{took_s} s of {timeout_s} s: {greatest}");
        }
    }
}
