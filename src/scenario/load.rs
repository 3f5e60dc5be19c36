//! A load as a scenario means it and as a run file stores it: which task arrives, and in which way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    config::Name,
    load::{Arrival, ClientStage, Overflow, Stage, attendance},
    units::{Distribution, serde_duration},
};

/// The `[load.*]` table: how tasks arrive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Load {
    /// The table's name.
    pub name: String,
    /// The task that arrives.
    pub task: Name,
    /// In which way.
    pub kind: LoadKind,
}

/// The ways in which tasks arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadKind {
    /// All at one instant.
    Batch {
        /// How many.
        tasks: u64,
        /// How often within a trial; none: until about a second has been measured.
        repeat: Option<u32>,
    },
    /// A fixed number of clients, each starting its next task when its last one has ended.
    Closed {
        /// How many clients; with stages: in the warm-up.
        concurrency: u64,
        /// Their number over time; empty: always the same, for the run's `duration`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        stages: Vec<ClientStage>,
        /// Pause between the end of a task and the next one's intended start.
        think: Distribution,
        /// Ends after this many tasks over all clients; none: after the run's `duration`.
        tasks: Option<u64>,
        /// How long tasks may still take after that.
        #[serde(with = "serde_duration")]
        drain: Duration,
    },
    /// At a rate, whatever has become of those before.
    Open {
        /// Arrivals per second; with stages: in the warm-up.
        rate: f64,
        /// The gaps between them.
        arrival: Arrival,
        /// Tasks in flight at most, those included that wait for the executor.
        max_in_flight: u64,
        /// What becomes of arrivals while so many are in flight.
        overflow: Overflow,
        /// The rate over time; empty: `rate`, for the run's `duration`.
        stages: Vec<Stage>,
        /// How long tasks may still take after the last arrival.
        #[serde(with = "serde_duration")]
        drain: Duration,
    },
}

impl LoadKind {
    /// How long is measured, where time decides it; `duration` is the run's.
    pub fn measured(&self, duration: Duration) -> Option<Duration> {
        match self {
            Self::Batch { .. } | Self::Closed { tasks: Some(_), .. } => None,
            Self::Closed { tasks: None, .. } | Self::Open { .. } => {
                Some(self.staged().unwrap_or(duration))
            }
        }
    }

    /// How long all stages take together; none without stages.
    pub fn staged(&self) -> Option<Duration> {
        let lengths_ns: Vec<u64> = match self {
            Self::Batch { .. } => Vec::new(),
            Self::Closed { stages, .. } => stages.iter().map(|stage| stage.length_ns).collect(),
            Self::Open { stages, .. } => stages.iter().map(|stage| stage.length_ns).collect(),
        };
        let all_ns = lengths_ns.iter().fold(0, |all: u64, ns| all.saturating_add(*ns));
        (!lengths_ns.is_empty()).then(|| Duration::from_nanos(all_ns))
    }

    /// What it takes after that, at most, and may need: a closed load makes do with what the
    /// watchdog leaves it.
    pub fn drain(&self) -> Duration {
        if let Self::Open { drain, .. } = self { *drain } else { Duration::ZERO }
    }

    /// How many tasks are in flight at once, at most.
    pub fn concurrency(&self) -> u64 {
        match *self {
            Self::Batch { tasks, .. } => tasks,
            Self::Closed { concurrency, ref stages, .. } => most_clients(concurrency, stages),
            Self::Open { max_in_flight, .. } => max_in_flight,
        }
    }

    /// The key of its table: `batch`, `closed` or `open`.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Batch { .. } => "batch",
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
        }
    }

    /// Clients of a closed load, at most; zero of others.
    pub fn clients(&self) -> u64 {
        if let Self::Closed { .. } = self { self.concurrency() } else { 0 }
    }

    /// How the clients of a closed load come and go; none: all of them take part all the time.
    pub fn client_stages(&self) -> Option<ClientStages> {
        let Self::Closed { stages, .. } = self else { return None };
        let (time_ns, leaves) = attendance(stages);
        let all_ns = self.staged()?.as_nanos() as f64;
        Some(ClientStages { mean: time_ns / all_ns, leaves })
    }

    /// Pause of a client between the end of a task and the next one's intended start; none of loads
    /// without clients.
    pub fn think(&self) -> Distribution {
        match self {
            Self::Closed { think, .. } => *think,
            Self::Batch { .. } | Self::Open { .. } => Distribution::Const(Duration::ZERO),
        }
    }

    /// Tasks of one batch, or after which a closed load ends; none: the load ends by its duration.
    pub fn tasks(&self) -> Option<u64> {
        match *self {
            Self::Batch { tasks, .. } => Some(tasks),
            Self::Closed { tasks, .. } => tasks,
            Self::Open { .. } => None,
        }
    }
}

/// How the clients of a closed load with stages come and go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClientStages {
    /// How many take part on average over the window.
    pub mean: f64,
    /// How often a client leaves before the end.
    pub leaves: u64,
}

fn most_clients(concurrency: u64, stages: &[ClientStage]) -> u64 {
    stages.iter().map(|stage| stage.from.max(stage.to)).fold(concurrency, u64::max)
}
