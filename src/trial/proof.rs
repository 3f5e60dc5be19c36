//! Same work or no number: what a trial must have done, beside what it did.

use super::wire::{TrialLoad, TrialPlan};
use crate::{
    load::{self, open::OpenOutcome},
    measure::{ProofLine, Stream, TargetReport, Unanswered},
    scenario::LoadKind,
    step::{HandleTouch, Reading, StepPlan, Tally, TaskRuns, Times},
    targets::REPEATED,
};

/// Everything that was counted, by the slots, the recorders, the steps and the targets.
pub(super) struct Evidence<'a> {
    pub plan: &'a TrialPlan,
    /// By each load, in the plan's order.
    pub loads: Vec<LoadEvidence<'a>>,
    /// By the steps, by step number, before the targets were asked.
    pub before: &'a [Tally],
    /// By the steps and combinators, by step number, after that.
    pub ledger: &'a Reading,
    /// By the targets.
    pub reports: &'a [TargetReport],
}

/// What was counted of one load.
pub(super) struct LoadEvidence<'a> {
    pub load: &'a TrialLoad,
    pub outcome: &'a load::LoadOutcome,
    pub slots: u64,
    /// By the slots.
    pub tasks_run: u64,
    /// By the recorders.
    pub recorded: Stream,
}

impl LoadEvidence<'_> {
    /// How often the load's task was to run, and how often it was seen to end.
    fn root(&self) -> TaskRuns {
        let given_up = self.outcome.given_up();
        let (asked, returned) = (self.tasks_run + given_up, self.tasks_run);
        TaskRuns { asked, returned, ..TaskRuns::default() }
    }
}

/// Compares all accounts; the error names the first difference.
pub(super) fn check(evidence: &Evidence<'_>) -> Result<Vec<ProofLine>, String> {
    let mut proof = Proof::default();
    proof.compare(evidence);
    proof.verdict()
}

/// What was compared so far, and whether it is the same.
#[derive(Default)]
pub(super) struct Proof {
    lines: Vec<(ProofLine, bool)>,
    /// What the lines are about that come next, as their beginning: a load of several.
    of: String,
}

impl Proof {
    /// Compares all accounts.
    pub(super) fn compare(&mut self, evidence: &Evidence<'_>) {
        for load in &evidence.loads {
            self.begin(load.load, evidence.loads.len());
            self.tasks(load);
            self.least_makespan(load);
            self.least_task(load);
        }
        self.end_of_loads();
        let lost = self.edges(evidence);
        self.targets(evidence, &lost);
    }

    /// What comes next is about this load of so many.
    pub(super) fn begin(&mut self, load: &TrialLoad, loads: usize) {
        self.of = if loads > 1 { format!("{}: ", load.name) } else { String::new() };
    }

    /// What comes next is about the trial.
    pub(super) fn end_of_loads(&mut self) {
        self.of.clear();
    }

    /// All that was compared; an error names the first difference.
    pub(super) fn verdict(self) -> Result<Vec<ProofLine>, String> {
        match self.lines.iter().find(|(_, holds)| !holds) {
            Some((line, _)) => Err(format!(
                "wrong result: {}: expected {}, found {}",
                line.what, line.expected, line.found
            )),
            None => Ok(self.lines.into_iter().map(|(line, _)| line).collect()),
        }
    }

    pub(super) fn equal(&mut self, what: impl Into<String>, expected: u64, found: u64) {
        self.line(what, expected.to_string(), found, expected == found);
    }

    pub(super) fn within(&mut self, what: impl Into<String>, expected: (u64, u64), found: u64) {
        let (least, most) = expected;
        if least == most {
            return self.equal(what, least, found);
        }
        let expected = if most == u64::MAX {
            format!("at least {least}")
        } else {
            format!("{least} to {most}")
        };
        self.line(what, expected, found, (least..=most).contains(&found));
    }

    fn line(&mut self, what: impl Into<String>, expected: String, found: u64, holds: bool) {
        let (what, found) = (format!("{}{}", self.of, what.into()), found.to_string());
        self.lines.push((ProofLine { what, expected, found }, holds));
    }

    /// The slots ran, and the recorders saw, as many tasks as the load has.
    fn tasks(&mut self, evidence: &LoadEvidence<'_>) {
        let recorded = evidence.recorded.latency.count();
        match evidence.load.kind {
            LoadKind::Batch { tasks, .. } => {
                let measured = tasks.saturating_mul(evidence.outcome.makespans_ns.len() as u64);
                self.equal("tasks run", evidence.outcome.total_tasks, evidence.tasks_run);
                self.equal("tasks recorded", measured, recorded);
            }
            LoadKind::Closed { tasks: Some(tasks), .. } => {
                self.equal("tasks completed", tasks, evidence.outcome.completed);
                self.equal("tasks recorded", tasks, recorded);
            }
            LoadKind::Closed { .. } => {
                self.clients(evidence, evidence.load.kind.concurrency());
            }
            LoadKind::Open { max_in_flight, .. } => self.arrivals(evidence, max_in_flight),
        }
    }

    /// Every client ended or was given up, and every task that was meant to start in the window is
    /// recorded, by the accounts of the slots and of the recorders.
    fn clients(&mut self, evidence: &LoadEvidence<'_>, concurrency: u64) {
        let Some(drained) = &evidence.outcome.closed else {
            return self.equal("accounts of the closed load", 1, 0);
        };
        let (left, recorded) = (&drained.left, &evidence.recorded);
        self.equal(
            "clients that ended and were given up",
            concurrency,
            drained.clients + left.tasks(),
        );
        self.equal("tasks recorded", drained.measured + left.measured, recorded.latency.count());
        self.equal("tasks recorded as censored", left.measured, recorded.censored);
        // A client's task can begin before an edge of the window and end behind it.
        let completed = drained.completed;
        let bounds = (completed.saturating_sub(concurrency), completed.saturating_add(concurrency));
        self.within("tasks completed in the window", bounds, drained.measured);
    }

    /// Every arrival became of something, by three accounts: the pacer's, the slots' and the
    /// recorders'.
    fn arrivals(&mut self, evidence: &LoadEvidence<'_>, max_in_flight: u64) {
        let Some(OpenOutcome { arrivals, emitted, totals, given_up }) = &evidence.outcome.open
        else {
            return self.equal("accounts of the open load", 1, 0);
        };
        let what = "arrivals completed, dropped and censored";
        self.equal(
            what,
            arrivals.scheduled,
            totals.measured + arrivals.dropped + arrivals.censored,
        );
        self.equal(
            "tasks recorded",
            arrivals.scheduled - arrivals.dropped,
            evidence.recorded.latency.count(),
        );
        self.equal("tasks recorded as censored", arrivals.censored, evidence.recorded.censored);
        self.equal("tasks handed over, ended and given up", *emitted, totals.ended + given_up);
        self.within("most tasks in flight", (0, max_in_flight), arrivals.most_in_flight);
    }

    /// Every step was executed as often as the tasks around it demand, edge by edge of their tree;
    /// says how many instances of each task were lost.
    ///
    /// A combinator counts the children that it asked for and those whose end it saw; the others
    /// were given up, and each may be anywhere in its task. A task goes on from step to step unless
    /// it stops, which it counts at that step. So what begins a step has begun the one before and
    /// not stopped there, but for the children that were given up: they loosen their own task and
    /// what is below it, by their own number, and nothing else.
    fn edges(&mut self, evidence: &Evidence<'_>) -> Vec<u64> {
        let (plan, ledger) = (evidence.plan, evidence.ledger);
        let mut runs: Vec<TaskRuns> = vec![TaskRuns::default(); plan.tasks.len()];
        for load in &evidence.loads {
            if let Some(root) = plan.tasks.iter().position(|task| task.name == load.load.task) {
                runs[root].add(load.root());
            }
        }
        for (number, (_, step)) in numbered_steps(plan).enumerate() {
            for (child, edge) in step.spec.children().iter().zip(&ledger.edges[number]) {
                if let Some(task) = plan.tasks.iter().position(|task| task.name == child.task.text)
                {
                    runs[task].add(*edge);
                }
            }
        }
        let mut steps = numbered_steps(plan).zip(ledger.steps.iter().zip(&ledger.edges));
        for (task, run) in plan.tasks.iter().zip(&runs) {
            let of_task: Vec<_> = steps.by_ref().take(task.steps.len()).collect();
            self.chain(&task.name, *run, &of_task, if ledger.moves { run.lost() } else { 0 });
        }
        self.values(evidence, &runs);
        runs.iter().map(TaskRuns::lost).collect()
    }

    /// The steps of a task, one after another, and the children of each. So many may have moved
    /// while they were counted.
    fn chain(
        &mut self,
        task: &str,
        run: TaskRuns,
        steps: &[(Numbered<'_>, (&Tally, &Vec<TaskRuns>))],
        moved: u64,
    ) {
        let lost = run.lost();
        let missed = steps.first().map_or(0, |(_, (tally, _))| tally.missed);
        let mut begun = run.asked.saturating_sub(missed);
        for ((name, step), (tally, edges)) in steps {
            self.within(
                format!("{name}: calls"),
                (begun.saturating_sub(lost), begun + moved),
                tally.started,
            );
            let accounted = tally.ended + tally.cancelled;
            self.within(
                format!("{name}: calls that ended"),
                (tally.started.saturating_sub(lost), tally.started),
                accounted,
            );
            self.children(name, step, tally, edges);
            begun = tally.started.saturating_sub(tally.stopped);
        }
        self.background(steps);
        // Those that were lost may have come as far as the end, and a stop of theirs is counted
        // beside those that were seen.
        let stops: u64 = steps.iter().map(|(_, (tally, _))| tally.stopped).sum();
        let seen = run.returned.saturating_sub(stops + missed);
        self.within(format!("task {task}: runs that came to the end"), (seen, seen + lost), begun);
    }

    /// Each background task was ended once by the step that does so: joined, or cancelled, gone and
    /// cleaned up after.
    fn background(&mut self, steps: &[(Numbered<'_>, (&Tally, &Vec<TaskRuns>))]) {
        for (at, ((_, opener), (_, edges))) in steps.iter().enumerate() {
            let Some(handle) = opener.spec.handle() else { continue };
            let (HandleTouch::Starts, Some(task)) = (handle.touch, edges.first()) else { continue };
            let ends = |step: &&(Numbered<'_>, _)| {
                step.0.1.spec.handle().is_some_and(|used| used.name.text == handle.name.text)
            };
            if let Some(((name, _), (tally, cleanup))) = steps[at + 1..].iter().find(ends) {
                self.ended(name, tally, *task, cleanup.first());
            }
        }
    }

    /// What a step has done that ends background tasks.
    fn ended(
        &mut self,
        name: &Place<'_>,
        tally: &Tally,
        task: TaskRuns,
        cleanup: Option<&TaskRuns>,
    ) {
        let well = tally.ended.saturating_sub(tally.failed);
        let found = task.returned + task.pending;
        self.within(format!("{name}: background tasks ended"), (well, tally.started), found);
        // A call that was given up may not have come as far.
        let least = task.pending.saturating_sub(tally.started - well);
        let bounds = (least, task.pending);
        if task.pending > 0 {
            self.within(format!("{name}: cancelled tasks that are gone"), bounds, task.gone);
        }
        if let Some(cleanup) = cleanup {
            self.within(format!("{name}: clean-ups"), bounds, cleanup.asked);
        }
    }

    /// A combinator ran its children as often as each of its calls does that ends well; others may
    /// have run fewer.
    fn children(&mut self, name: &Place<'_>, step: &StepPlan, tally: &Tally, edges: &[TaskRuns]) {
        let well = tally.ended.saturating_sub(tally.failed);
        let children = step.spec.children();
        let chosen = children.iter().any(|child| matches!(child.times, Times::Chance(_)));
        if chosen {
            let asked = edges.iter().map(|edge| edge.asked).sum();
            return self.within(format!("{name}: choices"), (well, tally.started), asked);
        }
        for (child, edge) in children.iter().zip(edges) {
            let (least, most) = match child.times {
                Times::InOrder(times)
                | Times::AtOnce(times)
                | Times::Beside(times)
                | Times::SomeAtOnce { count: times, .. }
                | Times::AsCompleted(times)
                | Times::Within { count: times, .. }
                | Times::AfterEach(times) => (times, times),
                Times::InBackground => (1, 1),
                Times::AtMostOnce => (0, 1),
                Times::FirstOf(times) | Times::UpTo(times) => (1, times),
                Times::Chance(_) => continue,
            };
            let most = tally.started.saturating_mul(most);
            let in_all = step.spec.most_children(tally.started);
            let bounds =
                (well.saturating_mul(least), in_all.map_or(most, |in_all| in_all.min(most)));
            self.within(format!("{name}: runs of {}", child.task.text), bounds, edge.asked);
            self.at_once(format!("{name}: runs of {}", child.task.text), child.times, well, *edge);
        }
    }

    /// What else a combinator says of children that run at once, where so many of its calls ended
    /// well.
    fn at_once(&mut self, runs: String, times: Times, well: u64, edge: TaskRuns) {
        match times {
            Times::FirstOf(_) => {
                self.within(format!("{runs} that ended first"), (well, edge.asked), edge.returned);
            }
            Times::Within { count, .. } => {
                let bounds = (well.saturating_mul(count), edge.asked);
                let found = edge.returned + edge.pending;
                self.within(format!("{runs} that ended or were pending"), bounds, found);
            }
            Times::AsCompleted(count) => {
                self.all_ended(&runs, count, well, edge);
                self.equal(format!("{runs} seen after one that ended later"), 0, edge.seen_late);
            }
            Times::SomeAtOnce { count, most } => {
                self.all_ended(&runs, count, well, edge);
                let bounds = (u64::from(edge.returned > 0), most);
                self.within(format!("{runs}, most at once"), bounds, edge.most_at_once);
            }
            _ => {}
        }
    }

    /// Each call that ended well has seen the ends of all its children.
    fn all_ended(&mut self, runs: &str, count: u64, well: u64, edge: TaskRuns) {
        let least = well.saturating_mul(count);
        self.within(format!("{runs} that ended"), (least, edge.asked), edge.returned);
    }

    /// Each target holds what it should by its own check, and served what the steps that act on it
    /// asked for.
    fn targets(&mut self, evidence: &Evidence<'_>, lost: &[u64]) {
        for report in evidence.reports {
            self.lines.extend(
                report.proof.iter().map(|line| (line.clone(), line.expected == line.found)),
            );
            self.served(evidence.plan, (evidence.before, &evidence.ledger.steps), report);
            if report.served.is_none() {
                self.connections(evidence, report, lost);
            }
        }
    }

    /// Every connection that was opened is closed again. A call that was given up may hold one
    /// until the process ends.
    fn connections(&mut self, evidence: &Evidence<'_>, report: &TargetReport, lost: &[u64]) {
        let count = |name: &str| report.counts.get(name).copied();
        let given_up = held(evidence, &report.name, lost);
        if let (Some(opened), Some(closed)) =
            (count("connections opened"), count("connections closed"))
        {
            let bounds = (opened.saturating_sub(given_up), opened);
            self.within(
                format!("connections to target {} that were closed", report.name),
                bounds,
                closed,
            );
        }
    }

    /// A target served as many operations as the steps that act on it began. It knows nothing of
    /// calls that had no connection, and may know of those whose connection was lost.
    fn served(
        &mut self,
        plan: &TrialPlan,
        (before, after): (&[Tally], &[Tally]),
        report: &TargetReport,
    ) {
        let Some(served) = report.served else { return };
        let target = plan.targets.iter().find(|target| target.name == report.name);
        let (mut least, mut most) = (0_u64, 0_u64);
        for ((_, step), (before, after)) in numbered_steps(plan).zip(before.iter().zip(after)) {
            if step.spec.targets().iter().any(|used| used.name.text == report.name) {
                let each = target.map_or(1, |target| step.spec.operations(&target.spec));
                // A call of several that ended in an error has perhaps made the first only.
                let cut_short = (before.failed + before.done.errors).min(before.ended);
                least += (before.ended - cut_short).saturating_mul(each) + cut_short;
                most = most.saturating_add(after.started.saturating_mul(each));
            }
        }
        let Unanswered { unconnected, lost } = report.unanswered;
        // A request that was sent again was perhaps served before.
        let again = report.counts.get(REPEATED).copied().unwrap_or(0);
        let bounds =
            (least.saturating_sub(unconnected + lost), most.saturating_sub(unconnected) + again);
        self.within(format!("operations that target {} served", report.name), bounds, served);
    }

    /// A batch cannot end before its delays have passed; a bound that noise cannot break.
    fn least_makespan(&mut self, evidence: &LoadEvidence<'_>) {
        let LoadKind::Batch { tasks, .. } = evidence.load.kind else { return };
        let least =
            tasks.div_ceil(evidence.slots.max(1)).saturating_mul(evidence.load.least_task_ns);
        if let Some(&shortest) = evidence.outcome.makespans_ns.iter().min().filter(|_| least > 0) {
            self.within("makespan in ns", (least, u64::MAX), shortest);
        }
    }

    /// No task ends before its own delays have passed, in whatever load; a bound that noise cannot
    /// break.
    fn least_task(&mut self, evidence: &LoadEvidence<'_>) {
        let (least, recorded) = (evidence.load.least_task_ns, &evidence.recorded);
        // A call that ended in an error need not have waited, nor one that was given up, and
        // clipped values say nothing.
        if least == 0 || recorded.errors > 0 || recorded.clipped > 0 || recorded.censored > 0 {
            return;
        }
        if let Some(shortest) = recorded.service.least() {
            self.within("shortest task in ns", (least, u64::MAX), shortest);
        }
    }
}

/// Calls on a target that were given up, and steps on it in tasks that were.
fn held(evidence: &Evidence<'_>, target: &str, lost: &[u64]) -> u64 {
    let plan = evidence.plan;
    let lost_of_step =
        plan.tasks.iter().zip(lost).flat_map(|(task, lost)| task.steps.iter().map(move |_| *lost));
    let on_target =
        |step: &StepPlan| step.spec.targets().iter().any(|used| used.name.text == target);
    let steps = numbered_steps(plan).zip(&evidence.ledger.steps).zip(lost_of_step);
    let held = steps.filter(|(((_, step), _), _)| on_target(step));
    held.map(|((_, tally), lost)| tally.cancelled.saturating_add(lost)).fold(0, u64::saturating_add)
}

/// How many steps all tasks have.
pub(super) fn steps(plan: &TrialPlan) -> usize {
    plan.tasks.iter().map(|task| task.steps.len()).sum()
}

/// A step, and where it is.
type Numbered<'a> = (Place<'a>, &'a StepPlan);

/// All steps of the plan in the order of their numbers, each with where it is.
pub(super) fn numbered_steps(plan: &TrialPlan) -> impl Iterator<Item = (Place<'_>, &StepPlan)> {
    plan.tasks.iter().flat_map(|task| {
        task.steps
            .iter()
            .enumerate()
            .map(move |(at, step)| (Place { task: &task.name, step, at: at + 1 }, step))
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

pub(super) mod shared;
#[cfg(test)]
pub(super) mod tests;
mod values;
pub(super) mod work;
