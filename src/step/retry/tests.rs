//! Attempts, waits and budgets, under every executor.

use super::*;
use crate::{
    runtime::EXECUTORS,
    step::{
        OnTimeout,
        testing::{Ran, Rig, errors_of},
    },
};

const CHOICE: &str = "{ choice = { of = [{ task = 'good' }, { task = 'late' }] } }";
const TASKS: usize = 200;

/// Half of all attempts end by a time-out, as drawn.
fn ran(executor: &str, retry: &str, on_timeout: OnTimeout) -> Ran {
    Rig::new(&[retry])
        .task("attempt", &[CHOICE])
        .task("good", &["{ noop = {} }"])
        .task("late", &["{ sleep = { time = '1m' } }"])
        .limited(Duration::from_micros(50), on_timeout)
        .run(executor, TASKS as u64)
}

#[test]
fn all_executors_make_the_same_attempts_and_only_those_that_are_needed() {
    for on_timeout in [OnTimeout::Skip, OnTimeout::Ignore] {
        let mut seen = Vec::new();
        for executor in EXECUTORS.iter().map(|executor| executor.name) {
            let retry = "{ retry = { task = 'attempt', attempts = 3 } }";
            let ran = ran(executor, retry, on_timeout);
            let [retry, attempts, good, late] = ran.tallies[..] else { panic!("four steps") };
            assert_eq!((retry.ended, good.ended + late.cancelled), (200, attempts.started));
            let exhausted = ran.outcomes.iter().filter(|outcome| ended_badly(outcome)).count();
            // Who ended well did so at the last attempt, and all others made three.
            assert_eq!(good.ended, (TASKS - exhausted) as u64, "{executor}");
            seen.push((attempts.started, exhausted));
        }
        let (attempts, exhausted) = seen[0];
        assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
        // 200 · (1 + 1/2 + 1/4), and an eighth of 200, within four standard deviations.
        assert!((302..=398).contains(&attempts) && (6..=44).contains(&exhausted), "{seen:?}");
    }
}

/// Where children are in threads of their own, their end is seen first, and the time-out after
/// it.
#[test]
fn after_a_time_out_around_it_nothing_is_tried_again() {
    for executor in EXECUTORS.iter().map(|executor| executor.name) {
        let ran = Rig::new(&["{ retry = { task = 'fan', attempts = 100000 } }"])
            .limited(Duration::from_millis(5), OnTimeout::Ignore)
            .task("fan", &["{ parallel = { task = 'long', count = 2 } }"])
            .task("long", &["{ sleep = { time = '1h' } }"])
            .run(executor, 2);
        assert_eq!((ran.wrong(), ran.tallies[1].started), (None, 2), "{executor}");
    }
}

/// All attempts end badly, and each task would make five.
#[test]
fn all_slots_spend_one_budget_to_its_last_token() {
    for executor in EXECUTORS.iter().map(|executor| executor.name) {
        let ran = Rig::new(&["{ retry = { task = 'late', attempts = 5, budget = 0.1 } }"])
            .task("late", &["{ sleep = { time = '1h' } }"])
            .limited(Duration::from_micros(50), OnTimeout::Ignore)
            .slots(2)
            .run(executor, 100);
        let [retry, late] = ran.tallies[..] else { panic!("two steps") };
        // The reserve, and a token for each ten of the 200 first attempts.
        assert_eq!((retry.ended, late.cancelled), (200, 200 + 10 + 20), "{executor}");
        // Who was not allowed another attempt ends as its last one did.
        assert!(ran.outcomes.iter().all(ended_badly), "{executor}");
    }
}

#[test]
fn one_attempt_is_none_more() {
    let ran = ran("tokio", "{ retry = { task = 'attempt', attempts = 1 } }", OnTimeout::Skip);
    assert_eq!(ran.tallies[1].started, 200);
}

#[test]
fn waits_grow_to_the_longest() {
    let ms = Duration::from_millis;
    let backoff = |wait, growth, longest| Backoff { wait, growth, longest };
    let of = |backoff: Backoff| [1, 2, 3, 4, 5].map(|attempt| backoff.before(attempt, 7));
    let constant = Distribution::Const(ms(10));
    assert_eq!(of(backoff(constant, 1.0, None)), [ms(10); 5]);
    let doubled = of(backoff(constant, 2.0, Some(ms(60))));
    assert_eq!(doubled, [10, 20, 40, 60, 60].map(ms));
    assert_eq!(backoff(constant, 2.0, Some(ms(60))).before(u64::MAX, 7), ms(60));
    assert_eq!(backoff(constant, 2.0, None).before(u64::MAX, 7), Duration::MAX);
    let none = Distribution::Const(Duration::ZERO);
    assert_eq!(backoff(none, 2.0, Some(ms(60))).before(u64::MAX, 7), Duration::ZERO);
}

#[test]
fn jitter_is_drawn_for_each_attempt_and_each_task() {
    let (low, high) = (Duration::from_millis(10), Duration::from_millis(20));
    let wait = Distribution::Uniform(low, high);
    let backoff = Backoff { wait, growth: 2.0, longest: None };
    let (first, again) = (backoff.before(1, 7), backoff.before(1, 7));
    assert!(first == again && (low..high).contains(&first));
    assert!((low * 2..high * 2).contains(&backoff.before(2, 7)));
    assert_ne!(backoff.before(1, 8), first);
}

#[test]
fn what_waits_cannot_do_is_said() {
    let wrong = |more| errors_of(&format!("{{ retry = {{ task = 'a', attempts = 3, {more} }} }}"));
    assert_eq!(wrong("wait = '1s', growth = 0.5"), ["expected a factor from 1 to 1000; "]);
    let add = "add `wait`, such as `wait = \"10ms\"`";
    assert_eq!(wrong("growth = 2.0"), [format!("there is no wait that could grow; {add}")]);
    let long = format!("there is no wait that could be too long; {add}");
    assert_eq!(wrong("longest_wait = '1s'"), [long]);
    let any = "a server may ask for a wait of any length; add `longest_wait`, such as `longest_wait = \"1s\"`";
    assert_eq!(wrong("retry_after = true"), [any]);
    assert_eq!(wrong("retry_after = true, longest_wait = '1s'"), [""; 0]);
}

#[test]
fn a_budget_that_is_none_is_refused_with_a_remedy() {
    let wrong = |attempts, budget| {
        let retry = format!("task = 'a', attempts = {attempts}, budget = {budget}");
        errors_of(&format!("{{ retry = {{ {retry} }} }}")).join("; ")
    };
    for budget in ["0.0", "-1.0", "101.0"] {
        let said = wrong(3, budget);
        assert!(said.contains("from 0.001 to 100") && said.contains("0.1 allows"), "{said}");
    }
    for (attempts, budget) in [(3, "2.0"), (3, "2.5"), (1, "0.1")] {
        let said = wrong(attempts, budget);
        assert!(said.contains("never spent") && said.contains("raise `attempts`"), "{said}");
    }
    assert_eq!(wrong(3, "1.9"), "");
}
