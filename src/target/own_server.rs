//! A server of the user's own, whatever it speaks: its processes on this host, and the facts that it is known by.

use std::net::{ToSocketAddrs, UdpSocket};

use crate::{
    client::Address,
    measure::{SERVER_FACTS, Watched, listener},
};

/// The processes of a server on this host, by who listens on its port. A port that something else passes on, as
/// containers do, leads to whatever that is.
pub(super) fn processes(address: &Address) -> Option<Watched> {
    let found = (address.host.as_str(), address.port).to_socket_addrs().ok()?;
    // Only an address of this host can be bound.
    let mut own = found.filter(|found| UdpSocket::bind((found.ip(), 0)).is_ok());
    own.find_map(|found| listener(found.ip(), found.port())).map(Watched::Tree)
}

/// The facts of a target on such a server; `version` is what the server says that it is.
pub(super) fn facts(
    target: &str,
    address: &Address,
    version: String,
    watched: Option<Watched>,
) -> Vec<(String, String)> {
    let processes = match watched {
        Some(Watched::Tree(pid)) => format!("{pid} and all below it"),
        _ => "unknown: not on this host, or not to be seen".into(),
    };
    let known_by = SERVER_FACTS.into_iter().zip([address.words(), version]);
    known_by.chain([("processes", processes)]).map(|(what, value)| (format!("{target}: {what}"), value)).collect()
}
