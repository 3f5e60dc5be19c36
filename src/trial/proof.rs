//! Same work or no number: what a trial must have done, beside what it did.

use super::wire::TrialPlan;
use crate::{
    load::{self, open::Landed},
    measure::{ProofLine, Stream, TargetReport, Unanswered},
    scenario::LoadKind,
    step::{StepPlan, Tally},
    target::REPEATED,
};

/// Everything that was counted, by the slots, the recorders, the steps and the targets.
pub(super) struct Evidence<'a, S> {
    pub plan: &'a TrialPlan,
    pub outcome: &'a load::Outcome<S>,
    pub slots: u64,
    /// By the slots.
    pub tasks_run: u64,
    /// Time-outs, by the slots.
    pub timeouts: u64,
    /// By the recorders.
    pub recorded: Stream,
    /// By the steps, by step number.
    pub tallies: &'a [Tally],
    /// By the targets.
    pub reports: &'a [TargetReport],
}

impl<S> Evidence<'_, S> {
    /// Tasks that were given up in flight.
    fn given_up(&self) -> u64 {
        self.outcome.given_up()
    }

    /// Whether tasks may not have done all their steps, for a time-out or the end of the load has cut them short.
    fn is_cut_short(&self) -> bool {
        self.given_up() > 0 || self.timeouts > 0 || self.tallies.iter().any(|tally| tally.cancelled > 0)
    }
}

/// Compares all accounts; the error names the first difference.
pub(super) fn check<S>(evidence: &Evidence<'_, S>) -> Result<Vec<ProofLine>, String> {
    let mut proof = Proof::default();
    proof.tasks(evidence);
    proof.steps(evidence);
    proof.targets(evidence);
    proof.least_makespan(evidence);
    proof.least_task(evidence);
    match proof.lines.iter().find(|(_, holds)| !holds) {
        Some((line, _)) => {
            Err(format!("wrong result: {}: expected {}, found {}", line.what, line.expected, line.found))
        }
        None => Ok(proof.lines.into_iter().map(|(line, _)| line).collect()),
    }
}

#[derive(Default)]
struct Proof {
    lines: Vec<(ProofLine, bool)>,
}

impl Proof {
    fn equal(&mut self, what: impl Into<String>, expected: u64, found: u64) {
        let line = ProofLine { what: what.into(), expected: expected.to_string(), found: found.to_string() };
        self.lines.push((line, expected == found));
    }

    fn within(&mut self, what: impl Into<String>, expected: (u64, u64), found: u64) {
        let (least, most) = expected;
        if least == most {
            return self.equal(what, least, found);
        }
        let expected = if most == u64::MAX { format!("at least {least}") } else { format!("{least} to {most}") };
        let holds = (least..=most).contains(&found);
        self.lines.push((ProofLine { what: what.into(), expected, found: found.to_string() }, holds));
    }

    /// The slots ran, and the recorders saw, as many tasks as the load has.
    fn tasks<S>(&mut self, evidence: &Evidence<'_, S>) {
        let recorded = evidence.recorded.latency.count();
        match evidence.plan.load.kind {
            LoadKind::Batch { tasks, .. } => {
                let measured = tasks.saturating_mul(evidence.outcome.makespans_ns.len() as u64);
                self.equal("tasks run", evidence.outcome.total_tasks, evidence.tasks_run);
                self.equal("tasks recorded", measured, recorded);
            }
            LoadKind::Closed { tasks: Some(tasks), .. } => {
                self.equal("tasks completed", tasks, evidence.outcome.completed);
                self.equal("tasks recorded", tasks, recorded);
            }
            LoadKind::Closed { concurrency, .. } => self.clients(evidence, concurrency),
            LoadKind::Open { max_in_flight, .. } => self.arrivals(evidence, max_in_flight),
        }
    }

    /// Every client ended or was given up, and every task that was meant to start in the window is recorded, by the
    /// accounts of the slots and of the recorders.
    fn clients<S>(&mut self, evidence: &Evidence<'_, S>, concurrency: u64) {
        let Some(drained) = &evidence.outcome.closed else {
            return self.equal("accounts of the closed load", 1, 0);
        };
        let (left, recorded) = (&drained.left, &evidence.recorded);
        self.equal("clients that ended and were given up", concurrency, drained.clients + left.tasks());
        self.equal("tasks recorded", drained.measured + left.measured, recorded.latency.count());
        self.equal("tasks recorded as censored", left.measured, recorded.censored);
        // A client's task can begin before an edge of the window and end behind it.
        let completed = drained.completed;
        let bounds = (completed.saturating_sub(concurrency), completed.saturating_add(concurrency));
        self.within("tasks completed in the window", bounds, drained.measured);
    }

    /// Every arrival became of something, by three accounts: the pacer's, the slots' and the recorders'.
    fn arrivals<S>(&mut self, evidence: &Evidence<'_, S>, max_in_flight: u64) {
        let Some(Landed { arrivals, emitted, totals, given_up }) = &evidence.outcome.open else {
            return self.equal("accounts of the open load", 1, 0);
        };
        let what = "arrivals completed, dropped and censored";
        self.equal(what, arrivals.scheduled, totals.measured + arrivals.dropped + arrivals.censored);
        self.equal("tasks recorded", arrivals.scheduled - arrivals.dropped, evidence.recorded.latency.count());
        self.equal("tasks recorded as censored", arrivals.censored, evidence.recorded.censored);
        self.equal("tasks handed over, ended and given up", *emitted, totals.ended + given_up);
        self.within("most tasks in flight", (0, max_in_flight), arrivals.most_in_flight);
    }

    /// Every step was executed as often as its task demands.
    fn steps<S>(&mut self, evidence: &Evidence<'_, S>) {
        let (given_up, cut_short) = (evidence.given_up(), evidence.is_cut_short());
        for ((name, _), (per_task, tally)) in
            numbered_steps(evidence.plan).zip(evidence.plan.per_task.iter().zip(evidence.tallies))
        {
            let accounted = tally.ended + tally.cancelled;
            // A child that its parent gave up may still be on its way out.
            let least = if cut_short { 0 } else { tally.started };
            self.within(format!("{name}: calls that ended"), (least, tally.started), accounted);
            if let Some(per_task) = per_task {
                let all = per_task.saturating_mul(evidence.tasks_run + given_up);
                self.within(format!("{name}: calls"), (if cut_short { 0 } else { all }, all), tally.started);
            }
        }
    }

    /// Each target holds what it should by its own check, and served what the steps that act on it asked for.
    fn targets<S>(&mut self, evidence: &Evidence<'_, S>) {
        for report in evidence.reports {
            self.lines.extend(report.proof.iter().map(|line| (line.clone(), line.expected == line.found)));
            self.served(evidence.plan, evidence.tallies, report);
            if report.served.is_none() {
                self.connections(evidence, report);
            }
        }
    }

    /// Every connection that was opened is closed again. What was given up may hold one until the process ends.
    fn connections<S>(&mut self, evidence: &Evidence<'_, S>, report: &TargetReport) {
        let count = |name: &str| report.counts.get(name).copied();
        if let (Some(opened), Some(closed)) = (count("connections opened"), count("connections closed")) {
            let least = if evidence.is_cut_short() { 0 } else { opened };
            self.within(format!("connections to target {} that were closed", report.name), (least, opened), closed);
        }
    }

    /// A target served as many operations as the steps that act on it began. It knows nothing of calls that had no
    /// connection, and may know of those whose connection was lost.
    fn served(&mut self, plan: &TrialPlan, tallies: &[Tally], report: &TargetReport) {
        let Some(served) = report.served else { return };
        let (mut ended, mut started) = (0, 0);
        for ((_, step), tally) in numbered_steps(plan).zip(tallies) {
            if step.spec.targets().iter().any(|target| target.name.text == report.name) {
                ended += tally.ended;
                started += tally.started;
            }
        }
        let Unanswered { unconnected, lost } = report.unanswered;
        // A request that was sent again was perhaps served before.
        let again = report.counts.get(REPEATED).copied().unwrap_or(0);
        let bounds = (ended.saturating_sub(unconnected + lost), started.saturating_sub(unconnected) + again);
        self.within(format!("operations that target {} served", report.name), bounds, served);
    }

    /// A batch cannot end before its delays have passed; a bound that noise cannot break.
    fn least_makespan<S>(&mut self, evidence: &Evidence<'_, S>) {
        let LoadKind::Batch { tasks, .. } = evidence.plan.load.kind else { return };
        let least = tasks.div_ceil(evidence.slots.max(1)).saturating_mul(evidence.plan.least_task_ns);
        if let Some(&shortest) = evidence.outcome.makespans_ns.iter().min().filter(|_| least > 0) {
            self.within("makespan in ns", (least, u64::MAX), shortest);
        }
    }

    /// No task ends before its own delays have passed, in whatever load; a bound that noise cannot break.
    fn least_task<S>(&mut self, evidence: &Evidence<'_, S>) {
        let (least, recorded) = (evidence.plan.least_task_ns, &evidence.recorded);
        // A call that ended in an error need not have waited, nor one that was given up, and clipped values say nothing.
        if least == 0 || recorded.errors > 0 || recorded.clipped > 0 || recorded.censored > 0 {
            return;
        }
        if let Some(shortest) = recorded.service.least() {
            self.within("shortest task in ns", (least, u64::MAX), shortest);
        }
    }
}

/// All steps of the plan in the order of their numbers, each with where it is.
pub(super) fn numbered_steps(plan: &TrialPlan) -> impl Iterator<Item = (Place<'_>, &StepPlan)> {
    plan.tasks.iter().flat_map(|task| {
        task.steps.iter().enumerate().map(move |(at, step)| (Place { task: &task.name, step, at: at + 1 }, step))
    })
}

/// Where a step is, for messages.
pub(super) struct Place<'a> {
    task: &'a str,
    step: &'a StepPlan,
    /// Its number in the task, from 1.
    at: usize,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.step.name {
            Some(name) => write!(out, "task {}, {name}", self.task),
            None => write!(out, "task {}, {} (step {})", self.task, self.step.spec.key(), self.at),
        }
    }
}

impl Place<'_> {
    /// Such as `get` (task request).
    pub(super) fn words(&self) -> String {
        match &self.step.name {
            Some(name) => format!("`{name}` (task {})", self.task),
            None => format!("`{}` (step {} of task {})", self.step.spec.key(), self.at, self.task),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{measure::Histo, runtime::Setup, scenario::Load};

    /// A plan without steps: one batch of one task, run once.
    pub(in crate::trial) fn plan() -> TrialPlan {
        let kind = LoadKind::Batch { tasks: 1, repeat: Some(1) };
        TrialPlan {
            regatta_trial: super::super::wire::VERSION,
            cell: "s::sequential".into(),
            round: 1,
            executor: "sequential".into(),
            setup: Setup { workers: 1, pool_size: 1, stack_size: None },
            executor_cpus: Vec::new(),
            target_cpus: Vec::new(),
            seed: 1,
            targets: Vec::new(),
            tasks: Vec::new(),
            load: Load { name: "load".into(), task: "task".to_owned().into(), kind },
            warmup: Duration::ZERO,
            duration: Duration::ZERO,
            timeout: Duration::from_secs(1),
            probe: false,
            least_task_ns: 0,
            delays_vary: false,
            per_task: Vec::new(),
            parent: None,
        }
    }

    /// The proof of a trial that went well, but for what its target reports.
    fn checked(report: TargetReport) -> Result<Vec<ProofLine>, String> {
        let outcome = load::Outcome {
            makespans_ns: vec![1],
            window_ns: 1,
            completed: 1,
            total_tasks: 1,
            per_client: None,
            closed: None,
            open: None,
            edges: ((), ()),
        };
        let mut latency = Histo::new();
        latency.0.record(1).unwrap();
        let recorded = Stream { count: 1, latency, ..Stream::default() };
        let (plan, reports) = (plan(), [report]);
        let evidence = Evidence {
            plan: &plan,
            outcome: &outcome,
            slots: 1,
            tasks_run: 1,
            timeouts: 0,
            recorded,
            tallies: &[],
            reports: &reports,
        };
        check(&evidence)
    }

    /// What the proof says of a target that has served so many of ten calls, of which eight ended by themselves.
    fn served(served: u64, unconnected: u64, lost: u64) -> (String, bool) {
        let spec = crate::step::testing::read_step("{ http = { target = \"api\", path = \"/\" } }").unwrap();
        let step = StepPlan { name: None, timeout: None, on_timeout: crate::step::OnTimeout::Fail, spec };
        let plan = TrialPlan { tasks: vec![crate::step::Task { name: "task".into(), steps: vec![step] }], ..plan() };
        let unanswered = Unanswered { unconnected, lost };
        let report = TargetReport { name: "api".into(), served: Some(served), unanswered, ..TargetReport::default() };
        let tallies = [Tally { started: 10, ended: 8, cancelled: 2, ..Tally::default() }];
        let mut proof = Proof::default();
        proof.served(&plan, &tallies, &report);
        let (line, holds) = proof.lines.pop().unwrap();
        (line.expected, holds)
    }

    #[test]
    fn a_target_is_not_asked_for_calls_that_had_no_connection() {
        assert_eq!(served(8, 0, 0), ("8 to 10".into(), true));
        assert_eq!(served(7, 0, 0), ("8 to 10".into(), false));
        // Five never reached it, and one may have.
        assert_eq!(served(2, 5, 1), ("2 to 5".into(), true));
        assert_eq!(served(5, 5, 1), ("2 to 5".into(), true));
        assert_eq!(served(1, 5, 1), ("2 to 5".into(), false));
        assert_eq!(served(6, 5, 1), ("2 to 5".into(), false));
        // None of them did.
        assert_eq!(served(0, 8, 0), ("0 to 2".into(), true));
    }

    #[test]
    fn what_a_target_checked_by_itself_is_part_of_the_proof() {
        let line = |found: &str| ProofLine { what: "rows".into(), expected: "3".into(), found: found.into() };
        let report = |found| TargetReport { name: "db".into(), proof: vec![line(found)], ..TargetReport::default() };
        assert!(checked(report("3")).unwrap().contains(&line("3")));
        assert_eq!(checked(report("2")).unwrap_err(), "wrong result: rows: expected 3, found 2");
    }
}
