//! Counters of this process and of the host, read before and after the measured window.

use nix::sys::resource::{UsageWho, getrusage};
use procfs::{CurrentSI, KernelStats, process::Process};

use super::HostDelta;

/// One reading of the counters of this process and the host.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessSample {
    /// User CPU time, ns.
    pub cpu_user_ns: u64,
    /// System CPU time, ns.
    pub cpu_system_ns: u64,
    /// Voluntary context switches.
    pub switches_voluntary: u64,
    /// Involuntary context switches.
    pub switches_involuntary: u64,
    /// Time the host's CPUs were busy, ns (10 ms ticks).
    host_busy_ns: u64,
    /// Time stolen by the hypervisor, ns.
    host_steal_ns: u64,
    host_cpus: u32,
}

impl ProcessSample {
    /// Reads the counters. What the system does not offer stays zero.
    pub fn take() -> Self {
        let mut sample = Self::default();
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let ns =
                |time: nix::sys::time::TimeVal| time.tv_sec() as u64 * 1_000_000_000 + time.tv_usec() as u64 * 1_000;
            sample.cpu_user_ns = ns(usage.user_time());
            sample.cpu_system_ns = ns(usage.system_time());
            sample.switches_voluntary = usage.voluntary_context_switches() as u64;
            sample.switches_involuntary = usage.involuntary_context_switches() as u64;
        }
        if let Ok(stats) = KernelStats::current() {
            let tick_ns = 1_000_000_000 / procfs::ticks_per_second();
            let total = &stats.total;
            let busy = total.user + total.nice + total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
            sample.host_busy_ns = busy * tick_ns;
            sample.host_steal_ns = total.steal.unwrap_or(0) * tick_ns;
            sample.host_cpus = stats.cpu_time.len() as u32;
        }
        sample
    }

    /// What the host did since `earlier`, of which this process and its targets used `own_ns`.
    pub fn host_since(&self, earlier: &Self, own_ns: u64) -> HostDelta {
        let busy_ns = self.host_busy_ns.saturating_sub(earlier.host_busy_ns);
        HostDelta {
            busy_ns,
            external_ns: busy_ns.saturating_sub(own_ns),
            steal_ns: self.host_steal_ns.saturating_sub(earlier.host_steal_ns),
            cpus: self.host_cpus,
            ..HostDelta::default()
        }
    }
}

/// Peak resident memory of this process in bytes (VmHWM; `ru_maxrss` would be inherited from a large parent).
pub fn peak_memory_bytes() -> u64 {
    own_status().and_then(|status| status.vmhwm).unwrap_or(0) * 1024
}

/// Resident memory of this process now, in bytes.
pub fn resident_memory_bytes() -> u64 {
    own_status().and_then(|status| status.vmrss).unwrap_or(0) * 1024
}

/// CPU time that another process has used so far, in ns; none if it cannot be read.
///
/// The first number of schedstat of each thread is its run time in ns, finer than the ticks of `stat`.
pub fn cpu_ns_of(pid: u32) -> Option<u64> {
    let tasks = Process::new(i32::try_from(pid).ok()?).ok()?.tasks().ok()?;
    let times = tasks.flatten().filter_map(|task| Some(task.schedstat().ok()?.sum_exec_runtime));
    Some(times.sum())
}

/// Threads of this process now. Read while a load runs, so it looks at one line instead of parsing all of them.
pub fn thread_count() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|status| threads_in(&status)).unwrap_or(0)
}

fn threads_in(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}

fn own_status() -> Option<procfs::process::Status> {
    Process::myself().and_then(|process| process.status()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_counted() {
        assert_eq!(threads_in("Name:\tx\nThreads:\t17\nSigQ:\t0/1\n"), Some(17));
        assert!(thread_count() >= 1);
    }
}
