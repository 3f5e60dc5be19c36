//! `parallel`: starts a task several times at once and waits for all of them, what `gather` does; or
//! for the first, what `FIRST_COMPLETED`, `race` and `select` do.
//!
//! Every executor starts the children in its own way: threads, jobs of the pool, spawned tasks;
//! `sequential` runs them in order, so that there the first one is the one that was asked for first.
//! Which of several is first that have ended meanwhile is the same everywhere: the one that was
//! asked for first.

mod fan_out;

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use self::fan_out::{FanOut, JoinBy};
use super::{BuildError, Child, Cost, Ends, Lookup, Site, Step, StepKind, Times};
use crate::{
    config::{Diagnostics, Field, Fields, Name, Node, choice_schema, read_choice},
    protocol,
    runtime::Runtime,
    targets::TargetSpec,
};

/// A fan-out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parallel {
    task: Name,
    count: NonZeroU64,
    #[serde(default)]
    until: Until,
    #[serde(default)]
    errors: OnError,
}

/// Whose end is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Until {
    /// That of all children.
    #[default]
    All,
    /// That of any one, however it ends; the others are cancelled where the executor can.
    First,
}

const UNTILS: &[(&str, Until)] = &[("all", Until::All), ("first", Until::First)];

impl Field for Until {
    fn schema() -> serde_json::Value {
        choice_schema(UNTILS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, UNTILS, diagnostics)
    }
}

/// What an allowed error or a time-out of a child means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OnError {
    /// They go on, and all are counted.
    #[default]
    Collect,
    /// They are cancelled where the executor can, and the task ends.
    FailFast,
}

const ERRORS: &[(&str, OnError)] =
    &[("collect", OnError::Collect), ("fail-fast", OnError::FailFast)];

impl Field for OnError {
    fn schema() -> serde_json::Value {
        choice_schema(ERRORS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, ERRORS, diagnostics)
    }
}

impl StepKind for Parallel {
    const KEY: &'static str = "parallel";
    const DOC: &'static str =
        "Starts a task several times at once and waits for all of them, or for the first.";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let task = op.required("task", "The task that is started.");
        let count = op.required("count", "How often.");
        let until = op.or(
            "until",
            Until::All,
            "`first` ends with the first child that ends, and cancels the others.",
        );
        let errors = op.or(
            "errors",
            OnError::Collect,
            "`collect` lets the others go on after an allowed error or time-out; `fail-fast` cancels them.",
        );
        if until == Until::First && errors == OnError::FailFast {
            let remedy = "leave `errors` out: the first child ends it, however it ended";
            op.reject("errors", "nobody is waited for after the first", Some(remedy.into()));
        }
        Some(Self { task: task?, count: count?, until, errors })
    }

    fn children(&self) -> Vec<Child<'_>> {
        let ends = if self.errors == OnError::FailFast { Ends::ByAny } else { Ends::Never };
        let times = match self.until {
            Until::All => Times::AtOnce(self.count.get()),
            Until::First => Times::FirstOf(self.count.get()),
        };
        vec![Child { task: &self.task, times, ends }]
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn told(&self) -> Result<protocol::BriefOperation, String> {
        if self.errors == OnError::FailFast {
            return Err("the protocol has no `errors = \"fail-fast\"`".to_owned());
        }
        if self.until == Until::First {
            return Err("the protocol has no `until = \"first\"`".to_owned());
        }
        let (task, count) = (self.task.text.clone(), self.count.get());
        Ok(protocol::BriefOperation::Parallel { task, count })
    }

    fn heard(operation: &protocol::BriefOperation) -> Option<Result<Self, String>> {
        let protocol::BriefOperation::Parallel { task, count } = operation else { return None };
        let (task, until, errors) = (task.clone().into(), Until::All, OnError::Collect);
        let count = NonZeroU64::new(*count).ok_or("`parallel` needs a `count` above zero");
        Some(count.map(|count| Self { task, count, until, errors }).map_err(str::to_owned))
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let (child, count) = (site.child(&self.task.text)?, self.count.get());
        let join = match (self.until, self.errors) {
            (Until::First, _) => JoinBy::First,
            (Until::All, OnError::Collect) => JoinBy::All,
            (Until::All, OnError::FailFast) => JoinBy::AllWell,
        };
        let runtime = site.trial.runtime.clone();
        Ok(site.operation(move || FanOut::new(&child, count, join, runtime.clone())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        runtime::EXECUTORS,
        step::{
            OnTimeout,
            testing::{Ran, Rig, errors_of},
        },
    };

    const CHOICE: &str = "{ choice = { of = [{ task = 'quick' }, { task = 'late' }] } }";

    const FIRST: &str = "{ parallel = { task = 'either', count = 12, until = 'first' } }";

    /// Half of the children end at once, and half after so long, as drawn.
    fn ran(executor: &str, late: Duration) -> Ran {
        Rig::new(&[FIRST, "{ noop = {} }"])
            .task("either", &[CHOICE])
            .task("quick", &["{ noop = {} }"])
            .task("late", &["{ sleep = { time = '1h' } }"])
            .limited(late, OnTimeout::Ignore)
            .run(executor, 5)
    }

    #[test]
    fn the_first_that_ends_is_enough() {
        for executor in EXECUTORS {
            let ran = ran(executor.name, Duration::from_millis(5));
            assert_eq!(ran.wrong(), None, "{}", executor.name);
            let [parallel, after, either, ..] = ran.tallies[..] else { panic!("five steps") };
            assert_eq!((parallel.ended, after.ended), (5, 5), "{}", executor.name);
            assert!(either.started >= 5, "{}", executor.name);
        }
    }

    /// Under `threads`, too, where joining in order would wait for those that end late.
    #[test]
    fn who_ends_late_is_not_waited_for() {
        for executor in ["threads", "tokio", "tokio-current-thread", "async-std", "smol"] {
            let ran = ran(executor, Duration::from_mins(1));
            let timeouts: u64 = ran.outcomes.iter().flatten().map(|done| done.timeouts).sum();
            assert_eq!(timeouts, 0, "{executor}: a child that ends at once is first");
        }
    }

    #[test]
    fn one_task_after_another_starts_no_more_than_the_first() {
        let ran = ran("sequential", Duration::from_millis(5));
        assert_eq!(ran.tallies[2].started, 5);
    }

    #[test]
    fn what_ends_it_cannot_be_said_twice() {
        let text =
            "{ parallel = { task = 'a', count = 2, until = 'first', errors = 'fail-fast' } }";
        let why = "nobody is waited for after the first; leave `errors` out: the first child ends it, however it ended";
        assert_eq!(errors_of(text), [why]);
    }
}
