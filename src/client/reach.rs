//! Why a connection could not be opened: one kind, one cause and one remedy for each error of the
//! system.

use std::{
    fmt::Write as _,
    fs, io,
    net::{IpAddr, SocketAddr},
};

use rustix::{io::Errno, process::Resource};

use super::{Fault, FaultKind};

/// What helps where nobody listens.
const NOBODY: &str = "start the server, or correct the url";

/// The kind of an error that opening a connection has met; free of allocation.
pub fn unopened(why: &io::Error) -> FaultKind {
    use io::ErrorKind as E;
    // The standard library has no kind of its own for these.
    if matches!(Errno::from_io_error(why), Some(Errno::MFILE | Errno::NFILE)) {
        return FaultKind::Files;
    }
    match why.kind() {
        E::AddrNotAvailable => FaultKind::Ports,
        E::NetworkUnreachable | E::HostUnreachable | E::NetworkDown | E::PermissionDenied => {
            FaultKind::Unreachable
        }
        E::TimedOut => FaultKind::ConnectTimeout,
        E::ConnectionReset | E::ConnectionAborted | E::BrokenPipe => FaultKind::Reset,
        _ => FaultKind::Refused,
    }
}

/// The fault of a connection that could not be opened, for clients that do not say which address
/// they have tried.
pub fn cannot_open(why: &io::Error, said: &dyn std::fmt::Display) -> Fault {
    let kind = unopened(why);
    Fault::new(kind, format!("{}: {said}; {}", begins(kind), remedy(kind)))
}

/// What helps against an error of this kind.
fn remedy(kind: FaultKind) -> String {
    match kind {
        FaultKind::Ports => {
            let range =
                fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
            let mut ends = range.split_whitespace();
            let (from, to) = (ends.next().unwrap_or("?"), ends.next().unwrap_or("?"));
            format!(
                "all local ports from {from} to {to} (net.ipv4.ip_local_port_range) are in use, or were within the last \
                 minute: say `connection = \"keep\"`, lower the rate, or widen the range"
            )
        }
        FaultKind::Files => {
            let limit = rustix::process::getrlimit(Resource::Nofile).current;
            let limit = limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
            format!(
                "raise the limit on open files (`ulimit -n`, now {limit}), or lower the concurrency"
            )
        }
        FaultKind::Unreachable => {
            "correct the url, or let this host reach the server (routes, firewall)".into()
        }
        FaultKind::ConnectTimeout => {
            "correct the url, or look for a firewall that drops packets without a word".into()
        }
        FaultKind::Unresolved => {
            "correct the name, or look into /etc/hosts and the resolver".into()
        }
        FaultKind::Reset => {
            "look into the server's log: it accepts connections and gives them up".into()
        }
        _ => NOBODY.into(),
    }
}

/// A name whose look-up has failed.
pub fn unresolved(why: &io::Error) -> Fault {
    let kind = FaultKind::Unresolved;
    Fault::new(kind, format!("the host's name has no address: {why}; {}", remedy(kind)))
}

/// What is said before the addresses that were tried.
fn begins(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Ports => "no local port is free for a connection",
        FaultKind::Files => "no connection can be opened",
        _ => "nothing answers",
    }
}

/// The addresses of a server that were tried, each with the reason why it did not answer.
#[derive(Debug, Default)]
pub struct Tried(Vec<(SocketAddr, io::Error)>);

impl Tried {
    /// Notes an address.
    pub fn add(&mut self, address: SocketAddr, why: io::Error) {
        self.0.push((address, why));
    }

    /// The fault. `host` is what the user has written: an address that stands before the message
    /// already is not said again.
    pub fn fault(&self, host: &str) -> Fault {
        // That this host lacks IPv6 is seldom the reason: another address tells more.
        let tells = |kind: &FaultKind| !matches!(kind, FaultKind::Unreachable | FaultKind::Ports);
        let kinds = || self.0.iter().rev().map(|(_, why)| unopened(why));
        let Some(kind) = kinds().find(tells).or_else(|| kinds().next()) else {
            return unresolved(&io::ErrorKind::NotFound.into());
        };
        let mut text = begins(kind).to_owned();
        for (at, (address, why)) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", nor" };
            // Writing to a string cannot fail.
            let _ = match host.parse::<IpAddr>() {
                Ok(_) => write!(text, ": {why}"),
                Err(_) => write!(text, "{separator} at {address}: {why}"),
            };
        }
        Fault::new(kind, format!("{text}; {}", remedy(kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(host: &str, tried: &[(&str, Errno)]) -> Fault {
        let mut all = Tried::default();
        for (address, why) in tried {
            all.add(address.parse().unwrap(), (*why).into());
        }
        all.fault(host)
    }

    #[test]
    fn every_address_is_named_with_its_own_cause_and_one_remedy() {
        let told = fault(
            "localhost",
            &[("[::1]:7", Errno::NETUNREACH), ("127.0.0.1:7", Errno::CONNREFUSED)],
        );
        assert_eq!(told.kind, FaultKind::Refused);
        assert!(
            told.message.starts_with("nothing answers at [::1]:7: Network is unreachable"),
            "{told}"
        );
        assert!(told.message.contains(", nor at 127.0.0.1:7: Connection refused"), "{told}");
        assert!(told.message.ends_with("; start the server, or correct the url"), "{told}");
        // In the other order it is the same server that does not run.
        let told = fault(
            "localhost",
            &[("127.0.0.1:7", Errno::CONNREFUSED), ("[::1]:7", Errno::ADDRNOTAVAIL)],
        );
        assert_eq!(told.kind, FaultKind::Refused);
    }

    #[test]
    fn each_error_of_the_system_has_its_kind_and_its_remedy() {
        for (why, kind, said) in [
            (Errno::CONNREFUSED, FaultKind::Refused, "start the server"),
            (Errno::ADDRNOTAVAIL, FaultKind::Ports, "ip_local_port_range"),
            (Errno::MFILE, FaultKind::Files, "ulimit -n"),
            (Errno::NFILE, FaultKind::Files, "ulimit -n"),
            (Errno::NETUNREACH, FaultKind::Unreachable, "routes, firewall"),
            (Errno::HOSTUNREACH, FaultKind::Unreachable, "routes, firewall"),
            (Errno::TIMEDOUT, FaultKind::ConnectTimeout, "drops packets"),
            (Errno::CONNRESET, FaultKind::Reset, "the server's log"),
        ] {
            let told = fault("127.0.0.1", &[("127.0.0.1:7", why)]);
            assert!(told.kind == kind && told.message.contains(said), "{why}: {told}");
            assert!(!told.message.contains("127.0.0.1"), "{told}");
        }
        let ports = fault("h", &[("127.0.0.1:7", Errno::ADDRNOTAVAIL)]).message;
        assert!(
            ports.contains("connection = \"keep\"") && !ports.contains("start the server"),
            "{ports}"
        );
    }
}
