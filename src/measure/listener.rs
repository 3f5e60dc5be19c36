//! Who listens at an address: the sockets of a network namespace, and the processes that have them
//! open.
//!
//! A server in a container is in a network namespace of its own. There it is found by its address,
//! or by what a proxy of ports says on its command line.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use procfs::{
    net::{TcpNetEntry, TcpState, UnixNetEntry, UnixState},
    process::{FDTarget, Process, all_processes},
};

/// Who listens at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listening {
    /// These processes have the socket open. Of a proxy of ports, and of the server behind it.
    Processes(Vec<i32>),
    /// A user's processes, which this one may not look at: the number of the user.
    Hidden(u32),
    /// Nobody that can be seen from here.
    Nobody,
}

/// Who listens at `address`, on this host or in a container on it.
pub fn listening(address: SocketAddr) -> Listening {
    let here = procfs::net::tcp().into_iter().chain(procfs::net::tcp6()).flatten();
    match owners(here.collect(), address) {
        Listening::Processes(mut found) => {
            let passed: Vec<SocketAddr> = found.iter().filter_map(|pid| passes_to(*pid)).collect();
            for address in passed {
                found.extend(elsewhere(address));
            }
            Listening::Processes(found)
        }
        Listening::Nobody => match elsewhere(address) {
            found if found.is_empty() => Listening::Nobody,
            found => Listening::Processes(found),
        },
        hidden @ Listening::Hidden(_) => hidden,
    }
}

/// Who listens at a socket in the file system.
pub fn listening_at(path: &Path) -> Listening {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let wanted = real(path);
    // A connection that was taken has the name of its listener, and is connected.
    let listens = |entry: &UnixNetEntry| {
        entry.state == UnixState::UNCONNECTED
            && entry.path.as_deref().is_some_and(|bound| real(bound) == wanted)
    };
    let all = procfs::net::unix().into_iter().flatten();
    let inodes: BTreeSet<u64> = all.filter(listens).map(|entry| entry.inode).collect();
    match holders(&inodes) {
        found if !found.is_empty() => Listening::Processes(found),
        _ if inodes.is_empty() => Listening::Nobody,
        // Whoever has made the file listens.
        _ => fs::metadata(&wanted).map_or(Listening::Nobody, |file| Listening::Hidden(file.uid())),
    }
}

/// The owners of those of a namespace's sockets that a connection to `address` reaches.
fn owners(entries: Vec<TcpNetEntry>, address: SocketAddr) -> Listening {
    let listens = |entry: &TcpNetEntry| {
        entry.state == TcpState::Listen && entry.local_address.port() == address.port()
    };
    let ranked: Vec<(u8, TcpNetEntry)> = entries
        .into_iter()
        .filter(listens)
        .filter_map(|entry| Some((nearness(entry.local_address.ip(), address.ip())?, entry)))
        .collect();
    let nearest = ranked.iter().map(|(rank, _)| *rank).max();
    let sockets: Vec<&TcpNetEntry> =
        ranked.iter().filter(|(rank, _)| Some(*rank) == nearest).map(|(_, entry)| entry).collect();
    let Some(first) = sockets.first() else { return Listening::Nobody };
    let inodes: BTreeSet<u64> = sockets.iter().map(|entry| entry.inode).collect();
    match holders(&inodes) {
        found if found.is_empty() => Listening::Hidden(first.uid),
        found => Listening::Processes(found),
    }
}

/// How well the address that a socket is bound to fits one that is called: the kernel takes the
/// best. None: not at all.
fn nearness(bound: IpAddr, called: IpAddr) -> Option<u8> {
    let (bound, called) = (bound.to_canonical(), called.to_canonical());
    match (bound, called) {
        _ if bound == called => Some(2),
        _ if bound.is_unspecified() && bound.is_ipv4() == called.is_ipv4() => Some(1),
        // Unless it says otherwise, a socket of version 6 takes calls of version 4, too.
        (IpAddr::V6(any), IpAddr::V4(_)) if any.is_unspecified() => Some(0),
        _ => None,
    }
}

/// The processes that have one of these sockets open, as far as they may be looked at.
fn holders(inodes: &BTreeSet<u64>) -> Vec<i32> {
    let is_one =
        |target: &FDTarget| matches!(target, FDTarget::Socket(inode) if inodes.contains(inode));
    let holds = |process: &Process| {
        process
            .fd()
            .is_ok_and(|mut files| files.any(|file| file.is_ok_and(|file| is_one(&file.target))))
    };
    let all = all_processes().into_iter().flatten().flatten();
    all.filter(holds).map(|process| process.pid).collect()
}

/// Where a proxy of ports passes connections on to, as its command line says; none if it is no such
/// proxy.
fn passes_to(pid: i32) -> Option<SocketAddr> {
    let words = Process::new(pid).and_then(|process| process.cmdline()).ok()?;
    destination(&words)
}

/// `docker-proxy … -container-ip 172.17.0.2 -container-port 80`.
fn destination(words: &[String]) -> Option<SocketAddr> {
    let program = PathBuf::from(words.first()?);
    if program.file_name()? != "docker-proxy" {
        return None;
    }
    let after =
        |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let ip: IpAddr = after("-container-ip")?.parse().ok()?;
    Some(SocketAddr::new(ip, after("-container-port")?.parse().ok()?))
}

/// Who listens at an address of another network namespace of this host: a container's.
fn elsewhere(address: SocketAddr) -> Vec<i32> {
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        return Vec::new();
    }
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let mut seen: BTreeSet<Option<PathBuf>> =
        [None, fs::read_link("/proc/self/ns/net").ok()].into();
    for process in all_processes().into_iter().flatten().flatten() {
        if !seen.insert(namespace(process.pid)) || !is_address_of(process.pid, address.ip()) {
            continue;
        }
        let entries = process.tcp().into_iter().chain(process.tcp6()).flatten();
        if let Listening::Processes(found) = owners(entries.collect(), address) {
            return found;
        }
    }
    Vec::new()
}

/// Whether the network namespace of a process has this address.
fn is_address_of(pid: i32, address: IpAddr) -> bool {
    let read =
        |file: &str| fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default();
    match address.to_canonical() {
        IpAddr::V4(address) => is_local(&read("fib_trie"), address),
        IpAddr::V6(address) => {
            let hex = format!("{:032x}", address.to_bits());
            read("if_inet6").lines().any(|line| line.starts_with(&hex))
        }
    }
}

/// Whether the table of routes has the address as a host's own: `|-- 172.17.0.2`, and below it `/32
/// host LOCAL`.
fn is_local(table: &str, address: Ipv4Addr) -> bool {
    let leaf = format!("|-- {address}");
    let mut lines = table.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if line == leaf && lines.peek().is_some_and(|next| *next == "/32 host LOCAL") {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_listens_is_found_and_nobody_else() {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = socket.local_addr().unwrap();
        let own = std::process::id().cast_signed();
        assert_eq!(listening(at), Listening::Processes(vec![own]));
        let mapped = SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), at.port());
        assert_eq!(listening(mapped), Listening::Processes(vec![own]));
        assert_eq!(
            listening(SocketAddr::new(Ipv4Addr::new(127, 0, 0, 2).into(), at.port())),
            Listening::Nobody
        );
        drop(socket);
        assert_eq!(listening(at), Listening::Nobody);
    }

    #[test]
    fn who_listens_at_a_socket_in_the_file_system_is_found() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("socket");
        let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let taken = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let own = std::process::id().cast_signed();
        assert_eq!(listening_at(&path), Listening::Processes(vec![own]));
        // The same by another way: `/var/run` is often one to `/run`.
        let link = scratch.path().join("link");
        std::os::unix::fs::symlink(scratch.path(), &link).unwrap();
        assert_eq!(listening_at(&link.join("socket")), Listening::Processes(vec![own]));
        drop((socket, taken));
        assert_eq!(listening_at(&path), Listening::Nobody);
    }

    #[test]
    fn the_socket_that_the_kernel_would_take_counts() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let rank = |bound: &str| nearness(ip(bound), ip("127.0.0.1"));
        assert_eq!(["127.0.0.1", "::ffff:127.0.0.1"].map(rank), [Some(2); 2]);
        assert_eq!((rank("0.0.0.0"), rank("::"), rank("127.0.0.2")), (Some(1), Some(0), None));
        let rank = |bound: &str| nearness(ip(bound), ip("::1"));
        assert_eq!((rank("::1"), rank("::"), rank("0.0.0.0")), (Some(2), Some(1), None));
    }

    #[test]
    fn a_proxy_of_ports_says_where_it_passes_connections_on_to() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let proxy = "/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 \
                     -container-port 80";
        assert_eq!(destination(&words(proxy)), Some("172.17.0.2:80".parse().unwrap()));
        assert_eq!(
            destination(&words("/usr/sbin/nginx -container-ip 172.17.0.2 -container-port 80")),
            None
        );
        assert_eq!(
            (destination(&[]), destination(&words("docker-proxy -container-ip"))),
            (None, None)
        );
    }

    #[test]
    fn addresses_of_a_namespace_are_in_its_table_of_routes() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 172.17.0.0\n\
                     \x20       /16 link UNICAST\nLocal:\n     |-- 172.17.0.2\n        /32 host LOCAL\n     |-- \
                     172.17.255.255\n        /32 link BROADCAST\n";
        let has = |text: &str| is_local(table, text.parse().unwrap());
        assert_eq!(
            ["172.17.0.2", "172.17.255.255", "172.17.0.0", "172.17.0.3"].map(has),
            [true, false, false, false]
        );
        let own = std::process::id().cast_signed();
        assert!(
            is_address_of(own, Ipv4Addr::LOCALHOST.into())
                && !is_address_of(own, Ipv4Addr::new(192, 0, 2, 1).into())
        );
    }
}
