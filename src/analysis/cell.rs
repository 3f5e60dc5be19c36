//! One cell: its trials of all rounds put together.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    CellResult, CellStatus, Counts, Errors, Judgement, METRICS, MetricId, MetricValue, StepResult,
    stats, validity,
};
use crate::{
    measure::{Arrivals, Delay, FILE_SYSTEM, Histo, Measurements, SYNC_IN_MEMORY, Stream},
    scenario::LoadKind,
    store::{Absent, Outcome, Rounds, Row, StoredCell, StoredLoad, TrialFailure},
    units::format_ns,
};

/// The trials of a cell, told apart by their outcome, in the order of rounds.
struct Trials<'a> {
    measured: Vec<(u32, &'a Measurements)>,
    failed: Vec<(u32, &'a TrialFailure)>,
}

/// Puts a cell's trials together. Its ratio is left out: it needs the baseline's cell.
pub(super) fn cell(rounds: &Rounds<'_>, row: Row<'_>) -> CellResult {
    let (all, cell) = (Trials::of(rounds, row), row.cell);
    let judgement = validity::judge(row, &all.rounds(), rounds.run.header.clock_ns);
    let trials = all.counted(&judgement);
    let measured: Vec<&Measurements> =
        trials.measured.iter().map(|(_, measured)| *measured).collect();
    let mut result = CellResult {
        name: row.name(),
        cell: cell.name.clone(),
        executor: cell.executor.clone(),
        label: cell.label.clone(),
        status: status(cell, &all),
        slots: row.load.slots,
        metrics: metrics(row.load, &trials),
        ratio: None,
        latency: merged(trials.streams().map(|stream| &stream.latency)),
        service: merged(trials.streams().map(|stream| &stream.service)),
        lateness: merged(trials.streams().map(|stream| &stream.lateness)),
        delay: delay(&measured),
        steadiness: validity::steadiness(&measured),
        slices: validity::merged(&measured),
        arrivals: arrivals(&measured),
        window_ns: trials.measured.iter().map(|(_, measured)| measured.window_ns).sum(),
        counts: counts(&trials),
        errors: Errors::of(&all.measured.iter().map(|(_, measured)| *measured).collect::<Vec<_>>()),
        steps: steps(&trials),
        failures: failures(rounds.failures_of(&cell.name)),
        least_makespan_ns: least_makespan_ns(row.load),
        facts: trials
            .measured
            .first()
            .map(|(_, first)| first.trial.facts.clone())
            .unwrap_or_default(),
        shared_cpu_ns: shared_cpu_ns(&trials),
        target_busy: target_busy(&trials),
        judgement,
    };
    result.judgement.clipped = result.clipped();
    result.withhold(rounds.run.header.clock_ns);
    result
}

impl CellResult {
    /// Folders in which its steps wait for a disk, and that are on none, each with what to do about
    /// it.
    pub fn not_on_a_disk(&self) -> impl Iterator<Item = String> {
        self.facts.iter().filter_map(|(name, value)| {
            let (target, kind) =
                (name.strip_suffix(FILE_SYSTEM)?, value.strip_suffix(SYNC_IN_MEMORY)?);
            Some(format!("`{target}` is on {kind}{SYNC_IN_MEMORY}; give `path` on a disk"))
        })
    }

    /// What is to be said of times that are only known to be high; nothing where all are known.
    fn clipped(&self) -> Option<String> {
        let delays = match &self.delay {
            Some(Delay::Measured(delays)) => Some(("scheduling delays", delays)),
            _ => None,
        };
        let own = [
            ("latencies", &self.latency),
            ("service times", &self.service),
            ("times of lateness", &self.lateness),
        ];
        let steps = self.steps.iter().map(|step| ("latencies of steps", &step.latency));
        let all: Vec<(&str, &Histo)> = own.into_iter().chain(delays).chain(steps).collect();
        let (what, times, (values, from_ns)) =
            all.into_iter().find_map(|(what, times)| Some((what, times, times.clipped()?)))?;
        let from = format_ns(from_ns);
        Some(format!(
            "{values} of {} {what} were {from} or more, and no longer time was told apart: quantiles among them are shown \
             as ≥ {from}, means and greatest values are withheld, and no comparison uses them",
            times.count()
        ))
    }

    /// Leaves out times that are so short that they would be those of the clock. Work may be, and
    /// the wait for it not: then latencies are told, and the time that the work took by itself is
    /// not.
    fn withhold(&mut self, clock_ns: f64) {
        if self.judgement.withheld.is_some() {
            (self.latency, self.lateness) = (Histo::new(), Histo::new());
            self.metrics.retain(|id, _| !id.is_latency());
        }
        if validity::too_short(&self.service, clock_ns).is_some() {
            self.service = Histo::new();
            self.metrics.retain(|id, _| !id.is_service());
        }
        for step in self
            .steps
            .iter_mut()
            .filter(|step| validity::too_short(&step.latency, clock_ns).is_some())
        {
            step.latency = Histo::new();
        }
    }
}

impl<'a> Trials<'a> {
    fn of(rounds: &Rounds<'a>, row: Row<'_>) -> Self {
        let mut trials = Self { measured: Vec::new(), failed: Vec::new() };
        for (round, trial) in rounds.of(&row.cell.name) {
            match &trial.outcome {
                Outcome::Measured(measured) => {
                    trials.measured.extend(row.of(measured).map(|load| (round, load)));
                }
                Outcome::Failed(failure) => trials.failed.push((round, failure)),
            }
        }
        trials
    }

    /// All rounds in order.
    fn rounds(&self) -> Vec<(u32, Option<&'a Measurements>)> {
        let measured = self.measured.iter().map(|&(round, measured)| (round, Some(measured)));
        let mut rounds: Vec<_> =
            measured.chain(self.failed.iter().map(|&(round, _)| (round, None))).collect();
        rounds.sort_by_key(|(round, _)| *round);
        rounds
    }

    /// Those whose figures are the cell's.
    fn counted(&self, judgement: &Judgement) -> Self {
        let measured = self.measured.iter().copied().filter(|(round, _)| judgement.counts(*round));
        Self { measured: measured.collect(), failed: self.failed.clone() }
    }

    fn streams(&self) -> impl Iterator<Item = &'a Stream> {
        self.measured.iter().map(|(_, measured)| &measured.task)
    }
}

fn status(cell: &StoredCell, trials: &Trials<'_>) -> CellStatus {
    let (measured, planned) = (trials.measured.len(), cell.rounds as usize);
    if measured > 0 && measured >= planned {
        return CellStatus::Complete;
    }
    if measured > 0 {
        return CellStatus::Partial(format!("{measured} of {planned} rounds"));
    }
    if let Some((reason, _)) =
        failures(trials.failed.iter().map(|(_, failure)| *failure)).into_iter().next()
    {
        return CellStatus::Failed(reason);
    }
    match &cell.absent {
        Some(Absent::NotApplicable(reason)) => CellStatus::NotApplicable(reason.clone()),
        Some(Absent::Refused(reason)) => CellStatus::Refused(reason.clone()),
        None => CellStatus::Pending,
    }
}

fn metrics(load: &StoredLoad, trials: &Trials<'_>) -> BTreeMap<MetricId, MetricValue> {
    let over_rounds = |metric: &super::MetricInfo| {
        // Without the rounds in which it is only known to be high a cell would look better than it
        // is.
        if trials.measured.iter().any(|(_, measured)| metric.id.is_clipped(measured)) {
            return None;
        }
        let values = trials
            .measured
            .iter()
            .filter_map(|&(round, m)| Some((round, metric.value(m, load.slots)?)));
        Some((metric.id, MetricValue::of(values.collect())?))
    };
    METRICS.iter().filter_map(over_rounds).collect()
}

/// One histogram of all rounds: percentiles are read off it, and never averaged.
fn merged<'a>(histograms: impl Iterator<Item = &'a Histo>) -> Histo {
    histograms.fold(Histo::new(), |mut sum, histogram| {
        sum.merge(histogram);
        sum
    })
}

fn counts(trials: &Trials<'_>) -> Counts {
    let streams = trials.streams().map(stream_counts);
    let sum = streams.fold(Counts::default(), Counts::plus);
    Counts {
        completed: trials.measured.iter().map(|(_, measured)| measured.completed).sum(),
        ..sum
    }
}

fn stream_counts(stream: &Stream) -> Counts {
    Counts {
        completed: stream.count,
        errors: stream.errors,
        timeouts: stream.timeouts,
        censored: stream.censored,
    }
}

impl Counts {
    fn plus(self, other: Self) -> Self {
        Self {
            completed: self.completed + other.completed,
            errors: self.errors + other.errors,
            timeouts: self.timeouts + other.timeouts,
            censored: self.censored + other.censored,
        }
    }
}

/// Named steps over all rounds, in the order of the first round that has them.
fn steps(trials: &Trials<'_>) -> Vec<StepResult> {
    let mut steps: Vec<StepResult> = Vec::new();
    for named in trials.measured.iter().flat_map(|(_, measured)| &measured.steps) {
        let counts = stream_counts(&named.stream);
        if let Some(step) = steps.iter_mut().find(|step| step.name == named.name) {
            step.counts = step.counts.plus(counts);
            step.latency.merge(&named.stream.latency);
        } else {
            let latency = named.stream.latency.clone();
            steps.push(StepResult {
                name: named.name.clone(),
                top_level: named.top_level,
                counts,
                latency,
            });
        }
    }
    steps
}

/// The arrivals of all rounds together; none of loads that are not open.
fn arrivals(rounds: &[&Measurements]) -> Option<Arrivals> {
    let open = rounds.iter().filter_map(|measured| measured.arrivals.clone());
    open.reduce(|mut sum, one| {
        sum.scheduled += one.scheduled;
        sum.dropped += one.dropped;
        sum.delayed += one.delayed;
        sum.censored += one.censored;
        sum.most_in_flight = sum.most_in_flight.max(one.most_in_flight);
        sum.pacer.merge(&one.pacer);
        sum
    })
}

/// The delays of all rounds together, or why no probe could run.
fn delay(rounds: &[&Measurements]) -> Option<Delay> {
    let mut all = rounds.iter().filter_map(|measured| measured.trial.delay.as_ref());
    let histograms = all.clone().filter_map(|delay| match delay {
        Delay::Measured(delays) => Some(delays),
        Delay::NotApplicable(_) => None,
    });
    if histograms.clone().next().is_some() {
        Some(Delay::Measured(merged(histograms)))
    } else {
        all.next().cloned()
    }
}

/// Reasons with how many trials failed for them, the commonest first.
fn failures<'a>(failed: impl Iterator<Item = &'a TrialFailure>) -> Vec<(String, usize)> {
    let mut by_reason: BTreeMap<&str, usize> = BTreeMap::new();
    for failure in failed {
        *by_reason.entry(&failure.reason).or_default() += 1;
    }
    let mut reasons: Vec<(String, usize)> =
        by_reason.into_iter().map(|(reason, n)| (reason.into(), n)).collect();
    reasons.sort_by_key(|(_, count)| Reverse(*count));
    reasons
}

/// The bound that no noise can break: with `slots` tasks at once, a batch takes ceil(tasks / slots)
/// turns at least.
fn least_makespan_ns(load: &StoredLoad) -> Option<u64> {
    let LoadKind::Batch { tasks, .. } = load.kind else { return None };
    let is_bounded = load.slots > 0 && load.least_task_ns > 0;
    is_bounded.then(|| tasks.div_ceil(load.slots).saturating_mul(load.least_task_ns))
}

/// The CPU time of trials whose loads share it.
fn shared_cpu_ns(trials: &Trials<'_>) -> Option<f64> {
    let shared = trials.measured.iter().filter(|(_, measured)| measured.beside > 0);
    let used = shared
        .map(|(_, measured)| (measured.trial.cpu_user_ns + measured.trial.cpu_system_ns) as f64);
    stats::median(&used.collect::<Vec<_>>())
}

fn target_busy(trials: &Trials<'_>) -> Option<f64> {
    let targets = trials.measured.iter().flat_map(|(_, measured)| &measured.trial.targets);
    targets.filter_map(|target| target.busy).max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        measure::TargetReport,
        store::{FailureKind, fixture::Fixture},
    };

    fn first(fixture: Fixture) -> CellResult {
        let run = fixture.build();
        cell(&run.rounds(), run.header.cells[0].rows().next().expect("it has a load"))
    }

    #[test]
    fn a_complete_cell_has_every_round() {
        let cell = first(Fixture::batch("threads", 3).cell("threads", &[], &[2e6, 4e6, 3e6]));
        assert_eq!(cell.status, CellStatus::Complete);
        let makespan = &cell.metrics[&MetricId::Makespan];
        assert_eq!(makespan.rounds, [(1, 2e6), (2, 4e6), (3, 3e6)]);
        assert_eq!((makespan.median, makespan.interval), (3e6, None));
        assert_eq!(cell.counts.completed, 300);
    }

    #[test]
    fn percentiles_are_of_merged_histograms() {
        // Rounds of 100 have no p99; three of them, with 0.5, 5 and 50 ms, have a p90 near the
        // slowest round's.
        let cell = first(Fixture::batch("threads", 3).cell("threads", &[], &[1e6, 1e7, 1e8]));
        assert_eq!((cell.latency.count(), cell.service.count()), (300, 300));
        let p90 = cell.latency.quantile(0.9).expect("thirty lie above") as f64;
        assert!((p90 / 5e7 - 1.0).abs() < 0.001, "{p90}");
        assert_eq!(cell.steps.len(), 1);
        assert_eq!((cell.steps[0].counts.completed, cell.steps[0].latency.count()), (300, 300));
    }

    #[test]
    fn errors_and_timeouts_add_up() {
        let cell = first(Fixture::batch("threads", 2).cell("threads", &[], &[1e6, 1e6]).measured(
            "demo::threads",
            |round, measured| {
                measured.task.errors = u64::from(round);
                measured.task.timeouts = 10;
                // Two began before the window and ended in it.
                measured.completed += 2;
                measured.steps[0].stream.errors = 7;
            },
        ));
        assert_eq!(cell.counts, Counts { completed: 204, errors: 3, timeouts: 20, censored: 0 });
        assert_eq!(
            cell.steps[0].counts,
            Counts { completed: 200, errors: 14, timeouts: 0, censored: 0 }
        );
    }

    #[test]
    fn a_failed_round_leaves_the_others_their_figures() {
        let cell = first(Fixture::batch("threads", 3).cell("threads", &[], &[2e6, 4e6, 3e6]).fail(
            "demo::threads",
            2,
            FailureKind::TimedOut,
            "no end after 60s",
        ));
        assert_eq!(cell.status, CellStatus::Partial("2 of 3 rounds".into()));
        assert_eq!(cell.metrics[&MetricId::Makespan].rounds, [(1, 2e6), (3, 3e6)]);
        assert_eq!(cell.failures, [("no end after 60s".to_owned(), 1)]);
    }

    #[test]
    fn a_cell_without_a_measured_round_says_why() {
        let failing = Fixture::batch("threads", 3)
            .cell("threads", &[], &[])
            .fail("demo::threads", 1, FailureKind::Crashed, "SIGSEGV")
            .fail("demo::threads", 2, FailureKind::TimedOut, "no end after 60s")
            .fail("demo::threads", 3, FailureKind::TimedOut, "no end after 60s");
        let cell = first(failing);
        assert_eq!(cell.status, CellStatus::Failed("no end after 60s".into()));
        assert_eq!(cell.failures, [("no end after 60s".to_owned(), 2), ("SIGSEGV".to_owned(), 1)]);
        assert!(cell.metrics.is_empty());

        assert_eq!(
            first(Fixture::batch("threads", 3).cell("threads", &[], &[])).status,
            CellStatus::Pending
        );
        let refused = Absent::Refused("10 000 threads, 4 096 allowed".into());
        let cell = first(Fixture::batch("threads", 3).absent("threads", &[], refused));
        assert_eq!(cell.status, CellStatus::Refused("10 000 threads, 4 096 allowed".into()));
        let senseless = Absent::NotApplicable("no queue".into());
        let cell = first(Fixture::batch("threads", 3).absent("sequential", &[], senseless));
        assert_eq!(cell.status, CellStatus::NotApplicable("no queue".into()));
    }

    #[test]
    fn delays_bound_the_makespan_of_batches_from_below() {
        let least = |fixture: Fixture| first(fixture).least_makespan_ns;
        // 100 tasks of at least 1 ms: in 100 turns, in ceil(100 / 64) = 2, in one.
        for (executor, turns) in [("sequential", 100), ("thread-pool", 2), ("tokio", 1)] {
            let batch = Fixture::batch("threads", 1).cell(executor, &[], &[]);
            assert_eq!(least(batch), Some(turns * 1_000_000), "{executor}");
        }
        assert_eq!(least(Fixture::closed("threads", 1).cell("threads", &[], &[])), None);
        let undelayed = Fixture::batch("threads", 1).cell("threads", &[], &[]);
        assert_eq!(
            least(undelayed.with(|run| run.header.cells[0].loads[0].least_task_ns = 0)),
            None
        );
    }

    #[test]
    fn the_busiest_target_of_any_round_counts() {
        let busy = |share| TargetReport { busy: share, ..TargetReport::default() };
        let cell = first(Fixture::batch("threads", 2).cell("threads", &[], &[1e6, 1e6]).measured(
            "demo::threads",
            |round, measured| {
                measured.trial_mut().targets = vec![busy(Some(0.4 * f64::from(round))), busy(None)];
            },
        ));
        assert_eq!(cell.target_busy, Some(0.8));
        assert_eq!(cell.facts["allocator"], "system");
    }

    /// Rounds of 2000 tasks, half of which were cut off at 60 s in the second.
    fn clipped(rounds: u32) -> Fixture {
        let fixture =
            Fixture::closed("threads", rounds).cell("threads", &[], &vec![100.0; rounds as usize]);
        fixture.measured("demo::threads", |round, measured| {
            for times in [&mut measured.task.latency, &mut measured.task.service] {
                *times = Histo::new();
                times.0.saturating_record_n(1_100_000_000, 1_000);
                times.0.clipped_record_n(
                    if round == 2 { 61_000_000_000 } else { 1_100_000_000 },
                    1_000,
                    60_000_000_000,
                );
            }
        })
    }

    #[test]
    fn what_is_only_known_to_be_high_is_no_figure_of_a_cell() {
        let one = first(clipped(1));
        assert!(one.metrics.contains_key(&MetricId::LatencyP99) && one.judgement.clipped.is_none());
        let cell = first(clipped(6));
        let said = cell.judgement.clipped.as_deref().expect("it is said");
        assert!(said.starts_with("1000 of 12000 latencies were 60.0s or more"), "{said}");
        // Five rounds have a p99, and their median would be better than the cell.
        for id in [MetricId::LatencyP99, MetricId::ServiceP99] {
            assert!(!cell.metrics.contains_key(&id), "{id:?}");
        }
        assert!(
            cell.metrics.contains_key(&MetricId::LatencyP50)
                && cell.metrics.contains_key(&MetricId::Throughput)
        );
        assert_eq!((cell.latency.quantile(0.99), cell.latency.mean()), (None, None));
        assert!(cell.latency.quantile(0.5).is_some());
        // Little's law needs a mean: without one it accuses nobody.
        assert!(
            cell.judgement.rounds.contains(&(2, crate::analysis::Validity::Valid)),
            "{:?}",
            cell.judgement
        );
    }
}
