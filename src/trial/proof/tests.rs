//! Tests of the proof.

use std::time::Duration;

use super::*;
use crate::{measure::Histo, runtime::Setup, step::ValueTally, trial::TrialLoad};

/// A plan without steps: one batch of one task, run once.
pub(in crate::trial) fn plan() -> TrialPlan {
    let kind = LoadKind::Batch { tasks: 1, repeat: Some(1) };
    TrialPlan {
        regatta_trial: crate::trial::wire::VERSION,
        cell: "s::sequential".into(),
        round: 1,
        executor: "sequential".into(),
        program: None,
        setup: Setup { workers: 1, pool_size: 1, stack_size: None },
        executor_cpus: Vec::new(),
        target_cpus: Vec::new(),
        seed: 1,
        targets: Vec::new(),
        shared: Vec::new(),
        data: Vec::new(),
        tasks: Vec::new(),
        loads: vec![TrialLoad {
            name: "load".into(),
            task: "task".into(),
            kind,
            least_task_ns: 0,
            delays_vary: false,
        }],
        warmup: Duration::ZERO,
        duration: Duration::ZERO,
        timeout: Duration::from_secs(1),
        probe: false,
        parent: None,
    }
}

/// The proof of a trial that went well, but for what its target reports.
fn checked(report: TargetReport) -> Result<Vec<ProofLine>, String> {
    let outcome = load::LoadOutcome {
        makespans_ns: vec![1],
        window_ns: 1,
        completed: 1,
        total_tasks: 1,
        per_client: None,
        closed: None,
        open: None,
    };
    let mut latency = Histo::new();
    latency.0.record(1).unwrap();
    let recorded = Stream { count: 1, latency, ..Stream::default() };
    let (plan, reports) = (plan(), [report]);
    let load = &plan.loads[0];
    let load = LoadEvidence { load, outcome: &outcome, slots: 1, tasks_run: 1, recorded };
    let evidence = Evidence {
        plan: &plan,
        loads: vec![load],
        before: &[],
        ledger: &Reading::default(),
        reports: &reports,
    };
    check(&evidence)
}

/// What the proof says of a target that has served so many of ten calls, of which eight ended by
/// themselves.
fn served(served: u64, unconnected: u64, lost: u64) -> (String, bool) {
    let spec =
        crate::step::testing::read_step("{ http = { target = \"api\", path = \"/\" } }").unwrap();
    let step =
        StepPlan { name: None, timeout: None, on_timeout: crate::step::OnTimeout::Fail, spec };
    let plan = TrialPlan {
        tasks: vec![crate::step::Task { name: "task".into(), steps: vec![step] }],
        ..plan()
    };
    let unanswered = Unanswered { unconnected, lost };
    let report = TargetReport {
        name: "api".into(),
        served: Some(served),
        unanswered,
        ..TargetReport::default()
    };
    let tallies = [Tally { started: 10, ended: 8, cancelled: 2, ..Tally::default() }];
    let mut proof = Proof::default();
    proof.served(&plan, (&tallies, &tallies), &report);
    let (line, holds) = proof.lines.pop().unwrap();
    (line.expected, holds)
}

#[test]
fn a_list_is_served_page_by_page() {
    let served = |served, errors| {
        let text = "{ http = { target = 'api', path = '/list', follow = { by = 'link' } } }";
        let spec = crate::step::testing::read_step(text).unwrap();
        let step =
            StepPlan { name: None, timeout: None, on_timeout: crate::step::OnTimeout::Fail, spec };
        let list = "{ http = { list = { items = 9, page = 2 } } }";
        let spec = crate::step::testing::read_target(list).unwrap();
        let plan = TrialPlan {
            tasks: vec![crate::step::Task { name: "task".into(), steps: vec![step] }],
            targets: vec![crate::targets::NamedTarget { name: "api".into(), spec }],
            ..plan()
        };
        let report =
            TargetReport { name: "api".into(), served: Some(served), ..Default::default() };
        let done = crate::step::Done { errors, ..Default::default() };
        let tallies = [Tally { started: 10, ended: 10, done, ..Tally::default() }];
        let mut proof = Proof::default();
        proof.served(&plan, (&tallies, &tallies), &report);
        let (line, holds) = proof.lines.pop().unwrap();
        (line.expected, holds)
    };
    assert_eq!(served(50, 0), ("50".into(), true));
    assert_eq!(served(49, 0), ("50".into(), false));
    assert_eq!(served(51, 0), ("50".into(), false));
    assert_eq!(served(10, 0), ("50".into(), false));
    // Two calls had errors that the scenario allows, perhaps of their first pages.
    assert_eq!(served(42, 2), ("42 to 50".into(), true));
    assert_eq!(served(41, 2), ("42 to 50".into(), false));
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

fn runs(asked: u64, returned: u64) -> TaskRuns {
    TaskRuns { asked, returned, ..TaskRuns::default() }
}

/// A root that runs `other` 16 times at once and then `risky` 16 times, ten times over; each child
/// does two steps.
fn family() -> (TrialPlan, Reading) {
    let step = |text: &str| {
        let spec = crate::step::testing::read_step(text).unwrap();
        StepPlan { name: None, timeout: None, on_timeout: crate::step::OnTimeout::Fail, spec }
    };
    let fan_out =
        |task: &str| step(&format!("{{ parallel = {{ task = \"{task}\", count = 16 }} }}"));
    let task = |name: &str, steps| crate::step::Task { name: name.into(), steps };
    let two = || vec![step("{ noop = {} }"), step("{ yield = {} }")];
    let root = task("task", vec![fan_out("other"), fan_out("risky")]);
    let plan =
        TrialPlan { tasks: vec![root, task("other", two()), task("risky", two())], ..plan() };
    let did = |count| Tally { started: count, ended: count, ..Tally::default() };
    let steps = [10, 10, 160, 160, 160, 160].map(did).to_vec();
    let mut edges = vec![Vec::new(); 6];
    edges[..2].fill(vec![runs(160, 160)]);
    let values = vec![ValueTally::default(); steps.len()];
    (plan, Reading { steps, edges, values, moves: false })
}

fn of_family(change: impl FnOnce(&mut Reading)) -> Option<String> {
    let (plan, mut ledger) = family();
    change(&mut ledger);
    wrong(&plan, &ledger)
}

/// What the proof says of ten runs of the root: the first line that does not hold.
fn wrong(plan: &TrialPlan, ledger: &Reading) -> Option<String> {
    let outcome = load::LoadOutcome {
        makespans_ns: Vec::new(),
        window_ns: 1,
        completed: 10,
        total_tasks: 10,
        per_client: None,
        closed: None,
        open: None,
    };
    let (recorded, reports) = (Stream::default(), []);
    let load = &plan.loads[0];
    let load = LoadEvidence { load, outcome: &outcome, slots: 1, tasks_run: 10, recorded };
    let evidence = Evidence { plan, loads: vec![load], before: &[], ledger, reports: &reports };
    let mut proof = Proof::default();
    proof.edges(&evidence);
    let wrong = proof.lines.iter().find(|(_, holds)| !holds);
    wrong.map(|(line, _)| format!("{}: {} instead of {}", line.what, line.found, line.expected))
}

#[test]
fn what_is_lost_loosens_its_own_task_by_its_own_number() {
    assert_eq!(of_family(|_| {}), None);
    // Three children of the second fan-out were cancelled: one before it began, one in each of its
    // steps.
    let cut_short = |ledger: &mut Reading| {
        ledger.edges[1][0].returned = 157;
        ledger.steps[4] = Tally { started: 159, ended: 158, cancelled: 1, ..Tally::default() };
        ledger.steps[5] = Tally { started: 158, ended: 157, cancelled: 1, ..Tally::default() };
    };
    assert_eq!(of_family(cut_short), None);
    let one_more = of_family(|ledger| {
        cut_short(ledger);
        ledger.steps[4].started = 156;
    });
    assert_eq!(one_more.unwrap(), "task risky, noop (step 1): calls: 156 instead of 157 to 160");
    // Nothing of that excuses one that is missing in the other task.
    let elsewhere = of_family(|ledger| {
        cut_short(ledger);
        ledger.steps[3] = Tally { started: 159, ended: 159, ..Tally::default() };
    });
    assert_eq!(elsewhere.unwrap(), "task other, yield (step 2): calls: 159 instead of 160");
}

#[test]
fn a_task_that_stops_begins_no_further_step() {
    let stops = |in_all: u64| {
        of_family(|ledger| {
            ledger.steps[2].stopped = 5;
            ledger.steps[3] = Tally { started: in_all, ended: in_all, ..Tally::default() };
        })
    };
    assert_eq!(stops(155), None);
    assert_eq!(stops(156).unwrap(), "task other, yield (step 2): calls: 156 instead of 155");
    assert_eq!(stops(154).unwrap(), "task other, yield (step 2): calls: 154 instead of 155");
}

#[test]
fn a_combinator_that_asks_for_too_few_is_found() {
    let too_few = of_family(|ledger| {
        ledger.edges[0][0] = runs(159, 159);
        for step in &mut ledger.steps[2..4] {
            (step.started, step.ended) = (159, 159);
        }
    });
    assert_eq!(too_few.unwrap(), "task task, parallel (step 1): runs of other: 159 instead of 160");
    // A call of the combinator that did not end well may have asked for fewer.
    let cancelled = of_family(|ledger| {
        ledger.edges[0][0] = runs(159, 159);
        for step in &mut ledger.steps[2..4] {
            (step.started, step.ended) = (159, 159);
        }
        ledger.steps[0] =
            Tally { started: 10, ended: 10, failed: 1, stopped: 1, ..Tally::default() };
        ledger.steps[1] = Tally { started: 9, ended: 9, ..Tally::default() };
        ledger.edges[1][0] = runs(144, 144);
        for step in &mut ledger.steps[4..] {
            (step.started, step.ended) = (144, 144);
        }
    });
    assert_eq!(cancelled, None);
}

/// What is wrong where ten calls of a combinator asked for so many runs of `other`, and saw so many
/// of them end.
fn of_combinator(text: &str, asked: u64, returned: u64) -> Option<String> {
    let (mut plan, mut ledger) = family();
    plan.tasks[0].steps[0].spec = crate::step::testing::read_step(text).unwrap();
    ledger.edges[0][0] = runs(asked, returned);
    for step in &mut ledger.steps[2..4] {
        (step.started, step.ended) = (asked, asked);
    }
    wrong(&plan, &ledger)
}

#[test]
fn the_first_of_several_must_have_ended() {
    let of = |asked, returned| {
        let text = "{ parallel = { task = 'other', count = 16, until = 'first' } }";
        of_combinator(text, asked, returned)
    };
    assert_eq!(of(160, 10), None);
    let what = "task task, parallel (step 1): runs of other";
    assert_eq!(of(160, 9).unwrap(), format!("{what} that ended first: 9 instead of 10 to 160"));
    assert_eq!(of(161, 10).unwrap(), format!("{what}: 161 instead of 10 to 160"));
    assert_eq!(of(9, 9).unwrap(), format!("{what}: 9 instead of 10 to 160"));
}

#[test]
fn background_tasks_are_ended_once_and_cleaned_up_after() {
    // Ten calls that started a task, and ten that ended it.
    let of = |task: TaskRuns, cleanups| {
        let step = |text: &str| StepPlan {
            name: None,
            timeout: None,
            on_timeout: crate::step::OnTimeout::Fail,
            spec: crate::step::testing::read_step(text).unwrap(),
        };
        let plans = [
            step("{ spawn = { task = 'other', handle = 'h' } }"),
            step("{ cancel = { handle = 'h', cleanup = 'undo' } }"),
        ];
        let tally = Tally { started: 10, ended: 10, ..Tally::default() };
        let edges = [vec![task], vec![runs(cleanups, cleanups)]];
        let places = plans.iter().enumerate().map(|(at, plan)| {
            ((Place { task: "task", step: plan, at: at + 1 }, plan), (&tally, &edges[at]))
        });
        let mut proof = Proof::default();
        proof.background(&places.collect::<Vec<_>>());
        proof.verdict().err()
    };
    let task = |returned, pending, gone| TaskRuns {
        asked: 10,
        returned,
        pending,
        gone,
        ..runs(10, returned)
    };
    assert_eq!((of(task(10, 0, 0), 0), of(task(7, 3, 3), 3)), (None, None));
    let wrong = |task, cleanups| of(task, cleanups).unwrap();
    let what = "wrong result: task task, cancel (step 2)";
    assert_eq!(
        wrong(task(7, 2, 2), 2),
        format!("{what}: background tasks ended: expected 10, found 9")
    );
    assert_eq!(
        wrong(task(7, 3, 2), 3),
        format!("{what}: cancelled tasks that are gone: expected 3, found 2")
    );
    assert_eq!(wrong(task(7, 3, 3), 4), format!("{what}: clean-ups: expected 3, found 4"));
}

#[test]
fn whoever_has_not_ended_at_a_deadline_was_pending() {
    let of = |returned, pending| {
        let (mut plan, mut ledger) = family();
        let text =
            "{ parallel = { task = 'other', count = 16, until = 'deadline', within = '5ms' } }";
        plan.tasks[0].steps[0].spec = crate::step::testing::read_step(text).unwrap();
        ledger.edges[0][0] = TaskRuns { asked: 160, returned, pending, ..TaskRuns::default() };
        wrong(&plan, &ledger)
    };
    assert_eq!((of(160, 0), of(100, 60)), (None, None));
    let what = "task task, parallel (step 1): runs of other that ended or were pending";
    assert_eq!(of(100, 59).unwrap(), format!("{what}: 159 instead of 160"));
    assert_eq!(of(100, 61).unwrap(), format!("{what}: 161 instead of 160"));
}

#[test]
fn children_of_batches_and_windows_have_all_ended_and_were_never_too_many() {
    let of = |text: &str, returned, most_at_once| {
        let (mut plan, mut ledger) = family();
        plan.tasks[0].steps[0].spec = crate::step::testing::read_step(text).unwrap();
        ledger.edges[0][0] = TaskRuns { asked: 160, returned, most_at_once, ..TaskRuns::default() };
        wrong(&plan, &ledger)
    };
    let what = "task task, parallel (step 1): runs of other";
    for bound in ["batch", "at_once"] {
        let text = format!("{{ parallel = {{ task = 'other', count = 16, {bound} = 4 }} }}");
        assert_eq!((of(&text, 160, 4), of(&text, 160, 1)), (None, None));
        let (fifth, nobody) = (of(&text, 160, 5).unwrap(), of(&text, 160, 0).unwrap());
        assert_eq!(fifth, format!("{what}, most at once: 5 instead of 1 to 4"));
        assert_eq!(nobody, format!("{what}, most at once: 0 instead of 1 to 4"));
        let lost = of(&text, 159, 4).unwrap();
        assert_eq!(lost, format!("{what} that ended: 159 instead of 160"));
    }
}

#[test]
fn children_that_are_taken_as_they_end_have_all_ended_and_come_in_that_order() {
    let of = |returned, seen_late| {
        let (mut plan, mut ledger) = family();
        let text =
            "{ parallel = { task = 'other', count = 16, then = 'risky', consume = 'completion' } }";
        plan.tasks[0].steps[0].spec = crate::step::testing::read_step(text).unwrap();
        let child = TaskRuns { asked: 160, returned, seen_late, ..TaskRuns::default() };
        ledger.edges[0] = vec![child, runs(160, 160)];
        for step in &mut ledger.steps[4..] {
            (step.started, step.ended) = (320, 320);
        }
        wrong(&plan, &ledger)
    };
    assert_eq!(of(160, 0), None);
    let what = "task task, parallel (step 1): runs of other";
    let late = format!("{what} seen after one that ended later: 1 instead of 0");
    assert_eq!(of(160, 1).unwrap(), late);
    assert_eq!(of(159, 0).unwrap(), format!("{what} that ended: 159 instead of 160"));
}

#[test]
fn a_retry_makes_an_attempt_and_no_more_than_it_may() {
    let of = |attempts| {
        of_combinator("{ retry = { task = 'other', attempts = 3 } }", attempts, attempts)
    };
    assert_eq!((of(10), of(30)), (None, None));
    let what = "task task, retry (step 1): runs of other";
    assert_eq!(of(9).unwrap(), format!("{what}: 9 instead of 10 to 30"));
    assert_eq!(of(31).unwrap(), format!("{what}: 31 instead of 10 to 30"));
}

#[test]
fn a_retry_with_a_budget_makes_no_more_attempts_than_that_has() {
    let of = |budget: &str, attempts| {
        let text = format!("{{ retry = {{ task = 'other', attempts = 4, budget = {budget} }} }}");
        of_combinator(&text, attempts, attempts)
    };
    // Ten first attempts, the reserve of ten, and what ten tasks add.
    assert_eq!((of("0.1", 10), of("0.1", 21), of("0.25", 22)), (None, None, None));
    let what = "task task, retry (step 1): runs of other";
    assert_eq!(of("0.1", 22).unwrap(), format!("{what}: 22 instead of 10 to 21"));
    assert_eq!(of("0.25", 23).unwrap(), format!("{what}: 23 instead of 10 to 22"));
    // Each task's own attempts are a bound still.
    assert_eq!(of("2.5", 41).unwrap(), format!("{what}: 41 instead of 10 to 40"));
}

#[test]
fn what_a_target_checked_by_itself_is_part_of_the_proof() {
    let line =
        |found: &str| ProofLine { what: "rows".into(), expected: "3".into(), found: found.into() };
    let report = |found| TargetReport {
        name: "db".into(),
        proof: vec![line(found)],
        ..TargetReport::default()
    };
    assert!(checked(report("3")).unwrap().contains(&line("3")));
    assert_eq!(checked(report("2")).unwrap_err(), "wrong result: rows: expected 3, found 2");
}
