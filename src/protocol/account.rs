//! What a racer says that it did. All times are in ns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::Histo;

/// The last line of a racer that has done what it should.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RacerAccount {
    /// Of each load, in the order of the brief.
    pub loads: Vec<LoadAccount>,
    /// Of each step that was begun at least once.
    pub steps: Vec<StepAccount>,
    /// Of each target that a connection was opened to.
    #[serde(default)]
    pub targets: Vec<TargetAccount>,
    /// What the report should say of the racer, by label.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
}

/// What was done in a load.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadAccount {
    /// Its name.
    pub name: String,
    /// Tasks that could run at once.
    pub slots: u64,
    /// Of batches: from a batch's beginning to the end of its last task, for each measured one.
    #[serde(default)]
    pub makespans_ns: Vec<u64>,
    /// How long was measured: of batches the sum of the makespans.
    pub window_ns: u64,
    /// Tasks that had ended before the window opened.
    #[serde(default)]
    pub before: u64,
    /// Tasks that ended, those before the window included.
    pub ended: u64,
    /// Tasks that ended inside the window.
    pub completed: u64,
    /// The tasks that were meant to start in the window.
    pub task: TimesAccount,
    /// The named steps in them.
    #[serde(default)]
    pub steps: Vec<StepTimes>,
    /// Of closed loads: tasks that each client has ended, by number; of loads that end by tasks,
    /// without the warm-up.
    #[serde(default)]
    pub clients: Vec<u64>,
    /// Of loads that end by time: what was given up.
    #[serde(default)]
    pub left: LeftAccount,
    /// Of open loads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<ArrivedAccount>,
}

/// How long tasks or steps took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TimesAccount {
    /// Of them, those that ended in an error that the brief allows.
    #[serde(default)]
    pub errors: u64,
    /// Of them, those that timed out as the brief allows.
    #[serde(default)]
    pub timeouts: u64,
    /// Of them, those that were given up: in the histograms as if they had ended then.
    #[serde(default)]
    pub censored: u64,
    /// End minus intended start.
    pub latency: Histo,
    /// End minus actual start.
    pub service: Histo,
    /// Actual start minus intended start.
    #[serde(default)]
    pub lateness: Histo,
}

/// How long a named step took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepTimes {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub times: TimesAccount,
}

/// What a load that ends by time has given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftAccount {
    /// Tasks that were running.
    #[serde(default)]
    pub running: u64,
    /// Tasks that were due and had not begun.
    #[serde(default)]
    pub waiting: u64,
    /// Of both, those that were meant to start in the window.
    #[serde(default)]
    pub measured: u64,
}

/// What arrived in an open load. All but the last two counts are of arrivals that were due in the
/// window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ArrivedAccount {
    /// Arrivals.
    pub scheduled: u64,
    /// Of them, those for which there was no room.
    #[serde(default)]
    pub dropped: u64,
    /// Of them, those that waited for room.
    #[serde(default)]
    pub delayed: u64,
    /// Of them, those that ended by themselves.
    pub measured: u64,
    /// Most tasks in flight at once.
    pub most_in_flight: u64,
    /// Arrivals that were begun, those before the window included.
    pub begun: u64,
    /// How late the racer began, or queued, each.
    #[serde(default)]
    pub pacer: Histo,
}

/// How often a step was done, in all loads and before the window, too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepAccount {
    /// Its number.
    pub number: usize,
    /// Calls that were begun.
    pub started: u64,
    /// Of them, those that ended by themselves.
    pub ended: u64,
    /// Of them, those after which the task could not go on.
    #[serde(default)]
    pub failed: u64,
    /// Of those begun: given up.
    #[serde(default)]
    pub cancelled: u64,
    /// How often its task ended with it before its end.
    #[serde(default)]
    pub stopped: u64,
    /// Of a task's first step: how often the task was given up before it began.
    #[serde(default)]
    pub missed: u64,
    /// Errors that the brief allows.
    #[serde(default)]
    pub errors: u64,
    /// BriefTime-outs that the brief allows.
    #[serde(default)]
    pub timeouts: u64,
    /// Of combinators: the children of all calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<ChildrenAccount>,
}

/// The children that a combinator ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildrenAccount {
    /// Begun.
    pub asked: u64,
    /// Ended.
    pub returned: u64,
}

/// The connections to a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetAccount {
    /// Its name.
    pub name: String,
    /// Connections that were opened.
    pub opened: u64,
    /// Of them, those in place of one that had ended.
    #[serde(default)]
    pub reopened: u64,
}
