//! Whether something else than the executor was the limit: the target, or a rate that nobody could
//! keep up with.

use super::{
    cause::{Cause, percent},
    disturbance::SHORTEST_NS,
};
use crate::{
    analysis::{Validity, significant},
    measure::{Measurements, TargetReport},
    store::Row,
};

/// An open load achieves at least this share of what is offered.
const ACHIEVED: f64 = 0.99;
/// … or misses no more arrivals than this: the tasks in flight at both edges of the window differ
/// by a few.
const FEW: u64 = 10;
/// From this share of its CPUs on the target is the limit.
const TARGET_BUSY: f64 = 0.85;
/// From this share of the window in which it waited for a CPU on, too.
const TARGET_WAITED: f64 = 0.05;

/// From this share of the window on a target was busy or ready to run; below, its waits for a CPU
/// limit nobody.
const TARGET_WANTED: f64 = 0.5;

/// Tasks that are in flight at the window's end and have no counterpart at its start, because the
/// warm-up was shorter than they take. That is no overload. The shortest tasks tell how many: with
/// an overload only the others grow.
fn hanging(measured: &Measurements, scheduled: u64) -> u64 {
    let warmup_ns = measured.slices.first().map_or(0, |slice| slice.from_ns.min(0).unsigned_abs());
    let service = &measured.task.service.0;
    let task_ns = if service.is_empty() { 0 } else { service.value_at_quantile(0.1) };
    let beyond = task_ns.saturating_sub(warmup_ns) as f64 / measured.window_ns as f64;
    (scheduled as f64 * beyond) as u64
}

/// An open load that offered more than was achieved, or that dropped arrivals.
pub(super) fn overload(measured: &Measurements) -> Option<Cause> {
    let arrivals = measured.arrivals.as_ref().filter(|_| measured.window_ns > 0)?;
    let offered = arrivals.scheduled;
    let achieved = measured.completed;
    let missing = offered.saturating_sub(achieved + hanging(measured, offered));
    let short = missing > FEW && missing as f64 > (1.0 - ACHIEVED) * offered as f64;
    let rate = |tasks: u64| significant(tasks as f64 * 1e9 / measured.window_ns as f64);
    let dropped = match arrivals.dropped {
        0 => String::new(),
        some => format!(", {some} of {offered} dropped"),
    };
    (short || arrivals.dropped > 0).then(|| Cause {
        validity: Validity::Overloaded,
        evidence: format!("offered {}/s, achieved {}/s{dropped}", rate(offered), rate(achieved)),
        severity: missing as f64 / offered.max(1) as f64,
    })
}

/// A target that had no CPU time left.
pub(super) fn target_bound(row: Row<'_>, measured: &Measurements) -> Option<Cause> {
    let causes =
        measured.trial.targets.iter().filter_map(|target| saturated(row, measured, target));
    causes.max_by(|a, b| a.severity.total_cmp(&b.severity))
}

fn saturated(row: Row<'_>, measured: &Measurements, target: &TargetReport) -> Option<Cause> {
    let wall_ns = measured.trial.host.target.as_ref().map_or(measured.window_ns, |set| set.wall_ns);
    // The kernel brings a running thread's CPU time up to date at ticks: a short window has ticks
    // of time from before it.
    if wall_ns < SHORTEST_NS {
        return None;
    }
    // On a CPU that it shares with the executor it waits for the executor.
    let waited = target.run_delay_ns.filter(|_| is_apart(row, target));
    let waited = waited.map_or(0.0, |ns| ns as f64 / wall_ns as f64);
    let busy = target.busy.unwrap_or(0.0);
    let kept_waiting = waited >= TARGET_WAITED && busy + waited >= TARGET_WANTED;
    (busy >= TARGET_BUSY || kept_waiting).then(|| Cause {
        validity: Validity::TargetBound,
        evidence: format!(
            "the target {} was busy for {} of its CPU time and waited for a CPU for {} of the window",
            target.name,
            percent(busy),
            percent(waited)
        ),
        severity: (busy / TARGET_BUSY).max(waited / TARGET_WAITED),
    })
}

/// Whether a target has CPUs on which the executor does not run.
fn is_apart(row: Row<'_>, target: &TargetReport) -> bool {
    if target.cpus.is_empty() {
        return !row.cell.target_cpus.is_empty();
    }
    !row.cell.executor_cpus.is_empty()
        && !target.cpus.iter().any(|cpu| row.cell.executor_cpus.contains(cpu))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        measure::{Arrivals, Slice, Stream, TrialMeasured},
        store::{Outcome, StoredCell, fixture::Fixture},
    };

    #[test]
    fn a_task_longer_than_the_warm_up_is_no_overload() {
        // 10 000 arrivals in 2 s, each of which takes 200 ms: a tenth is in flight at the end, and
        // there was no warm-up.
        let measured = |completed: u64, warmup_ns: i64| {
            let mut task = Stream::default();
            task.service.0.saturating_record_n(200_000_000, 9_000);
            let arrivals = Arrivals { scheduled: 10_000, ..Arrivals::default() };
            let slices = vec![Slice { from_ns: -warmup_ns, ..Slice::default() }];
            let window_ns = 2_000_000_000;
            Measurements {
                window_ns,
                completed,
                arrivals: Some(arrivals),
                task,
                slices,
                ..Measurements::default()
            }
        };
        assert!(overload(&measured(9_000, 0)).is_none());
        assert!(overload(&measured(8_000, 0)).is_some());
        assert!(overload(&measured(9_000, 300_000_000)).is_some());
    }

    /// 10 000 arrivals in 2 s.
    fn open(completed: u64, dropped: u64) -> Option<String> {
        let arrivals = Arrivals { scheduled: 10_000, dropped, ..Arrivals::default() };
        let measured = Measurements {
            window_ns: 2_000_000_000,
            completed,
            arrivals: Some(arrivals),
            ..Measurements::default()
        };
        overload(&measured).map(|cause| cause.evidence)
    }

    #[test]
    fn one_in_a_hundred_may_be_missing_and_none_dropped() {
        assert_eq!(open(10_000, 0), None);
        assert_eq!(open(9_900, 0), None);
        assert_eq!(open(9_899, 0).as_deref(), Some("offered 5.00k/s, achieved 4.95k/s"));
        assert_eq!(open(6_240, 0).as_deref(), Some("offered 5.00k/s, achieved 3.12k/s"));
        assert_eq!(
            open(9_999, 1).as_deref(),
            Some("offered 5.00k/s, achieved 5.00k/s, 1 of 10000 dropped")
        );
    }

    #[test]
    fn a_closed_load_is_never_overloaded() {
        assert!(overload(&Measurements { window_ns: 1, ..Measurements::default() }).is_none());
    }

    /// A target over 20 s, with a CPU of its own.
    fn target(busy: Option<f64>, run_delay_ns: Option<u64>, shared: bool) -> Option<String> {
        let report =
            TargetReport { name: "api".into(), busy, run_delay_ns, ..TargetReport::default() };
        let fixture = Fixture::closed("threads", 1).cell("threads", &[], &[100.0]);
        let fixture = fixture.measured("demo::threads", |_, measured| {
            measured.trial_mut().targets = vec![report.clone()];
        });
        let mut run = fixture.build();
        if shared {
            run.header.cells[0].target_cpus.clear();
        }
        let Outcome::Measured(measured) = &run.trials[0].outcome else { return None };
        let row = run.header.cells[0].rows().next()?;
        target_bound(row, row.of(measured)?).map(|cause| cause.evidence)
    }

    #[test]
    fn a_busy_target_is_the_limit() {
        assert_eq!(target(Some(0.849), Some(0), false), None);
        let said = "the target api was busy for 85.0 % of its CPU time and waited for a CPU for 0.0 % of the window";
        assert_eq!(target(Some(0.85), Some(0), false).as_deref(), Some(said));
        assert_eq!(target(None, None, false), None);
    }

    #[test]
    fn in_a_window_of_some_ticks_a_target_s_cpu_time_says_nothing() {
        let run = Fixture::closed("threads", 1).cell("threads", &[], &[100.0]).build();
        let row = run.header.cells[0].rows().next().expect("it has a load");
        let report = TargetReport { busy: Some(1.148), ..TargetReport::default() };
        let bound = |window_ns| {
            let targets = vec![report.clone()];
            let trial = TrialMeasured { targets, ..TrialMeasured::default() }.into();
            let measured = Measurements { window_ns, trial, ..Measurements::default() };
            target_bound(row, &measured).is_some()
        };
        assert!(!bound(6_730_000) && !bound(99_999_999));
        assert!(bound(100_000_000));
    }

    #[test]
    fn a_target_that_waits_for_its_cpu_is_the_limit_unless_it_shares_the_executor_s() {
        assert_eq!(target(Some(0.5), Some(999_000_000), false), None);
        assert!(target(Some(0.5), Some(1_000_000_000), false).is_some());
        assert_eq!(target(Some(0.5), Some(10_000_000_000), true), None);
    }

    #[test]
    fn where_a_server_of_the_user_s_own_may_run_is_its_own_affair() {
        let cell = |executor: &[usize], target: &[usize]| {
            let run = Fixture::closed("threads", 1).cell("threads", &[], &[100.0]).build();
            let (executor_cpus, target_cpus) = (executor.to_vec(), target.to_vec());
            StoredCell { executor_cpus, target_cpus, ..run.header.cells[0].clone() }
        };
        let on = |cpus: &[usize]| TargetReport { cpus: cpus.to_vec(), ..TargetReport::default() };
        let is_apart = |cell: StoredCell, target: TargetReport| {
            cell.rows().any(|row| super::is_apart(row, &target))
        };
        assert!(is_apart(cell(&[0], &[]), on(&[1])));
        // The pacer has a CPU of its own, and the server does not keep to it.
        assert!(!is_apart(cell(&[0], &[1]), on(&[0, 1])));
        assert!(!is_apart(cell(&[], &[]), on(&[1])));
    }
}
