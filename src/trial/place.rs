//! Where processes and threads run, and that they do not outlive whoever started them.

use std::{io, num::NonZeroU64};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity, set_current_timer_slack};

/// How the names of threads begin that the harness has for itself beside those of the executor.
pub(super) const OWN_THREAD: &str = "regatta-";

/// Puts the calling thread, and every thread that it starts from now on, on these CPUs; empty:
/// leaves it where it is.
pub fn pin(cpus: &[usize]) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu);
    }
    sched_setaffinity(None, &set)
        .map_err(|why| io::Error::new(why.kind(), format!("cannot run on CPUs {cpus:?}: {why}")))
}

/// CPUs in words.
pub(super) fn words(cpus: &[usize]) -> String {
    if cpus.is_empty() { "any".to_owned() } else { format!("{cpus:?}") }
}

/// Lets the calling thread, and every thread that it starts from now on, wake as punctually as the
/// system can: its timers are not put off to save interruptions.
pub fn wake_punctually() {
    // A system that refuses leaves the usual 50 µs, and the lateness that comes of it is measured.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
}

/// CPUs that this process may use.
pub fn allowed_cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else { return vec![0] };
    (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
}

/// Lets the kernel kill this process when the thread that started it ends; false if that has
/// already happened.
pub fn die_with_parent(parent: u32) -> bool {
    // A kernel that refuses leaves the second line of defence: the end of standard input.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    getppid().map(|pid| Pid::as_raw(Some(pid)) as u32) == Some(parent)
}

/// Raises the limit on open files to what the system allows; returns it.
pub fn raise_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}
