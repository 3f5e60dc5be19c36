//! The search for the highest rate, on queues whose answer has a closed form.

use super::{
    open::{SECOND, open},
    rig::{punctual, run_open},
    server::{Server, Service},
};
use crate::{
    analysis::{Bracket, SearchAnswer, SearchStep, Vote, Votes},
    load::{Arrival, Open},
};

/// Mean service in ns: the server can do 1000 calls a second.
const SERVICE_NS: u64 = 1_000_000;
/// The limit on p99, in ns.
const LIMIT_NS: u64 = 20_000_000;

/// One trial at a rate; every trial draws arrivals and services of its own.
fn trial(rate: f64, arrival: Arrival, service: Service, seed: u64) -> Vote {
    let seconds = (30_000.0 / rate).ceil() as u64;
    let load = Open { seed, ..open(rate, arrival, seconds) };
    let ran = run_open(&load, &Server::new(1, service, None, seed), punctual);
    assert_eq!(load.window_ns(), seconds * SECOND);
    let p99 = ran.task.latency.quantile(0.99);
    match (ran.account.arrivals.dropped, p99) {
        (0, Some(p99)) if p99 < LIMIT_NS => Vote::Meets,
        (dropped, p99) => Vote::Misses(format!("{dropped} dropped, p99 {p99:?}")),
    }
}

/// What a search from `start` finds, and in how many trials.
fn search(start: f64, arrival: Arrival, service: Service) -> (SearchAnswer, u64) {
    let mut bracket = Bracket::new(start, 1e6, 0.05);
    let mut trials = 0;
    loop {
        let rate = match bracket.next() {
            SearchStep::Answered(answer) => return (answer, trials),
            SearchStep::Probe(rate) => rate,
        };
        let mut votes = Votes::default();
        let decision = loop {
            match votes.decision(5) {
                Some(decision) => break decision,
                None => votes.add(&trial(rate, arrival, service, trials)),
            }
            trials += 1;
        };
        bracket.tell(rate, decision);
    }
}

/// In M/M/1 p99 is ln 100/(μ − λ), so that the limit is reached at λ = μ − ln 100/limit: 769.7
/// calls a second.
#[test]
fn the_rate_at_which_a_queue_reaches_its_limit_is_found() {
    let theory = 1e9 / SERVICE_NS as f64 - 100_f64.ln() / (LIMIT_NS as f64 / 1e9);
    for start in [100.0, 1_900.0] {
        let (answer, trials) = search(start, Arrival::Poisson, Service::Exponential(SERVICE_NS));
        let (SearchAnswer::Found { passes, fails }
        | SearchAnswer::Inconclusive { passes: Some(passes), fails: Some(fails) }) = answer
        else {
            panic!("{answer:?}")
        };
        // p99 of 30 000 calls that queue is off by a sixth at most, which is a twentieth of the
        // rate here.
        assert!(passes < theory * 1.05 && theory * 0.95 < fails, "{theory}: {answer:?}");
        assert!(fails / passes < 1.2 && trials < 40, "{answer:?} in {trials} trials");
    }
}

/// Without chance the answer is exact: D/D/1 keeps up until the server has no time left.
#[test]
fn without_chance_the_capacity_is_enclosed_exactly() {
    let (answer, trials) = search(100.0, Arrival::Constant, Service::Constant(SERVICE_NS));
    let SearchAnswer::Found { passes, fails } = answer else { panic!("{answer:?}") };
    assert!(passes <= 1_000.0 && 1_000.0 <= fails && fails / passes <= 1.05, "{answer:?}");
    assert!(trials < 30, "{trials}");
}
