//! A server of the user's own, found by its url.

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use super::{endpoint::HttpEndpoint, parameters::HttpTarget, tls::HttpTls};
use crate::{
    client::{Fault, Tried, Trust, unresolved},
    measure::{TargetReport, Watched},
    secret::{self, EnvText},
    targets::{self, Start, Started, TargetError, connections::Connections, own_server::OwnServer},
};

/// How long it may take to accept a connection before the trial begins.
pub(in crate::targets) const PATIENCE: Duration = Duration::from_secs(5);

/// A server of the user's own.
struct Foreign {
    name: String,
    endpoint: Arc<HttpEndpoint>,
    trust: Trust,
    own: OwnServer,
}

/// Looks the server at `url` up.
pub(super) fn start(
    spec: &HttpTarget,
    url: &EnvText,
    start: &Start<'_>,
) -> Result<Box<dyn Started>, TargetError> {
    let text = spec.resolved().map_err(|lack| TargetError::of(start.name, lack.reason))?;
    let trust = spec.tls.as_ref().map_or(Trust::System, HttpTls::trust);
    let endpoint = Arc::new(found((url, &text), &trust, spec, start)?);
    let own = OwnServer::at(endpoint.address);
    Ok(Box::new(Foreign { name: start.name.into(), endpoint, trust, own }))
}

/// The server at the url that is `text` in full, and is shown as the scenario has it.
fn found(
    (url, text): (&EnvText, &str),
    trust: &Trust,
    spec: &HttpTarget,
    start: &Start<'_>,
) -> Result<HttpEndpoint, TargetError> {
    let shown = url.text();
    let uri: hyper::Uri = text
        .parse()
        .map_err(|why| TargetError::of(start.name, format!("`{shown}` is no url: {why}")))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_encrypted = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
    if let Some(variable) = url.variable() {
        for part in [
            uri.authority().map_or("", |authority| authority.as_str()),
            host,
            uri.path().trim_matches('/'),
        ] {
            secret::remember(variable, part);
        }
    }
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|why| unresolved(&why))
        .and_then(|found| answering(host, found));
    let address =
        found.map_err(|fault| TargetError::of(start.name, format!("{shown}: {fault}")))?;
    let base = uri.path().trim_end_matches('/').to_owned();
    let authority = uri.authority().map_or_else(|| address.to_string(), ToString::to_string);
    let mut endpoint = HttpEndpoint::new(address, authority, base, None);
    (endpoint.http2, endpoint.pool) = (spec.http2, spec.pool);
    if is_encrypted {
        endpoint =
            endpoint.encrypted(host, trust).map_err(|why| TargetError::of(start.name, why))?;
    }
    if let Some(variable) = url.variable() {
        secret::remember(variable, &address.to_string());
        shown.clone_into(&mut endpoint.words);
    }
    Ok(endpoint)
}
/// The first address of a name that takes a connection, in the order in which the system gives
/// them. All connections of a trial go there.
pub(in crate::targets) fn answering(
    host: &str,
    addresses: impl Iterator<Item = SocketAddr>,
) -> Result<SocketAddr, Fault> {
    let mut tried = Tried::default();
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(address),
            Err(why) => tried.add(address, why),
        }
    }
    Err(tried.fault(host))
}
impl Started for Foreign {
    fn endpoint(&self) -> targets::Endpoint {
        self.endpoint.clone()
    }

    fn watched(&self) -> Option<Watched> {
        self.own.watched()
    }

    fn facts(&self) -> Vec<(String, String)> {
        let connected = (format!("{}: connected to", self.name), self.endpoint.address.to_string());
        let facts = [connected].into_iter().chain(self.own.facts(&self.name));
        let facts = facts.chain(self.endpoint.pool_fact(&self.name));
        let facts = facts.chain(self.endpoint.http2_facts(&self.name));
        facts.chain(self.endpoint.tls_facts(&self.name, &self.trust)).collect()
    }

    /// Whether somebody still listens. Another reason why there is no connection says nothing of
    /// the server.
    fn answers(&mut self) -> Result<(), TargetError> {
        let HttpEndpoint { address, words, .. } = &*self.endpoint;
        match TcpStream::connect_timeout(address, PATIENCE) {
            Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => Err(TargetError::of(
                &self.name,
                format!("nothing answers at {words} any more: {why}; start the server again"),
            )),
            _ => Ok(()),
        }
    }

    fn connections(&self) -> Option<Connections> {
        Some(self.endpoint.connections.clone())
    }

    fn report(&mut self) -> Result<TargetReport, TargetError> {
        Ok(self.endpoint.report(&self.name, None, BTreeMap::new()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn all_addresses_of_a_name_are_tried_in_their_order() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let (there, port) = (socket.local_addr().unwrap(), socket.local_addr().unwrap().port());
        // The system gives port 1 to nobody.
        let silent: SocketAddr = ([127, 0, 0, 1], 1).into();
        // Nobody listens there, and where there is no IPv6 nobody can.
        let other: SocketAddr = (std::net::Ipv6Addr::LOCALHOST, port).into();
        for order in
            [vec![other, there], vec![there, other], vec![silent, other, there], vec![there]]
        {
            assert_eq!(
                answering("localhost", order.clone().into_iter()).ok(),
                Some(there),
                "{order:?}"
            );
        }
        let told = answering("localhost", [other, silent].into_iter()).unwrap_err().to_string();
        for part in [&format!("at {other}: "), &format!("at {silent}: "), "; start the server"] {
            assert!(told.contains(part), "{told}");
        }
        assert!(answering("h", std::iter::empty()).unwrap_err().message.contains("no address"));
    }
}
