//! What is to be said of a cell's figures before anybody compares them: valid or not, limited by
//! what, steady or not.

use serde::Serialize;

/// Whether a trial's or a cell's figures mean what they seem to mean (METHODOLOGY, "Validity").
/// Only valid cells are ranked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Validity {
    /// They do.
    #[default]
    Valid,
    /// An open load offered more than was achieved: its latencies are those of a growing queue.
    Overloaded,
    /// The target was the limit: the executors were not compared.
    TargetBound,
    /// More than a small share of its tasks ended in errors: they are not the work that was to be
    /// compared.
    Errors,
    /// Some clients got next to nothing done, because others were always served first: its
    /// latencies are those of the lucky ones.
    Starved,
    /// Other processes used the CPUs.
    Disturbed,
    /// The harness itself was late, or its accounts contradict each other.
    Invalid,
    /// It was not measured.
    Failed,
}

/// What held a cell back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitingFactor {
    /// The executor's CPUs.
    ExecutorCpu,
    /// The target's CPUs.
    TargetCpu,
    /// Waiting for the target, or for delays of the scenario's own.
    RoundTrip,
    /// Waiting for a disk.
    Io,
    /// Waiting for locks.
    Lock,
    /// Waiting for a worker of the pool.
    Pool,
    /// As many tasks as the load allows at once.
    Concurrency,
    /// The load offers no more.
    Rate,
}

/// A cell's validity with what speaks for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Judgement {
    /// The cell's: valid where at least six rounds and two thirds of them are, else the commonest
    /// cause.
    pub validity: Validity,
    /// Each round's.
    pub rounds: Vec<(u32, Validity)>,
    /// What speaks against rounds, the commonest first; of failed ones that is told by their
    /// failures.
    pub evidence: Vec<RoundEvidence>,
    /// What held it back; none where nothing stands out.
    pub limit: Option<LimitingFactor>,
    /// What speaks for that, with the figures.
    pub limit_evidence: Option<String>,
    /// Where windows are too short to tell whether others disturbed them: which rounds are, and how
    /// short.
    pub unseen: Option<String>,
    /// Why its quantiles are withheld, where operations are too short for the clock; then there are
    /// no latencies.
    pub withheld: Option<String>,
    /// What is to be said of threads that were left in a pool from before the window; none where
    /// they hardly count.
    pub pool_past: Option<String>,
    /// What is to be said of times that are only known to be as high as the range that was told
    /// apart; none where all are known.
    pub clipped: Option<String>,
    /// What was still in flight when a closed load was given up, where something was: upper
    /// quantiles are lower bounds.
    pub unfinished: Option<String>,
}

/// What speaks against some of a cell's rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoundEvidence {
    /// The verdict on those rounds, which need not be the cell's.
    pub validity: Validity,
    /// A sentence with the figures behind it: `in 6 of 7 rounds offered 50.0k/s, achieved 31.2k/s`.
    pub words: String,
}

/// How a cell behaved from slice to slice of its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Steadiness {
    /// The same throughout.
    Flat,
    /// It became faster at first: the warm-up was too short.
    Warming,
    /// It kept becoming slower or faster.
    Drifting,
    /// It jumped.
    Unsteady,
}

/// Why a limit could not be judged in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unjudged {
    /// The run has no cell that it is about.
    NoCell,
    /// No executor of the run can run what it is about.
    NotApplicable,
    /// A limit of the host forbids the cell.
    Refused,
    /// No trial of the cell was measured: all have failed.
    Failed,
    /// The cell was not run yet.
    Pending,
    /// What it is about was never executed.
    NeverRan,
    /// Too few samples.
    Samples,
    /// What it is about takes no longer than the clock can tell.
    Clock,
    /// The harness does not believe the figures.
    Invalid,
    /// Other work on the host disturbed the cell.
    Disturbed,
    /// Too many calls ended in errors.
    Errors,
    /// Clients starved, and the times are those of the others.
    Starved,
    /// The times are only known to be high, and the limit is higher.
    Clipped,
}
