//! The limits of this host that a plan can run into: threads, open files, ports and memory.
//! Whatever binds is named.

use std::fs;

use procfs::{
    Current as _, Meminfo,
    process::{Process, all_processes},
};
use rustix::process::{Resource, getrlimit};

use crate::cgroup::{self, GroupFile};

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
    /// Limits on connections to one remote address that are opened and closed within a minute; none
    /// where the kernel uses their ports again at once.
    pub ports: Vec<Limit>,
    /// Limits on memory, in bytes: of the host, without swapping, and of its control groups.
    pub memory: Vec<Limit>,
    /// Limits on memory that is set aside, in bytes, whether it is touched or not: stacks of
    /// threads.
    pub set_aside: Vec<Limit>,
}

impl Limits {
    /// Reads the limits; one that cannot be read does not bind.
    pub fn read() -> Self {
        let used = fs::read_to_string("/proc/loadavg")
            .ok()
            .and_then(|text| threads_in_loadavg(&text))
            .unwrap_or(0);
        let number = |path: &str| {
            fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok())
        };
        let kernel = |path: &str, name, remedy| {
            number(path).map(|limit| Limit {
                left: limit.saturating_sub(used + OTHER_THREADS),
                name,
                remedy,
            })
        };
        let mapped =
            fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count() as u64);
        let maps = number("/proc/sys/vm/max_map_count").map(|count| Limit {
            left: threads_mapped(count, mapped),
            name: "vm.max_map_count, at four mappings a thread,",
            remedy: "sysctl vm.max_map_count=…",
        });
        let group = cgroup::files("pids.max").iter().filter_map(pids_left).min().map(|left| {
            Limit { left, name: "cgroup pids.max", remedy: "raise the container's pids limit" }
        });
        let threads = [
            kernel("/proc/sys/kernel/pid_max", "kernel.pid_max", "sysctl kernel.pid_max=…"),
            kernel(
                "/proc/sys/kernel/threads-max",
                "kernel.threads-max",
                "sysctl kernel.threads-max=…",
            ),
            maps,
            user_threads(),
            group,
        ];
        let files = getrlimit(Resource::Nofile).maximum.map(|left| Limit {
            left,
            name: "RLIMIT_NOFILE (hard)",
            remedy: "ulimit -Hn …",
        });
        Self {
            threads: threads.into_iter().flatten().collect(),
            files: files.into_iter().collect(),
            ports: ports().into_iter().collect(),
            memory: memory(),
            set_aside: set_aside(),
        }
    }

    /// The least that any of some limits leaves.
    pub fn binding(limits: &[Limit]) -> Option<&Limit> {
        limits.iter().min_by_key(|limit| limit.left)
    }

    /// Why `wanted` threads cannot run here, naming the limit that binds first; `lower` says what
    /// asks for less.
    pub fn refuse_threads(&self, wanted: u64, lower: &str) -> Option<String> {
        refuse(&self.threads, wanted, "threads", lower)
    }

    /// Why a process cannot have `wanted` open files here; `lower` says what asks for less.
    pub fn refuse_files(&self, wanted: u64, lower: &str) -> Option<String> {
        refuse(&self.files, wanted, "open files", lower)
    }

    /// Why a process cannot have `wanted` bytes of memory here; `lower` says what asks for less.
    pub fn refuse_memory(&self, wanted: u64, lower: &str) -> Option<String> {
        let Limit { left, name, .. } =
            Self::binding(&self.memory).filter(|limit| limit.left < wanted)?;
        let mib = |bytes: u64| bytes >> 20;
        Some(format!(
            "needs at least {} MiB of memory, and {name} leaves {} MiB; {lower}",
            mib(wanted),
            mib(*left)
        ))
    }

    /// Why threads that set `wanted` bytes aside for their stacks cannot run here; `lower` says
    /// what asks for less.
    pub fn refuse_stacks(&self, wanted: u64, threads: u64, lower: &str) -> Option<String> {
        let Limit { left, name, remedy } =
            Self::binding(&self.set_aside).filter(|limit| limit.left < wanted)?;
        let room = left / (wanted / threads.max(1)).max(1);
        Some(format!(
            "needs stacks for {threads} threads, and {name} leaves room for {room}; {lower}, or `{remedy}`"
        ))
    }

    /// Why `wanted` connections to one remote address cannot be opened within a minute; `lower`
    /// says what asks for less.
    pub fn refuse_ports(&self, wanted: u64, lower: &str) -> Option<String> {
        refuse(&self.ports, wanted, "ports within a minute", lower)
    }
}

fn refuse(limits: &[Limit], wanted: u64, things: &str, lower: &str) -> Option<String> {
    let binding = Limits::binding(limits).filter(|limit| limit.left < wanted)?;
    let Limit { left, name, remedy } = binding;
    Some(format!(
        "needs {wanted} {things}, and {name} leaves room for {left}; {lower}, or `{remedy}`"
    ))
}

/// Threads that there are beside those of the executor: of the trial's process, its targets and the
/// program that waits.
const OTHER_THREADS: u64 = 16;

/// Mappings of a thread of Rust's std: its stack and a guard page, and the same for the stack on
/// which signals are handled. Without room for the last of them the process is aborted.
const MAPPINGS_OF_A_THREAD: u64 = 4;

/// Mappings that a trial has beside its threads and what this process has already: heaps of the
/// allocator, recorders, what targets map.
const OTHER_MAPPINGS: u64 = 1_024;

/// For how many threads the kernel's limit on mappings has room in a process that has so many
/// already.
fn threads_mapped(most: u64, mapped: u64) -> u64 {
    most.saturating_sub(mapped + OTHER_MAPPINGS) / MAPPINGS_OF_A_THREAD
}

/// What the kernel lets a process set aside: where it never promises more than there is, and by the
/// process's own limit.
fn set_aside() -> Vec<Limit> {
    let is_strict =
        fs::read_to_string("/proc/sys/vm/overcommit_memory").is_ok_and(|mode| mode.trim() == "2");
    let promised = Meminfo::current().ok().filter(|_| is_strict).and_then(|info| {
        let left = info.commit_limit?.saturating_sub(info.committed_as);
        Some(Limit {
            left,
            name: "CommitLimit in /proc/meminfo",
            remedy: "sysctl vm.overcommit_memory=0",
        })
    });
    let own = getrlimit(Resource::As).current.map(|left| Limit {
        left,
        name: "RLIMIT_AS",
        remedy: "ulimit -v unlimited",
    });
    promised.into_iter().chain(own).collect()
}

/// What `RLIMIT_NPROC` leaves. It counts the threads of this user, of whom nobody else's processes
/// are.
fn user_threads() -> Option<Limit> {
    let limit = getrlimit(Resource::Nproc).current?;
    let own = Process::myself().and_then(|process| process.status()).ok()?;
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if may_exceed(own.ruid, own.capeff, &map) {
        return None;
    }
    // A process that ends meanwhile has no status any more.
    let all = all_processes().ok()?.filter_map(|process| process.ok()?.status().ok());
    let used = threads_of(own.ruid, all.map(|status| (status.ruid, status.threads)));
    Some(Limit {
        left: limit.saturating_sub(used + OTHER_THREADS),
        name: "RLIMIT_NPROC",
        remedy: "ulimit -u …",
    })
}

/// Whether the kernel holds `RLIMIT_NPROC` against nobody of this kind: root, or who has
/// `CAP_SYS_ADMIN` or `CAP_SYS_RESOURCE`. In a user namespace of a container, whose map is not the
/// whole one, they count for nothing.
fn may_exceed(real_uid: u32, capabilities: u64, uid_map: &str) -> bool {
    const SYS_ADMIN: u64 = 1 << 21;
    const SYS_RESOURCE: u64 = 1 << 24;
    let is_initial = uid_map.split_whitespace().eq(["0", "0", "4294967295"]);
    is_initial && (real_uid == 0 || capabilities & (SYS_ADMIN | SYS_RESOURCE) != 0)
}

/// Threads of one user among all processes, each with its real user and its threads.
fn threads_of(user: u32, processes: impl Iterator<Item = (u32, u64)>) -> u64 {
    processes.filter(|(real, _)| *real == user).map(|(_, threads)| threads).sum()
}

/// Threads of the whole system, after the slash in `0.00 0.01 0.05 1/123 4567`.
fn threads_in_loadavg(text: &str) -> Option<u64> {
    text.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// What a control group's `pids.max` leaves; none where it is `max`.
fn pids_left(group: &GroupFile) -> Option<u64> {
    let most: u64 = group.text.trim().parse().ok()?;
    Some(most.saturating_sub(group.beside("pids.current").unwrap_or(0) + OTHER_THREADS))
}

/// What a closed connection's port is kept from, for 60 s: the range of ephemeral ports.
fn ports() -> Option<Limit> {
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok();
    let left =
        ports_left(&read("ip_local_port_range")?, &read("tcp_tw_reuse").unwrap_or_default())?;
    Some(Limit {
        left,
        name: "net.ipv4.ip_local_port_range",
        remedy: "sysctl net.ipv4.tcp_tw_reuse=1",
    })
}

/// How many ports the range has; none where `tcp_tw_reuse` gives them back after a second, wherever
/// they led.
fn ports_left(range: &str, reuse: &str) -> Option<u64> {
    let mut ends = range.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(first)), Some(Ok(last))) = (ends.next(), ends.next()) else { return None };
    (reuse.trim() != "1").then(|| (last + 1).saturating_sub(first))
}

/// Memory of the host and of each control group. What a group uses for files that nobody needs is
/// given back.
fn memory() -> Vec<Limit> {
    let host = Meminfo::current().ok().and_then(|info| info.mem_available).map(|left| Limit {
        left,
        name: "MemAvailable in /proc/meminfo",
        remedy: "end what uses the memory",
    });
    let of_groups = |file: &str,
                     used: &'static str,
                     reclaimable: &'static str,
                     name: &'static str| {
        let left = cgroup::files(file).into_iter().filter_map(move |group| {
            let kept = group.entry("memory.stat", reclaimable).unwrap_or(0);
            group_memory(&group.text, group.beside(used)?, kept)
        });
        left.min().map(|left| Limit { left, name, remedy: "raise the container's memory limit" })
    };
    let new = of_groups("memory.max", "memory.current", "inactive_file", "cgroup memory.max");
    let old = of_groups(
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
        "cgroup memory.limit_in_bytes",
    );
    host.into_iter().chain(new).chain(old).collect()
}

/// What a group's limit on memory leaves; none where there is no limit (`max`, or version 1's
/// largest number).
fn group_memory(limit: &str, used: u64, reclaimable: u64) -> Option<u64> {
    let limit: u64 = limit.trim().parse().ok()?;
    (limit < 1 << 60).then(|| limit.saturating_sub(used.saturating_sub(reclaimable)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(left: u64, name: &'static str) -> Limit {
        Limit { left, name, remedy: "raise it" }
    }

    #[test]
    fn the_limit_that_binds_is_named() {
        let limits = Limits {
            threads: vec![limit(30_000, "a"), limit(20_000, "b")],
            memory: vec![limit(5 << 20, "MemAvailable"), limit(6 << 20, "group")],
            ports: vec![limit(28_232, "range")],
            ..Limits::default()
        };
        assert_eq!(limits.refuse_threads(20_000, "lower it"), None);
        let refusal = limits.refuse_threads(100_000, "lower `size`").expect("refused");
        assert!(
            refusal.contains("b leaves room for 20000")
                && refusal.contains("lower `size`, or `raise it`"),
            "{refusal}"
        );
        assert_eq!(limits.refuse_files(u64::MAX, "lower it"), None);
        assert_eq!(limits.refuse_memory(5 << 20, "lower it"), None);
        let refusal = limits.refuse_memory(6 << 20, "lower it").expect("refused");
        assert!(
            refusal.contains("6 MiB") && refusal.contains("MemAvailable leaves 5 MiB; lower it"),
            "{refusal}"
        );
        assert_eq!(Limits::default().refuse_memory(u64::MAX, "lower it"), None);
        assert_eq!(limits.refuse_ports(28_232, "lower it"), None);
        assert!(
            limits.refuse_ports(28_233, "lower it").is_some_and(|why| why.contains("28233 ports"))
        );
    }

    #[test]
    fn a_thread_of_std_has_four_mappings_at_most() {
        const THREADS: usize = 64;
        let mapped = || fs::read_to_string("/proc/self/maps").expect("Linux").lines().count();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let ends = std::sync::Arc::new(std::sync::Mutex::new(ends));
        let (begun, begins) = std::sync::mpsc::channel();
        let before = mapped();
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (ends, begun) = (ends.clone(), begun.clone());
                std::thread::spawn(move || {
                    begun.send(()).expect("the test waits");
                    let _ = ends.lock().expect("nobody panics").recv();
                })
            })
            .collect();
        for _ in 0..THREADS {
            begins.recv().expect("it begins");
        }
        let with_them = mapped();
        drop(end);
        for thread in threads {
            thread.join().expect("it ends");
        }
        // Other tests run beside this one, and heaps of the allocator come on top: half a mapping a
        // thread either way.
        let each = with_them.saturating_sub(before) as f64 / THREADS as f64;
        assert!(
            (3.0..=MAPPINGS_OF_A_THREAD as f64 + 0.5).contains(&each),
            "{each} mappings a thread"
        );
    }

    #[test]
    fn seventeen_thousand_threads_do_not_fit_into_the_kernel_s_usual_limit_on_mappings() {
        // Linux's default, in a process that has 200 mappings: 64 306 are left.
        assert_eq!(threads_mapped(65_530, 200), 16_076);
        assert_eq!(threads_mapped(1_000, 200), 0);
        let maps = vec![limit(
            threads_mapped(65_530, 200),
            "vm.max_map_count, at four mappings a thread,",
        )];
        let limits = Limits { threads: maps, ..Limits::default() };
        let why = limits.refuse_threads(17_000, "lower `tasks`").expect("too many");
        assert!(
            why.contains("needs 17000 threads, and vm.max_map_count, at four mappings a thread, leaves room for 16076"),
            "{why}"
        );
        assert_eq!(limits.refuse_threads(16_076, "lower `tasks`"), None);
    }

    #[test]
    fn stacks_that_cannot_be_set_aside_are_refused_with_the_number_that_can() {
        let limits = Limits { set_aside: vec![limit(10 << 20, "RLIMIT_AS")], ..Limits::default() };
        assert_eq!(limits.refuse_stacks(10 << 20, 5, "lower `tasks`"), None);
        let why = limits.refuse_stacks(12 << 20, 6, "lower `tasks`").expect("too much");
        assert!(
            why.contains("stacks for 6 threads, and RLIMIT_AS leaves room for 5; lower `tasks`"),
            "{why}"
        );
    }

    #[test]
    fn ports_bind_unless_they_are_used_again() {
        assert_eq!(ports_left("32768\t60999\n", "2\n"), Some(28_232));
        assert_eq!(ports_left("32768\t60999\n", "1\n"), None);
        assert_eq!(ports_left("", "0"), None);
    }

    #[test]
    fn a_group_s_memory_is_what_its_limit_leaves_but_for_cached_files() {
        assert_eq!(group_memory("1000\n", 600, 100), Some(500));
        assert_eq!(group_memory("1000\n", 1_200, 100), Some(0));
        assert_eq!(group_memory("max\n", 600, 100), None);
        assert_eq!(group_memory("9223372036854771712\n", 600, 100), None);
    }

    #[test]
    fn a_user_s_limit_counts_the_threads_of_that_user() {
        let processes = [(0, 170), (65_534, 1), (65_534, 4), (1_000, 2)];
        assert_eq!(threads_of(65_534, processes.into_iter()), 5);
        assert_eq!(threads_of(7, processes.into_iter()), 0);
    }

    #[test]
    fn root_and_two_capabilities_exceed_the_user_s_limit_unless_they_are_a_container_s_own() {
        let (whole, container) =
            ("         0          0 4294967295\n", "         0     100000      65536\n");
        assert!(
            may_exceed(0, 0, whole)
                && may_exceed(7, 1 << 21, whole)
                && may_exceed(7, 1 << 24, whole)
        );
        assert!(!may_exceed(7, 1 << 23, whole));
        assert!(!may_exceed(0, u64::MAX, container) && !may_exceed(0, u64::MAX, ""));
    }

    #[test]
    fn counts_the_system_s_threads() {
        assert_eq!(threads_in_loadavg("0.10 0.05 0.01 2/345 6789\n"), Some(345));
        assert_eq!(threads_in_loadavg("nonsense"), None);
    }
}
