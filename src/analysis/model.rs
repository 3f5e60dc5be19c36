//! The figures of a run, as every output shows them. Values are inert; the views only format.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Errors, Judgement, RateSearch, Steadiness, Unit, Unjudged};
use crate::{
    measure::{Arrivals, Delay, Histo, MetricId, Slice},
    scenario::{Claim, LoadKind, Param, Slo},
    store::Lane,
};

/// A run, analysed.
#[derive(Debug, Clone, Serialize)]
pub struct Analysis {
    /// One per scenario and lane, in the run's order.
    pub scenarios: Vec<ScenarioResult>,
    /// Planned, measured and failed trials.
    pub trials: TrialCounts,
    /// What a search for the highest rate has found; none of other runs.
    #[serde(skip)]
    pub search: Option<RateSearch>,
}

/// How many trials there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TrialCounts {
    /// In the plan (cells that are not run are not counted).
    pub planned: usize,
    /// Measured and proven.
    pub measured: usize,
    /// Failed.
    pub failed: usize,
    /// Failed, but another attempt counts: the run was resumed.
    pub failed_before: usize,
}

impl TrialCounts {
    /// How many failed, in words.
    pub fn failed_words(&self) -> String {
        match self.failed_before {
            0 => format!("{} failed", self.failed),
            before => format!("{} failed, {before} failed before and run again", self.failed),
        }
    }
}

/// One scenario's figures in one lane.
#[derive(Debug, Clone, Serialize)]
pub struct ScenarioResult {
    /// Its name.
    pub name: String,
    /// Its question.
    pub question: String,
    /// The executor that ratios are against, as shown.
    pub baseline: String,
    /// The metric that ratios are of: [`MetricId::Makespan`] for batches, [`MetricId::Throughput`]
    /// for closed loads, for open ones the latency: [`MetricId::LatencyP99`] where there are
    /// samples enough, else [`MetricId::LatencyP50`].
    pub primary: MetricId,
    /// One per combination of swept parameters.
    pub groups: Vec<CellGroup>,
    /// What sweeps over numbers show.
    pub sweeps: Vec<Sweep>,
    /// Geometric means of the ratios to the baseline over all groups, one per other executor; empty
    /// with one group.
    pub means: Vec<MeanRatio>,
    /// Claims and what was measured.
    pub claims: Vec<ClaimResult>,
    /// SLOs and what was measured.
    pub slos: Vec<SloResult>,
}

impl ScenarioResult {
    /// Its lane; none where the whole run is of the same-code lane.
    pub fn lane(&self) -> Option<Lane> {
        self.groups.first().and_then(|group| group.lane)
    }

    /// The name of the load that its figures are of; none where the scenario has but one.
    pub fn load(&self) -> Option<&str> {
        self.groups.first().and_then(|group| group.load_name.as_deref())
    }

    /// Whether there is more to say of what its figures are than its name.
    pub fn is_part(&self) -> bool {
        self.lane().is_some() || self.load().is_some()
    }

    /// Its name, and its load and lane where there is something to say of them: `drivers (idiomatic
    /// lane)`, `noisy-neighbour: readers`.
    pub fn title(&self) -> String {
        let load = self.load().map_or_else(String::new, |load| format!(": {load}"));
        let lane = self.lane().map_or_else(String::new, |lane| format!(" ({})", lane.words()));
        format!("{}{load}{lane}", self.name)
    }
}

/// The cells that are compared with each other: same scenario, same parameters, same lane.
#[derive(Debug, Clone, Serialize)]
pub struct CellGroup {
    /// The swept parameters' values; empty without a sweep.
    pub params: Vec<Param>,
    /// Its lane; none where the whole run is of the same-code lane.
    pub lane: Option<Lane>,
    /// The load's name, where a cell has several: they make a group each.
    pub load_name: Option<String>,
    /// How its tasks arrive; none of a run without cells.
    #[serde(skip)]
    pub load: Option<LoadKind>,
    /// CPUs that the executors had.
    pub executor_cpus: usize,
    /// One per executor, in scenario order.
    pub cells: Vec<CellResult>,
}

/// One cell's figures.
#[derive(Debug, Clone, Serialize)]
pub struct CellResult {
    /// `scenario::executor::k=v`, and behind it `::load` where there are several.
    pub name: String,
    /// The name of the cell whose load it is.
    pub cell: String,
    /// The executor's name, such as `thread-pool`.
    pub executor: String,
    /// The executor as shown, such as `thread-pool(64)`.
    pub label: String,
    /// Whether it has figures, and if not why.
    pub status: CellStatus,
    /// Tasks that ran at once at most.
    pub slots: u64,
    /// Figures of every metric that applies, by metric.
    pub metrics: BTreeMap<MetricId, MetricValue>,
    /// Ratio of the primary metric to the baseline's, oriented so that more is better ("times as
    /// fast").
    pub ratio: Option<Ratio>,
    /// Task latencies of all rounds, merged.
    pub latency: Histo,
    /// Task service times of all rounds, merged.
    pub service: Histo,
    /// How late tasks started (a − t), of all rounds, merged.
    pub lateness: Histo,
    /// How late a probe ran beside the tasks, over all rounds; none where there was no probe.
    pub delay: Option<Delay>,
    /// Whether the figures mean what they seem to mean, and what limited them.
    pub judgement: Judgement,
    /// How the cell behaved over time; none where nothing was sliced.
    pub steadiness: Option<Steadiness>,
    /// The load's task over time, of all rounds together; empty where nothing was sliced.
    pub slices: Vec<Slice>,
    /// Open loads: the arrivals of all rounds together.
    pub arrivals: Option<Arrivals>,
    /// Length of the measured windows of all rounds together, in ns.
    pub window_ns: u64,
    /// Counts over all rounds.
    pub counts: Counts,
    /// Calls that ended in errors, in all measured rounds.
    pub errors: Errors,
    /// Named steps, over all rounds.
    pub steps: Vec<StepResult>,
    /// Why trials failed, with how many.
    pub failures: Vec<(String, usize)>,
    /// The least makespan that the delays allow, in ns (batches): ceil(tasks / slots) × least task
    /// time.
    pub least_makespan_ns: Option<u64>,
    /// What the trials reported of themselves, from the first measured one.
    pub facts: BTreeMap<String, String>,
    /// Where a trial has several loads: its CPU time in the window, which is theirs together, in
    /// ns; the median over the rounds.
    pub shared_cpu_ns: Option<f64>,
    /// Highest share of its CPUs that a target used, in [0, 1].
    pub target_busy: Option<f64>,
}

impl CellResult {
    /// Open loads: arrivals per second that the schedule offered, over all rounds.
    pub fn offered(&self) -> Option<f64> {
        self.per_second(self.arrivals.as_ref()?.scheduled)
    }

    /// Open loads: tasks per second that completed in the window, over all rounds.
    pub fn achieved(&self) -> Option<f64> {
        self.arrivals.as_ref().and_then(|_| self.per_second(self.counts.completed))
    }

    fn per_second(&self, count: u64) -> Option<f64> {
        (self.window_ns > 0).then(|| count as f64 / (self.window_ns as f64 / 1e9))
    }
}

/// Whether a cell has figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "status", content = "reason")]
pub enum CellStatus {
    /// All rounds were measured.
    Complete,
    /// Some rounds are missing or failed; there are figures of the others.
    Partial(String),
    /// No round was measured.
    Failed(String),
    /// The combination makes no sense.
    NotApplicable(String),
    /// A limit of the host forbids it.
    Refused(String),
    /// It was not reached yet.
    Pending,
}

/// One metric over the rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricValue {
    /// The value of each measured round: round, value.
    pub rounds: Vec<(u32, f64)>,
    /// Median over rounds.
    pub median: f64,
    /// Exact 95 % interval of the median from order statistics; none below six rounds.
    pub interval: Option<(f64, f64)>,
}

/// A ratio to another cell, such as the baseline, over the rounds that both have; more is better.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ratio {
    /// Hodges–Lehmann estimate over the rounds that both have.
    pub estimate: f64,
    /// Exact 95 % interval from the Wilcoxon signed-rank distribution; none below six rounds.
    pub interval: Option<(f64, f64)>,
    /// Rounds that both have.
    pub rounds: usize,
    /// What the interval says.
    pub verdict: RatioVerdict,
    /// The least ratio above 1 that this many rounds with this spread would show, in percent, with
    /// a power of 80 %.
    pub detectable_percent: Option<f64>,
}

/// What a ratio's interval says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RatioVerdict {
    /// It is the baseline.
    Baseline,
    /// The whole interval is above 1.
    Faster,
    /// The whole interval is below 1.
    Slower,
    /// The interval contains 1: no difference shown.
    NoDifference,
    /// Fewer than six rounds: no interval.
    NoInterval,
}

/// What a sweep over a number shows, the other parameters being fixed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sweep {
    /// The swept parameter.
    pub param: String,
    /// The other parameters' values.
    pub at: Vec<Param>,
    /// What its values count.
    pub unit: Unit,
    /// Its values in that unit, ascending.
    pub values: Vec<f64>,
    /// Every pair of executors that can be compared at two values or more: first in the primary
    /// metric, then in p99 where that is another.
    pub pairs: Vec<PairResult>,
    /// The Universal Scalability Law of each executor, where the sweep is over at least six numbers
    /// of clients of a closed load.
    pub laws: Vec<Law>,
}

/// Two executors over a sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairResult {
    /// The metric.
    pub metric: MetricId,
    /// The executors' names.
    pub executors: [String; 2],
    /// The executors as shown.
    pub labels: [String; 2],
    /// Where one overtakes the other, by the parameter; empty where that is not shown.
    pub crossings: Vec<Crossing>,
    /// Without a crossing: the executor, as shown, that is shown to be better at some value.
    pub ahead: Option<String>,
}

/// A place in a sweep at which one executor overtakes another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Crossing {
    /// The executor that is better below, as shown.
    pub below: String,
    /// The executor that is better above, as shown.
    pub above: String,
    /// The last value at which the one is shown to be better.
    pub from: f64,
    /// The first value at which the other is shown to be better.
    pub to: f64,
    /// Median of the rounds' places, as a value of the parameter; none where no round has both
    /// ends.
    pub estimate: Option<f64>,
    /// Exact 95 % interval of that median from order statistics; none below six rounds.
    pub interval: Option<(f64, f64)>,
    /// Rounds that have both ends.
    pub rounds: usize,
}

/// An executor's Universal Scalability Law: X(N) = λN / (1 + σ(N − 1) + κN(N − 1)).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Law {
    /// The executor's name.
    pub executor: String,
    /// The executor as shown.
    pub label: String,
    /// The law; none where it does not describe what was measured.
    pub fit: Option<Fit>,
    /// Why there is none, in words.
    pub hidden: Option<String>,
}

/// A fitted law.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fit {
    /// Tasks per second of one client.
    pub lambda: f64,
    /// Contention σ, from 0 to 1.
    pub sigma: f64,
    /// Coherence κ, not negative.
    pub kappa: f64,
    /// Share of the variance of the throughput's logarithm that the law explains.
    pub r_squared: f64,
    /// Clients, and the measured median divided by the law's throughput, less 1.
    pub residuals: Vec<(f64, f64)>,
    /// Clients with the highest throughput, √((1 − σ)/κ), which may be more than were measured;
    /// none where κ is 0.
    pub peak: Option<f64>,
    /// Exact 95 % interval of the median of the rounds' own peaks; none below six rounds, and where
    /// it has no end.
    pub peak_interval: Option<(f64, f64)>,
}

/// A geometric mean of one executor's ratios to the baseline over the groups of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeanRatio {
    /// The executor's name.
    pub executor: String,
    /// The executor as shown.
    pub label: String,
    /// Groups in which it can be compared with the baseline.
    pub cells: usize,
    /// Groups of the scenario.
    pub of: usize,
    /// The mean; none where it cannot be compared in every group.
    pub ratio: Option<Ratio>,
}

/// Counts over all rounds of a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tasks completed.
    pub completed: u64,
    /// Allowed errors.
    pub errors: u64,
    /// Time-outs.
    pub timeouts: u64,
    /// Tasks that were given up in flight: not completed, and in the latencies as if they had ended
    /// then.
    pub censored: u64,
}

/// One named step's figures.
#[derive(Debug, Clone, Serialize)]
pub struct StepResult {
    /// Its name.
    pub name: String,
    /// Whether it is a step of the load's own task.
    pub top_level: bool,
    /// Its counts.
    pub counts: Counts,
    /// Its latencies, over all rounds.
    pub latency: Histo,
}

/// A claim beside what was measured.
#[derive(Debug, Clone, Serialize)]
pub struct ClaimResult {
    /// The claim.
    pub claim: Claim,
    /// The metric that is compared.
    pub metric: MetricId,
    /// The executor it is compared for, as shown.
    pub executor: String,
    /// The parameters of the cell that the claim is about.
    pub params: Vec<Param>,
    /// What it is compared with: the executor as shown, or parameters, or both. Such as `threads`,
    /// `blocking=inline`.
    pub against: String,
    /// What there is no factor or no interval for want of, and what helps.
    pub lacking: Option<String>,
    /// The measured factor ("times as fast") and its interval; none where a cell has no figures.
    pub measured: Option<Ratio>,
    /// What follows.
    pub verdict: ClaimVerdict,
}

/// Whether a claim holds here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimVerdict {
    /// The measured factor agrees within the tolerance.
    Agrees,
    /// It does not.
    Disagrees,
    /// The interval is on both sides, or there is none.
    Inconclusive,
    /// A cell has no figures.
    NotMeasured,
}

/// An SLO beside what was measured.
#[derive(Debug, Clone, Serialize)]
pub struct SloResult {
    /// The SLO.
    pub slo: Slo,
    /// The cell.
    pub cell: String,
    /// The measured value in the metric's unit; none where it could not be measured.
    pub measured: Option<f64>,
    /// Whether `measured` is only what the value is at least: times were clipped there.
    pub is_bound: bool,
    /// Whether it holds; none where it could not be judged.
    pub holds: Option<bool>,
    /// Why it could not be judged; none where it was.
    pub unjudged: Option<Unjudged>,
}
