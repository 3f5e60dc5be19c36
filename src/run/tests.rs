//! The loop with trials that are not run: what is asked for, stored and told, whatever they say.

use std::{cell::RefCell, path::Path, sync::Arc};

use super::*;
use crate::{
    limits::Limits,
    measure::{HostDelta, Measured, Measurements, TrialMeasured},
    plan::{Machine, Plan, Searchable, searches},
    scenario::{Overrides, Scenario, from_text},
    store::{FailureKind, Outcome, Search, TrialFailure, fixture::Fixture, read},
};

/// Answers of trials, by cell and round, and what was asked for.
struct Script<F> {
    answer: F,
    asked: RefCell<Vec<(String, u32)>>,
}

impl<F: Fn(&TrialPlan, usize) -> Option<Outcome>> TrialRunner for Script<F> {
    fn interrupted(&self) -> Option<Interrupted> {
        None
    }

    fn run(
        &self,
        plan: &TrialPlan,
        sequence: u32,
        _: &mut dyn FnMut(&str),
    ) -> Result<TrialRecord, Interrupted> {
        let this = (plan.cell.clone(), plan.round);
        let before = self.asked.borrow().iter().filter(|asked| **asked == this).count();
        let outcome = (self.answer)(plan, before).ok_or(Interrupted("SIGTERM"))?;
        self.asked.borrow_mut().push(this);
        let (cell, round) = (plan.cell.clone(), plan.round);
        let (attempt, started_ms, wall_ns, pid) = (0, 0, 1, 7);
        Ok(TrialRecord { cell, round, sequence, attempt, started_ms, wall_ns, pid, outcome })
    }
}

fn measured(is_disturbed: bool) -> Outcome {
    let host = HostDelta { throttled_ns: u64::from(is_disturbed), ..HostDelta::default() };
    let trial = Arc::new(TrialMeasured { host, ..TrialMeasured::default() });
    Outcome::Measured(Box::new(Measured::new(vec![Measurements::default()], trial)))
}

fn failed() -> Outcome {
    let (kind, reason) = (FailureKind::Crashed, "SIGSEGV".to_owned());
    Outcome::Failed(TrialFailure { kind, reason })
}

fn scenario(load: &str) -> Scenario {
    let text = format!(
        "schema = 1\nname = 's'\n[run]\nrounds = 3\n[tasks.nap]\nsteps = [{{ sleep = {{ time = '1ms' }} }}]\n[load.l]\n\
         task = 'nap'\n{load}\n[executors]\nuse = ['threads', 'tokio', 'smol']\n"
    );
    from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap()
}

fn plan(load: &str) -> Plan {
    let (executor_cpus, target_cpus, limits) = (None, None, Limits::default());
    let machine = Machine { cpus: vec![0], executor_cpus, target_cpus, limits };
    Plan::new(&[scenario(load)], &machine, 1, |_| true)
}

/// What came of a run: how it ended, its file, and what was told.
struct Seen {
    end: RunEnd,
    run: Run,
    told: Vec<String>,
}

fn told(event: &RunEvent<'_>) -> String {
    match event {
        RunEvent::Begins { sequence, .. } => format!("{sequence}"),
        RunEvent::Ended { record, .. } => format!("{}.{}", record.sequence, record.attempt),
        RunEvent::Noticed(Notice::Again(trials)) => format!("again {trials}"),
        RunEvent::Noticed(Notice::Disturbed { round, disturbed, .. }) => {
            let stay = disturbed.iter().filter(|one| one.stays).count();
            format!("round {round}: {} disturbed, {stay} stay", disturbed.len())
        }
        RunEvent::GaveUp { saved, .. } => format!("gave up, saved {saved:?}"),
        RunEvent::LeftBehind(_) => "left behind".into(),
    }
}

/// Goes on with `run` from its file in `folder`, or begins it there.
fn go_on<A: Agenda>(
    folder: &Path,
    header: impl FnOnce() -> Run,
    agenda: impl FnOnce(&Run) -> A,
    answer: impl Fn(&TrialPlan, usize) -> Option<Outcome>,
) -> Seen {
    let (mut writer, mut run) = Writer::open_append(folder).unwrap_or_else(|_| {
        let run = header();
        (Writer::create(folder, &run.header).unwrap(), run)
    });
    let (agenda, script) = (agenda(&run), Script { answer, asked: RefCell::default() });
    let mut all = Vec::new();
    let observe = |event: RunEvent<'_>| all.push(told(&event));
    let end = execute(&agenda, &mut run, &script, &mut writer, observe).unwrap();
    // What it says depends on the run alone.
    let (once, again) = (agenda.next(&run), agenda.next(&run));
    assert_eq!(format!("{once:?}"), format!("{again:?}"));
    let stored = read(folder).unwrap();
    assert_eq!(run.trials, stored.trials, "in hand as on disk");
    assert_eq!(
        (run.finished, run.given_up.len(), run.probes.len()),
        (stored.finished, stored.given_up.len(), stored.probes.len())
    );
    Seen { end, run: stored, told: all }
}

fn header_of(plan: &Plan) -> Run {
    let mut run = Fixture::batch("threads", 3).build();
    run.header.cells = plan.stored();
    Run::new(run.header)
}

/// Runs a fixed plan of three cells and three rounds.
fn fixed(folder: &Path, answer: impl Fn(&TrialPlan, usize) -> Option<Outcome>) -> Seen {
    let plan = plan("batch = { tasks = 1 }");
    go_on(folder, || header_of(&plan), |run| FixedAgenda::new(&plan, run), answer)
}

#[test]
fn a_plan_is_run_in_its_order() {
    let scratch = tempfile::tempdir().unwrap();
    let seen = fixed(scratch.path(), |_, _| Some(measured(false)));
    let expected: Vec<String> = (1..=9).flat_map(|n| [format!("{n}"), format!("{n}.0")]).collect();
    assert_eq!((seen.end, seen.told), (RunEnd::Finished, expected));
    assert!(seen.run.finished && seen.run.missing().is_empty());
    let order = plan("batch = { tasks = 1 }");
    let planned = order.trials.iter().map(|trial| order.name_of(trial));
    assert!(seen.run.trials.iter().map(|t| (t.cell.clone(), t.round)).eq(planned));
}

#[test]
fn what_is_disturbed_is_run_again_at_the_end_of_its_round_twice_at_most() {
    let scratch = tempfile::tempdir().unwrap();
    let seen = fixed(scratch.path(), |plan, before| {
        let until = match plan.cell.as_str() {
            "s::threads" => 1,
            "s::tokio" => 99,
            _ => 0,
        };
        Some(measured(plan.round == 2 && before < until))
    });
    assert_eq!((seen.end, seen.run.trials.len()), (RunEnd::Finished, 12));
    let round: Vec<(&str, u32)> = seen.run.trials[3..9]
        .iter()
        .filter(|trial| trial.round == 2)
        .map(|trial| (trial.cell.as_str(), trial.attempt))
        .collect();
    assert_eq!(round.len(), 6);
    assert!(round[..3].iter().all(|(_, attempt)| *attempt == 0));
    let again: Vec<_> = round[3..].iter().filter(|(_, attempt)| *attempt == 1).collect();
    assert_eq!((again.len(), round[5]), (2, ("s::tokio", 2)));
    let notices = seen.told.iter().filter(|told| told.contains("again") || told.contains("round"));
    assert_eq!(notices.collect::<Vec<_>>(), ["again 2", "again 1", "round 2: 2 disturbed, 1 stay"]);
}

#[test]
fn a_run_that_was_interrupted_goes_on_and_leaves_old_disturbances_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let seen = fixed(scratch.path(), |plan, before| {
        // The second round's first pass has ended, and all of it is to be run again.
        if plan.round == 2 && before > 0 { None } else { Some(measured(plan.round == 2)) }
    });
    assert_eq!((seen.end, seen.run.trials.len()), (RunEnd::Interrupted("SIGTERM"), 6));
    assert_eq!(seen.run.interruptions, ["SIGTERM"]);
    assert_eq!(seen.told.last().map(String::as_str), Some("4"), "{:?}", seen.told);
    let seen = fixed(scratch.path(), |_, _| Some(measured(false)));
    assert_eq!((seen.end, seen.run.trials.len()), (RunEnd::Finished, 9));
    assert_eq!(seen.told[0], "7");
}

#[test]
fn what_failed_is_run_again_when_it_is_taken_up_and_counts_its_attempts() {
    let scratch = tempfile::tempdir().unwrap();
    let fails = |plan: &TrialPlan| plan.cell == "s::tokio" && plan.round == 3;
    let seen =
        fixed(scratch.path(), |plan, _| Some(if fails(plan) { failed() } else { measured(false) }));
    assert_eq!((seen.end, seen.run.missing().len()), (RunEnd::Finished, 1));
    let seen = fixed(scratch.path(), |_, _| Some(measured(false)));
    let last = seen.run.trials.last().unwrap();
    assert_eq!((seen.run.trials.len(), last.attempt, seen.told.len()), (10, 1, 2));
    assert!(fails(&TrialPlan { round: last.round, ..first_plan(&last.cell) }));
}

fn first_plan(cell: &str) -> TrialPlan {
    let plan = plan("batch = { tasks = 1 }");
    plan.cells.iter().find(|known| known.stored.name == cell).unwrap().trial.clone()
}

#[test]
fn what_fails_everywhere_is_given_up_and_taken_up_again() {
    let scratch = tempfile::tempdir().unwrap();
    let seen = fixed(scratch.path(), |_, _| Some(failed()));
    assert_eq!((seen.end, seen.run.trials.len()), (RunEnd::GaveUp, 3));
    assert_eq!(seen.told.last().map(String::as_str), Some("gave up, saved Some(6)"));
    assert_eq!((seen.run.given_up.len(), seen.run.finished), (1, false));
    // In the last round there is nothing to save, so that nothing is given up.
    let seen = fixed(scratch.path(), |plan, _| {
        Some(if plan.round == 3 { failed() } else { measured(false) })
    });
    assert_eq!((seen.end, seen.run.trials.len()), (RunEnd::Finished, 12));
    assert_eq!(seen.run.given_up.len(), 1);
}

/// Searches from 1000 arrivals a second for the rate of each executor.
fn search(folder: &Path, answer: impl Fn(&TrialPlan, usize) -> Option<Outcome>) -> Seen {
    let plan = plan("open = { rate = '1k/s' }").cells;
    let cells: Vec<Searchable> = searches(&plan, None, 0.5, |_| &[]).unwrap();
    let header = || {
        let mut run = Fixture::closed("threads", 1).build();
        run.header.search = Some(Search {
            cells: cells.iter().map(Searchable::stored).collect(),
            precision: 0.5,
            most_trials: 5,
            highest: 4_000.0,
        });
        Run::new(run.header)
    };
    go_on(folder, header, |run| SearchAgenda::new(&cells, run), answer)
}

/// The executor of each trial.
fn executors(run: &Run) -> Vec<String> {
    let name = |trial: &TrialRecord| trial.cell.split("::").nth(1).unwrap().to_owned();
    run.trials.iter().map(name).collect()
}

#[test]
fn cells_of_a_search_advance_side_by_side() {
    let scratch = tempfile::tempdir().unwrap();
    // Every rate is too much, though one was measured at first: then failing is an answer.
    let seen = search(scratch.path(), |plan, before| {
        let first = plan.cell.contains("tokio") && before == 0;
        Some(if first { measured(false) } else { failed() })
    });
    assert_eq!(seen.end, RunEnd::Finished);
    let order = executors(&seen.run);
    assert!(order.len() >= 6, "{order:?}");
    for pass in order.chunks(3).take(2) {
        let mut pass = pass.to_vec();
        pass.sort();
        assert_eq!(pass, ["smol", "threads", "tokio"], "{order:?}");
    }
    assert!(seen.run.probes.len() >= 3);
    let named = |trial: &TrialRecord| seen.run.probes.iter().any(|p| p.cell.name == trial.cell);
    assert!(seen.run.trials.iter().all(named), "each rate is stored before its first trial");
}

#[test]
fn an_interrupted_search_asks_for_what_it_had_asked_for() {
    let scratch = tempfile::tempdir().unwrap();
    let stopped = search(scratch.path(), |plan, before| {
        (before == 0 && plan.round == 1).then(|| measured(false))
    });
    assert_eq!(stopped.end, RunEnd::Interrupted("SIGTERM"));
    let seen = search(scratch.path(), |_, _| Some(measured(false)));
    assert_eq!(seen.end, RunEnd::Finished);
    assert!(seen.run.trials.starts_with(&stopped.run.trials));
    let whole = tempfile::tempdir().unwrap();
    let whole = search(whole.path(), |_, _| Some(measured(false)));
    let all = |run: &Run| {
        let mut all: Vec<_> = run.trials.iter().map(|t| (t.cell.clone(), t.round)).collect();
        all.sort();
        all
    };
    assert_eq!(all(&seen.run), all(&whole.run), "neither more trials nor fewer");
}

#[test]
fn a_search_in_which_nothing_was_measured_is_given_up() {
    let scratch = tempfile::tempdir().unwrap();
    let seen = search(scratch.path(), |_, _| Some(failed()));
    assert_eq!((seen.end, seen.run.trials.len()), (RunEnd::GaveUp, 3));
    assert_eq!(seen.told.last().map(String::as_str), Some("gave up, saved None"));
}
