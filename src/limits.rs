//! The limits of this host that a plan can run into: threads, open files and memory. Whatever binds is named.

use std::{fs, path::Path};

use procfs::{Current as _, Meminfo};

use rustix::process::{Resource, getrlimit};

/// A limit and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// How many more of the thing there can be, as far as this limit goes.
    pub left: u64,
    /// Its name, such as `kernel.threads-max`.
    pub name: &'static str,
    /// How it is raised.
    pub remedy: &'static str,
}

/// The limits of this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Limits on threads.
    pub threads: Vec<Limit>,
    /// Limits on open files of one process.
    pub files: Vec<Limit>,
    /// Memory that can be had without swapping, in bytes; none where the kernel does not say.
    pub memory: Option<u64>,
}

impl Limits {
    /// Reads the limits; one that cannot be read does not bind.
    pub fn read() -> Self {
        let used = fs::read_to_string("/proc/loadavg").ok().and_then(|text| threads_in_loadavg(&text)).unwrap_or(0);
        let number = |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
        let kernel = |path: &str, name, remedy| {
            number(path).map(|limit| Limit { left: limit.saturating_sub(used), name, remedy })
        };
        let maps = number("/proc/sys/vm/max_map_count").map(|count| Limit {
            // A thread's stack and its guard page are two mappings.
            left: count / 2,
            name: "vm.max_map_count / 2",
            remedy: "sysctl vm.max_map_count=…",
        });
        let user = getrlimit(Resource::Nproc).current.map(|limit| Limit {
            left: limit.saturating_sub(used),
            name: "RLIMIT_NPROC",
            remedy: "ulimit -u …",
        });
        let group = cgroup_pids().map(|left| Limit {
            left,
            name: "cgroup pids.max",
            remedy: "raise the container's pids limit",
        });
        let threads = [
            kernel("/proc/sys/kernel/pid_max", "kernel.pid_max", "sysctl kernel.pid_max=…"),
            kernel("/proc/sys/kernel/threads-max", "kernel.threads-max", "sysctl kernel.threads-max=…"),
            maps,
            user,
            group,
        ];
        let files = getrlimit(Resource::Nofile).maximum.map(|left| Limit {
            left,
            name: "RLIMIT_NOFILE (hard)",
            remedy: "ulimit -Hn …",
        });
        let memory = Meminfo::current().ok().and_then(|info| info.mem_available);
        Self { threads: threads.into_iter().flatten().collect(), files: files.into_iter().collect(), memory }
    }

    /// Why `wanted` threads cannot run here, naming the limit that binds first; `lower` says what asks for less.
    pub fn refuse_threads(&self, wanted: u64, lower: &str) -> Option<String> {
        refuse(&self.threads, wanted, "threads", lower)
    }

    /// Why a process cannot have `wanted` open files here; `lower` says what asks for less.
    pub fn refuse_files(&self, wanted: u64, lower: &str) -> Option<String> {
        refuse(&self.files, wanted, "open files", lower)
    }

    /// Why a process cannot have `wanted` bytes of memory here; `lower` says what asks for less.
    pub fn refuse_memory(&self, wanted: u64, lower: &str) -> Option<String> {
        let left = self.memory.filter(|left| *left < wanted)?;
        let mib = |bytes: u64| bytes >> 20;
        Some(format!(
            "needs at least {} MiB of memory, and MemAvailable in /proc/meminfo is {} MiB; {lower}",
            mib(wanted),
            mib(left)
        ))
    }
}

fn refuse(limits: &[Limit], wanted: u64, things: &str, lower: &str) -> Option<String> {
    let binding = limits.iter().min_by_key(|limit| limit.left).filter(|limit| limit.left < wanted)?;
    let Limit { left, name, remedy } = binding;
    Some(format!("needs {wanted} {things}, and {name} leaves room for {left}; {lower}, or `{remedy}`"))
}

/// Threads of the whole system, after the slash in `0.00 0.01 0.05 1/123 4567`.
fn threads_in_loadavg(text: &str) -> Option<u64> {
    text.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// What `pids.max` of this process's own control group (version 2) leaves.
fn cgroup_pids() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let folder = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
    let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    Some(number("pids.max")?.saturating_sub(number("pids.current").unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(left: u64, name: &'static str) -> Limit {
        Limit { left, name, remedy: "raise it" }
    }

    #[test]
    fn the_limit_that_binds_is_named() {
        let limits =
            Limits { threads: vec![limit(30_000, "a"), limit(20_000, "b")], files: Vec::new(), memory: Some(5 << 20) };
        assert_eq!(limits.refuse_threads(20_000, "lower it"), None);
        let refusal = limits.refuse_threads(100_000, "lower `size`").expect("refused");
        assert!(
            refusal.contains("b leaves room for 20000") && refusal.contains("lower `size`, or `raise it`"),
            "{refusal}"
        );
        assert_eq!(limits.refuse_files(u64::MAX, "lower it"), None);
        assert_eq!(limits.refuse_memory(5 << 20, "lower it"), None);
        let refusal = limits.refuse_memory(6 << 20, "lower it").expect("refused");
        assert!(refusal.contains("6 MiB") && refusal.contains("is 5 MiB; lower it"), "{refusal}");
        assert_eq!(Limits::default().refuse_memory(u64::MAX, "lower it"), None);
    }

    #[test]
    fn counts_the_system_s_threads() {
        assert_eq!(threads_in_loadavg("0.10 0.05 0.01 2/345 6789\n"), Some(345));
        assert_eq!(threads_in_loadavg("nonsense"), None);
    }
}
