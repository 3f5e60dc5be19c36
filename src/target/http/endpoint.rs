//! An HTTP target as the client side sees it: where it is, and what it will answer.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
};

use super::{Answer, Http};
use crate::{
    measure::{TargetReport, Watched},
    target::{self, Server, Start, Started, TargetError, TargetSpec, own_server::OwnServer},
};

/// Where an HTTP target is, and what it will answer.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its address.
    pub address: SocketAddr,
    /// The `host` header.
    pub host: String,
    /// The part of the url's path that goes before every path, without a slash at its end.
    pub base: String,
    /// For the embedded server: its description and seed, from which every answer is known beforehand.
    pub embedded: Option<(Http, u64)>,
}

/// The embedded server, running.
struct Embedded {
    name: String,
    server: Box<dyn Server>,
    endpoint: Arc<Endpoint>,
}

/// A server of the user's own.
struct Foreign {
    name: String,
    endpoint: Arc<Endpoint>,
    own: OwnServer,
}

/// Starts the embedded server, or looks the user's own up.
pub(super) fn start(spec: &Http, start: &Start<'_>) -> Result<Box<dyn Started>, TargetError> {
    match &spec.url {
        Some(url) => {
            let endpoint = Arc::new(foreign(url, start)?);
            let own = OwnServer::at(endpoint.address);
            Ok(Box::new(Foreign { name: start.name.into(), endpoint, own }))
        }
        None => Ok(Box::new(embedded(spec, start)?)),
    }
}

fn embedded(spec: &Http, start: &Start<'_>) -> Result<Embedded, TargetError> {
    let started = start.launcher.launch(&TargetSpec::Http(spec.clone()), start.seed);
    let server = started.map_err(|why| error(start.name, why.reason))?;
    let Ok(Answer::Ready { address }) = serde_json::from_str(server.greeting()) else {
        return Err(error(start.name, format!("did not say its address but: {}", server.greeting())));
    };
    let endpoint = Endpoint {
        address,
        host: address.to_string(),
        base: String::new(),
        embedded: Some((spec.clone(), start.seed)),
    };
    Ok(Embedded { name: start.name.into(), server, endpoint: Arc::new(endpoint) })
}

fn foreign(url: &str, start: &Start<'_>) -> Result<Endpoint, TargetError> {
    let uri: hyper::Uri = url.parse().map_err(|why| error(start.name, format!("`{url}` is no url: {why}")))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(80);
    let mut found = (host, port)
        .to_socket_addrs()
        .map_err(|why| error(start.name, format!("the name `{host}` of `{url}` cannot be resolved: {why}")))?;
    let address = found.next().ok_or_else(|| error(start.name, format!("the name `{host}` has no address")))?;
    let base = uri.path().trim_end_matches('/').to_owned();
    let host = uri.authority().map_or_else(|| address.to_string(), ToString::to_string);
    std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_secs(5)).map_err(|why| {
        error(start.name, format!("nothing answers at {url}: {why}; start the server, or correct the url"))
    })?;
    Ok(Endpoint { address, host, base, embedded: None })
}

fn error(name: &str, reason: String) -> TargetError {
    TargetError { name: name.into(), reason }
}

impl Started for Embedded {
    fn endpoint(&self) -> target::Endpoint {
        self.endpoint.clone()
    }

    fn watched(&self) -> Option<Watched> {
        Some(Watched::Process(self.server.pid()))
    }

    fn report(&mut self) -> Result<TargetReport, TargetError> {
        let answer = self.server.ask("counts").map_err(|why| error(&self.name, why.reason))?;
        let Ok(Answer::Counts(counts)) = serde_json::from_str(&answer) else {
            return Err(error(&self.name, format!("did not say its counts but: {answer}")));
        };
        let served = counts.get("requests").copied();
        Ok(TargetReport { name: self.name.clone(), served, counts, ..TargetReport::default() })
    }
}

impl Started for Foreign {
    fn endpoint(&self) -> target::Endpoint {
        self.endpoint.clone()
    }

    fn watched(&self) -> Option<Watched> {
        self.own.watched()
    }

    fn facts(&self) -> Vec<(String, String)> {
        self.own.facts(&self.name)
    }

    fn report(&mut self) -> Result<TargetReport, TargetError> {
        Ok(TargetReport { name: self.name.clone(), ..TargetReport::default() })
    }
}
