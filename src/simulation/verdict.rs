//! What the analysis says of simulated loads: verdicts on what is known to be right, late, too
//! much, or miscounted.

use std::time::Duration;

use super::{
    closed::{WINDOW_NS, come_and_go, constant_loop},
    open::{MS, SECOND, late, overloaded, queues},
    rig::{Landed, run_closed},
    server::{Server, Service},
};
use crate::{
    analysis::{Judgement, Validity, analyse},
    load::ClientStage,
    measure::Measurements,
    scenario::LoadKind,
    store::fixture::{Fixture, kind},
    units::Distribution,
};

/// The verdict on a cell whose rounds have all measured this.
pub(super) fn judge(
    load: &str,
    (clients, think_ns): (u64, u64),
    measured: &Measurements,
) -> Judgement {
    let think = Distribution::Const(Duration::from_nanos(think_ns));
    judge_load(
        measured,
        if load == "closed" { closed_kind(clients, think, &[]) } else { kind(load) },
    )
}

fn closed_kind(concurrency: u64, think: Distribution, stages: &[ClientStage]) -> LoadKind {
    let (stages, drain) = (stages.to_vec(), Duration::from_secs(5));
    LoadKind::Closed { concurrency, stages, think, tasks: None, drain }
}

fn judge_load(measured: &Measurements, kind: LoadKind) -> Judgement {
    let run = Fixture::closed("threads", 7).cell("threads", &[], &[100.0; 7]);
    let run = run.with(|run| run.header.cells[0].loads[0].kind = kind);
    let simulated = |_, of_round: &mut Measurements| *of_round = measured.clone();
    let analysis = analyse(&run.measured("demo::threads", simulated).build());
    analysis.scenarios[0].groups[0].cells[0].judgement.clone()
}

/// A closed load as a trial stores it.
fn closed(clients: u64, think_ns: u64, workers: usize) -> Measurements {
    let (_, ran) = constant_loop(clients, think_ns, workers);
    Measurements {
        window_ns: WINDOW_NS,
        completed: ran.outcome.completed,
        task: ran.task,
        ..Measurements::default()
    }
}

/// An open load as a trial stores it.
fn open(ran: Landed, window_ns: u64) -> Measurements {
    Measurements {
        window_ns,
        completed: ran.totals.completed,
        task: ran.task,
        arrivals: Some(ran.account.arrivals),
        ..Measurements::default()
    }
}

/// Little's law, as the analysis applies it to every closed load.
#[test]
fn the_law_accepts_closed_loads_and_rejects_doubled_and_lost_records() {
    for (clients, think_ms, workers) in [(1, 0, 1), (9, 0, 4), (2, 5, 1), (7, 2, 3), (10, 3, 2)] {
        let think_ns = think_ms * MS;
        let right = closed(clients, think_ns, workers);
        let verdict = |measured: &Measurements| judge("closed", (clients, think_ns), measured);
        assert_eq!(verdict(&right).validity, Validity::Valid, "{:?}", verdict(&right));

        let mut doubled = right.clone();
        doubled.task.latency.merge(&right.task.latency);
        (doubled.task.count, doubled.completed) = (2 * right.task.count, 2 * right.completed);
        assert_eq!(verdict(&doubled).validity, Validity::Invalid, "{clients} clients");

        let lost = Measurements { completed: right.completed / 2, ..right.clone() };
        assert_eq!(verdict(&lost).validity, Validity::Invalid, "{clients} clients");
    }
}

/// Where clients come and go, their mean number is what the law asks for.
#[test]
fn the_law_knows_clients_that_come_and_go() {
    let (load, stages) = come_and_go();
    let ran = run_closed(load, &Server::new(8, Service::Constant(MS), None, 1));
    let completed = ran.outcome.completed;
    let measured =
        Measurements { window_ns: WINDOW_NS, completed, task: ran.task, ..Measurements::default() };
    let think = Distribution::Const(Duration::ZERO);
    let verdict =
        |stages: &[ClientStage]| judge_load(&measured, closed_kind(4, think, stages)).validity;
    assert_eq!(verdict(&stages), Validity::Valid);
    let twice: Vec<ClientStage> = stages
        .iter()
        .map(|stage| ClientStage { from: 2 * stage.from, to: 2 * stage.to, ..*stage })
        .collect();
    assert_eq!(verdict(&twice), Validity::Invalid);
    assert_eq!(verdict(&[]), Validity::Invalid);
}

#[test]
fn a_punctual_pacer_is_valid_and_a_late_one_is_not() {
    for case in queues(0.7, 10_000) {
        let window_ns = case.load.window_ns();
        let verdict = judge("open", (0, 0), &open(case.run(), window_ns));
        assert_eq!(verdict.validity, Validity::Valid, "{}: {verdict:?}", case.name);
    }
    let verdict = judge("open", (0, 0), &open(late(), 10 * SECOND));
    assert_eq!(verdict.validity, Validity::Invalid, "{verdict:?}");
    assert!(verdict.evidence[0].words.contains("the pacer was late"), "{verdict:?}");
}

#[test]
fn overload_is_a_verdict_with_what_was_offered_and_achieved() {
    let verdict = judge("open", (0, 0), &open(overloaded(), 10 * SECOND));
    assert_eq!(verdict.validity, Validity::Overloaded, "{verdict:?}");
    assert!(verdict.evidence[0].words.contains("10000 of 20000 dropped"), "{verdict:?}");
}
