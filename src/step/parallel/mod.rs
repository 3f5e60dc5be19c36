//! `parallel`: starts a task several times at once and waits for all of them, what `gather` does; or
//! for the first, what `FIRST_COMPLETED`, `race` and `select` do; or for those that end in time, what
//! `wait` with a time-out does.
//!
//! Every executor starts the children in its own way: threads, jobs of the pool, spawned tasks;
//! `sequential` runs them in order, so that there the first one is the one that was asked for first.
//! Which of several is first that have ended meanwhile is the same everywhere: the one that was
//! asked for first.
//!
//! `batch` and `at_once` bound how many are at work: in batches, each of which begins when all of the
//! one before have ended, or in a window, in which the next one begins as soon as one has ended.
//!
//! `then` names a task that follows each child, one after another, in the order in which they were
//! started or, with `consume = "completion"`, in which they end.

mod arrivals;
mod choices;
mod consume;
mod crowd;
mod ends;
mod fan_out;
mod window;

use std::{num::NonZeroU64, time::Duration};

use serde::{Deserialize, Serialize};

use self::{
    choices::{Consume, OnError, Until},
    consume::{Consumed, Consuming},
    fan_out::{Children, FanOut, JoinBy},
    window::ChildWindow,
};
use super::{BuildError, Child, Cost, Ends, Lookup, Site, Step, StepKind, Times};
use crate::{
    config::{Fields, Name, Section},
    protocol,
    runtime::Runtime,
    targets::TargetSpec,
};

/// A fan-out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parallel {
    /// What is started, unless `groups` say it.
    task: Option<Name>,
    count: Option<NonZeroU64>,
    #[serde(default)]
    groups: Vec<ChildGroup>,
    #[serde(default)]
    batch: Option<NonZeroU64>,
    #[serde(default)]
    at_once: Option<NonZeroU64>,
    #[serde(default)]
    until: Until,
    #[serde(default)]
    within: Option<Duration>,
    #[serde(default)]
    errors: OnError,
    #[serde(default)]
    then: Option<Name>,
    #[serde(default)]
    consume: Consume,
}

/// A task and how often it is started, beside those of other groups.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ChildGroup {
    task: Name,
    count: NonZeroU64,
}

impl ChildGroup {
    fn child(&self, ends: Ends) -> Child<'_> {
        Child { task: &self.task, times: Times::Beside(self.count.get()), ends }
    }
}

impl Section for ChildGroup {
    const DOC: &'static str = "A task and how often it is started, beside those of other groups.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let task = fields.required("task", "The task that is started.");
        let count = fields.or("count", NonZeroU64::MIN, "How often.");
        Some(Self { task: task?, count })
    }
}

/// The most children of a window: their numbers have half a word.
const MOST_IN_A_WINDOW: u64 = u32::MAX as u64;

impl StepKind for Parallel {
    const KEY: &'static str = "parallel";
    const DOC: &'static str =
        "Starts a task several times at once and waits for all of them, or for the first.";
    const PROOF: &'static str = "children that were asked for are children that ended, were pending or were given up; \
         with a bound, no more were at work at once; with `then`, each is followed once, in \
         order";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let task = op.optional("task", "The task that is started.");
        let count = op.optional("count", "How often it is started.");
        let groups: Option<Vec<ChildGroup>> = op.optional(
            "groups",
            "Several tasks that are started together, instead of one: `[{ task = \"producer\", count = 2 }, …]`.",
        );
        op.either(&[&["task", "count"], &["groups"]]);
        let batch = op.optional(
            "batch",
            "So many at once: the next batch begins when all of the one before have ended.",
        );
        let at_once = op.optional(
            "at_once",
            "So many at once: the next child begins as soon as one has ended.",
        );
        let until = op.or(
            "until",
            Until::All,
            "`first` ends with the first child that ends, `deadline` after the time of `within`; the others are cancelled.",
        );
        let within = op.optional("within", "How long children have with `until = \"deadline\"`.");
        let errors = op.or(
            "errors",
            OnError::Collect,
            "`collect` lets the others go on after an allowed error or time-out; `fail-fast` cancels them.",
        );
        let then = op.optional("then", "The task that follows each child, one after another.");
        let consume = op.or(
            "consume",
            Consume::Order,
            "Whose turn it is to be followed: the child's that was started first, or, with `completion`, that ended first.",
        );
        let read = Self {
            task,
            count,
            groups: groups.unwrap_or_default(),
            batch,
            at_once,
            until,
            within,
            errors,
            then,
            consume,
        };
        read.refuse(op);
        Some(read)
    }

    fn children(&self) -> Vec<Child<'_>> {
        let ends = if self.errors == OnError::FailFast { Ends::ByAny } else { Ends::Never };
        let (Some(task), count) = (&self.task, self.count()) else {
            return self.groups.iter().map(|group| group.child(ends)).collect();
        };
        if let Some(then) = &self.then {
            let times = match self.consume {
                Consume::Order => Times::AtOnce(count),
                Consume::Completion => Times::AsCompleted(count),
            };
            let follows = Child { task: then, times: Times::AfterEach(count), ends };
            return vec![Child { task, times, ends }, follows];
        }
        let times = match (self.until, self.most()) {
            (Until::First, _) => Times::FirstOf(count),
            (Until::Deadline, _) => Times::Within { count, time: self.time() },
            (Until::All, Some(most)) => Times::SomeAtOnce { count, most: most.min(count) },
            (Until::All, None) => Times::AtOnce(count),
        };
        vec![Child { task, times, ends }]
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
        if self.until != Until::All {
            return Err("the protocol has no `until`".to_owned());
        }
        if self.then.is_some() {
            return Err("the protocol has no `then`".to_owned());
        }
        if let Some((key, _)) = self.bound() {
            return Err(format!("the protocol has no `{key}`"));
        }
        let Some(task) = &self.task else {
            return Err("the protocol has no `groups`".to_owned());
        };
        let (task, count) = (task.text.clone(), self.count());
        Ok(protocol::BriefOperation::Parallel { task, count })
    }

    fn heard(operation: &protocol::BriefOperation) -> Option<Result<Self, String>> {
        let protocol::BriefOperation::Parallel { task, count } = operation else { return None };
        let (until, errors) = (Until::All, OnError::Collect);
        let parallel = |count| {
            let (task, count, groups) = (Some(task.clone().into()), Some(count), Vec::new());
            let (batch, at_once, within, then) = (None, None, None, None);
            let consume = Consume::Order;
            Self { task, count, groups, batch, at_once, until, within, errors, then, consume }
        };
        let none = || "`parallel` needs a `count` above zero".to_owned();
        Some(NonZeroU64::new(*count).map(parallel).ok_or_else(none))
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let Some(task) = &self.task else { return self.build_groups(site) };
        let (runtime, count) = (site.trial.runtime.clone(), self.count());
        let tasks = [task].into_iter().chain(&self.then).map(|task| task.text.as_str());
        let mut tasks = site.children(tasks)?.into_iter();
        let no_task = || BuildError("a `parallel` has a task".to_owned());
        let child = tasks.next().ok_or_else(no_task)?;
        if let Some(then) = tasks.next() {
            let (tasks, by_end) = (Consumed { child, then }, self.consume == Consume::Completion);
            return Ok(site
                .operation(move || Consuming::new(tasks.clone(), count, by_end, runtime.clone())));
        }
        let join = match (self.until, self.errors) {
            (Until::First, _) => JoinBy::First,
            (Until::Deadline, _) => JoinBy::Within(self.time()),
            (Until::All, OnError::Collect) => JoinBy::All,
            (Until::All, OnError::FailFast) => JoinBy::AllWell,
        };
        if let Some(most) = self.at_once {
            let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            let window = (small(count), small(most.get()));
            return Ok(site.operation(move || ChildWindow::new(&child, window, runtime.clone())));
        }
        let batch = self.batch.map(NonZeroU64::get);
        let children = Children { groups: vec![(child, count)], batch };
        Ok(site.operation(move || FanOut::new(children.clone(), join, runtime.clone())))
    }
}

impl Parallel {
    /// How often the task is started.
    fn count(&self) -> u64 {
        self.count.map_or(1, NonZeroU64::get)
    }

    fn build_groups<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let tasks = site.children(self.groups.iter().map(|group| group.task.text.as_str()))?;
        let groups = tasks.into_iter().zip(self.groups.iter().map(|group| group.count.get()));
        let children = Children { groups: groups.collect(), batch: None };
        let runtime = site.trial.runtime.clone();
        Ok(site.operation(move || FanOut::new(children.clone(), JoinBy::All, runtime.clone())))
    }

    /// What bounds the children at work, and to how many.
    fn bound(&self) -> Option<(&'static str, u64)> {
        let batch = self.batch.map(|most| ("batch", most.get()));
        batch.or_else(|| self.at_once.map(|most| ("at_once", most.get())))
    }

    /// How long children have until the deadline, where there is one.
    fn time(&self) -> Duration {
        self.within.unwrap_or_default()
    }

    /// The most children at work.
    fn most(&self) -> Option<u64> {
        self.bound().map(|(_, most)| most)
    }

    /// Says what does not go together.
    fn refuse(&self, op: &mut Fields<'_>) {
        if self.until == Until::First && self.errors == OnError::FailFast {
            let remedy = "leave `errors` out: the first child ends it, however it ended";
            op.reject("errors", "nobody is waited for after the first", Some(remedy.into()));
        }
        self.refuse_groups(op);
        self.refuse_within(op);
        self.refuse_then(op);
        self.refuse_bound(op);
    }

    /// Says who is started: a task, or groups, which all begin at once and are all waited for.
    fn refuse_groups(&self, op: &mut Fields<'_>) {
        if op.is_describing() {
            return;
        }
        if !op.has("groups") {
            if !op.has("task") {
                let remedy = "add `task` and `count`, or `groups`";
                op.reject("task", "nobody is started", Some(remedy.into()));
            } else if !op.has("count") {
                let remedy = "add `count`, such as `count = 16`";
                op.reject("task", "how often it is started is not said", Some(remedy.into()));
            }
            return;
        }
        if self.groups.is_empty() {
            op.reject("groups", "nobody is started", Some("name at least one task".into()));
        }
        let others = ["task", "count", "batch", "at_once", "until", "within", "errors", "then"];
        let said: Vec<_> = others.into_iter().filter(|key| op.has(key)).collect();
        for key in said {
            let why = "groups are all started at once and all waited for";
            op.reject(key, why, Some(format!("leave `{key}` or `groups` out")));
        }
    }

    /// Says what does not go together with a deadline.
    fn refuse_within(&self, op: &mut Fields<'_>) {
        match (self.until, self.within) {
            (Until::Deadline, None) => {
                let remedy = "add `within`, such as `within = \"50ms\"`";
                op.reject("until", "nobody says when the deadline is", Some(remedy.into()));
            }
            (Until::Deadline, Some(Duration::ZERO)) => {
                op.reject("within", "no child can end in no time", Some("give it some".into()));
            }
            (Until::All | Until::First, Some(_)) => {
                let remedy = "add `until = \"deadline\"`, or leave `within` out";
                op.reject("within", "there is no deadline", Some(remedy.into()));
            }
            _ => {}
        }
        if self.until == Until::Deadline && self.errors == OnError::FailFast {
            let remedy = "leave `errors` out, or give the step a `timeout` instead of a deadline";
            let why = "whoever has not ended at the deadline is given up, and that is no error";
            op.reject("errors", why, Some(remedy.into()));
        }
    }

    /// Says what does not go together with a bound on those at work.
    fn refuse_bound(&self, op: &mut Fields<'_>) {
        let Some((key, _)) = self.bound() else { return };
        if self.until != Until::All {
            let remedy = format!("leave `{key}` out, or lower `count`");
            let why = "not all children are waited for, and some may not have begun";
            op.reject(key, why, Some(remedy));
        }
        if self.at_once.is_none() {
            return;
        }
        if self.batch.is_some() {
            let why = "how many are at once is said twice";
            op.reject("at_once", why, Some("leave `batch` or `at_once` out".into()));
        }
        if self.errors == OnError::FailFast {
            let why = "a window does not end with the first error";
            op.reject("errors", why, Some("leave it out, or say `batch`".into()));
        }
        if self.count() > MOST_IN_A_WINDOW {
            let why = format!("expected at most {MOST_IN_A_WINDOW} with `at_once`");
            op.reject("count", why, None);
        }
    }

    /// Says what does not go together with a task that follows each child.
    fn refuse_then(&self, op: &mut Fields<'_>) {
        if self.then.is_none() {
            if op.has("consume") {
                let why = "there is nothing that follows each child";
                op.reject("consume", why, Some("add `then`, or leave `consume` out".into()));
            }
            return;
        }
        let others = [
            (self.until != Until::All, "until"),
            (self.errors == OnError::FailFast, "errors"),
            (self.batch.is_some(), "batch"),
            (self.at_once.is_some(), "at_once"),
        ];
        for (_, key) in others.into_iter().filter(|(is_said, _)| *is_said) {
            let why = "all children that are followed by a task are started at once and waited for";
            op.reject(key, why, Some(format!("leave `{key}` or `then` out")));
        }
    }
}

#[cfg(test)]
mod tests;
