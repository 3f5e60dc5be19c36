//! Counters of the host: what its CPUs did, whether a quota stopped us, and whether tasks waited
//! for a CPU.

use std::{collections::BTreeMap, fs};

use super::CpuSetDelta;

/// A tick of `/proc/stat`, in ns: 100 a second on every architecture that Linux runs on today.
pub const TICK_NS: u64 = 10_000_000;

/// One reading of the host's counters. What the system does not offer stays zero or absent.
#[derive(Debug, Clone, Default)]
pub struct HostSample {
    cpus: BTreeMap<usize, CpuTimes>,
    /// Time in which our control groups were stopped by their quotas, in ns.
    throttled_ns: u64,
    /// Time in which some task of the host waited for a CPU, in ns.
    waited_ns: Option<u64>,
}

/// What a CPU has done since the host started, in ns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct CpuTimes {
    /// Tasks, user and system.
    tasks: u64,
    /// Interrupts and their deferred work.
    interrupts: u64,
    iowait: u64,
    steal: u64,
}

impl HostSample {
    /// Reads the counters.
    pub fn take() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpus: cpus_in(&read("/proc/stat")),
            throttled_ns: cpu_stat_files(&read("/proc/self/cgroup"))
                .iter()
                .filter_map(|path| throttled_in(&fs::read_to_string(path).ok()?))
                .sum(),
            waited_ns: pressure_in(&read("/proc/pressure/cpu")),
        }
    }

    /// How many CPUs the host has.
    pub fn cpus(&self) -> u32 {
        u32::try_from(self.cpus.len()).unwrap_or(u32::MAX)
    }

    /// Time in which our control groups were stopped by their quotas since `earlier`, in ns.
    pub fn throttled_since(&self, earlier: &Self) -> u64 {
        self.throttled_ns.saturating_sub(earlier.throttled_ns)
    }

    /// Share of so much time since `earlier` in which some task of the host waited for a CPU; none
    /// if unknown.
    pub fn pressure_since(&self, earlier: &Self, wall_ns: u64) -> Option<f64> {
        let waited = self.waited_ns?.saturating_sub(earlier.waited_ns?);
        (wall_ns > 0).then(|| (waited as f64 / wall_ns as f64).min(1.0))
    }

    /// What a set of CPUs did since `earlier`, of which we used `own_ns`; no CPUs means all.
    /// `charged`: whether this kernel charges interrupts to the processes that they interrupt. None
    /// where a CPU is not in both readings.
    pub fn since(&self, earlier: &Self, cpus: &[usize], span: HostSpan) -> Option<CpuSetDelta> {
        let all: Vec<usize> = self.cpus.keys().copied().collect();
        let cpus = if cpus.is_empty() { &all } else { cpus };
        let mut delta = CpuSetDelta {
            cpus: u32::try_from(cpus.len()).unwrap_or(u32::MAX),
            wall_ns: span.wall_ns,
            own_ns: span.own_ns,
            ..CpuSetDelta::default()
        };
        for cpu in cpus {
            let (from, to) = (earlier.cpus.get(cpu)?, self.cpus.get(cpu)?);
            let interrupts = to.interrupts.saturating_sub(from.interrupts);
            delta.busy_ns += to.tasks.saturating_sub(from.tasks) + interrupts;
            delta.interrupts_ns += if span.charged { 0 } else { interrupts };
            delta.steal_ns += to.steal.saturating_sub(from.steal);
            delta.iowait_ns += to.iowait.saturating_sub(from.iowait);
        }
        (!cpus.is_empty()).then_some(delta)
    }
}

/// What is known of the time between two readings.
#[derive(Debug, Clone, Copy)]
pub struct HostSpan {
    /// How long it was, in ns.
    pub wall_ns: u64,
    /// CPU time that we used on the CPUs in question, in ns.
    pub own_ns: u64,
    /// Whether this kernel charges interrupts to the processes that they interrupt.
    pub charged: bool,
}

/// The lines `cpu0 user nice system idle iowait irq softirq steal …` of `/proc/stat`, by CPU.
fn cpus_in(stat: &str) -> BTreeMap<usize, CpuTimes> {
    stat.lines().filter_map(cpu_line).collect()
}

fn cpu_line(line: &str) -> Option<(usize, CpuTimes)> {
    let mut words = line.strip_prefix("cpu")?.split_ascii_whitespace();
    // The line of all CPUs together has a blank after `cpu`, and user time where a number would be.
    let cpu = words.next().filter(|_| !line.starts_with("cpu "))?.parse().ok()?;
    let ticks: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
    let ns = |column: usize| ticks.get(column).copied().unwrap_or(0) * TICK_NS;
    (ticks.len() >= 4).then(|| {
        let tasks = ns(0) + ns(1) + ns(2);
        (cpu, CpuTimes { tasks, interrupts: ns(5) + ns(6), iowait: ns(4), steal: ns(7) })
    })
}

/// Where the control groups of a process count their throttling: its own and all above, for each
/// has a quota.
fn cpu_stat_files(cgroups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in cgroups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            list if list.split(',').any(|name| name == "cpu") => "/sys/fs/cgroup/cpu",
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        while !path.is_empty() {
            files.push(format!("{root}{path}/cpu.stat"));
            path = path.rfind('/').map_or("", |end| &path[..end]);
        }
        // In a container its own group is the root that it sees.
        files.push(format!("{root}/cpu.stat"));
    }
    files
}

/// `throttled_usec` of version 2, `throttled_time` (ns) of version 1.
fn throttled_in(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| match line.split_once(' ')? {
        ("throttled_usec", us) => us.parse::<u64>().ok().map(|us| us * 1000),
        ("throttled_time", ns) => ns.parse().ok(),
        _ => None,
    })
}

/// `total` of the line `some`, in µs.
fn pressure_in(pressure: &str) -> Option<u64> {
    let some = pressure.lines().find(|line| line.starts_with("some "))?;
    let total = some.split_ascii_whitespace().find_map(|word| word.strip_prefix("total="))?;
    total.parse::<u64>().ok().map(|us| us * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a kernel 6.18 prints it, with the long line of interrupts cut off.
    const BEFORE: &str = "cpu  222106 0 30238 74360 615 0 373 288 0 0\ncpu0 111972 0 15209 36393 169 0 115 129 0 0\n\
                          cpu1 110133 0 15029 37966 445 0 258 158 0 0\nintr 1448443 0 0 0\nctxt 3232994\n\
                          btime 1795259000\nprocesses 29761\nprocs_running 7\nprocs_blocked 0\n\
                          softirq 700424 0 107640 7 34577 0 0 105 273019 0 285076\n";
    const AFTER: &str = "cpu  222306 5 30288 74360 617 1 413 298 0 0\ncpu0 112062 5 15249 36393 169 1 145 129 0 0\n\
                         cpu1 110243 0 15039 37966 447 0 268 168 0 0\nintr 1448443 0 0 0\n";

    fn samples() -> (HostSample, HostSample) {
        let sample = |text| HostSample { cpus: cpus_in(text), ..HostSample::default() };
        (sample(BEFORE), sample(AFTER))
    }

    const SPAN: HostSpan =
        HostSpan { wall_ns: 2_000_000_000, own_ns: 1_000_000_000, charged: true };

    #[test]
    fn cpus_are_read_one_by_one_and_without_their_sum() {
        let cpus = cpus_in(BEFORE);
        assert_eq!(cpus.keys().copied().collect::<Vec<_>>(), [0, 1]);
        let ticks = |n: u64| n * TICK_NS;
        let first = CpuTimes {
            tasks: ticks(127_181),
            interrupts: ticks(115),
            iowait: ticks(169),
            steal: ticks(129),
        };
        assert_eq!(cpus[&0], first);
    }

    #[test]
    fn a_kernel_that_charges_processes_has_interrupts_among_their_time() {
        let (before, after) = samples();
        let set = after.since(&before, &[0], SPAN).expect("CPU 0 is there");
        // 135 ticks of tasks and 31 of interrupts, of which we used 100.
        assert_eq!((set.cpus, set.busy_ns, set.interrupts_ns), (1, 1_660_000_000, 0));
        assert_eq!(set.external(), Some(0.33));
    }

    #[test]
    fn a_kernel_that_charges_nobody_has_interrupts_apart() {
        let (before, after) = samples();
        let set = after
            .since(&before, &[0], HostSpan { charged: false, ..SPAN })
            .expect("CPU 0 is there");
        assert_eq!((set.busy_ns, set.interrupts_ns), (1_660_000_000, 310_000_000));
        assert_eq!(set.external(), Some(0.175));
    }

    #[test]
    fn no_cpus_means_all_and_unknown_ones_nothing() {
        let (before, after) = samples();
        let set = after.since(&before, &[], SPAN).expect("there are CPUs");
        assert_eq!((set.cpus, set.busy_ns), (2, 2_960_000_000));
        assert_eq!((set.steal_ns, set.iowait_ns), (100_000_000, 20_000_000));
        assert_eq!(after.since(&before, &[1, 7], SPAN), None);
        assert_eq!(HostSample::default().since(&HostSample::default(), &[], SPAN), None);
    }

    #[test]
    fn throttling_is_read_of_either_version_and_of_all_groups_above() {
        assert_eq!(
            throttled_in("usage_usec 5\nnr_throttled 2\nthrottled_usec 1500\n"),
            Some(1_500_000)
        );
        assert_eq!(
            throttled_in("nr_periods 0\nnr_throttled 2\nthrottled_time 1500\n"),
            Some(1_500)
        );
        assert_eq!(throttled_in("usage_usec 5\n"), None);
        let files = cpu_stat_files("4:memory:/a\n2:cpu,cpuacct:/docker/x\n0::/user.slice/run\n");
        let expected = [
            "/sys/fs/cgroup/cpu/docker/x/cpu.stat",
            "/sys/fs/cgroup/cpu/docker/cpu.stat",
            "/sys/fs/cgroup/cpu/cpu.stat",
            "/sys/fs/cgroup/user.slice/run/cpu.stat",
            "/sys/fs/cgroup/user.slice/cpu.stat",
            "/sys/fs/cgroup/cpu.stat",
        ];
        assert_eq!(files, expected);
    }

    #[test]
    fn pressure_is_the_total_of_some() {
        let text =
            "some avg10=95.01 avg60=96.13 avg300=71.89 total=656237098\nfull avg10=0.00 total=0\n";
        assert_eq!(pressure_in(text), Some(656_237_098_000));
        let at = |waited_ns| HostSample { waited_ns, ..HostSample::default() };
        assert_eq!(at(Some(800)).pressure_since(&at(Some(300)), 1000), Some(0.5));
        assert_eq!(at(Some(800)).pressure_since(&at(None), 1000), None);
    }

    #[test]
    fn this_host_has_cpus() {
        assert!(HostSample::take().cpus() >= 1);
    }
}
