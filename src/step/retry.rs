//! `retry`: runs a task until it ends well, a number of times at most, and waits in between.
//!
//! An attempt ends well if it had neither a time-out nor an error; of both only those come here
//! that the scenario allows, since any other ends the trial. Each attempt has draws of its own, so
//! that a server that draws its answers may answer the next one otherwise, and all executors make
//! the same attempts, unless a budget that they share is spent.

use std::{marker::PhantomData, num::NonZeroU64, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Child, Cost, Ends, Failure, Lookup, Opening, Operation, Sequence, Site, Step,
    StepKind, StepOutcome, Times,
    asked_wait::AskedWait,
    budget::{RetryBudget, most_retries},
    site::ChildTask,
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
    /// Whether the wait that an answer asks for takes the place of the step's own.
    #[serde(default, rename = "retry_after")]
    heeds_answers: bool,
    /// How many attempts beside the first there may be in all, for each first one; none: as many as
    /// each task may make.
    #[serde(default)]
    budget: Option<f64>,
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
        let longest = self.longest();
        grown.map_or(longest, |grown| grown.min(longest))
    }

    fn longest(&self) -> Duration {
        self.longest.unwrap_or(Duration::MAX)
    }

    /// What each key alone cannot see.
    fn check(&self, op: &mut Fields<'_>, heeds_answers: bool) {
        if !(1.0..=1000.0).contains(&self.growth) {
            op.reject("growth", "expected a factor from 1 to 1000", None);
        }
        if heeds_answers && self.longest.is_none() {
            let remedy = "add `longest_wait`, such as `longest_wait = \"1s\"`";
            let message = "a server may ask for a wait of any length";
            op.reject("retry_after", message, Some(remedy.into()));
        }
        if self.wait != Distribution::Const(Duration::ZERO) {
            return;
        }
        let remedy = || Some("add `wait`, such as `wait = \"10ms\"`".into());
        if self.growth > 1.0 {
            op.reject("growth", "there is no wait that could grow", remedy());
        }
        if self.longest.is_some() && !heeds_answers {
            op.reject("longest_wait", "there is no wait that could be too long", remedy());
        }
    }
}

/// Refuses a budget that makes no sense with so many attempts.
fn check_budget(op: &mut Fields<'_>, budget: f64, attempts: u64) {
    if !(0.001..=100.0).contains(&budget) {
        let message = "expected a share from 0.001 to 100: further attempts for each first one";
        let remedy = "0.1 allows one for ten tasks; without any, remove the `retry`";
        op.reject("budget", message, Some(remedy.into()));
    } else if budget >= (attempts - 1) as f64 {
        let message = format!(
            "a task makes at most {} attempts beside its first, and so this is never spent",
            attempts - 1
        );
        let remedy = "write a smaller one, such as `budget = 0.1`, or raise `attempts`";
        op.reject("budget", message, Some(remedy.into()));
    }
}

impl StepKind for Retry {
    const KEY: &'static str = "retry";
    const DOC: &'static str =
        "Runs a task until it ends without an error or a time-out, and waits between the attempts.";
    const PROOF: &'static str = "one to `attempts` children for each call that ended well, and no more in all than a \
         `budget` has";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let task = op.required("task", "The task that is tried.");
        let attempts: Option<NonZeroU64> =
            op.required("attempts", "The most attempts, with the first one.");
        let wait = op.or(
            "wait",
            Distribution::Const(Duration::ZERO),
            "The wait before the second attempt: a duration or, with jitter, a distribution.",
        );
        let growth =
            op.or("growth", 1.0, "Each further wait is so many times as long; 2 doubles it.");
        let longest = op.optional("longest_wait", "No wait is longer.");
        let doc = "Whether the wait that an answer asks for (`Retry-After`, `retry-after-ms`) takes the place of `wait`.";
        let heeds_answers = op.or("retry_after", false, doc);
        let doc = "How many attempts beside the first there may be in all tasks, for each first one; default: no such limit.";
        let budget: Option<f64> = op.optional("budget", doc);
        let backoff = Backoff { wait, growth, longest };
        backoff.check(op, heeds_answers);
        if let (Some(budget), Some(attempts)) = (budget, attempts) {
            check_budget(op, budget, attempts.get());
        }
        Some(Self { task: task?, attempts: attempts?, backoff, heeds_answers, budget })
    }

    fn children(&self) -> Vec<Child<'_>> {
        let times = Times::UpTo(self.attempts.get());
        vec![Child { task: &self.task, times, ends: Ends::BySkip }]
    }

    fn most_children(&self, calls: u64) -> Option<u64> {
        let budget = self.budget?;
        Some(calls.saturating_add(most_retries(budget, calls)))
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    /// Most tasks end well at once.
    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        // Steps below that find a place for the wait that an answer asks for write to the nearest.
        let asked: Option<Arc<AskedWait>> = self.heeds_answers.then(Arc::default);
        let outer = site.asked.clone();
        let mut inner = site.clone();
        inner.asked = asked.clone().or_else(|| outer.clone());
        let (child, attempts) = (inner.child(&self.task.text)?, self.attempts.get());
        let (backoff, seed) = (self.backoff, site.seed());
        let budget = self.budget.map(|share| {
            let name = format!("budget of step {}", site.number);
            site.trial.commons.shared(&name, || RetryBudget::new(share))
        });
        Ok(site.operation(move || Trying::<R::Native> {
            body: child.build(),
            child: child.clone(),
            attempts,
            backoff,
            seed,
            asked: asked.clone(),
            outer: outer.clone(),
            budget: budget.clone(),
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
    /// Where the steps of an attempt write the wait that an answer asks for.
    asked: Option<Arc<AskedWait>>,
    /// The same of a `retry` around this one.
    outer: Option<Arc<AskedWait>>,
    budget: Option<Arc<RetryBudget>>,
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
        if let Some(budget) = &self.budget {
            budget.earn();
        }
        let mut attempt = 0;
        loop {
            if let Some(asked) = &self.asked {
                asked.forget();
            }
            self.child.asked();
            let outcome = self.body.run(call.of_child(attempt)).await;
            self.child.returned();
            attempt += 1;
            if !ended_badly(&outcome) {
                return outcome;
            }
            if !self.may_try_again(attempt, call.deadline_ns) {
                self.pass_on();
                return outcome;
            }
            let wait = self.wait(attempt, seed);
            if !wait.is_zero() {
                N::sleep(wait).await;
            }
        }
    }
}

impl<N> Trying<N> {
    /// Whether there may be another attempt after so many, and one of the budget is spent for it.
    fn may_try_again(&self, made: u64, deadline_ns: Option<u64>) -> bool {
        let is_over = || deadline_ns.is_some_and(|deadline_ns| clock::now_ns() >= deadline_ns);
        made < self.attempts
            && !is_over()
            && self.budget.as_ref().is_none_or(|budget| budget.spend())
    }

    /// The wait before attempt `attempt`: the one that was asked for, or the step's own.
    fn wait(&self, attempt: u64, seed: u64) -> Duration {
        let asked = self.asked.as_ref().and_then(|asked| asked.asked());
        let asked = asked.map(|wait| wait.min(self.backoff.longest()));
        asked.unwrap_or_else(|| self.backoff.before(attempt, seed))
    }

    /// What the last attempt was asked for holds for a `retry` around this one, too.
    fn pass_on(&self) {
        let asked = self.asked.as_ref().and_then(|asked| asked.asked());
        if let (Some(outer), Some(wait)) = (&self.outer, asked) {
            outer.ask(wait);
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
mod tests;
