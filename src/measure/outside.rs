//! Counters of another process and of all that it has started, read from outside of it.

use std::collections::HashMap;

use procfs::process::{Process, Stat};

use super::{
    ProcessSample,
    tree::{lineage, own_times, stats, tick_ns},
};

/// A process that is measured from outside, with all processes below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outside(i32);

impl Outside {
    /// Of the process with this number.
    pub fn of(pid: u32) -> Self {
        Self(pid.cast_signed())
    }

    /// Reads its counters. Context switches are those of threads that are alive: the kernel forgets
    /// the others.
    pub fn sample(self) -> ProcessSample {
        let stats = stats();
        self.members(&stats).fold(ProcessSample::default(), plus)
    }

    /// Resident memory of all its processes now, in bytes.
    pub fn resident_memory_bytes(self) -> u64 {
        self.of_each(|status| status.vmrss) * 1024
    }

    /// The sum of the peaks of its processes' resident memory, in bytes.
    pub fn peak_memory_bytes(self) -> u64 {
        self.of_each(|status| status.vmhwm) * 1024
    }

    /// Threads of the process itself now; those of the ones below it are not looked for.
    pub fn thread_count(self) -> u64 {
        super::process::thread_count_of(self.0)
    }

    /// Its processes that are alive.
    pub fn processes(self) -> Vec<u32> {
        let stats = stats();
        self.members(&stats).map(|stat| stat.pid.cast_unsigned()).collect()
    }

    fn members(self, stats: &HashMap<i32, Stat>) -> impl Iterator<Item = &Stat> {
        let root = self.0;
        stats.values().filter(move |stat| lineage(stat.pid, stats).any(|pid| pid == root))
    }

    fn of_each(self, value: impl Fn(&procfs::process::Status) -> Option<u64>) -> u64 {
        let statuses = self.processes().into_iter().filter_map(|pid| {
            Process::new(pid.cast_signed()).and_then(|process| process.status()).ok()
        });
        statuses.filter_map(|status| value(&status)).sum()
    }
}

/// Processes that are measured from outside, each by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessSet(Vec<i32>);

impl ProcessSet {
    /// Of the processes with these numbers.
    pub fn of(pids: impl IntoIterator<Item = u32>) -> Self {
        Self(pids.into_iter().map(u32::cast_signed).collect())
    }

    /// Reads their counters; those that have ended have none. Context switches are those of threads
    /// that are alive.
    pub fn sample(&self) -> ProcessSample {
        let stats = self.living().filter_map(|process| process.stat().ok());
        stats.fold(ProcessSample::default(), |sum, stat| plus(sum, &stat))
    }

    /// Resident memory of all of them now, in bytes. What they share counts in each.
    pub fn resident_memory_bytes(&self) -> u64 {
        self.statuses().filter_map(|status| status.vmrss).sum::<u64>() * 1024
    }

    /// The sum of the peaks of their resident memory, in bytes.
    pub fn peak_memory_bytes(&self) -> u64 {
        self.statuses().filter_map(|status| status.vmhwm).sum::<u64>() * 1024
    }

    fn living(&self) -> impl Iterator<Item = Process> {
        self.0.iter().filter_map(|pid| Process::new(*pid).ok())
    }

    fn statuses(&self) -> impl Iterator<Item = procfs::process::Status> {
        self.living().filter_map(|process| process.status().ok())
    }
}

/// The sum with what a process has done: its own exact time, told apart by the ticks of user and
/// kernel, and the children that it has waited for.
fn plus(sum: ProcessSample, stat: &Stat) -> ProcessSample {
    let own_ns = own_times(stat).cpu_ns;
    let of_user = if stat.utime + stat.stime == 0 {
        0.0
    } else {
        stat.utime as f64 / (stat.utime + stat.stime) as f64
    };
    let user_ns = (own_ns as f64 * of_user) as u64;
    let ticks = |ticks: i64| ticks.max(0).cast_unsigned() * tick_ns();
    let (voluntary, involuntary) = switches(stat.pid);
    ProcessSample {
        cpu_user_ns: sum.cpu_user_ns + user_ns + ticks(stat.cutime),
        cpu_system_ns: sum.cpu_system_ns + own_ns.saturating_sub(user_ns) + ticks(stat.cstime),
        switches_voluntary: sum.switches_voluntary + voluntary,
        switches_involuntary: sum.switches_involuntary + involuntary,
        helpers: sum.helpers,
    }
}

/// Context switches of the threads of a process that are alive.
fn switches(pid: i32) -> (u64, u64) {
    let tasks = Process::new(pid).and_then(|process| process.tasks());
    let statuses = tasks.into_iter().flatten().flatten().filter_map(|task| task.status().ok());
    statuses.fold((0, 0), |(voluntary, involuntary), status| {
        (
            voluntary + status.voluntary_ctxt_switches.unwrap_or(0),
            involuntary + status.nonvoluntary_ctxt_switches.unwrap_or(0),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_from_outside_as_it_sees_itself() {
        let own = Outside::of(std::process::id());
        let begun = own.sample();
        let mut burnt = 0_u64;
        while own.sample().cpu_ns() < begun.cpu_ns() + 30_000_000 {
            burnt = burnt.wrapping_add(std::hint::black_box(1));
        }
        let (outside, inside) = (own.sample().cpu_ns(), ProcessSample::take().cpu_ns());
        // Other tests of this process wait for processes of theirs, which only the outside counts.
        let stat = Process::myself().and_then(|own| own.stat()).unwrap();
        let waited_for = (stat.cutime + stat.cstime).cast_unsigned() * tick_ns();
        // Ticks are 10 ms, and other tests run in this process between the two readings.
        assert!(outside <= inside + waited_for + 20_000_000, "{outside} {inside} {waited_for}");
        assert!(own.resident_memory_bytes() > 0 && own.thread_count() > 0 && burnt > 0);
        assert!(own.peak_memory_bytes() >= own.resident_memory_bytes() / 2);
        assert!(own.processes().contains(&std::process::id()));
        assert_eq!(Outside::of(u32::MAX >> 1).sample().cpu_ns(), 0);
    }

    #[test]
    fn a_set_has_what_each_of_its_processes_has() {
        let pid = std::process::id();
        let (once, twice) = (ProcessSet::of([pid]), ProcessSet::of([pid, pid]));
        let least = 2 * once.sample().cpu_ns();
        assert!(twice.sample().cpu_ns() >= least && least > 0);
        assert!(twice.resident_memory_bytes() > once.resident_memory_bytes() * 3 / 2);
        assert!(twice.peak_memory_bytes() >= 2 * once.peak_memory_bytes() * 9 / 10);
        let none = ProcessSet::of([u32::MAX >> 1]);
        assert_eq!((none.sample().cpu_ns(), none.peak_memory_bytes()), (0, 0));
    }
}
