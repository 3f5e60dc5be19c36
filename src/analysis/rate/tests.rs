//! Searches over trials that are made up: what is asked for, and what is answered.

use super::*;
use crate::{
    analysis::Validity,
    measure::{Arrivals, Measurements, TrialMeasured},
    scenario::{Comparison, SloMetric},
    store::{
        FailureKind, Header, Line, StoredCell, StoredLoad, TrialFailure,
        fixture::{Fixture, kind},
    },
};

/// Rates up to this pass.
const CAPACITY: f64 = 3_000.0;

/// A search from 1000/s for the rate at which `request.latency.p99` reaches 25 ms.
fn search() -> Run {
    let run =
        Fixture::closed("threads", 1).cell("threads", &[], &[]).cell("tokio", &[], &[]).build();
    let mut header: Header = run.header;
    let cells = std::mem::take(&mut header.cells);
    let open = |cell: StoredCell| SearchedCell {
        cell: StoredCell {
            loads: vec![StoredLoad { kind: kind("open"), ..cell.loads[0].clone() }],
            ..cell
        },
        start: 1_000.0,
    };
    header.search = Some(Search {
        cells: cells.into_iter().map(open).collect(),
        precision: 0.05,
        most_trials: 5,
        highest: 1e6,
    });
    header.scenarios[0].slos = vec![Slo {
        assert: "request.latency.p99 < 25ms".into(),
        subject: "request".into(),
        metric: SloMetric::Latency(0.99),
        comparison: Comparison::Below,
        limit: 25e6,
        only: Vec::new(),
        line: 1,
    }];
    Run::new(header)
}

/// One second at a rate, in which all latencies are the same.
fn measured(rate: f64, latency_ns: u64) -> Measurements {
    let arrived = rate as u64;
    let mut measured =
        Measurements { window_ns: 1_000_000_000, completed: arrived, ..Measurements::default() };
    measured.task.count = arrived;
    measured.task.latency.0.saturating_record_n(latency_ns, arrived);
    measured.task.service.0.saturating_record_n(1_000_000, arrived);
    measured.arrivals = Some(Arrivals { scheduled: arrived, ..Arrivals::default() });
    measured
}

/// Does what a search asks for until it asks for nothing more; the outcome of a trial is a function
/// of the executor, the rate and how many trials the rate has had.
fn run_search(mut run: Run, outcome: impl Fn(&str, RateTrial) -> Outcome) -> (Run, RateSearch) {
    for _ in 0..1_000 {
        let found = rate_search(&run).expect("is a search");
        let Some((cell, trial)) = found.cells.iter().find_map(|cell| Some((cell, cell.trial()?)))
        else {
            return (run, found);
        };
        let of = cell.cell.clone();
        let name = format!("{of}::rate={}", trial.rate);
        let outcome = outcome(&cell.executor, trial);
        if !run.probes.iter().any(|probe| probe.cell.name == name) {
            let searched = run.header.search.iter().flat_map(|search| &search.cells);
            let template = searched
                .clone()
                .find(|searched| searched.cell.name == of)
                .expect("known")
                .cell
                .clone();
            let cell = StoredCell { name: name.clone(), rounds: 1, ..template };
            run.take(Line::Probe(Box::new(Probe { of, rate: trial.rate, cell })));
        }
        run.take(Line::Trial(Box::new(TrialRecord {
            cell: name,
            round: trial.round,
            sequence: 0,
            attempt: trial.attempt,
            started_ms: 0,
            wall_ns: 0,
            pid: 0,
            outcome,
        })));
    }
    panic!("no end: {:#?}", rate_search(&run));
}

fn passing(rate: f64) -> Outcome {
    let latency_ns = if rate <= CAPACITY { 10_000_000 } else { 30_000_000 };
    Outcome::Measured(Box::new(measured(rate, latency_ns).into()))
}

#[test]
fn a_search_ends_with_what_encloses_the_capacity() {
    let (run, found) = run_search(search(), |_, trial| passing(trial.rate));
    for cell in &found.cells {
        let RateState::Answered(SearchAnswer::Found { passes, fails }) = cell.state else {
            panic!("{cell:#?}")
        };
        assert!(
            passes <= CAPACITY && CAPACITY < fails && fails / passes <= 1.05,
            "{passes} to {fails}"
        );
        // Two trials a rate decide.
        assert!(cell.rates.iter().all(|tried| tried.votes.all() == 2), "{cell:#?}");
        assert_eq!(cell.why(), Some("`request.latency.p99 < 25ms` does not hold: 30.0ms"));
        assert!(
            cell.at(passes).unwrap().values[0].is_some_and(|ns| (ns / 10e6 - 1.0).abs() < 0.001)
        );
    }
    let (Some(low), Some(high)) = found.cells[0].times(&found.cells[1]) else {
        panic!("{found:#?}")
    };
    assert!(low < 1.0 && 1.0 < high && high / low < 1.11);
    assert!(
        run.header.cells.iter().all(|cell| cell.rounds == 2),
        "cells have as many rounds as they took"
    );
    assert!(run.missing().is_empty());
    assert!(
        !found.has_failures()
            && !found.has_nothing()
            && !found.is_inconclusive()
            && !found.has_refusals()
    );
}

#[test]
fn dropped_arrivals_fail_whatever_the_latency() {
    let dropping = |rate: f64| {
        let mut measured = measured(rate, 1_000_000);
        if rate > CAPACITY {
            let arrivals = measured.arrivals.as_mut().unwrap();
            (arrivals.dropped, arrivals.scheduled) = (1, arrivals.scheduled + 1);
        }
        Outcome::Measured(Box::new(measured.into()))
    };
    let (_, found) = run_search(search(), |_, trial| dropping(trial.rate));
    let why = found.cells[0].why().unwrap();
    assert!(why.starts_with("OVERLOADED: offered") && why.contains("1 of"), "{why}");
    assert!(matches!(found.cells[0].state, RateState::Answered(SearchAnswer::Found { .. })));
}

#[test]
fn disturbed_trials_are_run_again_and_then_decide_nothing() {
    let disturbed = |rate: f64| {
        let mut measured = measured(rate, 1_000_000);
        measured.trial_mut().host.throttled_ns = 1;
        Outcome::Measured(Box::new(measured.into()))
    };
    // The first attempt of each first round.
    let (run, found) = run_search(search(), |_, trial| {
        if (trial.round, trial.attempt) == (1, 0) {
            disturbed(trial.rate)
        } else {
            passing(trial.rate)
        }
    });
    assert!(
        matches!(found.cells[0].state, RateState::Answered(SearchAnswer::Found { .. })),
        "{:#?}",
        found.cells[0]
    );
    assert_eq!(run.trials.len(), run.probes.len() * 3);
    assert!(found.cells[0].rates.iter().all(|tried| tried.votes.open == 0));

    let (run, found) = run_search(search(), |_, trial| disturbed(trial.rate));
    let RateState::Answered(SearchAnswer::Inconclusive { passes: None, fails: None }) =
        found.cells[0].state
    else {
        panic!("{:#?}", found.cells[0])
    };
    // Six of one cell, and one more of the other to see that it is no better there.
    assert_eq!((run.trials.len(), run.probes.len()), (7, 2));
    assert!(found.is_inconclusive());
    let (why, remedy) = found.cells[0].rates[0].doubt().expect("nothing else is known");
    assert!(
        why.starts_with("DISTURBED: ") && remedy == Validity::Disturbed.remedy(),
        "{why}; {remedy}"
    );
}

#[test]
fn a_rate_that_the_host_does_not_let_decide_ends_its_cell_with_what_is_known() {
    // The host is quiet up to twice the first rate, and then for the other cell only.
    let (run, found) = run_search(search(), |executor, trial| {
        let Outcome::Measured(measured) = passing(trial.rate) else { panic!("measured") };
        let throttled = executor == "threads" && trial.rate > 2_000.0;
        let change = |trial: &mut TrialMeasured| trial.host.throttled_ns = u64::from(throttled);
        Outcome::Measured(Box::new(measured.with_trial(change)))
    });
    let expected =
        RateState::Answered(SearchAnswer::Inconclusive { passes: Some(2_000.0), fails: None });
    assert_eq!(found.cells[0].state, expected);
    let at = |rate: f64| {
        run.trials
            .iter()
            .filter(|trial| trial.cell == format!("demo::threads::rate={rate}"))
            .count()
    };
    assert_eq!((at(1_000.0), at(2_000.0), at(4_000.0)), (2, 2, 6));
    assert!(matches!(found.cells[1].state, RateState::Answered(SearchAnswer::Found { .. })));
    let (why, remedy) = found.cells[0].at(4_000.0).unwrap().doubt().expect("it is the host");
    assert!(why.starts_with("DISTURBED: ") && remedy == Validity::Disturbed.remedy());
}

#[test]
fn a_late_pacer_and_few_samples_have_remedies_of_their_own() {
    let doubt = |change: fn(&mut Measurements)| {
        let outcome = |rate: f64| {
            let mut measured = measured(rate, 1_000_000);
            change(&mut measured);
            Outcome::Measured(Box::new(measured.into()))
        };
        let (_, found) = run_search(search(), |_, trial| outcome(trial.rate));
        found.cells[0].rates[0]
            .doubt()
            .map(|(why, remedy)| (why.to_owned(), remedy))
            .expect("nothing else is known")
    };
    let late = |measured: &mut Measurements| {
        let arrivals = measured.arrivals.as_mut().expect("an open load");
        arrivals.pacer.0.saturating_record_n(900_000, arrivals.scheduled);
    };
    let (why, remedy) = doubt(late);
    assert!(
        why.starts_with("INVALID: the pacer was late") && remedy == Validity::Invalid.remedy(),
        "{why}; {remedy}"
    );
    let few = |measured: &mut Measurements| {
        measured.completed = 10;
        measured.task.count = 10;
        measured.task.latency = crate::measure::Histo::new();
        measured.task.latency.0.saturating_record_n(1_000_000, 10);
        measured.arrivals = Some(Arrivals { scheduled: 10, ..Arrivals::default() });
    };
    assert_eq!(
        doubt(few),
        ("too few samples for `request.latency.p99 < 25ms`: raise --duration".to_owned(), "")
    );
}

#[test]
fn what_a_rate_fails_for_is_a_limit_and_not_what_a_disturbed_trial_says() {
    let (_, found) = run_search(search(), |_, trial| {
        let mut measured =
            measured(trial.rate, if trial.rate > CAPACITY { 30_000_000 } else { 1_000_000 });
        measured.trial_mut().host.throttled_ns = u64::from(trial.round == 1);
        Outcome::Measured(Box::new(measured.into()))
    });
    let why = found.cells[0].why().expect("higher rates fail");
    assert!(why.contains("does not hold: 30"), "{why}");
}

#[test]
fn contradicting_trials_are_inconclusive() {
    let noisy = |trial: RateTrial| {
        let (low, high) = (2_000.0, 4_000.0);
        let passes = trial.rate <= low || (trial.rate < high && trial.round.is_multiple_of(2));
        Outcome::Measured(Box::new(
            measured(trial.rate, if passes { 10_000_000 } else { 30_000_000 }).into(),
        ))
    };
    let (_, found) = run_search(search(), |_, trial| noisy(trial));
    let RateState::Answered(SearchAnswer::Inconclusive {
        passes: Some(passes),
        fails: Some(fails),
    }) = found.cells[0].state
    else {
        panic!("{:#?}", found.cells[0])
    };
    assert!(passes <= 2_000.0 && fails >= 4_000.0 && fails / passes < 2.3, "{passes} to {fails}");
    let open = found.cells[0]
        .rates
        .iter()
        .find(|tried| tried.decision == Some(Decision::Undecided))
        .expect("some");
    assert!(
        open.doubt().is_none() && open.miss().is_some_and(|why| why.contains("does not hold")),
        "{open:?}"
    );
}

#[test]
fn what_cannot_run_at_all_ends_at_once() {
    let failing = |executor: &str, rate: f64| match executor {
        "tokio" => {
            let kind = FailureKind::Crashed;
            Outcome::Failed(TrialFailure { kind, reason: "SIGSEGV".into() })
        }
        _ => passing(rate),
    };
    let (_, found) = run_search(search(), |executor, trial| failing(executor, trial.rate));
    assert_eq!(found.cells[1].state, RateState::Failed("FAILED: SIGSEGV".into()));
    assert_eq!(found.cells[1].rates.len(), 1);
    assert!(
        found.has_failures()
            && matches!(found.cells[0].state, RateState::Answered(SearchAnswer::Found { .. }))
    );
    // What fails beyond a rate that passes is an end like any other.
    let crashing = |rate: f64| if rate > CAPACITY { failing("tokio", rate) } else { passing(rate) };
    let (_, found) = run_search(search(), |_, trial| crashing(trial.rate));
    assert!(matches!(found.cells[1].state, RateState::Answered(SearchAnswer::Found { .. })));
    assert_eq!(found.cells[1].why(), Some("FAILED: SIGSEGV"));
}

#[test]
fn too_few_samples_decide_nothing_and_say_so() {
    let (_, found) = run_search(search(), |_, trial| {
        Outcome::Measured(Box::new(measured(trial.rate / 100.0, 1).into()))
    });
    assert!(found.is_inconclusive() || found.has_nothing());
    let said = found.cells[0].rates.iter().flat_map(|tried| &tried.reasons);
    assert!(
        said.clone().any(|why| why.contains("too few samples") && why.contains("--duration")),
        "{found:#?}"
    );
}

#[test]
fn other_runs_are_no_searches() {
    assert_eq!(rate_search(&Fixture::closed("threads", 1).build()), None);
}

#[test]
fn who_is_ahead_is_named_only_where_no_other_can_be() {
    let of = |bounds: &[(&str, Option<f64>, Option<f64>)]| {
        let (_, found) = run_search(search(), |_, trial| passing(trial.rate));
        let cell = |&(name, passes, fails): &(&str, Option<f64>, Option<f64>)| RateResult {
            cell: name.into(),
            state: RateState::Answered(SearchAnswer::Inconclusive { passes, fails }),
            ..found.cells[0].clone()
        };
        let cells: Vec<RateResult> = bounds.iter().map(cell).collect();
        rate_leader(&cells.iter().collect::<Vec<_>>()).map(|cell| cell.cell.clone())
    };
    let (low, high) = (("low", Some(1_000.0), Some(1_050.0)), ("high", Some(2_000.0), None));
    assert_eq!(of(&[low, high]).as_deref(), Some("high"));
    assert_eq!(of(&[low, ("near", Some(1_040.0), Some(1_090.0))]), None, "their bounds overlap");
    assert_eq!(of(&[low, high, ("open", Some(1.0), None)]), None, "it may be higher");
    assert_eq!(of(&[high]), None, "alone");
}
