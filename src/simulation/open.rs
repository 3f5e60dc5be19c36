//! Oracles of the open load: schedule, pacer, hand-over, slots and recorder against closed forms.

use std::sync::Arc;

use super::{
    laws::{Queueing, Stall, lost_share},
    oracle::Oracle,
    rig::{Landed, START_NS, VirtualTime, punctual, run_open},
    server::{Freeze, Server, Service},
};
use crate::load::{Arrival, Open, Overflow, Stage};

pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000 * MS;
/// Mean service of a worker that serves alone.
const SERVICE_NS: u64 = MS;
/// Arrivals that are measured at least.
const ENOUGH: u64 = 50_000;

/// A load of `rate` arrivals a second that measures `seconds` of them after a second of warm-up.
pub(super) fn open(rate: f64, arrival: Arrival, seconds: u64) -> Open {
    Open {
        rate,
        stages: vec![Stage { from: rate, to: rate, length_ns: seconds * SECOND }],
        arrival,
        max_in_flight: 256,
        overflow: Overflow::Drop,
        warmup_ns: SECOND,
        drain_ns: SECOND,
        seed: 42,
    }
}

/// An open load in steady state, the server that it meets, and what its latencies must show.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) load: Open,
    pub(super) service: Service,
    pub(super) workers: usize,
    pub(super) freeze: Option<Freeze>,
    pub(super) oracle: Oracle,
}

impl Case {
    pub(super) fn server(&self) -> Arc<Server> {
        Server::new(self.workers, self.service, self.freeze, 7)
    }

    /// Runs it through the product's own pacer, and checks that no arrival is lost or late.
    pub(super) fn run(&self) -> Landed {
        let ran = run_open(&self.load, &self.server(), punctual);
        let arrivals = &ran.account.arrivals;
        assert_eq!(
            (arrivals.dropped, arrivals.delayed, arrivals.pacer.0.max()),
            (0, 0, 0),
            "{}",
            self.name
        );
        assert_eq!(
            (arrivals.scheduled, ran.totals.measured),
            (ran.task.count, ran.task.count),
            "{}",
            self.name
        );
        assert_eq!(
            (ran.served, ran.totals.ended),
            (ran.account.emitted, ran.account.emitted),
            "{}",
            self.name
        );
        ran
    }
}

/// Long enough for so many arrivals, with a margin for the spread of a Poisson count.
fn seconds_of(arrivals: u64, rate: f64) -> u64 {
    (arrivals as f64 * 1.02 / rate).ceil() as u64
}

/// D/D/1, M/D/1, M/M/1 and M/M/4 at a utilisation. In M/M/4 each worker needs four times as long,
/// so that the rate is the same.
pub(super) fn queues(utilisation: f64, arrivals: u64) -> Vec<Case> {
    let rate = utilisation * 1e9 / SERVICE_NS as f64;
    let per_ns = rate / 1e9;
    let seconds = seconds_of(arrivals, rate);
    let poisson = |name, service, workers, law| Case {
        name,
        load: open(rate, Arrival::Poisson, seconds),
        service,
        workers,
        freeze: None,
        oracle: Oracle::queue(law, arrivals),
    };
    let exponential = |workers: u32| Queueing::Exponential {
        rate: per_ns,
        service: f64::from(workers) * SERVICE_NS as f64,
        workers,
    };
    let constant = Queueing::Constant { rate: per_ns, service: SERVICE_NS as f64 };
    vec![
        Case {
            name: "D/D/1",
            load: open(rate, Arrival::Constant, seconds),
            service: Service::Constant(SERVICE_NS),
            workers: 1,
            freeze: None,
            oracle: Oracle::constant(SERVICE_NS, rate as u64 * seconds),
        },
        poisson("M/D/1", Service::Constant(SERVICE_NS), 1, constant),
        poisson("M/M/1", Service::Exponential(SERVICE_NS), 1, exponential(1)),
        poisson("M/M/4", Service::Exponential(4 * SERVICE_NS), 4, exponential(4)),
    ]
}

/// 1 000 arrivals a second, 100 µs of service, and a server that stops for 100 ms every second.
pub(super) fn stall(seconds: u64) -> Case {
    let law = Stall {
        rate: 1e-6,
        service: (MS / 10) as f64,
        workers: 1,
        every: SECOND as f64,
        length: (100 * MS) as f64,
    };
    Case {
        name: "stall",
        load: open(1_000.0, Arrival::Constant, seconds),
        service: Service::Constant(MS / 10),
        workers: 1,
        freeze: Some(Freeze { every_ns: SECOND, length_ns: 100 * MS }),
        oracle: Oracle::stall(law, 1_000 * seconds),
    }
}

#[test]
fn queues_at_half_load_are_those_of_theory() {
    for case in queues(0.5, ENOUGH) {
        assert_eq!(case.oracle.check(&case.run().task.latency), Ok(()), "{}", case.name);
    }
}

#[test]
fn queues_at_seven_tenths_load_are_those_of_theory() {
    for case in queues(0.7, ENOUGH) {
        assert_eq!(case.oracle.check(&case.run().task.latency), Ok(()), "{}", case.name);
    }
}

#[test]
fn an_open_load_shows_a_stall() {
    let case = stall(60);
    assert_eq!(case.oracle.check(&case.run().task.latency), Ok(()));
}

/// 1 000 arrivals a second for 10 s, and a pacer whose own clock stands still for 300 ms. All
/// arrivals of that time are due at its end. The server has room for all of them.
pub(super) fn late() -> Landed {
    let load = open(1_000.0, Arrival::Constant, 10);
    let from_ns = START_NS + load.warmup_ns + 3 * SECOND;
    let stall = Some((from_ns, from_ns + 300 * MS));
    let server = Server::new(512, Service::Constant(MS), None, 1);
    run_open(&Open { max_in_flight: 512, ..load }, &server, |pacer_loop| {
        Box::pin(pacer_loop.run(VirtualTime { stall }))
    })
}

/// Both the lateness of the tasks and the pacer's account show it. Service is unchanged.
#[test]
fn a_stall_of_the_pacer_is_lateness_and_nothing_else() {
    let ran = late();
    assert_eq!(Oracle::constant(MS, 10_000).check(&ran.task.service), Ok(()));
    let (lateness, pacer) = (&ran.task.lateness, &ran.account.arrivals.pacer);
    assert_eq!(lateness, pacer);
    assert_eq!(lateness.0.count_between(1, u64::MAX), 300);
    assert!(lateness.0.equivalent(lateness.0.max(), 300 * MS), "{}", lateness.0.max());
    // 300, 299, … 1 ms, among 10 000.
    let hundredth = lateness.0.value_at_quantile(0.99);
    assert!(lateness.0.equivalent(hundredth, 200 * MS), "{hundredth}");
    assert!(ran.task.latency.0.equivalent(ran.task.latency.0.max(), 301 * MS));
    assert_eq!((ran.account.arrivals.dropped, ran.task.count), (0, 10_000));
}

/// Where no more than K tasks may be in flight, the share of arrivals that are dropped is that of
/// M/M/1/K, and of M/G/K/K, whose service may be constant as well (Erlang's B).
#[test]
fn as_many_arrivals_are_dropped_as_theory_loses() {
    for (service, workers, room) in [
        (Service::Exponential(SERVICE_NS), 1, 5),
        (Service::Exponential(4 * SERVICE_NS), 4, 4),
        (Service::Constant(4 * SERVICE_NS), 4, 4),
    ] {
        let rate = 700.0;
        let load =
            Open { max_in_flight: room, ..open(rate, Arrival::Poisson, seconds_of(ENOUGH, rate)) };
        let ran = run_open(&load, &Server::new(workers, service, None, 7), punctual);
        let arrivals = &ran.account.arrivals;
        assert_eq!(arrivals.scheduled, ran.task.count + arrivals.dropped);
        assert_eq!(arrivals.most_in_flight, room);
        let (found, expected) = (
            arrivals.dropped as f64 / arrivals.scheduled as f64,
            lost_share(0.7 * workers as f64, workers as u64, room),
        );
        assert!(
            (found / expected - 1.0).abs() < 0.05,
            "{service:?}: {found} instead of {expected}"
        );
    }
}

/// Twice as much is offered as the server can do, with room for 100 tasks in flight.
pub(super) fn overloaded() -> Landed {
    let load = Open { max_in_flight: 100, ..open(2_000.0, Arrival::Constant, 10) };
    run_open(&load, &Server::new(1, Service::Constant(SERVICE_NS), None, 1), punctual)
}

/// The queue is full, each task waits for all before it, every second arrival is dropped, and
/// throughput is the server's.
#[test]
fn overload_is_counted_and_not_hidden() {
    let ran = overloaded();
    let arrivals = &ran.account.arrivals;
    assert_eq!((arrivals.scheduled, arrivals.most_in_flight), (20_000, 100));
    assert_eq!(arrivals.scheduled, ran.task.count + arrivals.dropped);
    assert!(arrivals.dropped.abs_diff(10_000) <= 1, "{}", arrivals.dropped);
    assert!(ran.totals.completed.abs_diff(10_000) <= 1, "{}", ran.totals.completed);
    let latency = &ran.task.latency.0;
    assert!(
        latency.min() >= 99 * MS && latency.max() <= 101 * MS,
        "{} to {}",
        latency.min(),
        latency.max()
    );
}

/// Slots are used again as soon as they are free: no more of them, with their connections, than
/// tasks at once.
#[test]
fn an_open_load_uses_as_many_slots_as_it_has_tasks_at_once() {
    for (rate, service_ns, at_once) in [(20.0, MS, 1), (1_000.0, 10 * MS - MS / 2, 10)] {
        let server = Server::new(512, Service::Constant(service_ns), None, 1);
        let ran = run_open(&open(rate, Arrival::Constant, 10), &server, punctual);
        assert_eq!(ran.account.arrivals.most_in_flight, at_once, "{rate}/s");
        assert_eq!(server.opened(), at_once, "{rate}/s: one opening for each slot that is used");
    }
}
