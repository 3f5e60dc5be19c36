//! The metrics of a cell, each declared once. Labels, units, directions, axes, values and ratios
//! follow from the table.

use super::{MetricId, significant};
use crate::{
    measure::{Delay, Histo, Measurements, TrialMeasured},
    units::{format_ns, format_size},
};

/// What is known of a metric without measuring it.
#[derive(Debug, Clone, Copy)]
pub struct MetricInfo {
    /// Which metric.
    pub id: MetricId,
    /// Its name, as a column or an axis shows it.
    pub label: &'static str,
    /// What the best executor does, to follow its name in a sentence.
    pub lead: &'static str,
    /// The unit of its values as they are stored.
    pub unit: &'static str,
    /// Which values are better.
    pub better: Better,
    /// The axis on which it is drawn.
    pub axis: AxisKind,
    /// Prints a value for people, with its unit.
    pub format: fn(f64) -> String,
    extract: fn(&Measurements, u64) -> Option<f64>,
}

/// Which values of a metric are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Less is better: times, costs.
    Lower,
    /// More is better: rates.
    Higher,
}

/// How a metric is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisKind {
    /// Linear, and from zero.
    Linear,
    /// Logarithmic.
    Log,
}

impl MetricInfo {
    /// The value of one trial; none where the metric does not apply to it. `slots` are the tasks
    /// that run at once.
    pub fn value(&self, measured: &Measurements, slots: u64) -> Option<f64> {
        (self.extract)(measured, slots).filter(|value| value.is_finite())
    }

    /// How many times as good `value` is as `reference`: above 1 is better, whatever the direction.
    /// None where one of them is not positive.
    pub fn times_as_good(&self, value: f64, reference: f64) -> Option<f64> {
        let (above, below) = match self.better {
            Better::Lower => (reference, value),
            Better::Higher => (value, reference),
        };
        (above > 0.0 && below > 0.0).then(|| above / below)
    }
}

/// The value of a metric that is a quantile of each round's own times.
fn quantile(id: MetricId, measured: &Measurements) -> Option<f64> {
    let (times, q) = id.quantile_of(measured)?;
    times.quantile(q).map(|ns| ns as f64)
}

impl MetricId {
    /// Of a metric that is a quantile of each round's own times: the times, and which quantile.
    fn quantile_of(self, measured: &Measurements) -> Option<(&Histo, f64)> {
        let delays = || match measured.trial.delay.as_ref()? {
            Delay::Measured(delays) => Some(delays),
            Delay::NotApplicable(_) => None,
        };
        match self {
            Self::LatencyP50 => Some((&measured.task.latency, 0.5)),
            Self::LatencyP99 => Some((&measured.task.latency, 0.99)),
            Self::ServiceP50 => Some((&measured.task.service, 0.5)),
            Self::ServiceP99 => Some((&measured.task.service, 0.99)),
            Self::LatenessP99 => Some((&measured.task.lateness, 0.99)),
            Self::DelayP99 => Some((delays()?, 0.99)),
            _ => None,
        }
    }

    /// Whether all that is known of its value in a round is that it is high: times were clipped
    /// there.
    pub(super) fn is_clipped(self, measured: &Measurements) -> bool {
        let bound = self.quantile_of(measured).and_then(|(times, q)| times.bound(q));
        bound.is_some_and(|bound| bound.exact().is_none())
    }

    /// Its row of [`METRICS`].
    pub fn info(self) -> &'static MetricInfo {
        // The table is in the order of the enum; a test holds it there.
        &METRICS[self as usize]
    }

    /// Whether it is a quantile of times.
    pub(super) fn is_time(self) -> bool {
        self.is_latency() || self.is_service() || self == Self::DelayP99
    }

    /// Whether it is a quantile of latencies, or of the wait in them.
    pub(super) fn is_latency(self) -> bool {
        matches!(self, MetricId::LatencyP50 | MetricId::LatencyP99 | MetricId::LatenessP99)
    }

    /// Whether it is a quantile of the time that the work took by itself.
    pub(super) fn is_service(self) -> bool {
        matches!(self, MetricId::ServiceP50 | MetricId::ServiceP99)
    }
}

/// All metrics, in the order in which they are shown.
pub const METRICS: &[MetricInfo] = &[
    MetricInfo {
        id: MetricId::Makespan,
        label: "makespan",
        lead: "completes the batch fastest",
        unit: "ns",
        better: Better::Lower,
        axis: AxisKind::Log,
        format: nanoseconds,
        extract: |measured, _| {
            super::stats::median(
                &measured.makespans_ns.iter().map(|&ns| ns as f64).collect::<Vec<_>>(),
            )
        },
    },
    MetricInfo {
        id: MetricId::Throughput,
        label: "throughput",
        lead: "has the highest throughput",
        unit: "tasks/s",
        better: Better::Higher,
        axis: AxisKind::Linear,
        format: |value| format!("{}/s", significant(value)),
        extract: |measured, _| share(measured.completed as f64 * 1e9, measured.window_ns),
    },
    MetricInfo {
        id: MetricId::LatencyP50,
        label: "p50 latency",
        lead: "has the lowest p50 latency",
        unit: "ns",
        better: Better::Lower,
        axis: AxisKind::Log,
        format: nanoseconds,
        extract: |measured, _| quantile(MetricId::LatencyP50, measured),
    },
    MetricInfo {
        id: MetricId::LatencyP99,
        label: "p99 latency",
        lead: "has the lowest p99 latency",
        unit: "ns",
        better: Better::Lower,
        axis: AxisKind::Log,
        format: nanoseconds,
        extract: |measured, _| quantile(MetricId::LatencyP99, measured),
    },
    MetricInfo {
        id: MetricId::ServiceP50,
        label: "p50 service time",
        lead: "has the lowest p50 service time",
        unit: "ns",
        better: Better::Lower,
        axis: AxisKind::Log,
        format: nanoseconds,
        extract: |measured, _| quantile(MetricId::ServiceP50, measured),
    },
    MetricInfo {
        id: MetricId::ServiceP99,
        label: "p99 service time",
        lead: "has the lowest p99 service time",
        unit: "ns",
        better: Better::Lower,
        axis: AxisKind::Log,
        format: nanoseconds,
        extract: |measured, _| quantile(MetricId::ServiceP99, measured),
    },
    MetricInfo {
        id: MetricId::LatenessP99,
        label: "p99 lateness",
        lead: "starts tasks most punctually",
        unit: "ns",
        better: Better::Lower,
        axis: AxisKind::Log,
        format: nanoseconds,
        extract: |measured, _| quantile(MetricId::LatenessP99, measured),
    },
    MetricInfo {
        id: MetricId::DelayP99,
        label: "p99 scheduling delay",
        lead: "keeps its other tasks waiting least",
        unit: "ns",
        better: Better::Lower,
        axis: AxisKind::Log,
        format: nanoseconds,
        extract: |measured, _| quantile(MetricId::DelayP99, measured),
    },
    MetricInfo {
        id: MetricId::CpuPerThousand,
        label: "CPU time per 1000 tasks",
        lead: "uses the least CPU time",
        unit: "s",
        better: Better::Lower,
        axis: AxisKind::Linear,
        format: |value| nanoseconds(value * 1e9),
        extract: |measured, _| {
            of_task(measured, |trial| (trial.cpu_user_ns + trial.cpu_system_ns) as f64 / 1e6)
        },
    },
    MetricInfo {
        id: MetricId::CpuUser,
        label: "user CPU time per task",
        lead: "uses the least user CPU time",
        unit: "ns",
        better: Better::Lower,
        axis: AxisKind::Linear,
        format: nanoseconds,
        extract: |measured, _| of_task(measured, |trial| trial.cpu_user_ns as f64),
    },
    MetricInfo {
        id: MetricId::CpuSystem,
        label: "system CPU time per task",
        lead: "uses the least system CPU time",
        unit: "ns",
        better: Better::Lower,
        axis: AxisKind::Linear,
        format: nanoseconds,
        extract: |measured, _| of_task(measured, |trial| trial.cpu_system_ns as f64),
    },
    MetricInfo {
        id: MetricId::Switches,
        label: "context switches per task",
        lead: "has the fewest context switches",
        unit: "1",
        better: Better::Lower,
        axis: AxisKind::Linear,
        format: significant,
        extract: |measured, _| {
            of_task(measured, |trial| {
                (trial.switches_voluntary + trial.switches_involuntary) as f64
            })
        },
    },
    MetricInfo {
        id: MetricId::PeakMemory,
        label: "peak memory",
        lead: "has the lowest peak memory",
        unit: "bytes",
        better: Better::Lower,
        axis: AxisKind::Linear,
        format: bytes,
        extract: |measured, _| positive(measured.trial.peak_memory_bytes),
    },
    MetricInfo {
        id: MetricId::HarnessMemory,
        label: "harness memory",
        lead: "has the least memory of the harness",
        unit: "bytes",
        better: Better::Lower,
        axis: AxisKind::Linear,
        format: bytes,
        extract: |measured, _| harness_memory(measured),
    },
    MetricInfo {
        id: MetricId::ExecutorMemory,
        label: "executor memory",
        lead: "needs the least memory",
        unit: "bytes",
        better: Better::Lower,
        axis: AxisKind::Linear,
        format: bytes,
        extract: |measured, _| executor_memory(measured),
    },
    MetricInfo {
        id: MetricId::MemoryPerSlot,
        label: "memory per slot",
        lead: "has the least memory per slot",
        unit: "bytes",
        better: Better::Lower,
        axis: AxisKind::Linear,
        format: bytes,
        extract: |measured, slots| {
            let bytes = executor_memory(measured).filter(|_| measured.beside == 0)?;
            share(bytes, slots)
        },
    },
    MetricInfo {
        id: MetricId::Threads,
        label: "threads, at most",
        lead: "has the fewest threads",
        unit: "1",
        better: Better::Lower,
        axis: AxisKind::Linear,
        format: significant,
        extract: |measured, _| positive(measured.trial.peak_threads),
    },
];

/// What the trial used for each task of a load that it has for itself. Where there are others,
/// nobody knows whose it was.
fn of_task(measured: &Measurements, used: impl Fn(&TrialMeasured) -> f64) -> Option<f64> {
    share(used(&measured.trial), measured.completed).filter(|_| measured.beside == 0)
}

/// What was resident before any task, and what the recorders took since.
fn harness_memory(measured: &Measurements) -> Option<f64> {
    positive(measured.trial.prepared_memory_bytes)
        .map(|prepared| prepared + measured.trial.recorder_memory_bytes as f64)
}

/// What came on top of the harness's own while the load ran.
fn executor_memory(measured: &Measurements) -> Option<f64> {
    let peak = positive(measured.trial.peak_memory_bytes)?;
    Some((peak - harness_memory(measured).unwrap_or(0.0)).max(0.0))
}

/// A counter that is zero was not read.
fn positive(count: u64) -> Option<f64> {
    (count > 0).then_some(count as f64)
}

fn share(whole: f64, parts: u64) -> Option<f64> {
    positive(parts).map(|parts| whole / parts)
}

fn nanoseconds(value: f64) -> String {
    format_ns(value.round() as u64)
}

fn bytes(value: f64) -> String {
    format_size(value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Outcome, fixture::Fixture};

    /// 100 tasks in 2 ms with the fixture's costs: 20 µs user, 5 µs system, 2.1 switches a task.
    fn measured() -> Measurements {
        let run = Fixture::batch("threads", 1).cell("threads", &[], &[2e6]).build();
        match run.trials[0].outcome.clone() {
            Outcome::Measured(measured) => measured.loads[0].clone(),
            Outcome::Failed(failure) => panic!("{failure:?}"),
        }
    }

    fn value(id: MetricId, measured: &Measurements) -> Option<f64> {
        id.info().value(measured, 64)
    }

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_labels_are_unique() {
        for (row, index) in METRICS.iter().zip(0..) {
            assert_eq!(row.id as usize, index, "{}", row.label);
            assert_eq!(
                METRICS.iter().filter(|other| other.label == row.label).count(),
                1,
                "{}",
                row.label
            );
        }
    }

    #[test]
    fn values_follow_from_the_measurements() {
        let measured = measured();
        let expected = [
            (MetricId::Makespan, Some(2e6)),
            (MetricId::Throughput, Some(50_000.0)),
            (MetricId::LatencyP99, None),
            (MetricId::CpuPerThousand, Some(0.025)),
            (MetricId::CpuUser, Some(20_000.0)),
            (MetricId::CpuSystem, Some(5_000.0)),
            (MetricId::Switches, Some(2.1)),
            (MetricId::PeakMemory, Some(f64::from(16 << 20))),
            (MetricId::HarnessMemory, Some(f64::from(9 << 20))),
            (MetricId::ExecutorMemory, Some(f64::from(7 << 20))),
            (MetricId::MemoryPerSlot, Some(f64::from(7 << 20) / 64.0)),
            (MetricId::Threads, Some(4.0)),
        ];
        for (id, expected) in expected {
            assert_eq!(value(id, &measured), expected, "{id:?}");
        }
    }

    #[test]
    fn a_trial_of_several_batches_has_their_median_makespan() {
        let measured = Measurements { makespans_ns: vec![9, 1, 3], ..measured() };
        assert_eq!(value(MetricId::Makespan, &measured), Some(3.0));
    }

    #[test]
    fn what_was_not_measured_has_no_value() {
        let nothing = Measurements::default();
        for row in METRICS {
            assert_eq!(row.value(&nothing, 1), None, "{}", row.label);
        }
    }

    #[test]
    fn better_is_above_one_in_both_directions() {
        let half_the_time = MetricId::Makespan.info().times_as_good(1.0, 2.0);
        let twice_the_rate = MetricId::Throughput.info().times_as_good(2.0, 1.0);
        assert_eq!((half_the_time, twice_the_rate), (Some(2.0), Some(2.0)));
        assert_eq!(MetricId::Makespan.info().times_as_good(0.0, 2.0), None);
    }

    #[test]
    fn values_print_with_their_unit() {
        assert_eq!((MetricId::Throughput.info().format)(31_000.0), "31.0k/s");
        assert_eq!((MetricId::Switches.info().format)(2.1), "2.10");
        assert_eq!((MetricId::Makespan.info().format)(12_340_000.4), format_ns(12_340_000));
        assert_eq!((MetricId::CpuPerThousand.info().format)(0.025), format_ns(25_000_000));
        assert_eq!((MetricId::PeakMemory.info().format)(16_384.0), format_size(16_384));
    }
}
