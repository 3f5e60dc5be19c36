//! Counters of processes and threads, read before and after the measured window.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use nix::sys::resource::{UsageWho, getrusage};
use procfs::process::{Process, Task};

/// One reading of the counters of this process.
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
    /// Of all this, what the harness's own helper threads have done.
    pub helpers: HelperTimes,
}

/// What the harness's own threads in a trial have used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HelperTimes {
    /// User CPU time, ns.
    pub user_ns: u64,
    /// System CPU time, ns.
    pub system_ns: u64,
    /// Voluntary context switches.
    pub voluntary: u64,
    /// Involuntary context switches.
    pub involuntary: u64,
}

impl ProcessSample {
    /// Reads the counters. What the system does not offer stays zero.
    pub fn take() -> Self {
        let mut sample = Self::default();
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let ns = |time: nix::sys::time::TimeVal| {
                time.tv_sec() as u64 * 1_000_000_000 + time.tv_usec() as u64 * 1_000
            };
            sample.cpu_user_ns = ns(usage.user_time());
            sample.cpu_system_ns = ns(usage.system_time());
            sample.switches_voluntary = usage.voluntary_context_switches() as u64;
            sample.switches_involuntary = usage.involuntary_context_switches() as u64;
        }
        sample.helpers = helpers();
        sample
    }

    /// All CPU time, ns.
    pub fn cpu_ns(&self) -> u64 {
        self.cpu_user_ns + self.cpu_system_ns
    }

    /// The counters of two together.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        Self {
            cpu_user_ns: self.cpu_user_ns + other.cpu_user_ns,
            cpu_system_ns: self.cpu_system_ns + other.cpu_system_ns,
            switches_voluntary: self.switches_voluntary + other.switches_voluntary,
            switches_involuntary: self.switches_involuntary + other.switches_involuntary,
            helpers: self.helpers.plus(other.helpers),
        }
    }
}

/// Threads of the harness that run on the target's CPUs: the watcher, the pacer.
static HELPERS: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Says that the calling thread is one of the harness's own, and runs on the target's CPUs: its CPU
/// time is neither the executor's nor that of others.
pub fn note_helper() {
    let thread = rustix::thread::gettid().as_raw_nonzero().get();
    HELPERS.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
}

/// What the helpers that are alive have used.
fn helpers() -> HelperTimes {
    let mut helpers = HELPERS.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(this) = Process::myself() else { return HelperTimes::default() };
    let mut sum = HelperTimes::default();
    helpers.retain(|thread| {
        let used = this.task_from_tid(*thread).ok().and_then(|task| used_by(&task));
        sum = sum.plus(used.unwrap_or_default());
        used.is_some()
    });
    sum
}

/// The time of schedstat is exact, and the ticks of stat tell which part of it was the kernel's.
fn used_by(task: &Task) -> Option<HelperTimes> {
    let ns = task.schedstat().ok()?.sum_exec_runtime;
    let (stat, status) = (task.stat().ok()?, task.status().ok()?);
    let of_user =
        if stat.utime == 0 { 0.0 } else { stat.utime as f64 / (stat.utime + stat.stime) as f64 };
    let user_ns = (ns as f64 * of_user) as u64;
    Some(HelperTimes {
        user_ns,
        system_ns: ns - user_ns.min(ns),
        voluntary: status.voluntary_ctxt_switches.unwrap_or(0),
        involuntary: status.nonvoluntary_ctxt_switches.unwrap_or(0),
    })
}

impl HelperTimes {
    /// All CPU time, ns.
    pub fn cpu_ns(&self) -> u64 {
        self.user_ns + self.system_ns
    }

    fn plus(self, other: Self) -> Self {
        Self {
            user_ns: self.user_ns + other.user_ns,
            system_ns: self.system_ns + other.system_ns,
            voluntary: self.voluntary + other.voluntary,
            involuntary: self.involuntary + other.involuntary,
        }
    }
}

/// What another process has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessTimes {
    /// CPU time, in ns.
    pub cpu_ns: u64,
    /// Time in which it was ready to run and waited for a CPU, in ns.
    pub run_delay_ns: u64,
    /// Its threads now.
    pub threads: usize,
}

/// What another process has done so far; none if it cannot be read.
///
/// The numbers of schedstat of each thread are in ns, finer than the ticks of `stat`.
pub fn times_of(pid: u32) -> Option<ProcessTimes> {
    let tasks = Process::new(i32::try_from(pid).ok()?).ok()?.tasks().ok()?;
    let times = tasks.flatten().filter_map(|task: Task| task.schedstat().ok());
    let sum = times.fold(ProcessTimes::default(), |sum, one| ProcessTimes {
        cpu_ns: sum.cpu_ns + one.sum_exec_runtime,
        run_delay_ns: sum.run_delay_ns + one.run_delay,
        threads: sum.threads + 1,
    });
    (sum.threads > 0).then_some(sum)
}

/// Time in which the calling thread was ready to run and waited for a CPU, in ns, since it began.
pub fn thread_waited_ns() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let waited = text.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok());
    waited.ok_or_else(|| io::Error::other("no second number in /proc/thread-self/schedstat"))
}

/// Peak resident memory of this process in bytes (VmHWM; `ru_maxrss` would be inherited from a
/// large parent).
pub fn peak_memory_bytes() -> u64 {
    own_status().and_then(|status| status.vmhwm).unwrap_or(0) * 1024
}

/// Resident memory of this process now, in bytes.
pub fn resident_memory_bytes() -> u64 {
    own_status().and_then(|status| status.vmrss).unwrap_or(0) * 1024
}

/// Threads of this process now. Read while a load runs, so it looks at one line instead of parsing
/// all of them.
pub fn thread_count() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| threads_in(&status))
        .unwrap_or(0)
}

/// The same of another process.
pub(super) fn thread_count_of(pid: i32) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .and_then(|status| threads_in(&status))
        .unwrap_or(0)
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
    fn helpers_are_read_until_they_end() {
        let (begun, begins) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let helper = std::thread::spawn(move || {
            note_helper();
            while thread_waited_ns().is_err() {}
            begun.send(rustix::thread::gettid().as_raw_nonzero().get()).expect("the test waits");
            let _ = ends.recv();
        });
        let thread = begins.recv().expect("it begins");
        assert!(helpers().cpu_ns() > 0);
        drop(end);
        helper.join().expect("it ends");
        // The thread is gone from the list when the kernel has taken it off its own.
        while HELPERS.lock().expect("whole").contains(&thread) {
            helpers();
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_process_has_times_and_nobody_has_none() {
        let own = times_of(std::process::id()).expect("this process is there");
        assert!(own.cpu_ns > 0 && own.threads >= 1);
        assert_eq!(times_of(u32::MAX), None);
    }

    #[test]
    fn threads_are_counted() {
        assert_eq!(threads_in("Name:\tx\nThreads:\t17\nSigQ:\t0/1\n"), Some(17));
        assert!(thread_count() >= 1);
    }
}
