//! One trial on one executor: loads, window, proof, measurements.

use super::{
    apart, charging,
    connected::Connected,
    edge::{self, Edge},
    error::TrialError,
    last_words,
    loads::{self, Racing, Ran},
    place,
    proof::{self, Evidence},
    watcher::Watcher,
    window::TrialWindow,
    wire::TrialPlan,
    witness,
    workers::Workers,
};
use crate::{
    load::{self, Lookout, RunningProbe},
    measure::{self, Delay, Measured, POOL_FACTS, ProofLine, Recorders, TargetReport, Watched},
    runtime::{self, Coordination, Facts, Runtime, Semaphore as _, Visitor},
    scenario::LoadKind,
    secret, shared,
    step::{Reading, Tally, WorkAccount},
    targets::{Started, TargetError},
};

/// A trial whose targets are ready, and whose executor is still only a name.
pub(super) struct Race<'a> {
    pub(super) plan: &'a TrialPlan,
    pub(super) targets: &'a mut [Box<dyn Started>],
    /// The processes that its steps compute in.
    pub(super) workers: &'a mut Workers,
    /// When this process began, in ns of the clock.
    pub(super) begun_ns: u64,
}

impl Visitor for Race<'_> {
    type Output = Result<Measured, TrialError>;

    /// Builds the executor and the slots of each load, runs the loads, and proves what was done.
    fn visit<R: Runtime>(self) -> Self::Output {
        let plan = self.plan;
        let system =
            |source| TrialError::System { what: "the executor could not be started", source };
        let runtime = R::start(&plan.setup).map_err(system)?;
        let endpoints: Vec<_> = self.targets.iter().map(|target| target.endpoint()).collect();
        let mut racing = loads::build(plan, &runtime, &endpoints, self.workers.workforce())?;
        let (ledger, commons) = (racing[0].trial.ledger.clone(), racing[0].trial.commons.clone());
        let objects = racing[0].trial.shared.clone();
        let running = last_words::watch(plan, &ledger);
        for load in &mut racing {
            load.prepare(&runtime).map_err(|why| blame_any(self.targets, self.workers, why))?;
        }

        let processes = self.workers.processes();
        let prepared_memory_bytes =
            measure::resident_memory_bytes() + processes.resident_memory_bytes();
        let watched: Vec<Option<Watched>> =
            self.targets.iter().map(|target| target.watched()).collect();
        let (servers, charged) = (edge::cpus(&watched), charging::to_processes());
        let connected = Connected::of(plan, self.targets);
        let watcher = Watcher::start(plan.target_cpus.clone());
        let slots = racing.iter().map(|load| load.slots.len()).sum();
        let probe = probe(plan, &runtime, &racing[0].recorders, slots as u64)?;
        running.look_over(Lookout::over(racing.iter().flat_map(|load| &load.slots)));
        let at_edge = || Edge::now(&watched, plan.parent, &connected, &processes);
        let window = TrialWindow::of(plan, at_edge);
        let ran = loads::run(plan, self.begun_ns, &runtime, racing, &window)?;
        let edges = window.edges();
        drop(running);
        let hangs = ran.iter().any(|load| load.outcome.given_up() > 0);
        let delay = probe.map(|probe| delay(probe, &runtime, &ran[0].recorders, hangs));
        let peak_threads = watcher.stop();
        if let Some(failure) = ran.iter().find_map(|load| load.shared.failure()) {
            return Err(blame_any(self.targets, self.workers, TrialError::Step(failure.clone())));
        }

        let peak_memory_bytes = measure::peak_memory_bytes() + processes.peak_memory_bytes();
        let recorder_memory_bytes = ran.iter().map(|load| load.recorders.touched_bytes()).sum();
        let facts = self.facts(&runtime, &ran, &edges, slots, &connected);
        // What is open is closed before the targets report, so that they can see that it was.
        let ran: Vec<Ran<'_>> = ran.into_iter().map(|load| load.close(&ledger, plan)).collect();
        commons.clear();
        // What was given up may still make calls: a target has served what had ended before it was
        // asked, and nothing that begins afterwards.
        let before = ledger.read(proof::steps(plan));
        let reports = edge::reports(self.targets, &edges, plan)?;
        let work = self.workers.account();
        let (settled, of_shared) = proof::shared::settled(plan, &ledger, &objects);
        let mut proof = proven(plan, &ran, &(before, settled), &reports, work.as_ref())?;
        proof.extend(of_shared.map_err(TrialError::Wrong)?);
        for load in &ran {
            load.some_completed(plan)?;
        }
        let trial = measure::TrialMeasured {
            delay,
            peak_memory_bytes,
            prepared_memory_bytes,
            recorder_memory_bytes,
            pool_threads_before: edges.0.pool_threads(),
            peak_threads,
            targets: reports,
            proof,
            facts,
            ..edge::used(plan, charged, &servers, &edges)
        };
        let measured = ran.into_iter().map(Ran::measured).collect();
        end(runtime, hangs);
        Ok(Measured::new(measured, trial.into()))
    }
}

/// Why this host cannot run an executor of this program; none: it can.
pub fn unavailable(executor: &str) -> Option<String> {
    runtime::unavailable(executor)
}

/// Stops the executor. Tasks that hang would be waited for: they end with the process.
pub(super) fn end<R: Runtime>(runtime: R, hangs: bool) {
    if hangs {
        std::mem::forget(runtime);
    } else {
        runtime.stop();
    }
}

/// Starts a probe beside the loads, or says why there can be none; nothing where none is wanted.
fn probe<R: Runtime>(
    plan: &TrialPlan,
    runtime: &R,
    recorders: &Recorders,
    slots: u64,
) -> Result<Option<Result<RunningProbe<R>, &'static str>>, TrialError> {
    if !plan.probe {
        return Ok(None);
    }
    // Where loads share a pool, each of its workers may have a lane of some load.
    let slots = if plan.loads.len() > 1 { u64::MAX } else { slots };
    if let Some(why) = load::objection(&R::INFO, slots, plan.setup.pool_size as u64) {
        return Ok(Some(Err(why)));
    }
    let system = |source| TrialError::System { what: "the probe could not be started", source };
    RunningProbe::start(runtime, recorders).map(|probe| Some(Ok(probe))).map_err(system)
}

/// Ends a probe, and says what it has seen.
fn delay<R: Runtime>(
    probe: Result<RunningProbe<R>, &'static str>,
    runtime: &R,
    recorders: &Recorders,
    hangs: bool,
) -> Delay {
    match probe {
        Ok(probe) if hangs => probe.leave(),
        Ok(probe) => probe.end(runtime),
        Err(why) => return Delay::NotApplicable(why.to_owned()),
    }
    Delay::Measured(recorders.delays())
}

/// Compares what everybody counted.
fn proven(
    plan: &TrialPlan,
    ran: &[Ran<'_>],
    (before, ledger): &(Vec<Tally>, Reading),
    reports: &[TargetReport],
    work: Option<&WorkAccount>,
) -> Result<Vec<ProofLine>, TrialError> {
    // First, for it knows why calls have failed that went to a worker process.
    let of_work = proof::work::lines(plan, (before, &ledger.steps), work);
    let of_work = of_work.map_err(TrialError::Wrong)?;
    let loads = ran.iter().map(Ran::evidence).collect();
    let evidence = Evidence { plan, loads, before, ledger, reports };
    let mut lines = proof::check(&evidence).map_err(TrialError::Wrong)?;
    lines.extend(of_work);
    Ok(lines)
}

impl Race<'_> {
    /// The fairness manifest, while threads and connections are still there.
    fn facts<R: Runtime>(
        &self,
        runtime: &R,
        ran: &[Racing<'_, R>],
        (before, after): &(Edge, Edge),
        slots: usize,
        connected: &Connected,
    ) -> Facts {
        let plan = self.plan;
        let mut facts = runtime.facts();
        facts.extend(common_facts(plan, slots));
        for load in ran {
            facts.extend(load.facts(plan));
        }
        facts.extend(turns::<R::Native>(plan));
        facts.extend(self.workers.facts::<R::Native>(plan));
        facts.extend(shared::facts::<R::Native>(&plan.shared));
        facts.extend(steps_back::<R>(plan));
        facts.extend(witness::facts(runtime));
        // A server may say what it was told.
        let told = self.targets.iter().flat_map(|target| target.facts());
        facts.extend(told.map(|(what, value)| (what, secret::blanked(&value))));
        facts.extend(apart::facts(plan, self.targets));
        facts.extend(connected.facts(&before.opened, &after.opened));
        facts
            .insert("pool threads before the window".to_owned(), before.pool_threads().to_string());
        facts
    }
}

/// Who lets others run where clients of a closed load share threads and never wait: of blocking
/// executors it is the kernel.
fn steps_back<R: Runtime>(plan: &TrialPlan) -> Option<(String, String)> {
    let way = if R::INFO.style.shares_threads() {
        "after 1ms without a pause"
    } else {
        "never: the kernel preempts"
    };
    let closed = plan.loads.iter().any(|load| matches!(load.kind, LoadKind::Closed { .. }));
    closed.then(|| ("a client steps back".to_owned(), way.to_owned()))
}

/// Who is next where tasks wait for a connection of a pool: that is the semaphore's affair, and no
/// two worlds agree.
fn turns<N: Coordination>(plan: &TrialPlan) -> Vec<(String, String)> {
    let has_pool = plan.targets.iter().any(|target| target.spec.has_pool());
    let values = [N::Semaphore::NAME, N::Semaphore::TURNS];
    let facts = POOL_FACTS.into_iter().zip(values).filter(|_| has_pool);
    facts.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn has_process(plan: &TrialPlan) -> bool {
    plan.targets.iter().any(|target| target.spec.has_process())
}

/// What went wrong because a target has ended is that target's failure.
pub(super) fn blame(targets: &mut [Box<dyn Started>], error: TrialError) -> TrialError {
    match targets.iter_mut().find_map(|target| target.answers().err()) {
        Some(TargetError { name, reason }) => {
            TargetError { name, reason: format!("{reason}; so: {error}") }.into()
        }
        None => error,
    }
}

/// What went wrong because a worker process or a target has ended is its failure.
fn blame_any(
    targets: &mut [Box<dyn Started>],
    workers: &mut Workers,
    error: TrialError,
) -> TrialError {
    match workers.fallen() {
        Some(reason) => TrialError::Worker(format!("{reason}; so: {error}")),
        None => blame(targets, error),
    }
}

/// Facts that do not depend on the executor's kind.
fn common_facts(plan: &TrialPlan, slots: usize) -> Vec<(String, String)> {
    let mut facts = vec![
        ("slots".to_owned(), slots.to_string()),
        ("allocator".to_owned(), "system".to_owned()),
    ];
    if has_process(plan) {
        facts.push(("target CPUs".to_owned(), place::words(&plan.target_cpus)));
    }
    facts
}
