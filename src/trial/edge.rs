//! The edges of the measured window: what the counters of the process, its targets and the host say
//! there.

use std::collections::BTreeSet;

use super::{connected::Connected, place, wire::TrialPlan};
use crate::{
    clock,
    measure::{
        self, CpuSetDelta, HelperTimes, HostDelta, HostSample, HostSpan, Outside, ProcessSample,
        ProcessSet, ProcessTimes, TargetReport, TrialMeasured, Watched,
    },
    runtime,
    targets::{Started, TargetError},
};

/// The counters at an edge of the window.
#[derive(Debug, Clone, Default)]
pub(super) struct Edge {
    at_ns: u64,
    /// The process before and after the rest was read: what reading costs is not the trial's, so
    /// that a window goes from `process` of its first edge to `begun` of its last.
    begun: ProcessSample,
    process: ProcessSample,
    host: HostSample,
    targets: Vec<Option<ProcessTimes>>,
    /// CPU time of the process that started the trial, in ns.
    parent_ns: u64,
    /// Threads of pools for blocking work.
    pool_threads: u64,
    /// Connections opened so far, by target.
    pub(super) opened: Vec<u64>,
}

impl Edge {
    /// Reads all counters; `watched` are the targets' processes, `parent` is the process that
    /// started the trial. What the `workers` use is the trial's.
    pub(super) fn now(
        watched: &[Option<Watched>],
        parent: Option<u32>,
        connected: &Connected,
        workers: &ProcessSet,
    ) -> Self {
        Self {
            at_ns: clock::now_ns(),
            begun: ProcessSample::take().plus(&workers.sample()),
            host: HostSample::take(),
            targets: times(watched),
            opened: connected.opened(),
            parent_ns: parent.and_then(measure::times_of).map_or(0, |times| times.cpu_ns),
            pool_threads: pool_threads(),
            process: ProcessSample::take().plus(&workers.sample()),
        }
    }

    /// Reads all counters of a racer in a process of its own. What this process uses is our own, as
    /// what its parent does.
    pub(super) fn of_racer(
        watched: &[Option<Watched>],
        parent: Option<u32>,
        racer: Outside,
    ) -> Self {
        let parent_ns = parent.and_then(measure::times_of).map_or(0, |times| times.cpu_ns);
        Self {
            at_ns: clock::now_ns(),
            begun: racer.sample(),
            host: HostSample::take(),
            targets: times(watched),
            opened: Vec::new(),
            parent_ns: parent_ns + ProcessSample::take().cpu_ns(),
            pool_threads: 0,
            process: racer.sample(),
        }
    }

    /// Threads of pools for blocking work that there were.
    pub(super) fn pool_threads(&self) -> u64 {
        self.pool_threads
    }

    fn targets_ns(&self) -> u64 {
        self.targets.iter().flatten().map(|times| times.cpu_ns).sum()
    }
}

fn times(watched: &[Option<Watched>]) -> Vec<Option<ProcessTimes>> {
    watched.iter().map(|watched| watched.as_ref().and_then(Watched::times)).collect()
}

/// What the threads of pools for blocking work are called that may be older than the window: those
/// that smol and async-std have in common, for the crate `blocking` lets them wait for ever once
/// they are there, and those of compio, which end when nobody needed them for a minute. Those of
/// tokio end after ten seconds, and are called as its workers are.
const POOL_THREADS: [&str; 2] = ["blocking", "compio-blocking"];

/// Threads to look at: with more the names would take longer to read than a window's edge may.
const MOST: u64 = 2_000;

/// How many threads of the pool for blocking work this process has now; 0 where there are too many
/// threads to look at.
fn pool_threads() -> u64 {
    if measure::thread_count() > MOST {
        return 0;
    }
    let threads = runtime::threads_by_name();
    POOL_THREADS.iter().filter_map(|name| threads.get(*name)).sum()
}

/// The CPUs whose time is accounted for, and the time that is our own on them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shares {
    executor: (Vec<usize>, u64),
    target: Option<(Vec<usize>, u64)>,
}

/// Where everybody runs: an empty list is any CPU, or nobody.
#[derive(Debug, Clone, Copy)]
struct Places<'a> {
    executor: &'a [usize],
    /// Embedded targets and our helpers.
    target: &'a [usize],
    /// Servers of the user's own, which nobody of us has placed.
    servers: &'a [usize],
}

/// Tells apart what we used on the executor's and on the target's CPUs. Helpers and the parent run
/// on the target's, where it has some of its own. Where both share CPUs everything is theirs
/// together: nobody knows what a server has used on which of its CPUs.
fn shares(places: Places<'_>, (before, after): &(Edge, Edge)) -> Shares {
    let Places { executor, target, servers } = places;
    let since = |counter: fn(&Edge) -> u64| counter(after).saturating_sub(counter(before));
    // Here the reading counts: it kept the CPUs busy, too.
    let process = since(|edge| edge.begun.cpu_ns());
    let others = since(Edge::targets_ns) + since(|edge| edge.parent_ns);
    let helpers = since(|edge| edge.begun.helpers.cpu_ns());
    let all = union(&[target, servers]);
    if all.is_empty() || all.iter().any(|cpu| executor.contains(cpu)) {
        return Shares { executor: (union(&[executor, &all]), process + others), target: None };
    }
    // Without CPUs for them the helpers are where the executor is.
    let helpers = if target.is_empty() { 0 } else { helpers };
    Shares {
        executor: (executor.to_vec(), process.saturating_sub(helpers)),
        target: Some((all, others + helpers)),
    }
}

/// The CPUs of any of these sets, in order.
fn union(sets: &[&[usize]]) -> Vec<usize> {
    sets.iter().copied().flatten().copied().collect::<BTreeSet<usize>>().into_iter().collect()
}

/// The CPUs on which the targets' processes may run.
pub(super) fn cpus(watched: &[Option<Watched>]) -> Vec<usize> {
    let each: Vec<Vec<usize>> = watched.iter().flatten().map(Watched::cpus).collect();
    union(&each.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// Each target's account, with what its process used in the window.
pub(super) fn reports(
    targets: &mut [Box<dyn Started>],
    edges: &(Edge, Edge),
    plan: &TrialPlan,
) -> Result<Vec<TargetReport>, TargetError> {
    let (before, after) = edges;
    let wall_ns = after.at_ns.saturating_sub(before.at_ns);
    let mut reports = Vec::new();
    for (at, target) in targets.iter_mut().enumerate() {
        let mut report = target.report()?;
        if let (Some(from), Some(to)) = (before.targets[at], after.targets[at]) {
            let used = to.cpu_ns.saturating_sub(from.cpu_ns);
            let watched = target.watched();
            report.cpus = watched.as_ref().map(Watched::cpus).unwrap_or_default();
            let quota = watched.as_ref().and_then(Watched::quota);
            let cpus = usable(&report.cpus, plan, to.threads, quota);
            report.cpu_ns = Some(used);
            report.busy = Some(used as f64 / (wall_ns.max(1) as f64 * cpus));
            report.run_delay_ns = Some(to.run_delay_ns.saturating_sub(from.run_delay_ns));
        }
        reports.push(report);
    }
    Ok(reports)
}

/// How many CPUs a target can keep busy at once: those that it may run on, as far as it has threads
/// and a quota for them.
fn usable(cpus: &[usize], plan: &TrialPlan, threads: usize, quota: Option<f64>) -> f64 {
    let placed = [cpus.len(), plan.target_cpus.len()].into_iter().find(|count| *count > 0);
    // A server of one thread has no use for a second CPU.
    let most = placed.unwrap_or_else(|| place::allowed_cpus().len()).min(threads).max(1) as f64;
    quota.map_or(most, |quota| quota.min(most))
}

/// What the process and the host used between the edges; the rest of the measurements is left
/// empty. `charged`: whether the kernel charges interrupts to processes; `servers`: the CPUs of the
/// targets' processes.
pub(super) fn used(
    plan: &TrialPlan,
    charged: bool,
    servers: &[usize],
    edges: &(Edge, Edge),
) -> TrialMeasured {
    let (before, after) = edges;
    let since = |counter: fn(&ProcessSample) -> u64| {
        counter(&after.begun).saturating_sub(counter(&before.process))
    };
    let of_helpers = |counter: fn(&HelperTimes) -> u64| {
        counter(&after.begun.helpers).saturating_sub(counter(&before.process.helpers))
    };
    let own = |all, helpers| since(all).saturating_sub(of_helpers(helpers));
    let executor = if plan.executor_cpus.is_empty() {
        place::allowed_cpus()
    } else {
        plan.executor_cpus.clone()
    };
    TrialMeasured {
        cpu_user_ns: own(|sample| sample.cpu_user_ns, |helpers| helpers.user_ns),
        cpu_system_ns: own(|sample| sample.cpu_system_ns, |helpers| helpers.system_ns),
        switches_voluntary: own(|sample| sample.switches_voluntary, |helpers| helpers.voluntary),
        switches_involuntary: own(
            |sample| sample.switches_involuntary,
            |helpers| helpers.involuntary,
        ),
        host: host(
            &shares(Places { executor: &executor, target: &plan.target_cpus, servers }, edges),
            charged,
            edges,
        ),
        ..TrialMeasured::default()
    }
}

/// The same where the process is a racer of its own. How much of its time was the kernel's is only
/// known in ticks, and the sum is exact.
pub(super) fn used_by_racer(
    plan: &TrialPlan,
    charged: bool,
    servers: &[usize],
    edges: &(Edge, Edge),
) -> TrialMeasured {
    let used = used(plan, charged, servers, edges);
    let cpu_ns = edges.1.begun.cpu_ns().saturating_sub(edges.0.process.cpu_ns());
    let cpu_user_ns = used.cpu_user_ns.min(cpu_ns);
    TrialMeasured { cpu_user_ns, cpu_system_ns: cpu_ns - cpu_user_ns, ..used }
}

fn host(shares: &Shares, charged: bool, (before, after): &(Edge, Edge)) -> HostDelta {
    let wall_ns = after.at_ns.saturating_sub(before.at_ns);
    let set = |cpus: &[usize], own_ns| {
        after.host.since(&before.host, cpus, HostSpan { wall_ns, own_ns, charged })
    };
    let own_ns = shares.executor.1 + shares.target.as_ref().map_or(0, |(_, own_ns)| *own_ns);
    let all: CpuSetDelta = set(&[], own_ns).unwrap_or_default();
    HostDelta {
        busy_ns: all.busy_ns,
        external_ns: all.busy_ns.saturating_sub(all.interrupts_ns).saturating_sub(own_ns),
        steal_ns: all.steal_ns,
        cpus: after.host.cpus(),
        executor: set(&shares.executor.0, shares.executor.1),
        target: shares.target.as_ref().and_then(|(cpus, own_ns)| set(cpus, *own_ns)),
        throttled_ns: after.host.throttled_since(&before.host),
        pressure: after.host.pressure_since(&before.host, wall_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trial that used 60 ms of user and 40 ms of system time, 5 ms of them in helpers, beside a
    /// target that used 30 ms and a parent that used 1 ms; all had used something before.
    fn edges() -> (Edge, Edge) {
        let ms = |ms: u64| ms * 1_000_000;
        let process = |at: u64| ProcessSample {
            cpu_user_ns: ms(7 + 60 * at),
            cpu_system_ns: ms(7 + 40 * at),
            switches_voluntary: 100 * at,
            helpers: HelperTimes {
                system_ns: ms(2 + 5 * at),
                voluntary: 60 * at,
                ..HelperTimes::default()
            },
            ..ProcessSample::default()
        };
        let edge = |at: u64| Edge {
            at_ns: ms(1_000 * at),
            begun: process(at),
            // Reading takes 2 ms of system time.
            process: ProcessSample {
                cpu_system_ns: process(at).cpu_system_ns + ms(2),
                ..process(at)
            },
            targets: vec![
                Some(ProcessTimes { cpu_ns: ms(9 + 30 * at), ..ProcessTimes::default() }),
                None,
            ],
            parent_ns: ms(3 + at),
            ..Edge::default()
        };
        (edge(0), edge(1))
    }

    fn among(executor: &[usize], target: &[usize], servers: &[usize]) -> Shares {
        shares(Places { executor, target, servers }, &edges())
    }

    #[test]
    fn our_own_time_is_told_apart_by_cpus() {
        let target = Some((vec![2], 36_000_000));
        let apart = Shares { executor: (vec![0, 1], 95_000_000), target };
        assert_eq!(among(&[0, 1], &[2], &[]), apart);
        // The embedded server is one of the servers, too.
        assert_eq!(among(&[0, 1], &[2], &[2]), apart);
    }

    #[test]
    fn a_server_of_the_user_s_own_is_accounted_for_where_it_may_run() {
        // On a CPU of its own: the helpers stay with the executor, and the parent is anywhere.
        let pinned =
            Shares { executor: (vec![0], 100_000_000), target: Some((vec![1], 31_000_000)) };
        assert_eq!(among(&[0], &[], &[1]), pinned);
        // On any: together. So it is where only the pacer has a CPU of its own.
        let all = Shares { executor: (vec![0, 1], 131_000_000), target: None };
        assert_eq!(among(&[0], &[], &[0, 1]), all);
        assert_eq!(among(&[0], &[1], &[0, 1]), all);
    }

    #[test]
    fn a_server_can_use_the_cpus_that_threads_and_quota_leave_it() {
        let plan = crate::trial::proof::tests::plan();
        let usable = |cpus: &[usize], threads, quota| super::usable(cpus, &plan, threads, quota);
        assert!((usable(&[0, 1, 2], 2, None) - 2.0).abs() < 1e-9);
        assert!((usable(&[0, 1, 2], 9, None) - 3.0).abs() < 1e-9);
        assert!((usable(&[0, 1, 2], 9, Some(1.5)) - 1.5).abs() < 1e-9);
        assert!((usable(&[1], 9, Some(4.0)) - 1.0).abs() < 1e-9);
        assert!((usable(&[0], 0, None) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn neither_helpers_nor_reading_are_the_executors() {
        let plan = crate::trial::proof::tests::plan();
        let used = used(&plan, true, &[], &edges());
        assert_eq!((used.cpu_user_ns, used.cpu_system_ns), (60_000_000, 33_000_000));
        assert_eq!(used.switches_voluntary, 40);
    }

    #[test]
    fn the_time_of_a_racer_is_exact_in_sum() {
        let plan = crate::trial::proof::tests::plan();
        let (before, mut after) = edges();
        // A tick was the kernel's that was taken for the racer's before.
        after.begun.cpu_user_ns = before.process.cpu_user_ns - 3_000_000;
        after.begun.cpu_system_ns = before.process.cpu_system_ns + 8_000_000;
        let used = used_by_racer(&plan, true, &[], &(before, after));
        assert_eq!((used.cpu_user_ns, used.cpu_system_ns), (0, 5_000_000));
    }

    #[test]
    fn what_shares_cpus_is_accounted_for_together() {
        let all = 131_000_000;
        assert_eq!(among(&[0], &[], &[]), Shares { executor: (vec![0], all), target: None });
        assert_eq!(
            among(&[0, 1], &[1, 2], &[]),
            Shares { executor: (vec![0, 1, 2], all), target: None }
        );
    }

    #[test]
    fn a_host_without_counters_has_no_sets() {
        let (before, after) = edges();
        let delta = host(&among(&[0], &[1], &[]), true, &(before, after));
        // Without counters of the host there is nothing to tell.
        assert_eq!(
            (delta.executor, delta.target, delta.throttled_ns, delta.pressure),
            (None, None, 0, None)
        );
    }
}
