//! What parent, child and target processes say to each other: one line of JSON each way.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    measure::Measured,
    protocol::Program,
    runtime::Setup,
    scenario::LoadKind,
    shared::NamedShared,
    step::{NamedRows, Task},
    store::TrialFailure,
    targets::{NamedTarget, TargetSpec},
    units::serde_duration,
};

/// The version of a plan.
pub const VERSION: u32 = 2;

/// Everything that a trial needs to know; `regatta trial --plan FILE` replays it by hand.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrialPlan {
    /// [`VERSION`].
    pub regatta_trial: u32,
    /// The cell's name.
    pub cell: String,
    /// The round, from 1.
    pub round: u32,
    /// The executor's name.
    pub executor: String,
    /// The program that races, where it is not this one; none: an executor of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    /// How it is set up.
    pub setup: Setup,
    /// CPUs of the executor; empty: any.
    pub executor_cpus: Vec<usize>,
    /// CPUs of target processes and of the trial's own helper threads; empty: any.
    pub target_cpus: Vec<usize>,
    /// The seed of all draws.
    pub seed: u64,
    /// Its targets.
    pub targets: Vec<NamedTarget>,
    /// What its tasks wait on together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<NamedShared>,
    /// Rows that its tasks use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<Arc<NamedRows>>,
    /// Its tasks.
    pub tasks: Vec<Task>,
    /// Its loads: one at least.
    pub loads: Vec<TrialLoad>,
    /// Run before measuring, and discarded.
    #[serde(with = "serde_duration")]
    pub warmup: Duration,
    /// Measured time of a closed load that does not end by tasks.
    #[serde(with = "serde_duration")]
    pub duration: Duration,
    /// After this the watchdog kills the trial.
    #[serde(with = "serde_duration")]
    pub timeout: Duration,
    /// Whether a probe measures scheduling delay beside the tasks.
    #[serde(default)]
    pub probe: bool,
    /// The process that started this one; none: started by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
}

/// One load of a trial.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrialLoad {
    /// Its name.
    pub name: String,
    /// The task that arrives, by name.
    pub task: String,
    /// In which way.
    pub kind: LoadKind,
    /// Least time of one task, from its constant delays, in ns.
    pub least_task_ns: u64,
    /// Whether the delays that the scenario asks for are longer for some tasks than for others.
    #[serde(default)]
    pub delays_vary: bool,
}

/// A child's answer, in the last line of its standard output.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It measured and proved.
    Measured(Box<Measured>),
    /// It could not.
    Failed(TrialFailure),
}

/// How a child ends: its answer, and what it could not remove.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ended {
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
    /// What is left behind on servers of the user's own, each with what to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<String>,
}

/// The order to a target's process: the first line of its standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerOrder {
    /// What to serve.
    pub target: TargetSpec,
    /// The seed of its draws.
    pub seed: u64,
    /// Its CPUs; empty: any.
    pub cpus: Vec<usize>,
    /// The process that started it.
    pub parent: u32,
}
