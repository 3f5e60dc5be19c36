//! A WebSocket target as the client side sees it: where it is, and what was counted.

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    account::{MessageAccount, MessageSum},
    counts::{DUE, RECEIVED, REGISTERED, SENT, UNREGISTERED, UPGRADES},
    parameters::{WebSocketTarget, as_http},
    words::{ECHO_PATH, HUB_PATH},
};
use crate::{
    client::{Https, Trust, unresolved},
    clock,
    measure::{ProofLine, TargetReport, Watched},
    secret::{self, EnvText},
    targets::{
        self, ServerProcess, Start, Started, TargetError,
        connections::Connections,
        http::{self, ControlAnswer, FULL_HANDSHAKES, HttpTls, PATIENCE},
        own_server::OwnServer,
    },
};

/// Longest wait for the embedded server to see what was sent, and how often it is asked, in ns.
const PATIENCE_NS: u64 = 10_000_000_000;
const GLANCE_NS: u64 = 1_000_000;

/// A target's counts by name.
type NamedCounts = BTreeMap<String, u64>;

/// Where a WebSocket target is.
#[derive(Debug, Clone)]
pub struct WebSocketEndpoint {
    /// Its address.
    pub address: SocketAddr,
    /// The `host` header.
    pub host: String,
    /// Its url as messages have it.
    pub words: String,
    /// The path where messages are sent back.
    pub path: String,
    /// How connections are encrypted; none: they are not.
    pub tls: Option<Https>,
    /// Whether it is the embedded server, which has a hub and says what it has counted.
    pub is_embedded: bool,
    /// The account of the steps' connections, and of the calls that the scenario allows to fail.
    pub connections: Connections,
    accounts: Arc<Mutex<Vec<Arc<MessageAccount>>>>,
}

impl WebSocketEndpoint {
    /// An endpoint of which nothing was counted so far.
    pub fn new(address: SocketAddr, host: String, path: String, is_embedded: bool) -> Self {
        let words = format!("ws://{host}{path}");
        Self {
            address,
            host,
            words,
            path,
            tls: None,
            is_embedded,
            connections: Connections::default(),
            accounts: Arc::default(),
        }
    }

    /// The same with encrypted connections; an error says what no host or no authority is.
    pub fn encrypted(mut self, host: &str, trust: &Trust) -> Result<Self, String> {
        self.tls = Some(Https::new(host, trust)?);
        self.words = format!("wss://{}{}", self.host, self.path);
        Ok(self)
    }

    /// The path at which an exchange takes place.
    pub fn path_to(&self, hub: bool) -> &str {
        if hub { HUB_PATH } else { &self.path }
    }

    /// An account for one instance of a step.
    pub fn account(&self) -> Arc<MessageAccount> {
        let account = Arc::<MessageAccount>::default();
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).push(account.clone());
        account
    }

    fn sum(&self) -> MessageSum {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        MessageAccount::sum(accounts.iter().map(|account| &**account))
    }

    /// What the report says of its encryption, where there is one.
    fn tls_facts(&self, name: &str, trust: &Trust) -> Vec<(String, String)> {
        let Some(https) = &self.tls else { return Vec::new() };
        let agreed = https.agreed().unwrap_or("no handshake has ended").to_owned();
        let facts = [("TLS", agreed), ("certificate", http::checked(trust))];
        facts.map(|(what, value)| (format!("{name}: {what}"), value)).into()
    }

    fn report(&self, name: &str, served: Option<u64>, mut counts: NamedCounts) -> TargetReport {
        for (what, count) in self.connections.counts() {
            // The server's own account of what has the same name stands beside ours in the proof.
            counts.entry(what).or_insert(count);
        }
        let unanswered = self.connections.unanswered();
        TargetReport { name: name.into(), served, counts, unanswered, ..TargetReport::default() }
    }
}

/// The embedded server, running.
struct EmbeddedWebSocket {
    name: String,
    server: Box<dyn ServerProcess>,
    endpoint: Arc<WebSocketEndpoint>,
    trust: Trust,
}

/// A server of the user's own.
struct ForeignWebSocket {
    name: String,
    endpoint: Arc<WebSocketEndpoint>,
    trust: Trust,
    own: OwnServer,
}

/// Starts the embedded server, or looks the user's own up.
pub(super) fn start(
    spec: &WebSocketTarget,
    start: &Start<'_>,
) -> Result<Box<dyn Started>, TargetError> {
    let Some(url) = &spec.url else { return Ok(Box::new(embedded(spec, start)?)) };
    let text = spec.resolved().map_err(|lack| error(start.name, lack.reason))?;
    let trust = spec.tls.as_ref().map_or(Trust::System, HttpTls::trust);
    let endpoint = Arc::new(foreign(url, &text, &trust, start)?);
    let own = OwnServer::at(endpoint.address);
    Ok(Box::new(ForeignWebSocket { name: start.name.into(), endpoint, trust, own }))
}

fn embedded(spec: &WebSocketTarget, start: &Start<'_>) -> Result<EmbeddedWebSocket, TargetError> {
    let server = start.launcher.launch().map_err(|why| error(start.name, why.reason))?;
    let Ok(ControlAnswer::Ready { address, authority }) = serde_json::from_str(server.greeting())
    else {
        let said = server.greeting();
        return Err(error(start.name, format!("did not say its address but: {said}")));
    };
    let path = ECHO_PATH.to_owned();
    let endpoint = WebSocketEndpoint::new(address, address.to_string(), path, true);
    let trust = Trust::Text(authority.unwrap_or_default());
    let endpoint = match &spec.tls {
        Some(_) => endpoint.encrypted(&address.ip().to_string(), &trust),
        None => Ok(endpoint),
    };
    let endpoint = Arc::new(endpoint.map_err(|why| error(start.name, why))?);
    Ok(EmbeddedWebSocket { name: start.name.into(), server, endpoint, trust })
}

/// The server at the url that is `text` in full, and is shown as the scenario has it.
fn foreign(
    url: &EnvText,
    text: &str,
    trust: &Trust,
    start: &Start<'_>,
) -> Result<WebSocketEndpoint, TargetError> {
    let shown = url.text();
    let no_url = |why: String| error(start.name, format!("`{shown}` is no url{why}"));
    let place = as_http(text).ok_or_else(|| no_url(String::new()))?;
    let uri: hyper::Uri = place.parse().map_err(|why| no_url(format!(": {why}")))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_encrypted = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
    let authority = uri.authority().map_or_else(String::new, ToString::to_string);
    if let Some(variable) = url.variable() {
        for part in [&*authority, host, uri.path().trim_matches('/')] {
            secret::remember(variable, part);
        }
    }
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|why| unresolved(&why))
        .and_then(|found| http::answering(host, found));
    let address = found.map_err(|fault| error(start.name, format!("{shown}: {fault}")))?;
    let mut endpoint = WebSocketEndpoint::new(address, authority, uri.path().to_owned(), false);
    if is_encrypted {
        endpoint = endpoint.encrypted(host, trust).map_err(|why| error(start.name, why))?;
    }
    if let Some(variable) = url.variable() {
        secret::remember(variable, &address.to_string());
        shown.clone_into(&mut endpoint.words);
    }
    Ok(endpoint)
}

fn error(name: &str, reason: String) -> TargetError {
    TargetError { name: name.into(), reason }
}

impl Started for EmbeddedWebSocket {
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
        self.counts().ok()?.get(RECEIVED).copied()
    }

    fn report(&mut self) -> Result<TargetReport, TargetError> {
        let (counts, proof) = self.settled()?;
        let served = counts.get(RECEIVED).copied();
        Ok(TargetReport { proof, ..self.endpoint.report(&self.name, served, counts) })
    }
}

impl Started for ForeignWebSocket {
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
        let WebSocketEndpoint { address, words, .. } = &*self.endpoint;
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

impl EmbeddedWebSocket {
    fn counts(&mut self) -> Result<NamedCounts, TargetError> {
        let answer = self.server.ask("counts").map_err(|why| error(&self.name, why.reason))?;
        match serde_json::from_str(&answer) {
            Ok(ControlAnswer::Counts(counts)) => Ok(counts),
            _ => Err(error(&self.name, format!("did not say its counts but: {answer}"))),
        }
    }

    /// The server's counts when it has seen all that was sent and closed here, and the two accounts
    /// side by side.
    fn settled(&mut self) -> Result<(NamedCounts, Vec<ProofLine>), TargetError> {
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

/// The server's account beside ours: connections, upgrades, messages, and what went on at the hub.
/// What was given up here may have been seen there, or not.
pub(super) fn proof(
    name: &str,
    endpoint: &WebSocketEndpoint,
    counts: &NamedCounts,
) -> Vec<ProofLine> {
    let found = |name: &str| counts.get(name).copied().unwrap_or(0);
    let line = |what: &str, (least, most): (u64, u64), found: u64| ProofLine {
        what: format!("{what} target {name}, by its own count"),
        expected: found.max(least).min(most).to_string(),
        found: found.to_string(),
    };
    let ours = endpoint.sum();
    let (accepted, (least, most)) = (found("connections"), endpoint.connections.seen_by_server());
    let here = endpoint.connections.still_open();
    let open = (here, here + endpoint.connections.pending());
    let mut lines = vec![
        line("connections opened to", (least, most), accepted),
        line("connections still open to", open, found("connections open")),
        line("upgrades by", (least, accepted), found(UPGRADES)),
        line("messages received by", (ours.answered, ours.sent), found(RECEIVED)),
        line("messages sent by", (ours.answered + ours.delivered, due(counts)), found(SENT)),
    ];
    if endpoint.tls.is_some() {
        lines.push(line("full TLS handshakes of", (least, accepted), found(FULL_HANDSHAKES)));
    }
    if ours.registered > 0 {
        let (registered, left) = (found(REGISTERED), found(UNREGISTERED));
        lines.push(line("members registered at", (ours.seated, ours.registered), registered));
        lines.push(line("members unregistered at", (ours.left, registered), left));
    }
    lines
}

/// What follows from what the server has received: an echo of each message, or a delivery to each
/// member of a room.
fn due(counts: &NamedCounts) -> u64 {
    let found = |name: &str| counts.get(name).copied().unwrap_or(0);
    let echoes = found(RECEIVED).saturating_sub(found("messages published"));
    echoes + found(DUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with these counts, where three messages were sent by one who is connected: two
    /// came back, and two of others came.
    fn wrong(changes: &[(&str, u64)]) -> Vec<String> {
        let endpoint =
            WebSocketEndpoint::new(([127, 0, 0, 1], 1).into(), "h".into(), "/".into(), true);
        let _open = endpoint.connections.open();
        let account = endpoint.account();
        (0..3).for_each(|_| account.send());
        (0..2).for_each(|_| account.answer());
        (0..2).for_each(|_| account.deliver());
        account.register();
        account.seat();
        account.leave();
        let right = [
            ("connections", 1),
            ("connections open", 1),
            (UPGRADES, 1),
            (RECEIVED, 2),
            (SENT, 4),
            (REGISTERED, 1),
            (UNREGISTERED, 1),
            ("messages published", 2),
            (DUE, 4),
        ];
        let mut counts: NamedCounts =
            right.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        counts.extend(changes.iter().map(|(name, count)| ((*name).to_owned(), *count)));
        let lines = proof("chat", &endpoint, &counts).into_iter();
        lines.filter(|line| line.expected != line.found).map(|line| line.what).collect()
    }

    #[test]
    fn a_count_of_the_server_that_cannot_be_is_found_out() {
        assert_eq!(wrong(&[]), [""; 0]);
        for (name, count, said) in [
            (UPGRADES, 0, "upgrades by"),
            (RECEIVED, 1, "messages received by"),
            (RECEIVED, 4, "messages received by"),
            (SENT, 3, "messages sent by"),
            (SENT, 5, "messages sent by"),
            (DUE, 3, "messages sent by"),
            (REGISTERED, 2, "members registered at"),
            (UNREGISTERED, 0, "members unregistered at"),
            ("connections", 2, "connections opened to"),
            ("connections open", 0, "connections still open to"),
        ] {
            let found = wrong(&[(name, count)]);
            let line = format!("{said} target chat, by its own count");
            assert!(found.contains(&line), "{name} {count}: {found:?}");
        }
        // The third message, of which nothing came back, may have been received.
        assert_eq!(wrong(&[(RECEIVED, 3)]), [""; 0]);
    }
}
