//! A server of the user's own, whatever it speaks: its processes on this host, and the facts that
//! it is known by.

use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};

use crate::{
    client::Address,
    measure::{Kin, Listening, SERVER_FACTS, Watched, listening, listening_at},
};

/// The processes of a server, or why they are not known.
#[derive(Debug, Clone)]
pub(super) struct OwnServer {
    found: Result<Kin, String>,
}

impl OwnServer {
    /// Whoever listens at the address at which the server has answered.
    pub(super) fn at(address: SocketAddr) -> Self {
        Self { found: find(address) }
    }

    /// Whoever listens at the socket in the file system, or at an address of this name.
    pub(super) fn named(address: &Address) -> Self {
        if let Some(path) = &address.socket {
            let nobody = "unknown: nobody that can be seen listens there; its CPU time counts as that of others";
            return Self { found: kin(listening_at(path), || nobody.to_owned()) };
        }
        let found =
            (address.host.as_str(), address.port).to_socket_addrs().into_iter().flatten().map(find);
        let unknown = || Err(format!("unknown: the name {} has no address", address.host));
        // The words are those of the first address, the processes those of any.
        let found = found
            .reduce(|first, other| if first.is_err() && other.is_ok() { other } else { first });
        Self { found: found.unwrap_or_else(unknown) }
    }

    /// The processes whose CPU time is the target's.
    pub(super) fn watched(&self) -> Option<Watched> {
        self.found.as_ref().ok().cloned().map(Watched::Server)
    }

    /// Whose CPU time counts as the target's, how many threads there are and where they run.
    pub(super) fn facts(&self, target: &str) -> Vec<(String, String)> {
        let fact = |what: &str, value: String| (format!("{target}: {what}"), value);
        match &self.found {
            Err(why) => vec![fact("processes", why.clone())],
            Ok(kin) => {
                let (processes, threads) = kin.size();
                let cpus: Vec<String> =
                    Watched::Server(kin.clone()).cpus().iter().map(ToString::to_string).collect();
                vec![
                    fact("processes", kin.words()),
                    fact("size", format!("{threads} threads in {processes} processes")),
                    fact("CPUs", cpus.join(", ")),
                ]
            }
        }
    }
}

/// The processes that serve an address, or why they are not known, and what helps.
fn find(address: SocketAddr) -> Result<Kin, String> {
    // Only an address of this host can be bound.
    let is_here = || UdpSocket::bind((address.ip(), 0)).is_ok();
    let nobody = || {
        if is_here() {
            "unknown: nobody that can be seen listens there, so a container's rule or a tunnel passes the port on; name \
                 the container's own address and run Regatta as root, or its CPU time counts as that of others"
        } else {
            "elsewhere: not on this host, so that none of its CPU time is known"
        }
    };
    kin(listening(address), || nobody().to_owned())
}

/// The processes that listen, or why they are not known.
fn kin(listening: Listening, nobody: impl FnOnce() -> String) -> Result<Kin, String> {
    match listening {
        Listening::Processes(pids) => {
            Kin::of(&pids).ok_or_else(|| "unknown: they have ended".to_owned())
        }
        Listening::Hidden(user) => Err(format!(
            "hidden: user {user} listens there, and only that user and root can see whose CPU time it is; run Regatta as \
             one of them, or it counts as that of others"
        )),
        Listening::Nobody => Err(nobody()),
    }
}

/// The facts that a target on a server is known by; `version` is what the server says that it is.
pub(super) fn known_by(target: &str, address: &Address, version: String) -> Vec<(String, String)> {
    let known_by = SERVER_FACTS.into_iter().zip([address.words(), version]);
    known_by.map(|(what, value)| (format!("{target}: {what}"), value)).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn whose_cpu_time_is_the_target_s_is_said_or_why_nobody_knows() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = socket.local_addr().unwrap();
        let own = OwnServer::at(at);
        assert!(own.watched().is_some());
        let facts = own.facts("api");
        let labels: Vec<&str> = facts.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(labels, ["api: processes", "api: size", "api: CPUs"]);
        assert!(facts[0].1.contains(&format!("({})", std::process::id())), "{facts:?}");
        drop(socket);
        let (gone, away) = (OwnServer::at(at), OwnServer::at("192.0.2.1:80".parse().unwrap()));
        assert!(gone.watched().is_none() && away.watched().is_none());
        assert!(gone.facts("api")[0].1.starts_with("unknown: nobody"), "{:?}", gone.facts("api"));
        assert!(away.facts("api")[0].1.starts_with("elsewhere"), "{:?}", away.facts("api"));
    }
}
