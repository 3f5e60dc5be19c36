//! The loads of a trial: built, prepared, run in one window, and accounted for.

use std::{sync::Arc, thread, time::Duration};

use super::{
    error::TrialError,
    place,
    proof::LoadEvidence,
    waits,
    window::{LoadWindow, TrialWindow},
    wire::{TrialLoad, TrialPlan},
};
use crate::{
    clock,
    load::{
        self, Batch, Closed, ClosedEnd, LoadError, LoadShared, Open, Slot, Stage,
        open::{Censored, PacerAccount, PacerLoop, RealTime},
    },
    measure::{self, Clients, Measurements, Recorders, Stream},
    protocol::{self, ArrivedAccount, LoadAccount, StepTimes, TimesAccount},
    runtime::Runtime,
    scenario::{LoadKind, fan_out, reach},
    shared::Objects,
    step::{BuildError, Commons, Ledger, RowTables, Task, Trial, Workforce},
    targets::{Endpoint, pool_stream},
    units::{format_duration, format_ns},
};

/// Recorder shards: more than CPUs, so that threads seldom share one, and few enough not to show in
/// memory.
const SHARDS_PER_CPU: usize = 2;

/// A load with its slots; once it has run, with what came of it.
pub(super) struct Racing<'a, R> {
    pub load: &'a TrialLoad,
    pub trial: Arc<Trial<R>>,
    pub recorders: Recorders,
    pub shared: Arc<LoadShared>,
    pub slots: Vec<Slot>,
    pub outcome: load::LoadOutcome,
    /// How many slots there were.
    planned: usize,
}

/// Builds the slots of each load of the plan: they have the trial's executor, targets, seed,
/// ledger, shared objects, pools and worker processes in common, and nothing else.
pub(super) fn build<'a, R: Runtime>(
    plan: &'a TrialPlan,
    runtime: &R,
    targets: &[Endpoint],
    workforce: Option<&Arc<Workforce>>,
) -> Result<Vec<Racing<'a, R>>, BuildError> {
    let mut all: Vec<Racing<'a, R>> = Vec::new();
    let (ledger, commons): (Arc<Ledger>, Arc<Commons>) = Default::default();
    commons.shared("", || workforce.cloned());
    RowTables::new(&plan.data, plan.seed).give(&commons);
    let objects = Objects::make::<R::Native>(&plan.shared);
    let objects = Arc::new(objects.map_err(|error| BuildError(error.to_string()))?);
    for load in &plan.loads {
        let recorders = match all.first() {
            Some(first) => first.recorders.beside(named_steps(plan, load)),
            None => recorders(plan, named_steps(plan, load)),
        };
        let shared =
            Arc::new(all.first().map_or_else(LoadShared::default, |first| first.shared.beside()));
        let named = plan.targets.iter().map(|target| target.name.clone());
        let trial = Arc::new(Trial {
            runtime: runtime.clone(),
            pool_size: plan.setup.pool_size,
            at_once: at_once(&load.kind),
            seed: plan.seed,
            tasks: Box::new(plan.tasks.clone()),
            endpoints: named.zip(targets.iter().cloned()).collect(),
            recorders: recorders.clone(),
            ledger: ledger.clone(),
            shared: objects.clone(),
            commons: commons.clone(),
        });
        let (most, pool_size) = (load.kind.concurrency(), plan.setup.pool_size as u64);
        let fans_out = fan_out(&plan.tasks, &load.task) > 0;
        let count = R::INFO.style.begun(most, pool_size, fans_out);
        let first = all.iter().map(|load| load.planned).sum::<usize>();
        let slot = |number| {
            let steps = trial.sequence(&load.task, number)?;
            Ok(Slot::new(number, steps, &recorders, shared.clone(), plan.seed))
        };
        let slots = (first..first + count as usize).map(slot).collect::<Result<Vec<_>, _>>()?;
        let (planned, outcome) = (slots.len(), load::LoadOutcome::default());
        all.push(Racing { load, trial, recorders, shared, slots, outcome, planned });
    }
    Ok(all)
}

/// Recorders of every time that the plan allows: nothing takes longer than the watchdog lets the
/// trial live.
fn recorders(plan: &TrialPlan, steps: Vec<(String, bool)>) -> Recorders {
    let longest_ns = u64::try_from(plan.timeout.as_nanos()).unwrap_or(u64::MAX);
    // With room for one more slot: what is in the last one is only known to be so long or longer.
    let longest_ns = longest_ns.saturating_add(longest_ns / 256);
    Recorders::up_to(longest_ns, SHARDS_PER_CPU * place::allowed_cpus().len(), steps)
}

/// The named steps, and whether they belong to the load's own task; and the waits for a connection
/// of each pool.
fn named_steps(plan: &TrialPlan, load: &TrialLoad) -> Vec<(String, bool)> {
    let own = |task: &Task| task.name == load.task;
    let reached = reach(&plan.tasks, &load.task);
    let is_reached = |task: usize| reached.iter().any(|at| at.task == task);
    let tasks =
        plan.tasks.iter().enumerate().filter(|(at, _)| plan.loads.len() == 1 || is_reached(*at));
    let steps = tasks.flat_map(|(_, task)| {
        task.steps.iter().filter_map(move |step| Some((step.name.clone()?, own(task))))
    });
    let pools = plan.targets.iter().filter(|target| target.spec.has_pool());
    steps.chain(pools.map(|target| (pool_stream(&target.name), false))).collect()
}

/// What a load calls the number of tasks at once.
fn at_once(load: &LoadKind) -> &'static str {
    match load {
        LoadKind::Batch { .. } => "`tasks` of the batch",
        LoadKind::Closed { .. } => "`concurrency`",
        LoadKind::Open { .. } => "`max_in_flight`",
    }
}

/// Runs all loads in one window, each from a thread of its own where there are several.
pub(super) fn run<'a, R: Runtime>(
    plan: &TrialPlan,
    begun_ns: u64,
    runtime: &R,
    mut racing: Vec<Racing<'a, R>>,
    window: &TrialWindow<'_>,
) -> Result<Vec<Racing<'a, R>>, LoadError> {
    if let [only] = racing.as_mut_slice() {
        only.run(plan, begun_ns, runtime, &window.of_load(0))?;
        return Ok(racing);
    }
    runtime.share(racing.len());
    let outcomes: Vec<Result<(), LoadError>> = thread::scope(|scope| {
        let mut started = Vec::new();
        for (at, load) in racing.iter_mut().enumerate() {
            let its = window.of_load(at);
            let thread = thread::Builder::new().name(format!("{}load-{at}", place::OWN_THREAD));
            let run = move || load.run(plan, begun_ns, runtime, &its);
            started.push(thread.spawn_scoped(scope, run));
        }
        let wanted = started.len();
        let ended = started.into_iter().enumerate().map(|(at, thread)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(source) => Err(LoadError::Thread { started: at, wanted, source }),
        });
        ended.collect()
    });
    outcomes.into_iter().collect::<Result<(), LoadError>>()?;
    Ok(racing)
}

impl<R: Runtime> Racing<'_, R> {
    /// Gets the slots ready.
    pub(super) fn prepare(&mut self, runtime: &R) -> Result<(), TrialError> {
        let first = self.trial.sequence(&self.load.task, 0)?;
        Ok(load::prepare(runtime, &mut self.slots, Some(first))?)
    }

    fn run(
        &mut self,
        plan: &TrialPlan,
        begun_ns: u64,
        runtime: &R,
        window: &LoadWindow<'_>,
    ) -> Result<(), LoadError> {
        let warmup_ns = plan.warmup.as_nanos() as u64;
        let (kind, slots, recorders) = (&self.load.kind, &mut self.slots, &self.recorders);
        self.outcome = match kind.clone() {
            LoadKind::Batch { tasks, repeat } => {
                Batch { tasks, repeat, warmup_ns }.run(runtime, slots, recorders, window)
            }
            LoadKind::Closed { concurrency, stages, think, tasks, drain } => {
                let duration = kind.measured(plan.duration).unwrap_or_default();
                let duration_ns = duration.as_nanos() as u64;
                Closed {
                    clients: kind.concurrency(),
                    stages: (!stages.is_empty()).then(|| (concurrency, stages.into())),
                    think,
                    end: tasks.map_or(ClosedEnd::After(duration_ns), ClosedEnd::Tasks),
                    warmup_ns,
                    drain_ns: drain_ns(plan, duration, drain, begun_ns),
                    seed: plan.seed,
                }
                .run(runtime, slots, recorders, window)
            }
            LoadKind::Open { rate, arrival, max_in_flight, overflow, stages, drain } => {
                let length_ns = plan.duration.as_nanos() as u64;
                let hold = || vec![Stage { from: rate, to: rate, length_ns }];
                let stages = if stages.is_empty() { hold() } else { stages };
                let (drain_ns, seed) = (drain.as_nanos() as u64, plan.seed);
                Open { rate, stages, arrival, max_in_flight, overflow, warmup_ns, drain_ns, seed }
                    .run(runtime, slots, recorders, window, pacing(plan))
            }
        }?;
        Ok(())
    }

    /// The fairness manifest's lines on this load.
    pub(super) fn facts(&self, plan: &TrialPlan) -> Vec<(String, String)> {
        let of = |what: &str| match plan.loads.len() {
            1 => what.to_owned(),
            _ => format!("{}: {what}", self.load.name),
        };
        let mut facts = Vec::new();
        if self.outcome.open.is_some() {
            let way = if may_spin(plan) {
                "spins before each arrival"
            } else {
                "sleeps until each arrival"
            };
            let words = format!("CPUs {}, {way}", place::words(&plan.target_cpus));
            facts.push((of("pacer"), words));
        }
        if let Some(clients) = self.outcome.per_client {
            let words = format!("{} to {}", clients.least, clients.most);
            facts.push((of("tasks per client"), words));
        }
        facts
    }
}

impl<'a, R: Runtime> Racing<'a, R> {
    /// Closes what is open, and lets go of everything but what came of it.
    pub(super) fn close(self, ledger: &Ledger, plan: &TrialPlan) -> Ran<'a> {
        let unfinished = waits::of_clients(plan, self.load, &self.outcome, ledger);
        // Slots of a load that ends by time need not have come back; their account is outside of
        // them.
        let tasks_run = match (&self.outcome.open, &self.outcome.closed) {
            (Some(open), _) => open.totals.ended,
            (_, Some(closed)) => closed.ended,
            _ => self.slots.iter().map(Slot::tasks_run).sum(),
        };
        drop(self.slots);
        self.shared.close();
        let slots = self.planned as u64;
        let (load, recorders, outcome) = (self.load, self.recorders, self.outcome);
        Ran { load, recorders, outcome, slots, tasks_run, unfinished }
    }
}

/// A load that has run.
pub(super) struct Ran<'a> {
    load: &'a TrialLoad,
    recorders: Recorders,
    outcome: load::LoadOutcome,
    slots: u64,
    tasks_run: u64,
    /// What it has given up, in words.
    unfinished: Option<String>,
}

impl Ran<'_> {
    /// What it and its recorders counted.
    pub(super) fn evidence(&self) -> LoadEvidence<'_> {
        let (load, outcome, slots) = (self.load, &self.outcome, self.slots);
        let recorded = self.recorders.task();
        LoadEvidence { load, outcome, slots, tasks_run: self.tasks_run, recorded }
    }

    /// Work that is right is no figure yet: where a load ends by time, some task must have ended
    /// before.
    pub(super) fn some_completed(&self, plan: &TrialPlan) -> Result<(), TrialError> {
        let by_time = matches!(self.load.kind, LoadKind::Closed { tasks: None, .. });
        if !by_time || self.outcome.completed > 0 {
            return Ok(());
        }
        if let Some(unfinished) = &self.unfinished {
            return Err(TrialError::Hangs(format!(
                "no task completed in the measured window: {unfinished}"
            )));
        }
        let measured = self.load.kind.measured(plan.duration).unwrap_or_default();
        let least = self.recorders.task().latency.least();
        let took = least.map_or_else(String::new, |ns| {
            format!(": those that began in it took {} or more", format_ns(ns))
        });
        Err(TrialError::TooShort { window: format_duration(measured), took })
    }

    /// What a racer in a process of its own says of it.
    pub(super) fn account(&self) -> LoadAccount {
        let outcome = &self.outcome;
        let before = match self.load.kind {
            LoadKind::Batch { .. } => outcome.total_tasks.saturating_sub(outcome.completed),
            LoadKind::Closed { tasks: Some(tasks), .. } => self.tasks_run.saturating_sub(tasks),
            // Nobody counts at the edges of a window that tasks run across.
            LoadKind::Closed { .. } | LoadKind::Open { .. } => 0,
        };
        let steps = self.recorders.steps().into_iter();
        LoadAccount {
            name: self.load.name.clone(),
            slots: self.slots,
            makespans_ns: outcome.makespans_ns.clone(),
            window_ns: outcome.window_ns,
            before,
            ended: self.tasks_run,
            completed: outcome.completed,
            task: times(self.recorders.task()),
            steps: steps
                .map(|step| StepTimes { name: step.name, times: times(step.stream) })
                .collect(),
            clients: Vec::new(),
            left: self.left(),
            arrivals: outcome.open.as_ref().map(|landed| ArrivedAccount {
                scheduled: landed.arrivals.scheduled,
                dropped: landed.arrivals.dropped,
                delayed: landed.arrivals.delayed,
                measured: landed.totals.measured,
                most_in_flight: landed.arrivals.most_in_flight,
                begun: landed.emitted,
                pacer: landed.arrivals.pacer.clone(),
            }),
        }
    }

    /// What it has given up. Of an open load nobody knows which of it had begun.
    fn left(&self) -> protocol::LeftAccount {
        let closed = self.outcome.closed.as_ref().map(|drained| protocol::LeftAccount {
            running: drained.left.running,
            waiting: drained.left.waiting,
            measured: drained.left.measured,
        });
        let open = self.outcome.open.as_ref().map(|landed| protocol::LeftAccount {
            running: 0,
            waiting: landed.given_up,
            measured: landed.arrivals.censored,
        });
        closed.or(open).unwrap_or_default()
    }

    /// What was measured of it.
    pub(super) fn measured(self) -> Measurements {
        let delays_vary = self.load.delays_vary;
        let (outcome, recorders) = (self.outcome, self.recorders);
        Measurements {
            name: self.load.name.clone(),
            makespans_ns: outcome.makespans_ns,
            window_ns: outcome.window_ns,
            completed: outcome.completed,
            clients: outcome.per_client.map(|clients| Clients { delays_vary, ..clients }),
            arrivals: outcome.open.map(|open| open.arrivals),
            task: recorders.task(),
            steps: recorders.steps(),
            slices: recorders.slices(outcome.window_ns),
            unfinished: self.unfinished,
            ..Measurements::default()
        }
    }
}

/// A stream as it is told.
fn times(stream: Stream) -> TimesAccount {
    let Stream { errors, timeouts, censored, latency, service, lateness, .. } = stream;
    TimesAccount { errors, timeouts, censored, latency, service, lateness }
}

/// How long the tasks of a closed load may take after it has measured for `duration`, in ns: as its
/// scenario says, and not beyond what the watchdog leaves a process that began then.
fn drain_ns(plan: &TrialPlan, duration: Duration, drain: Duration, begun_ns: u64) -> u64 {
    let ends_ns = clock::now_ns().saturating_add((plan.warmup + duration).as_nanos() as u64);
    let left_ns = waits::deadline_ns(plan, begun_ns).saturating_sub(ends_ns);
    u64::try_from(drain.as_nanos()).unwrap_or(u64::MAX).min(left_ns)
}

/// What the pacer's thread does: it leaves the executor's CPUs where there are others, and keeps
/// time.
fn pacing(plan: &TrialPlan) -> impl FnOnce(PacerLoop) -> (PacerAccount, Censored) + Send + 'static {
    let (cpus, spin) = (plan.target_cpus.clone(), may_spin(plan));
    move |pacer_loop| {
        // Without its own CPUs it keeps time from wherever it is.
        let _ = place::pin(&cpus);
        place::wake_punctually();
        measure::note_helper();
        futures_lite::future::block_on(pacer_loop.run(RealTime { spin }))
    }
}

/// Whether a pacer that spins takes a CPU from nobody: none from the executor, and from the process
/// of a target, ours or not, not the only one.
fn may_spin(plan: &TrialPlan) -> bool {
    let cpus = &plan.target_cpus;
    let apart = !cpus.is_empty() && !cpus.iter().any(|cpu| plan.executor_cpus.contains(cpu));
    apart && (cpus.len() > 1 || plan.targets.iter().all(|target| target.spec.is_embedded()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Ending;

    #[test]
    fn whatever_a_trial_lives_to_see_is_recorded_as_it_is() {
        for (timeout_s, took_s) in [(60, 59), (120, 61), (1_200, 900), (36_000, 35_999)] {
            let plan = TrialPlan {
                timeout: Duration::from_secs(timeout_s),
                ..crate::trial::proof::tests::plan()
            };
            let (recorders, took_ns) = (recorders(&plan, Vec::new()), took_s * 1_000_000_000);
            recorders.set_window(0, u64::MAX);
            recorders.of_slot(0).record(0, 7, 7, 7 + took_ns, Ending::Done);
            let latency = recorders.task().latency;
            let greatest = latency.greatest().expect("it is told apart");
            assert!(
                latency.0.equivalent(greatest, took_ns),
                "{took_s} s of {timeout_s} s: {greatest}"
            );
        }
    }
}
