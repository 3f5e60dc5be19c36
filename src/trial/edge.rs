//! The edges of the measured window: what the counters of the process, its targets and the host say there.

use super::wire::TrialPlan;
use crate::{
    load,
    measure::{self, Measurements, ProcessSample, TargetReport},
    target::{Started, TargetError},
};

/// The counters at an edge of the window.
pub(super) struct Edge {
    process: ProcessSample,
    targets_ns: Vec<Option<u64>>,
}

impl Edge {
    /// Reads all counters; `pids` are the targets' processes.
    pub(super) fn now(pids: &[Option<u32>]) -> Self {
        let targets_ns = pids.iter().map(|pid| pid.and_then(measure::cpu_ns_of)).collect();
        Self { process: ProcessSample::take(), targets_ns }
    }
}

fn own_cpu_ns(before: &Edge, after: &Edge) -> u64 {
    let own = |edge: &Edge| {
        edge.process.cpu_user_ns + edge.process.cpu_system_ns + edge.targets_ns.iter().flatten().sum::<u64>()
    };
    own(after).saturating_sub(own(before))
}

/// Each target's account, with the CPU time that its process used in the window.
pub(super) fn reports(
    targets: &mut [Box<dyn Started>],
    pids: &[Option<u32>],
    outcome: &load::Outcome<Edge>,
    plan: &TrialPlan,
) -> Result<Vec<TargetReport>, TargetError> {
    let (before, after) = &outcome.edges;
    let cpus = plan.target_cpus.len().max(1) as f64;
    let mut reports = Vec::new();
    for (at, target) in targets.iter_mut().enumerate() {
        let mut report = target.report()?;
        if let (Some(_), Some(from), Some(to)) = (pids[at], before.targets_ns[at], after.targets_ns[at]) {
            let used = to.saturating_sub(from);
            report.cpu_ns = Some(used);
            report.busy = Some(used as f64 / (outcome.window_ns.max(1) as f64 * cpus));
        }
        reports.push(report);
    }
    Ok(reports)
}

/// What the process and the host used between the edges; the rest of the measurements is left empty.
pub(super) fn used(edges: &(Edge, Edge)) -> Measurements {
    let (before, after) = edges;
    let since = |counter: fn(&ProcessSample) -> u64| counter(&after.process).saturating_sub(counter(&before.process));
    Measurements {
        cpu_user_ns: since(|sample| sample.cpu_user_ns),
        cpu_system_ns: since(|sample| sample.cpu_system_ns),
        switches_voluntary: since(|sample| sample.switches_voluntary),
        switches_involuntary: since(|sample| sample.switches_involuntary),
        host: after.process.host_since(&before.process, own_cpu_ns(before, after)),
        ..Measurements::default()
    }
}
