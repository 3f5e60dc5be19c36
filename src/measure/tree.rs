//! The processes of a server, and what they have used: who listens, all that these have started,
//! and the control group of a service or a container.

use std::{
    collections::{BTreeSet, HashMap},
    iter,
};

use procfs::process::{Process, Stat, all_processes};

use super::{ProcessTimes, times_of};
use crate::cgroup::Service;

/// What the times are read of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// A process by itself.
    Process(u32),
    /// The processes of a server.
    Server(Kin),
}

/// The processes of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kin {
    /// Each with all processes below it, those that have ended included.
    roots: Vec<i32>,
    /// By itself, without the processes below it: this process is one of them.
    host: Option<i32>,
    /// The control group of the server, which has all that runs in it and has run.
    service: Option<Service>,
}

/// The bit of SIGCHLD in a mask of signals.
const SIGCHLD: u64 = 1 << 16;

impl Watched {
    /// What it has used since it started; none if it has ended, or may not be looked at.
    pub fn times(&self) -> Option<ProcessTimes> {
        match self {
            Self::Process(pid) => times_of(*pid),
            Self::Server(kin) => kin.times(),
        }
    }

    /// The CPUs on which one of its threads may run, in order; none if that is not known.
    pub fn cpus(&self) -> Vec<usize> {
        let pids = match self {
            Self::Process(pid) => vec![pid.cast_signed()],
            Self::Server(kin) => kin.members(&stats()).iter().map(|stat| stat.pid).collect(),
        };
        pids.into_iter().flat_map(cpus_of).collect::<BTreeSet<usize>>().into_iter().collect()
    }

    /// How many CPUs its control group's quota leaves it; none without a quota.
    pub fn quota(&self) -> Option<f64> {
        match self {
            Self::Process(_) => None,
            Self::Server(kin) => kin.service.as_ref()?.quota(),
        }
    }
}

impl Kin {
    /// The server whose socket these processes hold; none without any.
    pub fn of(owners: &[i32]) -> Option<Self> {
        let stats = stats();
        let (roots, host) = roots(owners, std::process::id().cast_signed(), &stats);
        let first = roots.first().copied();
        let service = first.and_then(|root| Service::of(root.cast_unsigned()));
        (first.is_some() || host.is_some()).then_some(Self { roots, host, service })
    }

    fn times(&self) -> Option<ProcessTimes> {
        let stats = stats();
        let one =
            |stat: &Stat| if Some(stat.pid) == self.host { own_times(stat) } else { times(stat) };
        let sum =
            self.members(&stats).into_iter().map(one).fold(ProcessTimes::default(), |sum, one| {
                ProcessTimes {
                    cpu_ns: sum.cpu_ns + one.cpu_ns,
                    run_delay_ns: sum.run_delay_ns + one.run_delay_ns,
                    threads: sum.threads + one.threads,
                }
            });
        let cpu_ns = self.service.as_ref().and_then(Service::cpu_ns).unwrap_or(sum.cpu_ns);
        (sum.threads > 0).then_some(ProcessTimes { cpu_ns, ..sum })
    }

    /// Its processes that live.
    fn members<'a>(&self, stats: &'a HashMap<i32, Stat>) -> Vec<&'a Stat> {
        let grouped: BTreeSet<i32> = self.service.iter().flat_map(Service::processes).collect();
        let is_below = |stat: &Stat| lineage(stat.pid, stats).any(|pid| self.roots.contains(&pid));
        let belongs = |stat: &&Stat| {
            Some(stat.pid) == self.host || grouped.contains(&stat.pid) || is_below(stat)
        };
        stats.values().filter(belongs).collect()
    }

    /// How many processes and threads it has now.
    pub fn size(&self) -> (usize, usize) {
        let stats = stats();
        let members = self.members(&stats);
        (
            members.len(),
            members.iter().map(|stat| usize::try_from(stat.num_threads).unwrap_or(0)).sum(),
        )
    }

    /// The name of the program that listens.
    pub fn program(&self) -> String {
        let first = self.roots.first().copied().or(self.host);
        first.map_or_else(String::new, name)
    }

    /// Who it is, in words: `nginx (812) and all below it`.
    pub fn words(&self) -> String {
        let named = |pid: &i32| format!("{} ({pid})", name(*pid));
        let roots: Vec<String> = self.roots.iter().map(named).collect();
        let trees = match roots.len() {
            0 => None,
            1 => Some(format!("{} and all below it", roots[0])),
            _ => Some(format!("{} and all below them", roots.join(", "))),
        };
        let host = self
            .host
            .iter()
            .map(|pid| format!("{} without what it has started: this is one of it", named(pid)));
        let service =
            self.service.iter().map(|service| format!("all in the control group {}", service.name));
        let lost = self
            .loses_children()
            .then(|| "without children that have ended, for it ignores SIGCHLD".to_owned());
        trees.into_iter().chain(host).chain(service).chain(lost).collect::<Vec<_>>().join("; ")
    }

    /// Whether the kernel forgets what its children have used: nobody waits for them, and no group
    /// counts them.
    fn loses_children(&self) -> bool {
        let ignores = |pid: &i32| {
            Process::new(*pid)
                .and_then(|process| process.status())
                .is_ok_and(|status| status.sigign & SIGCHLD != 0)
        };
        self.service.is_none() && self.roots.iter().any(ignores)
    }
}

/// The processes below which all others of a server are, and the one that this process is below.
///
/// A server that hands its socket on to children is its first process. Children that listen by
/// themselves belong to their parent, where that is the same program. A socket that this process's
/// own ancestors hold beside others is one that they have only opened for a server.
fn roots(owners: &[i32], this: i32, stats: &HashMap<i32, Stat>) -> (Vec<i32>, Option<i32>) {
    let ancestors: Vec<i32> = lineage(this, stats).collect();
    let apart: Vec<i32> = owners.iter().copied().filter(|pid| !ancestors.contains(pid)).collect();
    if apart.is_empty() {
        // The nearest: those above it have handed the socket down.
        return (Vec::new(), ancestors.into_iter().find(|pid| owners.contains(pid)));
    }
    let has_one_above = |pid: i32| lineage(pid, stats).skip(1).any(|above| apart.contains(&above));
    let first: Vec<i32> = apart.iter().copied().filter(|pid| !has_one_above(*pid)).collect();
    let parent = |pid: &i32| {
        let (stat, above) = stats.get(pid).and_then(|stat| Some((stat, stats.get(&stat.ppid)?)))?;
        (stat.comm == above.comm && !ancestors.contains(&above.pid)).then_some(above.pid)
    };
    let parents: Vec<Option<i32>> = first.iter().map(parent).collect();
    let is_shared =
        |above: &i32| parents.iter().filter(|parent| **parent == Some(*above)).count() > 1;
    let root = |(pid, above): (&i32, &Option<i32>)| above.filter(is_shared).unwrap_or(*pid);
    let roots: BTreeSet<i32> = first.iter().zip(&parents).map(root).collect();
    (roots.into_iter().collect(), None)
}

/// All processes that can be seen.
pub(super) fn stats() -> HashMap<i32, Stat> {
    let processes = all_processes().into_iter().flatten().flatten();
    processes.filter_map(|process| process.stat().ok()).map(|stat| (stat.pid, stat)).collect()
}

/// A process, the one that has started it, and so on. One may have ended while the others were
/// read, and its number may be in use again: no walk is endless.
pub(super) fn lineage(pid: i32, stats: &HashMap<i32, Stat>) -> impl Iterator<Item = i32> + '_ {
    iter::successors(Some(pid), |pid| {
        stats.get(pid).map(|stat| stat.ppid).filter(|above| *above > 0)
    })
    .take(64)
}

fn name(pid: i32) -> String {
    Process::new(pid)
        .and_then(|process| process.stat())
        .map_or_else(|_| "?".into(), |stat| stat.comm)
}

/// The CPUs on which a thread of a process may run.
fn cpus_of(pid: i32) -> Vec<usize> {
    let tasks = Process::new(pid).and_then(|process| process.tasks());
    let statuses = tasks.into_iter().flatten().flatten().filter_map(|task| task.status().ok());
    let ranges = statuses.filter_map(|status| status.cpus_allowed_list).flatten();
    ranges.flat_map(|(first, last)| first as usize..=last as usize).collect()
}

/// What a process has used, with the children that it has waited for.
fn times(stat: &Stat) -> ProcessTimes {
    let children = (stat.cutime.max(0) + stat.cstime.max(0)).cast_unsigned() * tick_ns();
    let own = own_times(stat);
    ProcessTimes { cpu_ns: own.cpu_ns + children, ..own }
}

/// What a process has used by itself. The scheduler's own sums are exact, and know only threads
/// that live; the process's are in ticks, and know all of them.
pub(super) fn own_times(stat: &Stat) -> ProcessTimes {
    let living = times_of(stat.pid.cast_unsigned()).unwrap_or_default();
    ProcessTimes { cpu_ns: living.cpu_ns.max((stat.utime + stat.stime) * tick_ns()), ..living }
}

pub(super) fn tick_ns() -> u64 {
    1_000_000_000 / procfs::ticks_per_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loop of a shell that takes more than a tick.
    const BURN: &str = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";

    fn own() -> i32 {
        std::process::id().cast_signed()
    }

    #[expect(clippy::disallowed_methods, reason = "a test needs a child")]
    fn sh(line: &str) -> std::process::Command {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", line]);
        command
    }

    #[test]
    fn what_a_child_used_is_its_parent_s() {
        let tree = Watched::Server(Kin { roots: vec![own()], host: None, service: None });
        let before = tree.times().unwrap();
        assert!(sh(BURN).status().unwrap().success());
        let used = tree.times().unwrap().cpu_ns - before.cpu_ns;
        assert!(used >= 10_000_000, "{used}");
        assert_eq!(
            Watched::Server(Kin { roots: vec![i32::MAX], host: None, service: None }).times(),
            None
        );
        assert!(!tree.cpus().is_empty());
    }

    /// Children of whoever started us are not the work of the server, though it is their parent.
    #[test]
    fn a_server_that_has_started_this_process_counts_by_itself() {
        let kin = Kin::of(&[own()]).unwrap();
        assert_eq!((&kin.roots[..], kin.host), (&[][..], Some(own())));
        let of_children = |kin: &Kin| {
            let stats = stats();
            times(&stats[&own()]).cpu_ns
                - kin.times().unwrap().cpu_ns.min(times(&stats[&own()]).cpu_ns)
        };
        assert!(sh(BURN).status().unwrap().success());
        assert!(of_children(&kin) >= 5_000_000);
        assert!(kin.words().contains("without what it has started"), "{}", kin.words());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs a child")]
    fn a_server_that_forgets_its_children_is_said() {
        let mut ignoring = std::process::Command::new("env");
        let mut child = ignoring.args(["--ignore-signal=CHLD", "sleep", "60"]).spawn().unwrap();
        let pid = child.id().cast_signed();
        let kin = Kin { roots: vec![pid], host: None, service: None };
        while name(pid) != "sleep" {
            std::thread::yield_now();
        }
        let said = kin.words();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            said.starts_with(&format!("sleep ({pid}) and all below it; without children")),
            "{said}"
        );
    }

    /// Processes as `(pid, parent, name)`.
    fn world(processes: &[(i32, i32, &str)]) -> HashMap<i32, Stat> {
        let like = Process::myself().unwrap().stat().unwrap();
        let stat = |(pid, ppid, comm): &(i32, i32, &str)| {
            let mut stat = like.clone();
            (stat.pid, stat.ppid, stat.comm) = (*pid, *ppid, (*comm).to_owned());
            (*pid, stat)
        };
        processes.iter().map(stat).collect()
    }

    #[test]
    fn all_of_a_server_is_below_its_first_process() {
        let world = world(&[
            (1, 0, "systemd"),
            (10, 1, "nginx"),
            (11, 10, "nginx"),
            (12, 10, "nginx"),
            (20, 1, "bash"),
            (21, 20, "app"),
            (22, 20, "app"),
            (30, 20, "regatta"),
            (31, 30, "regatta"),
        ]);
        let of = |owners: &[i32]| roots(owners, 31, &world);
        // The master holds the socket, or only its children do, each one of its own.
        assert_eq!(of(&[10, 11, 12]), (vec![10], None));
        assert_eq!(of(&[11, 12]), (vec![10], None));
        // Two servers that a shell has started are two.
        assert_eq!(of(&[21, 22]), (vec![21, 22], None));
        // systemd has opened the socket for its service.
        assert_eq!(of(&[1, 10]), (vec![10], None));
        assert_eq!(of(&[11]), (vec![11], None));
        // We are below the server: the nearest of those that hold the socket.
        assert_eq!(of(&[1, 20]), (vec![], Some(20)));
        assert_eq!(of(&[]), (vec![], None));
    }
}
