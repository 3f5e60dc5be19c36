//! An HTTP target as the client side sees it: where it is, and what it will answer.

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    sync::{Arc, OnceLock},
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{body::ServedBody, control::ControlAnswer, list::HttpList, parameters::HttpTarget};
use crate::{
    client::{Fault, FaultKind, Tried, unresolved},
    clock,
    measure::{ProofLine, TargetReport, Watched},
    secret::{self, EnvText},
    targets::{
        self, ServerProcess, Start, Started, TargetError, connections::Connections,
        own_server::OwnServer,
    },
};

/// How long a server of the user's own may take to accept a connection before the trial begins.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where an HTTP target is, and what it will answer.
#[derive(Debug, Clone)]
pub struct HttpEndpoint {
    /// Its address.
    pub address: SocketAddr,
    /// The `host` header.
    pub host: String,
    /// Its url as messages have it: `http://host:port/base`, or as the scenario has it where the
    /// environment says it.
    pub words: String,
    /// The part of the url's path that goes before every path, without a slash at its end.
    pub base: String,
    /// For the embedded server: its description and seed, from which every answer is known
    /// beforehand.
    pub embedded: Option<(HttpTarget, u64)>,
    /// The account of the steps' connections, and of the calls that the scenario allows to fail.
    pub connections: Connections,
    /// Digests of the embedded server's body, which may be long: computed once for all slots.
    xxh3: OnceLock<u64>,
    pages_xxh3: OnceLock<Vec<u64>>,
    sha256: OnceLock<[u8; 32]>,
}

impl HttpEndpoint {
    /// An endpoint of which nothing was counted so far.
    pub fn new(
        address: SocketAddr,
        host: String,
        base: String,
        embedded: Option<(HttpTarget, u64)>,
    ) -> Self {
        let words = format!("http://{host}{base}");
        Self {
            address,
            host,
            words,
            base,
            embedded,
            connections: Connections::default(),
            xxh3: OnceLock::new(),
            pages_xxh3: OnceLock::new(),
            sha256: OnceLock::new(),
        }
    }

    /// The embedded server's body; empty for a server of the user's own.
    fn body(&self) -> ServedBody {
        ServedBody::new(self.embedded.as_ref().map_or(0, |(server, _)| server.body))
    }

    /// xxh3 of the embedded server's body, from now on as cheap as a look.
    pub fn body_xxh3(&self) -> u64 {
        *self.xxh3.get_or_init(|| {
            let mut digest = Xxh3::new();
            self.body().runs().for_each(|run| digest.update(run));
            digest.digest()
        })
    }

    /// The list that the embedded server gives out page by page, if it does.
    pub fn list(&self) -> Option<&HttpList> {
        self.embedded.as_ref()?.0.list.as_ref()
    }

    /// xxh3 of each page of that list, from now on as cheap as a look.
    pub fn pages_xxh3(&self) -> &[u64] {
        self.pages_xxh3.get_or_init(|| {
            let Some(list) = self.list() else { return Vec::new() };
            (1..=list.pages()).map(|page| xxh3_64(list.text(page).as_bytes())).collect()
        })
    }

    /// SHA-256 of the body.
    pub fn body_sha256(&self) -> [u8; 32] {
        *self.sha256.get_or_init(|| {
            let mut digest = Sha256::new();
            self.body().runs().for_each(|run| digest.update(run));
            digest.finalize().into()
        })
    }

    /// Counts a call that got no answer, as the scenario allows.
    pub fn count(&self, kind: FaultKind) {
        self.connections.count_kind(kind);
    }

    /// What was counted, beside what the server says by itself.
    fn report(
        &self,
        name: &str,
        served: Option<u64>,
        mut counts: BTreeMap<String, u64>,
    ) -> TargetReport {
        for (what, count) in self.connections.counts() {
            // The server's own account of what has the same name stands beside ours in the proof.
            counts.entry(what).or_insert(count);
        }
        let unanswered = self.connections.unanswered();
        TargetReport { name: name.into(), served, counts, unanswered, ..TargetReport::default() }
    }
}

/// The embedded server, running.
struct EmbeddedHttp {
    name: String,
    server: Box<dyn ServerProcess>,
    endpoint: Arc<HttpEndpoint>,
}

/// A server of the user's own.
struct Foreign {
    name: String,
    endpoint: Arc<HttpEndpoint>,
    own: OwnServer,
}

/// Starts the embedded server, or looks the user's own up.
pub(super) fn start(spec: &HttpTarget, start: &Start<'_>) -> Result<Box<dyn Started>, TargetError> {
    match &spec.url {
        Some(url) => {
            let text = spec.resolved().map_err(|lack| error(start.name, lack.reason))?;
            let endpoint = Arc::new(foreign(url, &text, start)?);
            let own = OwnServer::at(endpoint.address);
            Ok(Box::new(Foreign { name: start.name.into(), endpoint, own }))
        }
        None => Ok(Box::new(embedded(spec, start)?)),
    }
}

fn embedded(spec: &HttpTarget, start: &Start<'_>) -> Result<EmbeddedHttp, TargetError> {
    let started = start.launcher.launch();
    let server = started.map_err(|why| error(start.name, why.reason))?;
    let Ok(ControlAnswer::Ready { address }) = serde_json::from_str(server.greeting()) else {
        return Err(error(
            start.name,
            format!("did not say its address but: {}", server.greeting()),
        ));
    };
    let endpoint = HttpEndpoint::new(
        address,
        address.to_string(),
        String::new(),
        Some((spec.clone(), start.seed)),
    );
    Ok(EmbeddedHttp { name: start.name.into(), server, endpoint: Arc::new(endpoint) })
}

/// The server at the url that is `text` in full, and is shown as the scenario has it.
fn foreign(url: &EnvText, text: &str, start: &Start<'_>) -> Result<HttpEndpoint, TargetError> {
    let shown = url.text();
    let uri: hyper::Uri =
        text.parse().map_err(|why| error(start.name, format!("`{shown}` is no url: {why}")))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(80);
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
    let address = found.map_err(|fault| error(start.name, format!("{shown}: {fault}")))?;
    let base = uri.path().trim_end_matches('/').to_owned();
    let authority = uri.authority().map_or_else(|| address.to_string(), ToString::to_string);
    let mut endpoint = HttpEndpoint::new(address, authority, base, None);
    if let Some(variable) = url.variable() {
        secret::remember(variable, &address.to_string());
        shown.clone_into(&mut endpoint.words);
    }
    Ok(endpoint)
}

/// The first address of a name that takes a connection, in the order in which the system gives
/// them. All connections of a trial go there.
fn answering(host: &str, addresses: impl Iterator<Item = SocketAddr>) -> Result<SocketAddr, Fault> {
    let mut tried = Tried::default();
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(address),
            Err(why) => tried.add(address, why),
        }
    }
    Err(tried.fault(host))
}

fn error(name: &str, reason: String) -> TargetError {
    TargetError { name: name.into(), reason }
}

impl Started for EmbeddedHttp {
    fn endpoint(&self) -> targets::Endpoint {
        self.endpoint.clone()
    }

    fn watched(&self) -> Option<Watched> {
        Some(Watched::Process(self.server.pid()))
    }

    fn connections(&self) -> Option<Connections> {
        Some(self.endpoint.connections.clone())
    }

    fn answers(&mut self) -> Result<(), TargetError> {
        self.counts().map(drop)
    }

    fn served_now(&mut self) -> Option<u64> {
        self.counts().ok()?.get("requests").copied()
    }

    fn report(&mut self) -> Result<TargetReport, TargetError> {
        let (counts, proof) = self.settled()?;
        let served = counts.get("requests").copied();
        Ok(TargetReport { proof, ..self.endpoint.report(&self.name, served, counts) })
    }
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
        [connected].into_iter().chain(self.own.facts(&self.name)).collect()
    }

    /// Whether somebody still listens. Another reason why there is no connection says nothing of
    /// the server.
    fn answers(&mut self) -> Result<(), TargetError> {
        let HttpEndpoint { address, host, .. } = &*self.endpoint;
        match TcpStream::connect_timeout(address, PATIENCE) {
            Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => Err(error(
                &self.name,
                format!("nothing answers at http://{host} any more: {why}; start the server again"),
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

/// Longest wait for the embedded server to see what was opened and closed, and how often it is
/// asked, in ns.
const PATIENCE_NS: u64 = 10_000_000_000;
const GLANCE_NS: u64 = 1_000_000;

/// A target's counts by name.
type CountsByName = BTreeMap<String, u64>;

impl EmbeddedHttp {
    fn counts(&mut self) -> Result<CountsByName, TargetError> {
        let answer = self.server.ask("counts").map_err(|why| error(&self.name, why.reason))?;
        match serde_json::from_str(&answer) {
            Ok(ControlAnswer::Counts(counts)) => Ok(counts),
            _ => Err(error(&self.name, format!("did not say its counts but: {answer}"))),
        }
    }

    /// The server's counts when it has seen all that was opened and closed here, and the two
    /// accounts side by side.
    fn settled(&mut self) -> Result<(CountsByName, Vec<ProofLine>), TargetError> {
        let until_ns = clock::now_ns() + PATIENCE_NS;
        loop {
            let counts = self.counts()?;
            let proof = self.proof(&counts);
            if proof.iter().all(|line| line.expected == line.found) || clock::now_ns() > until_ns {
                return Ok((counts, proof));
            }
            clock::sleep_until(clock::now_ns() + GLANCE_NS);
        }
    }

    /// The server has accepted what the steps have opened, and has open what they have.
    fn proof(&self, counts: &CountsByName) -> Vec<ProofLine> {
        let found = |name: &str| counts.get(name).copied().unwrap_or(0);
        let (accepted, (least, most)) =
            (found("connections"), self.endpoint.connections.seen_by_server());
        let line = |what: &str, expected: u64, found: u64| ProofLine {
            what: format!("connections {what} target {}, by its own count", self.name),
            expected: expected.to_string(),
            found: found.to_string(),
        };
        // Attempts that were given up may or may not have come through.
        let opened = line("opened to", accepted.clamp(least, most), accepted);
        let (open, here) = (found("connections open"), self.endpoint.connections.still_open());
        vec![
            opened,
            line(
                "still open to",
                open.clamp(here, here + self.endpoint.connections.pending()),
                open,
            ),
        ]
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

    #[test]
    fn the_digests_are_those_of_the_body() {
        for length in [0, 1, 1 << 20, (3 << 20) + 5] {
            let server = HttpTarget { body: length, ..HttpTarget::default() };
            let there = ([127, 0, 0, 1], 1).into();
            let endpoint = HttpEndpoint::new(there, "h".into(), String::new(), Some((server, 1)));
            let whole = crate::targets::http::body(length);
            assert_eq!(endpoint.body_xxh3(), xxhash_rust::xxh3::xxh3_64(&whole), "{length}");
            assert_eq!(endpoint.body_sha256()[..], Sha256::digest(&whole)[..], "{length}");
        }
    }

    #[test]
    fn calls_that_failed_as_allowed_are_in_the_report() {
        let endpoint =
            HttpEndpoint::new(([127, 0, 0, 1], 1).into(), "h".into(), String::new(), None);
        for kind in [FaultKind::Refused, FaultKind::Ports, FaultKind::Reset] {
            endpoint.count(kind);
        }
        let report = endpoint.report("api", Some(5), [("requests".to_owned(), 5)].into());
        assert_eq!((report.unanswered.unconnected, report.unanswered.lost), (2, 1));
        let counts: Vec<_> =
            report.counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(
            counts,
            [
                ("connections closed", 0),
                ("connections opened", 0),
                ("connections reopened", 0),
                ("errors: no local port", 1),
                ("errors: refused", 1),
                ("errors: reset", 1),
                ("requests", 5)
            ]
        );
    }
}
