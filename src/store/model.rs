//! What a run file holds: inert values, one type per line of the file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    measure::Measured,
    scenario::{Claim, LoadKind, Param, ScenarioFile, Slo},
};

/// The version of the format that this program writes.
pub const VERSION: u32 = 2;

/// The first line of a run file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The format's version, [`VERSION`].
    pub regatta_run: u32,
    /// Name of the run: its folder's name.
    pub run: String,
    /// When it started, in ms since 1970.
    pub started_ms: u64,
    /// The command line.
    pub command: Vec<String>,
    /// The run's seed, which orders the trials.
    pub seed: u64,
    /// Whether it was a quick run, whose figures are not comparable.
    pub quick: bool,
    /// Rounds that were planned (the most of any scenario).
    pub rounds: u32,
    /// Host, kernel, versions: label and value, in the order they are shown.
    pub environment: Vec<(String, String)>,
    /// CPUs that the process may use.
    pub cpus: Vec<usize>,
    /// The scenarios.
    pub scenarios: Vec<StoredScenario>,
    /// All cells, in planned order.
    pub cells: Vec<StoredCell>,
    /// Warnings of the short check before the run.
    pub warnings: Vec<String>,
    /// What the check before the run found of this host, fine or not.
    #[serde(default)]
    pub checks: Vec<HostCheck>,
    /// Iterations per second of each CPU kernel, as calibrated; a resumed run does the same work.
    #[serde(default)]
    pub calibration: BTreeMap<String, f64>,
    /// What one reading of the clock costs, in ns; zero: not known.
    #[serde(default)]
    pub clock_ns: f64,
    /// What `regatta find-rate` looks for; none: an ordinary run, whose trials were all planned
    /// before it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
}

/// A search for the highest rate at which every limit of its scenario holds. Its cells are found on
/// the way, each with a line of its own ([`Line::Probe`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// What is searched: a cell without a rate each, and where its search begins.
    pub cells: Vec<SearchedCell>,
    /// The least rate that fails is at most so much above the highest that passes, as a share:
    /// 0.05.
    pub precision: f64,
    /// Trials of one rate at most.
    pub most_trials: u32,
    /// No rate above this is tried, in arrivals per second.
    pub highest: f64,
}

/// A cell whose highest rate is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchedCell {
    /// The cell, without a rate among its parameters.
    pub cell: StoredCell,
    /// The first rate that is tried, in arrivals per second.
    pub start: f64,
}

/// A rate at which a searched cell is measured: the cell of its trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The name of the searched cell.
    pub of: String,
    /// Arrivals per second.
    pub rate: f64,
    /// The cell with this rate. It has as many rounds as it turns out to need.
    pub cell: StoredCell,
}

/// One check of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCheck {
    /// What was checked, such as `governor`.
    pub name: String,
    /// How it was judged.
    pub fitness: Fitness,
    /// What was found.
    pub value: String,
    /// What can be done about it; empty where nothing need be.
    pub remedy: String,
}

/// How a check of the host was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fitness {
    /// As it should be.
    Fine,
    /// It cannot be seen from here.
    Unknown,
    /// Figures are noisier or less comparable for it.
    Warn,
    /// Figures would mislead, or the plan cannot run.
    Refuse,
}

/// A scenario as the run used it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredScenario {
    /// Its name.
    pub name: String,
    /// Its file, as the user named it.
    pub path: String,
    /// Its question.
    pub question: String,
    /// Its text.
    pub text: String,
    /// The executor that ratios are against.
    pub baseline: String,
    /// Executor names in the order shown.
    pub executors: Vec<String>,
    /// Its claims.
    pub claims: Vec<Claim>,
    /// Its SLOs.
    pub slos: Vec<Slo>,
}

/// Whose code does the work. Cells of different lanes are never compared with each other in one
/// ranking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// The same code under every executor: what differs is the executor.
    #[default]
    SameCode,
    /// What users of a library have: what differs is the executor together with that library.
    Idiomatic,
}

impl Lane {
    /// What it is called.
    pub fn words(self) -> &'static str {
        match self {
            Self::SameCode => "same-code lane",
            Self::Idiomatic => "idiomatic lane",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_same_code(&self) -> bool {
        *self == Self::SameCode
    }
}

/// A cell as the run planned it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredCell {
    /// `scenario::executor::k=v,k=v`.
    pub name: String,
    /// The scenario's name.
    pub scenario: String,
    /// The executor's name, such as `thread-pool`.
    pub executor: String,
    /// The executor as it is shown, such as `thread-pool(64)`.
    pub label: String,
    /// The program that races under this name; none: an executor of this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<StoredProgram>,
    /// The files that its scenario names, with the digest of what they held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ScenarioFile>,
    /// Swept parameters.
    pub params: Vec<Param>,
    /// Its lane; a file without it, as older ones are, means [`Lane::SameCode`].
    #[serde(default, skip_serializing_if = "Lane::is_same_code")]
    pub lane: Lane,
    /// How its tasks arrive: one load at least.
    pub loads: Vec<StoredLoad>,
    /// Scheduler threads.
    pub workers: usize,
    /// CPUs that the executor can keep busy at once: those it is placed on, or fewer where it has
    /// fewer threads that run tasks. Zero: not known.
    #[serde(default)]
    pub working_cpus: usize,
    /// CPUs the executor is placed on; empty: not placed.
    pub executor_cpus: Vec<usize>,
    /// CPUs the target is placed on; empty: no target process.
    pub target_cpus: Vec<usize>,
    /// Rounds planned for this cell.
    pub rounds: u32,
    /// Why the cell is not run, if it is not.
    pub absent: Option<Absent>,
}

/// A program that races: how it was started, and who it said that it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredProgram {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// What runs its tasks.
    #[serde(default)]
    pub runtime: String,
}

impl StoredProgram {
    /// What a report says of it.
    pub fn words(&self) -> String {
        let who = [&self.name, &self.version].map(String::as_str).join(" ");
        let command = format!("`{}`", self.command.join(" "));
        let parts = [who.trim(), self.runtime.as_str(), command.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

/// One load of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredLoad {
    /// Its name in the scenario.
    pub name: String,
    /// The task that arrives, by name.
    pub task: String,
    /// In which way.
    pub kind: LoadKind,
    /// Its tasks that run at once at most (slots).
    pub slots: u64,
    /// Least possible time of one task, in ns: the sum of its constant delays.
    pub least_task_ns: u64,
}

/// Why a planned cell has no trials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why", content = "reason")]
pub enum Absent {
    /// The combination makes no sense: `not applicable: reason`.
    NotApplicable(String),
    /// A limit of this host forbids it.
    Refused(String),
}

/// A line of a run file after the header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// A search goes on with a rate that it has not tried yet.
    Probe(Box<Probe>),
    /// A trial ended.
    Trial(Box<TrialRecord>),
    /// The run was interrupted here by a signal.
    Interrupted {
        /// `SIGINT`, `SIGTERM` or `SIGHUP`.
        signal: String,
    },
    /// The run was resumed.
    Resumed {
        /// When, in ms since 1970.
        at_ms: u64,
        /// Cells that this host had refused, and has room for now: they take the place of those in
        /// the header.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cells: Vec<StoredCell>,
        /// Warnings of the short check before it went on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// Some cells are not run any more: what they have in common has failed everywhere.
    GaveUp(Box<GivenUp>),
    /// Everything planned has been run.
    Finished {
        /// When, in ms since 1970.
        at_ms: u64,
    },
}

/// What was given up in the middle of a run, so that it does not wait for what does not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// What, in words: "target `api` (http://127.0.0.1:3000)", or "scenario `fan-out`".
    pub what: String,
    /// Trials that had failed in the round, all for the same reason, and none of which was
    /// measured.
    pub failed: u64,
    /// The cells whose other trials are not run, by name.
    pub cells: Vec<String>,
    /// Why the first of them failed.
    pub failure: TrialFailure,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// The cell's name.
    pub cell: String,
    /// The round, from 1.
    pub round: u32,
    /// Its place in the planned order, from 1. A trial that was run again keeps it.
    pub sequence: u32,
    /// Which attempt it is, from 0: a disturbed trial is run again at the end of its round, a
    /// failed one when the run is resumed.
    #[serde(default)]
    pub attempt: u32,
    /// When it started, in ms since 1970.
    pub started_ms: u64,
    /// Wall time of the whole trial process, in ns.
    pub wall_ns: u64,
    /// The process that ran it.
    pub pid: u32,
    /// What came of it.
    pub outcome: Outcome,
}

impl TrialRecord {
    /// Whether it failed for a reason that may be gone when it is run again.
    pub fn may_pass(&self) -> bool {
        matches!(&self.outcome, Outcome::Failed(failure) if failure.kind.may_pass())
    }
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was measured and proven.
    Measured(Box<Measured>),
    /// It was not; a failed trial is data.
    Failed(TrialFailure),
}

/// Why a trial failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialFailure {
    /// The kind, for counting.
    pub kind: FailureKind,
    /// The reason in words, with a remedy where there is one.
    pub reason: String,
}

/// Kinds of failed trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The process ended by a signal or an error of its own.
    Crashed,
    /// The watchdog ended it.
    TimedOut,
    /// It did not do the work it should have.
    WrongResult,
    /// Its window was shorter than a task, so that no task ended in it.
    TooShort,
    /// A target could not be started or stopped answering.
    Target,
    /// The system refused something, such as another thread.
    Refused,
}

impl FailureKind {
    /// Whether its cause may be gone when the run is resumed. Wrong work is a result: to run
    /// it again until it is right would hide what the run has found.
    pub fn may_pass(self) -> bool {
        self != Self::WrongResult
    }
}
