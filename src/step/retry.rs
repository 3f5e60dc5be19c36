//! `retry`: runs a task until it ends well, a number of times at most, and waits in between.
//!
//! An attempt ends well if it had neither a time-out nor an error; of both only those come here
//! that the scenario allows, since any other ends the trial. Each attempt has draws of its own, so
//! that a server that draws its answers may answer the next one otherwise, and all executors make
//! the same attempts.

use std::{marker::PhantomData, num::NonZeroU64, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Child, Cost, Ends, Failure, Lookup, Opening, Operation, Sequence, Site, Step,
    StepKind, StepOutcome, Times, site::ChildTask,
};
use crate::{
    clock,
    config::{Fields, Name},
    draw,
    runtime::{NativeTimers, Runtime},
    targets::TargetSpec,
    units::Distribution,
};

/// Attempts at a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Retry {
    task: Name,
    attempts: NonZeroU64,
    backoff: Backoff,
}

/// How long to wait before the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Backoff {
    wait: Distribution,
    growth: f64,
    longest: Option<Duration>,
}

impl Backoff {
    /// Before attempt `attempt`, from 1: the first one is number 0, and does not wait.
    fn before(&self, attempt: u64, seed: u64) -> Duration {
        let drawn = self.wait.sample(draw::mix(seed, attempt)).as_secs_f64();
        if drawn <= 0.0 {
            return Duration::ZERO;
        }
        // Saturates in infinity, which is no Duration.
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = Duration::try_from_secs_f64(drawn * self.growth.powi(exponent));
        let longest = self.longest.unwrap_or(Duration::MAX);
        grown.map_or(longest, |grown| grown.min(longest))
    }
}

impl StepKind for Retry {
    const KEY: &'static str = "retry";
    const DOC: &'static str =
        "Runs a task until it ends without an error or a time-out, and waits between the attempts.";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let task = op.required("task", "The task that is tried.");
        let attempts = op.required("attempts", "The most attempts, with the first one.");
        let wait = op.or(
            "wait",
            Distribution::Const(Duration::ZERO),
            "The wait before the second attempt: a duration or, with jitter, a distribution.",
        );
        let growth =
            op.or("growth", 1.0, "Each further wait is so many times as long; 2 doubles it.");
        if !(1.0..=1000.0).contains(&growth) {
            op.reject("growth", "expected a factor from 1 to 1000", None);
        }
        let longest = op.optional("longest_wait", "No wait is longer.");
        if wait == Distribution::Const(Duration::ZERO) {
            let remedy = || Some("add `wait`, such as `wait = \"10ms\"`".into());
            if growth > 1.0 {
                op.reject("growth", "there is no wait that could grow", remedy());
            }
            if longest.is_some() {
                op.reject("longest_wait", "there is no wait that could be too long", remedy());
            }
        }
        Some(Self { task: task?, attempts: attempts?, backoff: Backoff { wait, growth, longest } })
    }

    fn children(&self) -> Vec<Child<'_>> {
        let times = Times::UpTo(self.attempts.get());
        vec![Child { task: &self.task, times, ends: Ends::BySkip }]
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    /// Most tasks end well at once.
    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let (child, attempts) = (site.child(&self.task.text)?, self.attempts.get());
        let (backoff, seed) = (self.backoff, site.seed());
        Ok(site.operation(move || Trying::<R::Native> {
            body: child.build(),
            child: child.clone(),
            attempts,
            backoff,
            seed,
            native: PhantomData,
        }))
    }
}

struct Trying<N> {
    body: Sequence,
    child: ChildTask,
    attempts: u64,
    backoff: Backoff,
    seed: u64,
    native: PhantomData<fn() -> N>,
}

impl<N: NativeTimers> Operation for Trying<N> {
    async fn prepare(&mut self) -> StepOutcome {
        self.body.prepare().await
    }

    async fn open(&mut self, when: Opening) -> StepOutcome {
        self.body.open(when).await
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let seed = draw::mix(self.seed, call.key);
        let mut attempt = 0;
        loop {
            self.child.asked();
            let outcome = self.body.run(call.of_child(attempt)).await;
            self.child.returned();
            attempt += 1;
            let is_over =
                call.deadline_ns.is_some_and(|deadline_ns| clock::now_ns() >= deadline_ns);
            if !ended_badly(&outcome) || attempt == self.attempts || is_over {
                return outcome;
            }
            let wait = self.backoff.before(attempt, seed);
            if !wait.is_zero() {
                N::sleep(wait).await;
            }
        }
    }
}

/// Whether another attempt may end better.
fn ended_badly(outcome: &StepOutcome) -> bool {
    match outcome {
        Ok(done) => done.errors > 0 || done.timeouts > 0,
        Err(failure) => matches!(failure, Failure::Skipped(_)),
    }
}

#[cfg(test)]
mod tests {
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
        let wrong =
            |more| errors_of(&format!("{{ retry = {{ task = 'a', attempts = 3, {more} }} }}"));
        assert_eq!(wrong("wait = '1s', growth = 0.5"), ["expected a factor from 1 to 1000; "]);
        let add = "add `wait`, such as `wait = \"10ms\"`";
        assert_eq!(wrong("growth = 2.0"), [format!("there is no wait that could grow; {add}")]);
        let long = format!("there is no wait that could be too long; {add}");
        assert_eq!(wrong("longest_wait = '1s'"), [long]);
    }
}
