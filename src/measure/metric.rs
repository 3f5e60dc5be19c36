//! The metrics of a cell, by name. What each one is computed from and how it is shown stands in
//! `analysis::metrics`.

use serde::{Deserialize, Serialize};

/// A metric of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricId {
    /// Batch: start to last completion, ns.
    Makespan,
    /// Tasks completed per second.
    Throughput,
    /// Median latency of each round, ns. For comparing rounds; the latency that is shown is of all
    /// rounds merged.
    LatencyP50,
    /// 99th percentile of each round's latencies, ns, where the round has enough. For comparing
    /// rounds, as above.
    LatencyP99,
    /// Median service time (c − a) of each round, ns. For comparing rounds, as above.
    ServiceP50,
    /// 99th percentile of each round's service times, ns, where the round has enough. For comparing
    /// rounds, as above.
    ServiceP99,
    /// 99th percentile of each round's lateness (a − t), ns, where the round has enough. For
    /// comparing rounds, as above.
    LatenessP99,
    /// 99th percentile of each round's scheduling delays, ns, where a probe ran. For comparing
    /// rounds, as above.
    DelayP99,
    /// CPU time (user + system) per 1000 tasks, s.
    CpuPerThousand,
    /// User CPU time per task, ns.
    CpuUser,
    /// System CPU time per task, ns.
    CpuSystem,
    /// Context switches (voluntary + involuntary) per task.
    Switches,
    /// Peak resident memory, bytes: the harness's and the executor's together.
    PeakMemory,
    /// Resident memory after preparation, before any task, and what the recorders took: the
    /// harness's own, bytes.
    HarnessMemory,
    /// Peak resident memory less the harness's own: what the executor took to run the load, bytes.
    ExecutorMemory,
    /// The executor's memory per slot, bytes.
    MemoryPerSlot,
    /// Most threads alive.
    Threads,
}

impl MetricId {
    /// The names by which scenarios speak of metrics, in the order of the enum.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("makespan", Self::Makespan),
        ("throughput", Self::Throughput),
        ("latency.p50", Self::LatencyP50),
        ("latency.p99", Self::LatencyP99),
        ("service.p50", Self::ServiceP50),
        ("service.p99", Self::ServiceP99),
        ("lateness.p99", Self::LatenessP99),
        ("delay.p99", Self::DelayP99),
        ("cpu", Self::CpuPerThousand),
        ("cpu.user", Self::CpuUser),
        ("cpu.system", Self::CpuSystem),
        ("switches", Self::Switches),
        ("memory.peak", Self::PeakMemory),
        ("memory.harness", Self::HarnessMemory),
        ("memory.executor", Self::ExecutorMemory),
        ("memory.per-slot", Self::MemoryPerSlot),
        ("threads", Self::Threads),
    ];

    /// The metric by which a claim on this one is judged. Of memory it is the executor's: the
    /// harness has as much under each, so that a factor of the sums would be closer to 1 than that
    /// of the executors.
    #[must_use]
    pub fn claimed(self) -> Self {
        match self {
            Self::PeakMemory => Self::ExecutorMemory,
            other => other,
        }
    }

    /// The metric's name in scenarios.
    pub fn name(self) -> &'static str {
        // The names are in the order of the enum; a test holds them there.
        Self::NAMES[self as usize].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_own_name_at_its_place() {
        for (at, (name, metric)) in MetricId::NAMES.iter().enumerate() {
            assert_eq!(*metric as usize, at, "{name}");
            assert_eq!(metric.name(), *name);
            assert_eq!(
                MetricId::NAMES.iter().filter(|(other, _)| other == name).count(),
                1,
                "{name}"
            );
        }
        assert_eq!(MetricId::NAMES.len(), MetricId::Threads as usize + 1);
    }
}
