//! What a step is before it is built for an executor: parameters read from a scenario and stored in
//! a plan.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use super::{
    exec::Step,
    site::{BuildError, Site},
};
use crate::{
    config::{Fields, Name},
    protocol,
    runtime::Runtime,
    secret::Lack,
    targets::TargetSpec,
};

/// One kind of step.
pub trait StepKind: Sized + Clone + Serialize + DeserializeOwned {
    /// The key that names the step in a scenario.
    const KEY: &'static str;
    /// What it does, in one sentence.
    const DOC: &'static str;
    /// What is checked of it in each trial, in a clause.
    const PROOF: &'static str;

    /// Reads the parameters: `op` is the table under [`Self::KEY`], `step` the inline table around
    /// it, for keys such as `expect` that stand beside the operation. Ask for all keys first, and
    /// give up only then.
    fn read(op: &mut Fields<'_>, step: &mut Fields<'_>) -> Option<Self>;

    /// The targets that it acts on.
    fn targets(&self) -> Vec<TargetUse<'_>> {
        Vec::new()
    }

    /// The shared object that it uses, and whether it can go on there by itself.
    fn shared(&self) -> Option<SharedUse<'_>> {
        None
    }

    /// Who meet, for a step that meets others at a target: a shared object says it itself.
    fn meeting(&self) -> Option<Meeting> {
        None
    }

    /// The background task that it starts or ends.
    fn handle(&self) -> Option<HandleUse<'_>> {
        None
    }

    /// The values of answers that it takes for later steps of its task, with their places in the file.
    fn takes(&self) -> Vec<&Name> {
        Vec::new()
    }

    /// Of the values that it takes, those that have a default, each with it: what they are after a
    /// time-out that is ignored.
    fn defaults(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    /// The values that it uses, which steps of its task before it take. Only while a file is read.
    fn uses(&self) -> Vec<&Name> {
        Vec::new()
    }

    /// The columns of rows that it uses, each as `TABLE.COLUMN`. Only while a file is read.
    fn rows(&self) -> Vec<&Name> {
        Vec::new()
    }

    /// Whether it may end its task before the end, without a time-out.
    fn may_end_task(&self) -> bool {
        false
    }

    /// What is wrong with it on this target, which is of its kind: the message and the remedy.
    fn complaint(&self, _target: &TargetSpec) -> Option<(String, String)> {
        None
    }

    /// How many operations a call that ends well makes on this target, which is of its kind.
    fn operations(&self, _target: &TargetSpec) -> u64 {
        1
    }

    /// Whether each call opens a connection of its own and closes it.
    fn connects_per_call(&self) -> bool {
        false
    }

    /// What a run needs and this process lacks, with the remedy.
    fn unready(&self) -> Option<Lack> {
        None
    }

    /// Whether it is done as users of some library would do it, and not by the same code under
    /// every executor.
    fn is_idiomatic(&self) -> bool {
        false
    }

    /// The pool beside the executor that its work is done in.
    fn pool_beside(&self) -> Option<PoolBeside> {
        None
    }

    /// Whether it has a server keep something in a session from one statement to the next, such as
    /// a prepared statement.
    fn prepares(&self) -> bool {
        false
    }

    /// The tasks that it runs.
    fn children(&self) -> Vec<Child<'_>> {
        Vec::new()
    }

    /// The most tasks that so many calls of it run in all, where that is less than what each of them
    /// may run.
    fn most_children(&self, _calls: u64) -> Option<u64> {
        None
    }

    /// Whether a time-out can end it early. CPU work and inline blocking calls run to their end on
    /// every executor.
    fn cancellable(&self, targets: Lookup<'_, '_>) -> bool;

    /// Its own time, children excluded. `target` looks a target up by name.
    fn cost<'a>(&self, target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost;

    /// Turns sizes given as time into iterations, with a machine-wide calibration made once per
    /// run.
    fn calibrate(&mut self, _calibration: &mut Calibration) {}

    /// The same as a racer in a process of its own is told it; an error says what the protocol has
    /// no words for.
    fn told(&self) -> Result<protocol::BriefOperation, String> {
        let (step, version) = (Self::KEY, protocol::VERSION);
        Err(format!("version {version} of the protocol has no step `{step}`"))
    }

    /// The step that a racer of this program was told to do, if it is one of this kind; an error
    /// says what is wrong with it.
    fn heard(_operation: &protocol::BriefOperation) -> Option<Result<Self, String>> {
        None
    }

    /// Builds it for one slot of one executor.
    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError>;
}

/// Looks a target up by its name.
pub type Lookup<'lookup, 'targets> = &'lookup dyn Fn(&str) -> Option<&'targets TargetSpec>;

/// Iterations per second of each CPU kernel on this machine, measured when first asked for.
#[derive(Debug, Default)]
pub struct Calibration(pub std::collections::BTreeMap<String, f64>);

/// A step's use of a target.
#[derive(Debug, Clone, Copy)]
pub struct TargetUse<'a> {
    /// The target's name, with its place in the file.
    pub name: &'a Name,
    /// The kind that it must be: a key of the target table.
    pub kind: &'static str,
}

/// A step's use of a shared object.
#[derive(Debug, Clone, Copy)]
pub struct SharedUse<'a> {
    /// The name of the object, or of the target, with its place in the file.
    pub name: &'a Name,
    /// The kind that it must be: a key of the table of shared objects, or of that of targets where
    /// tasks meet at a target.
    pub kind: &'static str,
    /// What it does there.
    pub touch: Touch,
}

/// Who meet at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// How many.
    pub parties: u64,
    /// What they must agree upon, in words.
    pub terms: String,
}

/// What a step does to a shared object, and whom it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Leaves something that another step takes. Where there is no room it cannot go on alone: it
    /// waits for somebody who takes.
    Gives,
    /// Takes what another step gives. Where there is nothing it cannot go on alone: it waits for
    /// somebody who gives.
    Takes,
    /// Leaves so many that other steps take, and never waits.
    Supplies(u64),
    /// Holds it while its children run. It waits for those who hold it already, and they go on
    /// without it.
    Holds,
    /// Waits for its turn, which comes by itself.
    Passes,
    /// Waits until so many others do the same.
    Meets,
    /// Waits until another step has set it.
    Awaits,
    /// Lets all go on who wait for it, and whoever comes later.
    Sets,
    /// Lets whoever comes later wait again.
    Clears,
}

/// A step's use of a background task.
#[derive(Debug, Clone, Copy)]
pub struct HandleUse<'a> {
    /// The name by which the steps of one task know it, with its place in the file.
    pub name: &'a Name,
    /// What the step does with it.
    pub touch: HandleTouch,
}

/// What a step does with a background task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandleTouch {
    /// Starts it.
    Starts,
    /// Waits for its end.
    Joins,
    /// Ends it.
    Cancels,
}

/// A task that a combinator runs.
#[derive(Debug, Clone, Copy)]
pub struct Child<'a> {
    /// The task's name, with its place in the file.
    pub task: &'a Name,
    /// How often.
    pub times: Times,
    /// What of it ends the task that the combinator is a step of.
    pub ends: Ends,
}

/// When a child that did not do all its work ends the task around it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// When it was skipped by a time-out.
    BySkip,
    /// When it had a time-out or an error of any kind that the scenario allows.
    ByAny,
    /// Never.
    Never,
}

/// How often a combinator runs a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Times {
    /// One after another.
    InOrder(u64),
    /// All at once, where the executor can.
    AtOnce(u64),
    /// So many at once, beside those of the other children.
    Beside(u64),
    /// So many in all, and no more than `most` of them at once.
    SomeAtOnce {
        /// How many in all.
        count: u64,
        /// How many at once.
        most: u64,
    },
    /// All at once, and seen in the order in which they end.
    AsCompleted(u64),
    /// One after another, each when one of the children before this one has ended: as often as
    /// those.
    AfterEach(u64),
    /// All at once, until one of them has ended: the others are given up.
    FirstOf(u64),
    /// All at once, until there is no more time: those that have not ended are given up.
    Within {
        /// How many.
        count: u64,
        /// How long they have.
        time: Duration,
    },
    /// Once, and its end is waited for by a later step, if at all.
    InBackground,
    /// Once or not, as it turns out.
    AtMostOnce,
    /// Once with this probability, by a seeded draw.
    Chance(f64),
    /// One after another until one ends well, and no more than these.
    UpTo(u64),
}

/// A pool beside the executor, with as many places as its own pool for blocking work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolBeside {
    /// Threads of the trial's process.
    Threads,
    /// Processes of their own.
    Processes,
}

/// How long a step takes by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// It cannot be shorter than this.
    pub least: Duration,
    /// An estimate, for `list`; includes `cpu`.
    pub mean: Duration,
    /// The part of the estimate that keeps a CPU busy.
    pub cpu: Duration,
}

impl Cost {
    /// The same so many times over.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        let times = |one: Duration| one.saturating_mul(times);
        Self { least: times(self.least), mean: times(self.mean), cpu: times(self.cpu) }
    }
}

/// Writes the sum type of all steps and its table from one line per step.
macro_rules! steps {
    ($($variant:ident => $path:path,)*) => {
        /// A step of any kind.
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum StepSpec {
            $(#[allow(missing_docs)] $variant($path),)*
        }

        impl StepSpec {
            /// The keys and sentences of all steps, in documentation order.
            pub const TABLE: &'static [(&'static str, &'static str)] =
                &[$((<$path as $crate::step::StepKind>::KEY, <$path as $crate::step::StepKind>::DOC),)*];

            /// The keys of all steps and what is checked of each, in the same order.
            pub const PROOFS: &'static [(&'static str, &'static str)] =
                &[$((<$path as $crate::step::StepKind>::KEY, <$path as $crate::step::StepKind>::PROOF),)*];

            /// Reads the parameters of the step called `key`; `None` too if there is no such step.
            pub fn read(key: &str, op: &mut $crate::config::Fields<'_>, step: &mut $crate::config::Fields<'_>) -> Option<Self> {
                $(if key == <$path as $crate::step::StepKind>::KEY {
                    return <$path as $crate::step::StepKind>::read(op, step).map(Self::$variant);
                })*
                None
            }

            /// The key that names this step.
            pub fn key(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$path as $crate::step::StepKind>::KEY,)* }
            }

            /// The parameters, for those who know their type.
            pub fn parameters(&self) -> &dyn std::any::Any {
                match self { $(Self::$variant(step) => step,)* }
            }

            /// See [`StepKind::targets`].
            pub fn targets(&self) -> Vec<TargetUse<'_>> {
                match self { $(Self::$variant(step) => step.targets(),)* }
            }

            /// See [`StepKind::shared`].
            pub fn shared(&self) -> Option<SharedUse<'_>> {
                match self { $(Self::$variant(step) => step.shared(),)* }
            }

            /// See [`StepKind::meeting`].
            pub fn meeting(&self) -> Option<Meeting> {
                match self { $(Self::$variant(step) => step.meeting(),)* }
            }

            /// See [`StepKind::handle`].
            pub fn handle(&self) -> Option<HandleUse<'_>> {
                match self { $(Self::$variant(step) => step.handle(),)* }
            }

            /// See [`StepKind::takes`].
            pub fn takes(&self) -> Vec<&$crate::config::Name> {
                match self { $(Self::$variant(step) => step.takes(),)* }
            }

            /// See [`StepKind::defaults`].
            pub fn defaults(&self) -> Vec<(&str, &str)> {
                match self { $(Self::$variant(step) => step.defaults(),)* }
            }

            /// See [`StepKind::uses`].
            pub fn uses(&self) -> Vec<&$crate::config::Name> {
                match self { $(Self::$variant(step) => step.uses(),)* }
            }

            /// See [`StepKind::rows`].
            pub fn rows(&self) -> Vec<&$crate::config::Name> {
                match self { $(Self::$variant(step) => step.rows(),)* }
            }

            /// See [`StepKind::may_end_task`].
            pub fn may_end_task(&self) -> bool {
                match self { $(Self::$variant(step) => step.may_end_task(),)* }
            }

            /// See [`StepKind::complaint`].
            pub fn complaint(&self, target: &$crate::targets::TargetSpec) -> Option<(String, String)> {
                match self { $(Self::$variant(step) => step.complaint(target),)* }
            }

            /// See [`StepKind::operations`].
            pub fn operations(&self, target: &$crate::targets::TargetSpec) -> u64 {
                match self { $(Self::$variant(step) => step.operations(target),)* }
            }

            /// See [`StepKind::is_idiomatic`].
            pub fn is_idiomatic(&self) -> bool {
                match self { $(Self::$variant(step) => step.is_idiomatic(),)* }
            }

            /// See [`StepKind::connects_per_call`].
            pub fn connects_per_call(&self) -> bool {
                match self { $(Self::$variant(step) => step.connects_per_call(),)* }
            }

            /// See [`StepKind::pool_beside`].
            pub fn pool_beside(&self) -> Option<PoolBeside> {
                match self { $(Self::$variant(step) => step.pool_beside(),)* }
            }

            /// See [`StepKind::prepares`].
            pub fn prepares(&self) -> bool {
                match self { $(Self::$variant(step) => step.prepares(),)* }
            }

            /// See [`StepKind::unready`].
            pub fn unready(&self) -> Option<$crate::secret::Lack> {
                match self { $(Self::$variant(step) => step.unready(),)* }
            }

            /// See [`StepKind::children`].
            pub fn children(&self) -> Vec<Child<'_>> {
                match self { $(Self::$variant(step) => step.children(),)* }
            }

            /// See [`StepKind::most_children`].
            pub fn most_children(&self, calls: u64) -> Option<u64> {
                match self { $(Self::$variant(step) => step.most_children(calls),)* }
            }

            /// See [`StepKind::cancellable`].
            pub fn cancellable(&self, targets: $crate::step::Lookup<'_, '_>) -> bool {
                match self { $(Self::$variant(step) => step.cancellable(targets),)* }
            }

            /// See [`StepKind::cost`].
            pub fn cost<'a>(&self, target: &dyn Fn(&str) -> Option<&'a $crate::targets::TargetSpec>) -> Cost {
                match self { $(Self::$variant(step) => step.cost(target),)* }
            }

            /// See [`StepKind::calibrate`].
            pub fn calibrate(&mut self, calibration: &mut Calibration) {
                match self { $(Self::$variant(step) => step.calibrate(calibration),)* }
            }

            /// See [`StepKind::told`].
            pub fn told(&self) -> Result<$crate::protocol::BriefOperation, String> {
                match self { $(Self::$variant(step) => step.told(),)* }
            }

            /// See [`StepKind::heard`].
            pub fn heard(operation: &$crate::protocol::BriefOperation) -> Result<Self, String> {
                $(if let Some(step) = <$path as $crate::step::StepKind>::heard(operation) {
                    return step.map(Self::$variant);
                })*
                Err(format!("this program knows no step `{}`", operation.key()))
            }

            /// See [`StepKind::build`].
            pub fn build<R: $crate::runtime::Runtime>(
                &self,
                site: &$crate::step::Site<R>,
            ) -> Result<Box<dyn $crate::step::Step>, $crate::step::BuildError> {
                match self { $(Self::$variant(step) => step.build(site),)* }
            }
        }
    };
}
pub(super) use steps;
