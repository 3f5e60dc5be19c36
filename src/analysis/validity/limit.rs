//! What held a cell back: the first thing that stands out in its counters.
//!
//! In this order: a target without CPU time; an executor without CPU time; disks; the pool, where
//! tasks wait for a worker longer than they run; the concurrency, where the executor runs one task
//! at a time; the rate, where an open load got all that it offered; and otherwise the round trip,
//! where tasks mostly wait for something that is none of these. Waiting for locks is not told
//! apart: no step of today takes one.

use super::{cause::percent, saturation};
use crate::{
    analysis::{LimitingFactor, stats},
    measure::{CpuSetDelta, Measurements},
    scenario::LoadKind,
    store::Row,
};

/// From this share of its CPUs on the executor is the limit.
const EXECUTOR_BUSY: f64 = 0.85;
/// From this share of the CPUs' time on disks are the limit.
const WAITED_FOR_DISKS: f64 = 0.25;
/// From this share of their latency on tasks wait for a worker rather than run.
const WAITED_FOR_WORKER: f64 = 0.5;
/// From this share of their service time on tasks wait rather than compute.
const WAITED: f64 = 0.8;

/// The limit and its evidence; none where nothing stands out. `rounds` are those that count.
pub(super) fn limit(row: Row<'_>, rounds: &[&Measurements]) -> Option<(LimitingFactor, String)> {
    let middle = |value: fn(Row<'_>, &Measurements) -> Option<f64>| {
        stats::median(
            &rounds.iter().filter_map(|measured| value(row, measured)).collect::<Vec<_>>(),
        )
    };
    let bound = rounds.iter().filter_map(|measured| saturation::target_bound(row, measured));
    let bound: Vec<String> = bound.map(|cause| cause.evidence).collect();
    if let Some(evidence) = bound.get(bound.len() / 2).filter(|_| 2 * bound.len() > rounds.len()) {
        return Some((LimitingFactor::TargetCpu, evidence.clone()));
    }
    if let Some(busy) = middle(executor_busy).filter(|busy| *busy >= EXECUTOR_BUSY) {
        return Some((
            LimitingFactor::ExecutorCpu,
            format!("the executor used {} of its CPU time", percent(busy)),
        ));
    }
    if let Some(waited) = middle(disks).filter(|waited| *waited >= WAITED_FOR_DISKS) {
        return Some((
            LimitingFactor::Io,
            format!("its CPUs waited for disks for {} of the time", percent(waited)),
        ));
    }
    if let Some(waited) = middle(worker).filter(|waited| *waited >= WAITED_FOR_WORKER) {
        let factor =
            if row.load.slots > 1 { LimitingFactor::Pool } else { LimitingFactor::Concurrency };
        let evidence = format!(
            "tasks waited for {} of their latency until one of {} at a time could run",
            percent(waited),
            row.load.slots
        );
        return Some((factor, evidence));
    }
    if rounds.iter().any(|measured| measured.arrivals.is_some()) {
        let kept_up = rounds.iter().all(|measured| saturation::overload(measured).is_none());
        return kept_up.then(|| (LimitingFactor::Rate, "all that was offered was achieved".into()));
    }
    let waited = middle(waiting).filter(|waited| *waited >= WAITED)?;
    Some((
        LimitingFactor::RoundTrip,
        format!("tasks waited for {} of their service time", percent(waited)),
    ))
}

/// The share of the CPUs that the executor can use that was busy with it: its own time, and the
/// interrupts that no process is charged with, which on a CPU of its own are those of its traffic.
fn executor_busy(row: Row<'_>, measured: &Measurements) -> Option<f64> {
    let known =
        measured.trial.host.executor.as_ref().map(|set| (set.wall_ns, set.interrupts_ns, set.cpus));
    let (wall_ns, interrupts_ns, cpus) = known.unwrap_or((
        measured.window_ns,
        0,
        u32::try_from(row.cell.executor_cpus.len()).unwrap_or(u32::MAX),
    ));
    let cpus =
        if row.cell.working_cpus > 0 { row.cell.working_cpus as f64 } else { f64::from(cpus) };
    let used_ns = measured.trial.cpu_user_ns + measured.trial.cpu_system_ns + interrupts_ns;
    (wall_ns > 0 && cpus > 0.0).then(|| used_ns as f64 / (wall_ns as f64 * cpus))
}

fn disks(_: Row<'_>, measured: &Measurements) -> Option<f64> {
    let set: &CpuSetDelta = measured.trial.host.executor.as_ref()?;
    set.share(set.iowait_ns)
}

/// The share of their latency that tasks waited to be started, where not all of them can run at
/// once.
fn worker(row: Row<'_>, measured: &Measurements) -> Option<f64> {
    let at_once = match row.load.kind {
        LoadKind::Batch { tasks, .. } => tasks,
        LoadKind::Open { .. } => measured.arrivals.as_ref()?.most_in_flight,
        LoadKind::Closed { .. } => row.load.kind.clients(),
    };
    let (latency, service) = (measured.task.latency.mean()?, measured.task.service.mean()?);
    (at_once > row.load.slots && latency > 0.0).then(|| 1.0 - service / latency)
}

/// The share of their service time that tasks did not compute, if each computes for as long as any.
fn waiting(_: Row<'_>, measured: &Measurements) -> Option<f64> {
    // Other loads of the trial have used some of the CPU time.
    let service = measured.task.service.mean().filter(|_| measured.beside == 0)?;
    let cpu = (measured.trial.cpu_user_ns + measured.trial.cpu_system_ns) as f64
        / measured.completed.max(1) as f64;
    (service > 0.0 && measured.completed > 0).then(|| (1.0 - cpu / service).max(0.0))
}
