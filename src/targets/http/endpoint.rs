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

use super::{
    body::ServedBody,
    control::ControlAnswer,
    counts::FULL_HANDSHAKES,
    list::HttpList,
    parameters::HttpTarget,
    tls::{self, HttpTls},
};
use crate::{
    client::{Fault, FaultKind, Https, Tried, Trust, unresolved},
    clock,
    measure::{ProofLine, TargetReport, Watched},
    secret::{self, EnvText},
    targets::{
        self, ServerProcess, Start, Started, TargetError, connections::Connections,
        own_server::OwnServer,
    },
};

/// How long a server of the user's own may take to accept a connection before the trial begins.
pub(in crate::targets) const PATIENCE: Duration = Duration::from_secs(5);

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
    /// How connections are encrypted; none: they are not.
    pub tls: Option<Https>,
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
            tls: None,
            embedded,
            connections: Connections::default(),
            xxh3: OnceLock::new(),
            pages_xxh3: OnceLock::new(),
            sha256: OnceLock::new(),
        }
    }

    /// The same with encrypted connections; an error says what no host or no authority is.
    pub fn encrypted(mut self, host: &str, trust: &Trust) -> Result<Self, String> {
        self.tls = Some(Https::new(host, trust)?);
        self.words = format!("https://{}{}", self.host, self.base);
        Ok(self)
    }

    /// The scheme of its urls.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// What the report says of its encryption, where there is one.
    fn tls_facts(&self, name: &str, trust: &Trust) -> Vec<(String, String)> {
        let Some(https) = &self.tls else { return Vec::new() };
        let agreed = https.agreed().unwrap_or("no handshake has ended").to_owned();
        let resumed = "none is resumed: each connection is one whole handshake".to_owned();
        let facts =
            [("TLS", agreed), ("TLS sessions", resumed), ("certificate", tls::checked(trust))];
        facts.map(|(what, value)| (format!("{name}: {what}"), value)).into()
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
    trust: Trust,
}

/// A server of the user's own.
struct Foreign {
    name: String,
    endpoint: Arc<HttpEndpoint>,
    trust: Trust,
    own: OwnServer,
}

/// Starts the embedded server, or looks the user's own up.
pub(super) fn start(spec: &HttpTarget, start: &Start<'_>) -> Result<Box<dyn Started>, TargetError> {
    match &spec.url {
        Some(url) => {
            let text = spec.resolved().map_err(|lack| error(start.name, lack.reason))?;
            let trust = spec.tls.as_ref().map_or(Trust::System, HttpTls::trust);
            let endpoint = Arc::new(foreign(url, &text, &trust, start)?);
            let own = OwnServer::at(endpoint.address);
            Ok(Box::new(Foreign { name: start.name.into(), endpoint, trust, own }))
        }
        None => Ok(Box::new(embedded(spec, start)?)),
    }
}

fn embedded(spec: &HttpTarget, start: &Start<'_>) -> Result<EmbeddedHttp, TargetError> {
    let started = start.launcher.launch();
    let server = started.map_err(|why| error(start.name, why.reason))?;
    let Ok(ControlAnswer::Ready { address, authority }) = serde_json::from_str(server.greeting())
    else {
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
    let trust = Trust::Text(authority.unwrap_or_default());
    let endpoint = match &spec.tls {
        Some(_) => endpoint.encrypted(&address.ip().to_string(), &trust),
        None => Ok(endpoint),
    };
    let endpoint = Arc::new(endpoint.map_err(|why| error(start.name, why))?);
    Ok(EmbeddedHttp { name: start.name.into(), server, endpoint, trust })
}

/// The server at the url that is `text` in full, and is shown as the scenario has it.
fn foreign(
    url: &EnvText,
    text: &str,
    trust: &Trust,
    start: &Start<'_>,
) -> Result<HttpEndpoint, TargetError> {
    let shown = url.text();
    let uri: hyper::Uri =
        text.parse().map_err(|why| error(start.name, format!("`{shown}` is no url: {why}")))?;
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
    let address = found.map_err(|fault| error(start.name, format!("{shown}: {fault}")))?;
    let base = uri.path().trim_end_matches('/').to_owned();
    let authority = uri.authority().map_or_else(|| address.to_string(), ToString::to_string);
    let mut endpoint = HttpEndpoint::new(address, authority, base, None);
    if is_encrypted {
        endpoint = endpoint.encrypted(host, trust).map_err(|why| error(start.name, why))?;
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

    fn facts(&self) -> Vec<(String, String)> {
        self.endpoint.tls_facts(&self.name, &self.trust)
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
        let facts = [connected].into_iter().chain(self.own.facts(&self.name));
        facts.chain(self.endpoint.tls_facts(&self.name, &self.trust)).collect()
    }

    /// Whether somebody still listens. Another reason why there is no connection says nothing of
    /// the server.
    fn answers(&mut self) -> Result<(), TargetError> {
        let HttpEndpoint { address, words, .. } = &*self.endpoint;
        match TcpStream::connect_timeout(address, PATIENCE) {
            Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => Err(error(
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
            let proof = proof(&self.name, &self.endpoint, &counts);
            if proof.iter().all(|line| line.expected == line.found) || clock::now_ns() > until_ns {
                return Ok((counts, proof));
            }
            clock::sleep_until(clock::now_ns() + GLANCE_NS);
        }
    }
}

/// The server has accepted what the steps have opened, has open what they have, and has shaken
/// hands in full with each of them where they are encrypted.
fn proof(name: &str, endpoint: &HttpEndpoint, counts: &CountsByName) -> Vec<ProofLine> {
    let found = |name: &str| counts.get(name).copied().unwrap_or(0);
    let (accepted, (least, most)) = (found("connections"), endpoint.connections.seen_by_server());
    let line = |what: &str, expected: u64, found: u64| ProofLine {
        what: format!("{what} target {name}, by its own count"),
        expected: expected.to_string(),
        found: found.to_string(),
    };
    // Attempts that were given up may or may not have come through.
    let opened = line("connections opened to", accepted.clamp(least, most), accepted);
    let (open, here) = (found("connections open"), endpoint.connections.still_open());
    let expected = open.clamp(here, here + endpoint.connections.pending());
    let mut lines = vec![opened, line("connections still open to", expected, open)];
    if endpoint.tls.is_some() {
        // Of the connections that it has accepted, those of attempts that were given up may have
        // ended before.
        let full = found(FULL_HANDSHAKES);
        let expected = full.clamp(least, accepted.max(least));
        lines.push(line("full TLS handshakes of", expected, full));
    }
    lines
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
    fn a_connection_without_a_whole_handshake_is_found_out() {
        let there = ([127, 0, 0, 1], 1).into();
        let endpoint = HttpEndpoint::new(there, "h".into(), String::new(), None);
        let endpoint = endpoint.encrypted("h", &Trust::Anybody).unwrap();
        let _two = [endpoint.connections.open(), endpoint.connections.open()];
        let wrong = |accepted: u64, full: u64| {
            let counts =
                [("connections", accepted), ("connections open", 2), (FULL_HANDSHAKES, full)];
            let counts = counts.map(|(name, count)| (name.to_owned(), count)).into();
            let mut lines = proof("api", &endpoint, &counts).into_iter();
            lines
                .find(|line| line.expected != line.found)
                .map(|line| format!("{}: {} instead of {}", line.what, line.found, line.expected))
        };
        let what = "full TLS handshakes of target api, by its own count";
        assert_eq!(wrong(2, 2), None);
        assert_eq!(wrong(2, 1).unwrap(), format!("{what}: 1 instead of 2"));
        assert_eq!(wrong(2, 3).unwrap(), format!("{what}: 3 instead of 2"));
        // One that was given up may have been accepted, and have come to an end.
        drop(endpoint.connections.attempt());
        assert_eq!((wrong(3, 2), wrong(3, 3)), (None, None));
        assert_eq!(wrong(3, 4).unwrap(), format!("{what}: 4 instead of 3"));
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
