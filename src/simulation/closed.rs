//! Oracles of the closed load.

use std::time::Duration;

use super::{
    laws::Loop,
    oracle::Oracle,
    rig::{Ran, run_closed, run_drained},
    server::{Freeze, Server, Service},
};
use crate::{
    load::{ClientStage, Closed, ClosedEnd, Drained, attendance},
    units::Distribution,
};

const MS: u64 = 1_000_000;
const SERVICE_NS: u64 = MS;
const DRAIN_NS: u64 = 5_000 * MS;
pub(super) const WINDOW_NS: u64 = 1_000 * MS;

/// A load of clients that always think as long.
fn load(clients: u64, think_ns: u64, end: ClosedEnd, warmup_ns: u64) -> Closed {
    let think = Distribution::Const(Duration::from_nanos(think_ns));
    Closed { clients, stages: None, think, end, warmup_ns, drain_ns: DRAIN_NS, seed: 42 }
}

/// A loop of constant service, measured for a second of virtual time after it has found its rhythm.
pub(super) fn constant_loop(clients: u64, think_ns: u64, workers: usize) -> (Loop, Ran) {
    let law = Loop {
        clients: clients as u32,
        think: think_ns as f64,
        service: SERVICE_NS as f64,
        workers: workers as u32,
    };
    let server = Server::new(workers, Service::Constant(SERVICE_NS), None, 1);
    let load = load(clients, think_ns, ClosedEnd::After(WINDOW_NS), 100 * MS);
    (law, run_closed(load, &server))
}

/// How far Little's law is from N = X·(R + Z) in a window, as a share of N.
fn little_off(law: &Loop, throughput: f64, mean_latency: f64) -> f64 {
    throughput * (mean_latency + law.think) / f64::from(law.clients) - 1.0
}

#[test]
fn closed_throughput_is_what_clients_ask_for_or_workers_can_do() {
    for (clients, think_ms, workers) in
        [(1, 0, 1), (4, 0, 1), (9, 0, 4), (2, 5, 1), (4, 2, 1), (10, 3, 2), (3, 1, 8)]
    {
        let (law, ran) = constant_loop(clients, think_ms * MS, workers);
        let expected = law.constant_throughput() * WINDOW_NS as f64;
        // What is under way at an edge of the window is counted in it or not: at most one task per
        // client.
        let off = ran.outcome.completed as f64 - expected;
        assert!(
            off.abs() <= clients as f64,
            "{law:?}: {} instead of {expected}",
            ran.outcome.completed
        );
        assert_eq!(ran.served, ran.outcome.total_tasks, "{law:?}");
    }
}

/// Where the clients can be shared out evenly, all of their tasks wait equally long.
#[test]
fn closed_latencies_are_exact() {
    for (clients, think_ms, workers) in
        [(1, 0, 1), (4, 0, 1), (8, 0, 4), (2, 5, 1), (4, 2, 1), (10, 3, 2), (3, 1, 8)]
    {
        let (law, ran) = constant_loop(clients, think_ms * MS, workers);
        let expected_ns = law.latency_at(law.constant_throughput()).round() as u64;
        let oracle = Oracle::constant(expected_ns, ran.task.count);
        assert_eq!(oracle.check(&ran.task.latency), Ok(()), "{law:?}");
        assert_eq!((ran.task.lateness.0.max(), ran.task.service), (0, ran.task.latency), "{law:?}");
    }
}

/// With uneven shares, latencies differ and Little's law gives their mean.
#[test]
fn littles_law_holds_in_closed_loops() {
    for (clients, think_ms, workers) in [(9, 0, 4), (7, 2, 3), (5, 1, 2), (16, 0, 5)] {
        let (law, ran) = constant_loop(clients, think_ms * MS, workers);
        let throughput = ran.outcome.completed as f64 / WINDOW_NS as f64;
        let off = little_off(&law, throughput, ran.task.latency.0.mean());
        assert!(off.abs() < 0.005, "{law:?}: {off}");
    }
}

/// Exponential service, by mean-value analysis, at few clients and at many. Little's law holds
/// whatever the service.
#[test]
fn exponential_loops_are_those_of_mean_value_analysis() {
    for (clients, think_ms) in [(1, 0), (3, 0), (4, 3), (12, 8)] {
        let law =
            Loop { clients, think: (think_ms * MS) as f64, service: SERVICE_NS as f64, workers: 1 };
        let server = Server::new(1, Service::Exponential(SERVICE_NS), None, 5);
        let load = load(u64::from(clients), think_ms * MS, ClosedEnd::Tasks(30_000), 100 * MS);
        let ran = run_closed(load, &server);
        let throughput = ran.outcome.completed as f64 / ran.outcome.window_ns as f64;
        let expected = law.exponential_throughput();
        assert!(
            (throughput / expected - 1.0).abs() < 0.02,
            "{law:?}: {throughput} instead of {expected}"
        );
        let mean = ran.task.latency.0.mean();
        assert!((mean / law.latency_at(expected) - 1.0).abs() < 0.03, "{law:?}: {mean}");
        assert!(little_off(&law, throughput, mean).abs() < 0.005, "{law:?}");
    }
}

/// Coordinated omission, which a closed load has by its nature: a client that is asked for 1 000
/// tasks a second does nothing while the server stands still for 100 ms of each second. In a minute
/// it loses 6 000 tasks, and one task a second says so: not even p99 shows a tenth of the time
/// (METHODOLOGY, "What latency means").
#[test]
fn a_closed_load_hides_a_stall() {
    let service_ns = MS / 10;
    let freeze = Freeze { every_ns: 1_000 * MS, length_ns: 100 * MS };
    let server = Server::new(1, Service::Constant(service_ns), Some(freeze), 1);
    let load = load(1, MS - service_ns, ClosedEnd::Tasks(54_000), 0);
    let ran = run_closed(load, &server);
    let window_s = ran.outcome.window_ns as f64 / 1e9;
    assert!((window_s - 60.0).abs() < 0.2, "{window_s} s for 54 000 tasks");
    let latency = &ran.task.latency;
    for p in [0.5, 0.9, 0.99] {
        let found = latency.quantile(p).expect("enough samples");
        assert!(latency.0.equivalent(found, service_ns), "p{p}: {found}");
    }
    assert!(latency.0.equivalent(latency.0.max(), service_ns + 100 * MS));
    let stalled = latency.0.count_between(MS, u64::MAX);
    assert_eq!(stalled, 60);
}

/// Think times that are drawn: mean-value analysis asks for their mean only, whatever their
/// distribution.
#[test]
fn drawn_think_times_make_the_loop_of_their_mean() {
    let lognormal = "lognormal(2ms, p99=12ms)".parse().expect("a distribution");
    for (clients, think) in [(4, Distribution::Exp(Duration::from_millis(3))), (12, lognormal)] {
        let think_ns = Distribution::mean(&think).as_nanos() as f64;
        let law = Loop { clients, think: think_ns, service: SERVICE_NS as f64, workers: 1 };
        let server = Server::new(1, Service::Exponential(SERVICE_NS), None, 5);
        let load =
            Closed { think, ..load(u64::from(clients), 0, ClosedEnd::Tasks(60_000), 100 * MS) };
        let ran = run_closed(load, &server);
        let throughput = ran.outcome.completed as f64 / ran.outcome.window_ns as f64;
        let expected = law.exponential_throughput();
        assert!(
            (throughput / expected - 1.0).abs() < 0.02,
            "{law:?}: {throughput} instead of {expected}"
        );
    }
}

/// Clients that come and go over a second: one, a ramp to four, four, two, a ramp from four to
/// none.
pub(super) fn come_and_go() -> (Closed, Vec<ClientStage>) {
    let stages = [(1, 1, 100), (1, 4, 300), (4, 4, 100), (2, 2, 100), (4, 0, 400)];
    let stages = stages.map(|(from, to, ms)| ClientStage { from, to, length_ns: ms * MS });
    let load = load(4, 0, ClosedEnd::After(WINDOW_NS), 100 * MS);
    (Closed { stages: Some((2, stages.into())), ..load }, stages.to_vec())
}

/// Each client makes a call each millisecond while it takes part, and the last that it makes then
/// ends.
#[test]
fn clients_that_come_and_go_make_calls_while_they_take_part() {
    let (load, stages) = come_and_go();
    let server = Server::new(8, Service::Constant(SERVICE_NS), None, 1);
    let ran = run_closed(load, &server);
    let (time_ns, leaves) = attendance(&stages);
    assert_eq!((time_ns, leaves), (1_900.0 * MS as f64, 6));
    // The two that were under way when the window began ended in it.
    assert_eq!((ran.task.count, ran.outcome.completed), (1_900, 1_902));
    // The two clients of the warm-up are counted apart.
    assert_eq!(ran.outcome.total_tasks, 2 * 100 + 1_900);
    assert_eq!(ran.task.latency, ran.task.service, "who joins later is not late");
}

/// In one slot the clients take turns, and one that comes later keeps nobody waiting before.
#[test]
fn a_slot_waits_for_no_client_that_has_not_come() {
    let (load, _) = come_and_go();
    let server = Server::new(8, Service::Constant(SERVICE_NS), None, 1);
    let (ran, drained) = run_drained(load, WINDOW_NS, 1, &server);
    // Somebody takes part for 900 ms; one turn more or less at each edge was due on the other side
    // of it.
    assert!((899..=901).contains(&drained.measured), "{}", drained.measured);
    assert_eq!((ran.task.censored, drained.clients), (0, 4));
}

/// Clients that think for very different times share a slot: who is due goes, whoever else still
/// thinks.
#[test]
fn a_slot_is_there_for_whoever_is_due() {
    let think = Distribution::Exp(Duration::from_millis(50));
    let server = Server::new(8, Service::Constant(MS / 100), None, 1);
    let load = Closed { think, ..load(20, 0, ClosedEnd::After(WINDOW_NS), 100 * MS) };
    let (ran, _) = run_drained(load, WINDOW_NS, 1, &server);
    // The slot is busy for less than a hundredth of the time.
    let late = ran.task.lateness.0.value_at_quantile(0.9);
    assert!(late < MS / 100, "{late} ns");
    assert!((300..500).contains(&ran.task.count), "{}", ran.task.count);
}

/// A load of two clients, one of whose calls is never answered, in so many slots.
fn hanging(clients: u64, slots: u64, call: u64) -> (Ran, Drained) {
    let server = Server::new(8, Service::OneHangs(SERVICE_NS, call), None, 1);
    let (ran, drained) = run_drained(
        load(clients, 0, ClosedEnd::After(WINDOW_NS), 100 * MS),
        WINDOW_NS,
        slots,
        &server,
    );
    // What ended by itself, and what was given up, is what was recorded; every client is one of the
    // two.
    assert_eq!(drained.measured + drained.left.measured, ran.task.count);
    assert_eq!(drained.left.measured, ran.task.censored);
    assert_eq!(drained.clients + drained.left.tasks(), clients);
    assert_eq!((ran.served, ran.outcome.completed), (drained.ended, drained.completed));
    (ran, drained)
}

#[test]
fn a_call_that_hangs_is_given_up_and_the_others_are_measured() {
    // Two clients make a call each millisecond: the 1000th is in the 500th millisecond, and 400
    // into the window.
    let (ran, drained) = hanging(2, 2, 1_000);
    assert_eq!((drained.left.running, drained.left.waiting, ran.task.censored), (1, 0, 1));
    assert_eq!(drained.measured, 400 + 1_000);
    let latency = &ran.task.latency.0;
    assert!(latency.equivalent(latency.max(), 600 * MS + DRAIN_NS), "{}", latency.max());
    assert_eq!(latency.count_between(2 * MS, u64::MAX), 1);
}

#[test]
fn a_call_that_hangs_since_the_warm_up_is_no_part_of_the_window() {
    let (ran, drained) = hanging(2, 2, 10);
    assert_eq!((drained.left.running, drained.left.measured, ran.task.censored), (1, 0, 0));
    assert_eq!(drained.measured, 1_000);
}

#[test]
fn clients_that_wait_for_a_slot_that_hangs_are_given_up_with_it() {
    // Three clients take turns in one slot: the other two were due when their last call ended.
    let (ran, drained) = hanging(3, 1, 1_000);
    assert_eq!((drained.left.running, drained.left.waiting, ran.task.censored), (1, 2, 3));
    // Each is later than the one before by the service, until the limit.
    let hung_ns = WINDOW_NS + DRAIN_NS - 900 * MS;
    for at_least in [hung_ns, hung_ns + MS, hung_ns + 2 * MS] {
        assert!(ran.task.latency.0.count_between(at_least - MS / 2, u64::MAX) >= 1);
    }
    // Those that were never started have no service time.
    assert_eq!(ran.task.service.count(), ran.task.count - 2);
}

#[test]
fn nothing_is_given_up_where_all_calls_end() {
    let (ran, drained) = hanging(4, 4, u64::MAX);
    assert_eq!((drained.left.tasks(), drained.clients, ran.task.censored), (0, 4, 0));
}
