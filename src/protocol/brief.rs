//! What a racer is to do. All times are in ns.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::units::Distribution;

/// All that a racer needs to know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// The version of the protocol.
    pub protocol: u32,
    /// The contender's name in the scenario.
    pub contender: String,
    /// The cell, for messages.
    #[serde(default)]
    pub cell: String,
    /// The round, from 1.
    #[serde(default)]
    pub round: u32,
    /// The seed of all draws.
    pub seed: u64,
    /// Threads that run tasks, for racers that have such.
    #[serde(default)]
    pub workers: usize,
    /// Threads of a pool, and of every pool for blocking work.
    #[serde(default)]
    pub pool_size: usize,
    /// What steps act on.
    #[serde(default)]
    pub targets: Vec<BriefTarget>,
    /// All tasks.
    pub tasks: Vec<BriefTask>,
    /// How tasks arrive: one load at least.
    pub loads: Vec<BriefLoad>,
    /// Run before measuring, and discarded.
    pub warmup_ns: u64,
    /// Measured time of loads that end by time.
    pub duration_ns: u64,
    /// After so long the racer is killed, and nothing takes longer.
    pub timeout_ns: u64,
}

/// Something that steps act on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BriefTarget {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: BriefTargetKind,
}

/// The kinds of targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BriefTargetKind {
    /// A server of HTTP/1.1.
    Http(BriefServer),
}

/// Where a server is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BriefServer {
    /// Its address, such as `127.0.0.1:4711`.
    pub address: String,
    /// The `host` header.
    pub host: String,
    /// What stands before every path.
    #[serde(default)]
    pub base: String,
    /// The referee's own server, which wants an identifier in each request; none: the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedServer>,
}

/// What the referee's own server answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddedServer {
    /// The seed of its draws.
    pub seed: u64,
    /// How long it waits before it answers.
    pub delay: BriefTime,
    /// Length of the body of each answer.
    pub body_bytes: u64,
    /// Its statuses and their weights; empty: always 200.
    #[serde(default)]
    pub status: Vec<Weighted>,
}

/// A status and how often it is answered, relative to the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weighted {
    /// The status.
    pub status: u16,
    /// Its weight.
    pub weight: f64,
}

/// A time, or from what it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BriefTime {
    /// Always the same.
    Const {
        /// In ns.
        ns: u64,
    },
    /// Exponential.
    Exp {
        /// Its mean.
        mean_ns: u64,
    },
    /// Uniform.
    Uniform {
        /// The least.
        low_ns: u64,
        /// All are below this.
        high_ns: u64,
    },
    /// Log-normal.
    Lognormal {
        /// Its median.
        median_ns: u64,
        /// Its 99th percentile.
        p99_ns: u64,
    },
}

/// Steps that are done one after another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BriefTask {
    /// Its name.
    pub name: String,
    /// Its steps.
    pub steps: Vec<BriefStep>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BriefStep {
    /// Its number among the steps of all tasks, from 0: its draws and its account go by it.
    pub number: usize,
    /// A named step is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ns: Option<u64>,
    /// What a time-out means; none: it fails the trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<BriefOnTimeout>,
    /// What it does.
    #[serde(flatten)]
    pub operation: BriefOperation,
}

/// What a time-out means that does not fail the trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BriefOnTimeout {
    /// The rest of the task is not done.
    Skip,
    /// The task goes on.
    Ignore,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BriefOperation {
    /// Nothing.
    Noop {},
    /// Lets other tasks run.
    Yield {},
    /// Waits.
    Sleep {
        /// For so long.
        time: BriefTime,
    },
    /// A request of HTTP/1.1.
    Http(HttpCall),
    /// Runs a task so often at once, and waits for all of them.
    Parallel {
        /// The task.
        task: String,
        /// How often.
        count: u64,
    },
    /// Runs a task so often, one after another.
    Repeat {
        /// The task.
        task: String,
        /// How often.
        times: u64,
    },
}

/// A request, and what its answer must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpCall {
    /// The target's name.
    pub target: String,
    /// The method.
    pub method: HttpMethod,
    /// The path with its query; a template.
    pub path: String,
    /// More headers; templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Or a body of so many bytes, whatever they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Statuses that are right; empty: those from 200 to 299.
    #[serde(default)]
    pub expect_status: Vec<u16>,
    /// How long the body of an answer must be; none: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_bytes: Option<u64>,
    /// Statuses that count as errors and are fine.
    #[serde(default)]
    pub allow_status: Vec<u16>,
    /// Whether each call opens a connection of its own and closes it.
    #[serde(default)]
    pub per_call: bool,
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum HttpMethod {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// How tasks arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BriefLoad {
    /// Its name.
    pub name: String,
    /// The task that arrives.
    pub task: String,
    /// In which way.
    #[serde(flatten)]
    pub kind: BriefLoadKind,
}

/// The ways in which tasks arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BriefLoadKind {
    /// All at once.
    Batch {
        /// How many.
        tasks: u64,
        /// How often; none: until a second was measured, and a thousand times at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repeat: Option<u32>,
    },
    /// Clients, each of which begins its next task when its last one has ended.
    Closed {
        /// How many.
        concurrency: u64,
        /// The pause after each task.
        think: BriefTime,
        /// Tasks of all clients together; none: until the time is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tasks: Option<u64>,
        /// How long tasks may take after the end of the window.
        drain_ns: u64,
    },
    /// At a rate, whatever has become of those before.
    Open {
        /// Arrivals per second.
        rate: f64,
        /// The gaps between them.
        arrival: BriefArrival,
        /// Tasks in flight at most.
        max_in_flight: u64,
        /// What becomes of arrivals while so many are in flight.
        overflow: BriefOverflow,
        /// How long tasks may take after the end of the window.
        drain_ns: u64,
    },
}

/// Gaps between arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BriefArrival {
    /// Equal.
    Constant,
    /// Exponential.
    Poisson,
}

/// What becomes of arrivals for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BriefOverflow {
    /// They are dropped, and counted.
    Drop,
    /// They wait for room.
    Delay,
}

impl BriefTime {
    /// What it is called in `hello`.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Const { .. } => "const",
            Self::Exp { .. } => "exp",
            Self::Uniform { .. } => "uniform",
            Self::Lognormal { .. } => "lognormal",
        }
    }
}

impl From<Distribution> for BriefTime {
    fn from(time: Distribution) -> Self {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        match time {
            Distribution::Const(time) => Self::Const { ns: ns(time) },
            Distribution::Exp(mean) => Self::Exp { mean_ns: ns(mean) },
            Distribution::Uniform(low, high) => {
                Self::Uniform { low_ns: ns(low), high_ns: ns(high) }
            }
            Distribution::LogNormal { median, p99 } => {
                Self::Lognormal { median_ns: ns(median), p99_ns: ns(p99) }
            }
        }
    }
}

impl From<BriefTime> for Distribution {
    fn from(time: BriefTime) -> Self {
        let time_of = Duration::from_nanos;
        match time {
            BriefTime::Const { ns } => Self::Const(time_of(ns)),
            BriefTime::Exp { mean_ns } => Self::Exp(time_of(mean_ns)),
            BriefTime::Uniform { low_ns, high_ns } => {
                Self::Uniform(time_of(low_ns), time_of(high_ns))
            }
            BriefTime::Lognormal { median_ns, p99_ns } => {
                Self::LogNormal { median: time_of(median_ns), p99: time_of(p99_ns) }
            }
        }
    }
}

impl BriefOperation {
    /// What it is called in `hello`.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Noop {} => "noop",
            Self::Yield {} => "yield",
            Self::Sleep { .. } => "sleep",
            Self::Http(_) => "http",
            Self::Parallel { .. } => "parallel",
            Self::Repeat { .. } => "repeat",
        }
    }
}

impl BriefLoadKind {
    /// What it is called in `hello`.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Batch { .. } => "batch",
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
        }
    }

    /// Whether nothing runs at the edges of its window: it ends by its tasks, and not by time.
    pub fn stands_still(&self) -> bool {
        matches!(self, Self::Batch { .. } | Self::Closed { tasks: Some(_), .. })
    }
}

impl HttpCall {
    /// The keys that are filled in for each call, such as `i`.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let texts = [Some(&self.path), self.body.as_ref()].into_iter().flatten();
        texts.chain(self.headers.values()).flat_map(|text| {
            text.split("${").skip(1).map(|rest| rest.split('}').next().unwrap_or_default())
        })
    }
}
