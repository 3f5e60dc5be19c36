//! A process and all that it has started: the times of a server that forks, and the server behind a port.

use std::{collections::HashMap, net::IpAddr};

use procfs::{
    net::TcpState,
    process::{FDTarget, Process, Stat, all_processes},
};

use super::{Times, times_of};

/// A process whose times are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// By itself.
    Process(u32),
    /// With all processes below it, those that have ended included.
    Tree(u32),
}

impl Watched {
    /// What it has used since it started; none if it has ended, or may not be looked at.
    pub fn times(self) -> Option<Times> {
        match self {
            Self::Process(pid) => times_of(pid),
            Self::Tree(root) => tree(root),
        }
    }
}

fn tree(root: u32) -> Option<Times> {
    let stats = stats();
    let members = stats.values().filter(|stat| is_below(stat, root, &stats));
    let sum = members.fold(Times::default(), |sum, stat| {
        let one = times(stat);
        Times {
            cpu_ns: sum.cpu_ns + one.cpu_ns,
            run_delay_ns: sum.run_delay_ns + one.run_delay_ns,
            threads: sum.threads + one.threads,
        }
    });
    (sum.threads > 0).then_some(sum)
}

/// All processes that can be seen.
fn stats() -> HashMap<i32, Stat> {
    let processes = all_processes().into_iter().flatten().flatten();
    processes.filter_map(|process| process.stat().ok()).map(|stat| (stat.pid, stat)).collect()
}

/// Whether a process is `root` or was started by one that is.
fn is_below(stat: &Stat, root: u32, stats: &HashMap<i32, Stat>) -> bool {
    let mut at = Some(stat);
    // A process may have ended while the others were read, and its number may be in use again: no walk is endless.
    for _ in 0..64 {
        match at {
            Some(stat) if stat.pid.cast_unsigned() == root => return true,
            Some(stat) => at = stats.get(&stat.ppid),
            None => return false,
        }
    }
    false
}

/// What a process has used, with the children that it has waited for. The scheduler's own sums are exact, and know only
/// threads that live; the process's are in ticks, and know all of them.
fn times(stat: &Stat) -> Times {
    let tick_ns = 1_000_000_000 / procfs::ticks_per_second();
    let children = (stat.cutime.max(0) + stat.cstime.max(0)).cast_unsigned() * tick_ns;
    let ticks = (stat.utime + stat.stime) * tick_ns;
    let living = times_of(stat.pid.cast_unsigned()).unwrap_or_default();
    Times { cpu_ns: living.cpu_ns.max(ticks) + children, ..living }
}

/// The process that listens on a port of this host: the first of its family, where it hands the socket on to children.
/// None if nobody does, or if it may not be looked at.
pub fn listener(address: IpAddr, port: u16) -> Option<u32> {
    let entries = procfs::net::tcp().into_iter().chain(procfs::net::tcp6()).flatten();
    let fits = |bound: IpAddr| bound.is_unspecified() || bound == address;
    let inodes: Vec<u64> = entries
        .filter(|entry| entry.state == TcpState::Listen && entry.local_address.port() == port)
        .filter(|entry| fits(entry.local_address.ip()))
        .map(|entry| entry.inode)
        .collect();
    let owners: Vec<Stat> = all_processes()
        .ok()?
        .flatten()
        .filter(|process| holds(process, &inodes))
        .filter_map(|process| process.stat().ok())
        .collect();
    let has_parent_among = |stat: &Stat| owners.iter().any(|other| other.pid == stat.ppid);
    owners.iter().find(|stat| !has_parent_among(stat)).map(|stat| stat.pid.cast_unsigned())
}

fn holds(process: &Process, inodes: &[u64]) -> bool {
    let is_one = |target: &FDTarget| matches!(target, FDTarget::Socket(inode) if inodes.contains(inode));
    process.fd().is_ok_and(|mut files| files.any(|file| file.is_ok_and(|file| is_one(&file.target))))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn who_listens_is_found() {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(Ipv4Addr::LOCALHOST.into(), port), Some(std::process::id()));
        assert_eq!(listener(Ipv4Addr::new(127, 0, 0, 2).into(), port), None);
        drop(socket);
        assert_eq!(listener(Ipv4Addr::LOCALHOST.into(), port), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs a child")]
    fn what_a_child_used_is_its_parent_s() {
        let tree = Watched::Tree(std::process::id());
        let before = tree.times().unwrap();
        let burn = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", burn]).status().unwrap().success());
        let used = tree.times().unwrap().cpu_ns - before.cpu_ns;
        // It has ended and was waited for; such a loop takes more than a tick.
        assert!(used >= 10_000_000, "{used}");
        assert_eq!(Watched::Tree(u32::MAX).times(), None);
    }
}
