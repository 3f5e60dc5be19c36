//! What a racer says that it did, beside what its referee expects and has seen: the proof of a
//! trial whose racer is a process of its own.
//!
//! First the accounts are compared as those of our own executors are (`proof.rs`). Then come bounds
//! that no noise can break, from the referee's clock and the targets' counts at the edges.

use super::{
    draws,
    edge::Edge,
    error::TrialError,
    proof::{self, Evidence, LoadEvidence, Proof, numbered_steps},
    wire::{TrialLoad, TrialPlan},
};
use crate::{
    load::{
        self, Drained, Left,
        open::{OpenOutcome, Totals},
    },
    measure::{
        Arrivals, Bound, Clients, Measurements, NamedStream, ProofLine, Stream, TargetReport,
    },
    protocol::{self as wire, Hello, LoadAccount, RacerAccount},
    runtime::Facts,
    scenario::LoadKind,
    step::{self, Reading, Tally, ValueTally},
    units::{format_duration, format_ns},
};

/// What the referee has seen of a race.
pub(super) struct RaceSeen {
    /// When it said `go`, and when it had read the counters at the window's edges, in ns of the
    /// clock.
    pub go_ns: u64,
    pub opened_ns: u64,
    pub closed_ns: u64,
    /// When it had heard the account.
    pub ended_ns: u64,
    /// Whether nothing ran at the edges.
    pub still: bool,
    /// What each target had served at the edges, where it could be asked.
    pub served_before: Vec<Option<u64>>,
    pub served_after: Vec<Option<u64>>,
    pub edges: (Edge, Edge),
    /// CPUs of the targets' processes.
    pub servers: Vec<usize>,
    pub peak_threads: u64,
    pub prepared_memory_bytes: u64,
    pub peak_memory_bytes: u64,
}

/// What was found.
pub(super) struct JudgedRace {
    pub loads: Vec<Measurements>,
    pub proof: Vec<ProofLine>,
    /// What could not be proven.
    pub facts: Facts,
}

/// Compares all that was said and seen; an error names the first difference.
pub(super) fn judge(
    plan: &TrialPlan,
    hello: &Hello,
    account: &RacerAccount,
    seen: &RaceSeen,
    reports: &[TargetReport],
) -> Result<JudgedRace, String> {
    let pairs = paired(plan, account)?;
    let ledger = reading(plan, hello, account)?;
    let outcomes: Vec<load::LoadOutcome> =
        pairs.iter().map(|(load, said)| outcome(load, said)).collect();
    let loads = pairs.iter().zip(&outcomes).map(|((load, said), outcome)| LoadEvidence {
        load,
        outcome,
        slots: said.slots.min(load.kind.concurrency()),
        tasks_run: said.ended,
        recorded: stream(&said.task),
    });
    let evidence =
        Evidence { plan, loads: loads.collect(), before: &ledger.steps, ledger: &ledger, reports };
    let mut judge = Judge { proof: Proof::default(), plan, pairs: &pairs, seen };
    judge.proof.compare(&evidence);
    judge.loads();
    judge.window();
    judge.served();
    let unproven = judge.draws(reports);
    let facts = unproven.map(|why| ("draws".to_owned(), format!("not proven: {why}")));
    let edges = (!hello.edges).then(|| {
        let words = "not counted by the racer; the steps of the children are";
        ("runs of children".to_owned(), words.to_owned())
    });
    let measured = pairs.iter().map(|(load, said)| measured(plan, load, said)).collect();
    let facts = facts.into_iter().chain(edges).collect();
    Ok(JudgedRace { loads: measured, proof: judge.proof.verdict()?, facts })
}

/// Each load of the plan with the racer's account of it.
type LoadPair<'a> = (&'a TrialLoad, &'a LoadAccount);

fn paired<'a>(plan: &'a TrialPlan, account: &'a RacerAccount) -> Result<Vec<LoadPair<'a>>, String> {
    let (wanted, found) = (plan.loads.len(), account.loads.len());
    if wanted != found {
        return Err(format!("wrong result: accounts of loads: expected {wanted}, found {found}"));
    }
    let pairs = plan.loads.iter().zip(&account.loads).map(|(load, said)| {
        let (name, found) = (&load.name, &said.name);
        if name == found {
            return Ok((load, said));
        }
        Err(format!("wrong result: account of the load: expected `{name}`, found `{found}`"))
    });
    pairs.collect()
}

/// The racer's account of steps as our own ledger has it. A racer that does not count the children
/// of its combinators is taken to have run them as often as its calls say: their steps are counted.
fn reading(plan: &TrialPlan, hello: &Hello, account: &RacerAccount) -> Result<Reading, String> {
    let count = proof::steps(plan);
    let mut reading = Reading {
        steps: vec![Tally::default(); count],
        edges: vec![Vec::new(); count],
        // The protocol has no words for values.
        values: vec![ValueTally::default(); count],
        moves: false,
    };
    for said in &account.steps {
        let number = said.number;
        let place = reading.steps.get_mut(number);
        let tally =
            place.ok_or_else(|| format!("wrong result: step {number} is not in the brief"))?;
        tally.add(tally_of(said));
    }
    for (number, (_, plan)) in numbered_steps(plan).enumerate() {
        if plan.spec.children().is_empty() {
            continue;
        }
        let said = account.steps.iter().filter(|said| said.number == number);
        let edges = said.map(|said| match (said.children, hello.edges) {
            (Some(children), true) => edge(children),
            _ => assumed(plan, said),
        });
        let mut sum = step::TaskRuns::default();
        edges.for_each(|edge| sum.add(edge));
        reading.edges[number] = vec![sum];
    }
    Ok(reading)
}

fn edge(children: wire::ChildrenAccount) -> step::TaskRuns {
    let (asked, returned) = (children.asked, children.returned);
    step::TaskRuns { asked, returned, ..step::TaskRuns::default() }
}

/// The children of so many calls.
fn assumed(plan: &step::StepPlan, said: &wire::StepAccount) -> step::TaskRuns {
    let times: u64 = plan
        .spec
        .children()
        .iter()
        .map(|child| match child.times {
            step::Times::InOrder(times) | step::Times::AtOnce(times) => times,
            step::Times::SomeAtOnce { count, .. }
            | step::Times::Beside(count)
            | step::Times::AsCompleted(count)
            | step::Times::AfterEach(count) => count,
            step::Times::Chance(_)
            | step::Times::UpTo(_)
            | step::Times::FirstOf(_)
            | step::Times::Within { .. }
            | step::Times::InBackground
            | step::Times::AtMostOnce => 0,
        })
        .sum();
    step::TaskRuns {
        asked: said.started.saturating_mul(times),
        returned: said.ended.saturating_mul(times),
        ..step::TaskRuns::default()
    }
}

fn tally_of(said: &wire::StepAccount) -> Tally {
    let (errors, timeouts) = (said.errors, said.timeouts);
    Tally {
        started: said.started,
        ended: said.ended,
        failed: said.failed,
        cancelled: said.cancelled,
        stopped: said.stopped,
        missed: said.missed,
        done: step::Done { errors, timeouts, ..step::Done::default() },
    }
}

fn outcome(load: &TrialLoad, said: &LoadAccount) -> load::LoadOutcome {
    let measured = said.task.latency.count();
    let repeats = said.makespans_ns.len() as u64;
    let total_tasks = match load.kind {
        LoadKind::Batch { tasks, .. } => said.before.saturating_add(repeats.saturating_mul(tasks)),
        _ => said.ended,
    };
    let left = Left::of(said.left.running, said.left.waiting, said.left.measured);
    let ended_measured = measured.saturating_sub(said.task.censored);
    let closed = matches!(load.kind, LoadKind::Closed { tasks: None, .. }).then(|| Drained {
        ended: said.ended,
        measured: ended_measured,
        completed: said.completed,
        clients: load.kind.concurrency().saturating_sub(left.tasks()),
        left,
        waited_ns: 0,
    });
    load::LoadOutcome {
        makespans_ns: said.makespans_ns.clone(),
        window_ns: said.window_ns,
        completed: said.completed,
        total_tasks,
        per_client: clients(said),
        closed,
        open: said.arrivals.as_ref().map(|arrived| landed(said, arrived)),
    }
}

fn landed(said: &LoadAccount, arrived: &wire::ArrivedAccount) -> OpenOutcome {
    OpenOutcome {
        arrivals: arrivals(said, arrived),
        emitted: arrived.begun,
        totals: Totals { ended: said.ended, measured: arrived.measured, completed: said.completed },
        given_up: said.left.running + said.left.waiting,
    }
}

fn arrivals(said: &LoadAccount, arrived: &wire::ArrivedAccount) -> Arrivals {
    Arrivals {
        scheduled: arrived.scheduled,
        dropped: arrived.dropped,
        delayed: arrived.delayed,
        censored: said.task.censored,
        most_in_flight: arrived.most_in_flight,
        pacer: arrived.pacer.clone(),
    }
}

fn clients(said: &LoadAccount) -> Option<Clients> {
    let longest_ns = said.task.latency.greatest_bound().map_or(0, Bound::ns);
    Clients::of(&said.clients, longest_ns)
}

fn stream(times: &wire::TimesAccount) -> Stream {
    Stream {
        count: times.latency.count(),
        errors: times.errors,
        timeouts: times.timeouts,
        censored: times.censored,
        latency: times.latency.clone(),
        service: times.service.clone(),
        lateness: times.lateness.clone(),
        ..Stream::default()
    }
}

fn measured(plan: &TrialPlan, load: &TrialLoad, said: &LoadAccount) -> Measurements {
    let own = plan.tasks.iter().find(|task| task.name == load.task);
    let top_level = |name: &str| {
        own.is_some_and(|task| task.steps.iter().any(|step| step.name.as_deref() == Some(name)))
    };
    let steps = said.steps.iter().map(|step| NamedStream {
        name: step.name.clone(),
        top_level: top_level(&step.name),
        stream: stream(&step.times),
    });
    let left = said.left.running + said.left.waiting;
    let delays_vary = load.delays_vary;
    Measurements {
        name: load.name.clone(),
        makespans_ns: said.makespans_ns.clone(),
        window_ns: said.window_ns,
        completed: said.completed,
        task: stream(&said.task),
        steps: steps.collect(),
        clients: clients(said).map(|clients| Clients { delays_vary, ..clients }),
        arrivals: said.arrivals.as_ref().map(|arrived| arrivals(said, arrived)),
        unfinished: (left > 0)
            .then(|| format!("the racer gave {left} tasks up; they count as censored")),
        ..Measurements::default()
    }
}

/// Work that is right is no figure yet: where a load ends by time, some task must have ended
/// before.
pub(super) fn some_completed(plan: &TrialPlan, account: &RacerAccount) -> Result<(), TrialError> {
    let mut pairs = plan.loads.iter().zip(&account.loads);
    let none = pairs.find(|(load, said)| {
        matches!(load.kind, LoadKind::Closed { tasks: None, .. }) && said.completed == 0
    });
    none.map_or(Ok(()), |(load, said)| {
        let measured = load.kind.measured(plan.duration).unwrap_or_default();
        let least = said.task.latency.least();
        let took = least.map_or_else(String::new, |ns| {
            format!(": those that began in it took {} or more", format_ns(ns))
        });
        Err(TrialError::TooShort { window: format_duration(measured), took })
    })
}

/// The bounds that hold whatever happens.
struct Judge<'a> {
    proof: Proof,
    plan: &'a TrialPlan,
    pairs: &'a [LoadPair<'a>],
    seen: &'a RaceSeen,
}

impl Judge<'_> {
    fn loads(&mut self) {
        for (load, said) in self.pairs {
            self.proof.begin(load, self.pairs.len());
            self.times(said);
            self.names(load, said);
            self.pace(load, said);
        }
        self.proof.end_of_loads();
    }

    /// The histograms are of the same tasks, and nothing took longer than the race.
    fn times(&mut self, said: &LoadAccount) {
        let (times, all_ns) = (&said.task, self.seen.ended_ns.saturating_sub(self.seen.go_ns));
        let begun = times.latency.count().saturating_sub(said.left.waiting.min(times.censored));
        self.proof.within(
            "service times recorded",
            (begun, times.latency.count()),
            times.service.count(),
        );
        if times.lateness.count() > 0 {
            self.proof.equal("latenesses recorded", times.latency.count(), times.lateness.count());
        }
        if said.left.running + said.left.waiting == 0
            && let Some(mean_ns) = times.service.mean()
        {
            let busy_ns = (mean_ns * times.service.count() as f64) as u64;
            // Histograms round by a thousandth at most.
            let most_ns = said.slots.saturating_mul(all_ns + all_ns / 500);
            self.proof.within("time in all tasks in ns", (0, most_ns), busy_ns);
        }
    }

    /// The named steps that a task reaches are recorded, and where nothing runs at the edges all of
    /// their calls are.
    fn names(&mut self, load: &TrialLoad, said: &LoadAccount) {
        let measured = said.ended.saturating_sub(said.before);
        for (number, (_, step)) in numbered_steps(self.plan).enumerate() {
            let Some(name) = &step.name else { continue };
            let calls = draws::calls(self.plan, &load.task, |at, _| at == number);
            let Some(calls) = calls.filter(|calls| *calls > 0) else { continue };
            let found = said.steps.iter().filter(|said| said.name == *name);
            let recorded: u64 = found.map(|said| said.times.latency.count()).sum();
            let all = measured.saturating_mul(calls);
            let least = if self.seen.still { all } else { u64::from(said.completed > 0) };
            let most = said.ended.saturating_mul(calls);
            let most = if self.seen.still { all } else { most };
            self.proof.within(
                format!("calls of {name} recorded"),
                (least.min(most), most),
                recorded,
            );
        }
    }

    /// A client begins its next task when its last one has ended, so that its tasks take as long as
    /// all their delays.
    fn pace(&mut self, load: &TrialLoad, said: &LoadAccount) {
        let (least_ns, slots) =
            (load.least_task_ns, said.slots.min(load.kind.concurrency()).max(1));
        if least_ns == 0 || said.task.errors > 0 || said.task.timeouts > 0 {
            return;
        }
        match load.kind {
            LoadKind::Closed { tasks: Some(tasks), .. } => {
                let least = tasks.div_ceil(slots).saturating_mul(least_ns);
                self.proof.within("window in ns", (least, u64::MAX), said.window_ns);
            }
            LoadKind::Closed { tasks: None, .. } => {
                let most = slots.saturating_mul(said.window_ns / least_ns + 1);
                self.proof.within("tasks that fit into the window", (0, most), said.completed);
            }
            _ => {}
        }
    }

    /// The window is where the racer says that it is, by the referee's clock.
    fn window(&mut self) {
        let RaceSeen { go_ns, opened_ns, closed_ns, still, .. } = *self.seen;
        let open_ns = closed_ns.saturating_sub(opened_ns);
        let warmup_ns = self.plan.warmup.as_nanos() as u64;
        for (load, said) in self.pairs {
            self.proof.begin(load, self.pairs.len());
            let Some(measured) = load.kind.measured(self.plan.duration) else {
                // It began after the counters were read, and ended before they were again.
                let all_ns = if still { open_ns } else { closed_ns.saturating_sub(go_ns) };
                let what = "ns from `opens` to `closes`, by the referee's clock";
                self.proof.within(what, (said.window_ns, u64::MAX), all_ns);
                continue;
            };
            let measured_ns = measured.as_nanos() as u64;
            self.proof.equal("window in ns", measured_ns, said.window_ns);
            let what = "ns from `go` to `closes`, by the referee's clock";
            let least_ns = warmup_ns.saturating_add(measured_ns);
            self.proof.within(what, (least_ns, u64::MAX), closed_ns.saturating_sub(go_ns));
            // The lines that tell of the edges may be late; by half a window they are not read off
            // the window any more.
            let what = "ns from `opens` to `closes`, by the referee's clock";
            self.proof.within(what, (measured_ns / 2, u64::MAX), open_ns);
        }
        self.proof.end_of_loads();
        if !still {
            let what = "ns from `go` to `opens`, by the referee's clock";
            self.proof.within(what, (warmup_ns, u64::MAX), opened_ns.saturating_sub(go_ns));
        }
    }

    /// What a target had served at the edges is what the tasks before them ask for.
    fn served(&mut self) {
        let (before, after) = (&self.seen.served_before, &self.seen.served_after);
        for (target, (before, after)) in self.plan.targets.iter().zip(before.iter().zip(after)) {
            let (Some(before), Some(after)) = (before, after) else { continue };
            let on_target = |step: &step::StepPlan| {
                step.spec.targets().iter().any(|used| used.name.text == target.name)
            };
            let calls = |count: fn(&LoadAccount) -> u64| {
                let each = self.pairs.iter().map(|(load, said)| {
                    let calls = draws::calls(self.plan, &load.task, |_, step| on_target(step))?;
                    Some(count(said).saturating_mul(calls))
                });
                each.sum::<Option<u64>>()
            };
            let (Some(first), Some(all)) = (calls(|said| said.before), calls(|said| said.ended))
            else {
                continue;
            };
            let name = &target.name;
            self.proof.equal(
                format!("operations that target {name} served before the window"),
                first,
                *before,
            );
            self.proof.equal(
                format!("operations that target {name} served in the window"),
                all.saturating_sub(first),
                after.saturating_sub(*before),
            );
        }
    }

    /// Servers that draw their answers gave those that the draws of these tasks give. Says why that
    /// could not be proven, if so.
    fn draws(&mut self, reports: &[TargetReport]) -> Option<String> {
        let mut unproven = None;
        for report in reports {
            match draws::answers(self.plan, self.pairs, &report.name) {
                Ok(expected) => {
                    for (status, count) in expected {
                        let found = report.counts.get(&format!("status {status}")).copied();
                        let what = format!("answers {status} of target {}", report.name);
                        self.proof.equal(what, count, found.unwrap_or(0));
                    }
                }
                Err(why) => unproven = Some(why),
            }
        }
        unproven
    }
}

#[cfg(test)]
mod tests;
