//! Coordinated omission, introduced on purpose: every oracle that can see it must (METHODOLOGY,
//! "Tested on truth").
//!
//! A mutant pacer takes the place of [`PacerLoop::run`]; schedule, hand-over, slots and recorder
//! are the product's. It hands a task over only when the server has a free worker, as a generator
//! does that waits for its answers.

use std::{sync::Arc, time::Duration};

use super::{
    SimulatedNative,
    open::{Case, MS, queues, stall},
    rig::{Landed, run_open},
    server::Server,
};
use crate::{
    clock,
    load::open::{Censored, HandOff, PacerAccount, PacerLoop, PacerStep},
    runtime::{NativeTimers as _, NativeWork as _},
};

/// What a pacer that waits for a free worker does with an arrival that is due before there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Hands it over later, and says when it was due: late, but true.
    Honest,
    /// Hands it over later, and says that this was when it was meant to start. The wait is omitted.
    Restamped,
    /// Forgets it.
    Skipped,
}

/// The mutant.
async fn coordinated(
    pacer_loop: PacerLoop,
    server: Arc<Server>,
    waiting: Waiting,
) -> (PacerAccount, Censored) {
    let PacerLoop { mut pacer, hand_off, flight } = pacer_loop;
    let HandOff::Ring(ring) = hand_off else { panic!("a simulated executor has no pool") };
    let mut handed_over = server.taken();
    loop {
        match pacer.next(clock::now_ns(), 0) {
            PacerStep::Done => break,
            PacerStep::SleepUntil(at_ns) => sleep_until(at_ns).await,
            PacerStep::Emit(ticket)
                if waiting == Waiting::Skipped && ticket.due_ns < server.free_at_ns() => {}
            PacerStep::Emit(mut ticket) => {
                sleep_until(server.free_at_ns()).await;
                if waiting == Waiting::Restamped {
                    ticket.due_ns = clock::now_ns();
                }
                flight.enter();
                assert!(ring.push(ticket), "there is room for all that is in flight");
                handed_over += 1;
                // Only when the server has it, it says when the next worker is free.
                while server.taken() < handed_over {
                    SimulatedNative::yield_now().await;
                }
            }
        }
    }
    (pacer.into_account(), Censored::default())
}

async fn sleep_until(at_ns: u64) {
    SimulatedNative::sleep(Duration::from_nanos(at_ns.saturating_sub(clock::now_ns()))).await;
}

fn run(case: &Case, waiting: Waiting) -> Landed {
    let server = case.server();
    run_open(&case.load, &server, |pacer_loop| {
        Box::pin(coordinated(pacer_loop, server.clone(), waiting))
    })
}

/// Arrivals that a mutant is measured on: enough, for what it omits is large.
const ENOUGH: u64 = 10_000;

/// Every queue whose arrivals ever wait, and the stall.
fn telling() -> Vec<Case> {
    let queues = [0.5, 0.7].into_iter().flat_map(|utilisation| queues(utilisation, ENOUGH));
    queues.filter(|case| case.name != "D/D/1").chain([stall(10)]).collect()
}

#[test]
fn omission_by_restamping_fails_every_oracle_that_can_see_it() {
    for case in telling() {
        let ran = run(&case, Waiting::Restamped);
        assert!(case.oracle.check(&ran.task.latency).is_err(), "{} does not see it", case.name);
    }
}

#[test]
fn omission_by_skipping_fails_every_oracle_that_can_see_it() {
    for case in telling() {
        let ran = run(&case, Waiting::Skipped);
        assert!(case.oracle.check(&ran.task.latency).is_err(), "{} does not see it", case.name);
    }
}

/// In D/D/1 below capacity nothing ever waits, so that nothing can be omitted: it says nothing
/// about omission.
#[test]
fn queues_without_waits_cannot_see_omission() {
    let cases = queues(0.7, ENOUGH).into_iter().filter(|case| case.name == "D/D/1");
    for (case, waiting) in cases.zip([Waiting::Restamped, Waiting::Skipped]) {
        assert_eq!(case.oracle.check(&run(&case, waiting).task.latency), Ok(()));
    }
}

/// The well-known figures of a generator that waits: p90 and p99 of 0.10 ms, and 54 000 tasks of 60
/// 000.
#[test]
fn a_generator_that_waits_reports_a_stall_as_none() {
    let ran = run(&stall(60), Waiting::Skipped);
    let latency = &ran.task.latency;
    for p in [0.5, 0.9, 0.99] {
        let found = latency.quantile(p).expect("enough samples");
        assert!(latency.0.equivalent(found, MS / 10), "p{p}: {found}");
    }
    assert!(latency.count().abs_diff(54_000) <= 60, "{} tasks", latency.count());
}

/// A pacer that waits and says so passes: what counts is when a task was meant to start. With the
/// same tasks, times that count from the actual start fail.
#[test]
fn times_from_the_actual_start_fail_where_times_from_the_intended_start_pass() {
    let queues = queues(0.7, 50_000).into_iter().filter(|case| case.name == "M/M/1");
    for case in queues.chain([stall(10)]) {
        let task = run(&case, Waiting::Honest).task;
        assert_eq!(case.oracle.check(&task.latency), Ok(()), "{}", case.name);
        assert!(case.oracle.check(&task.service).is_err(), "{}", case.name);
    }
}
