//! The embedded server as the trial sees it: started, asked for its counts, and found to agree with
//! what was opened here.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    control::ControlAnswer,
    counts::{FULL_HANDSHAKES, HELD_MOST, MULTIPLEXED},
    drain::{ANSWERED, GIVEN_UP, IN_FLIGHT, STILL_OWED},
    endpoint::HttpEndpoint,
    parameters::HttpTarget,
};
use crate::{
    client::Trust,
    clock,
    measure::{ProofLine, TargetReport, Watched},
    targets::{self, ServerProcess, Start, Started, TargetError, connections::Connections},
};

/// Longest wait for the embedded server to see what was opened and closed, and how often it is
/// asked, in ns.
const PATIENCE_NS: u64 = 10_000_000_000;
const GLANCE_NS: u64 = 1_000_000;

/// A target's counts by name.
type CountsByName = BTreeMap<String, u64>;

/// The embedded server, running.
struct EmbeddedHttp {
    name: String,
    server: Box<dyn ServerProcess>,
    endpoint: Arc<HttpEndpoint>,
    trust: Trust,
}

/// Starts it.
pub(super) fn start(spec: &HttpTarget, start: &Start<'_>) -> Result<Box<dyn Started>, TargetError> {
    let started = start.launcher.launch();
    let server = started.map_err(|why| TargetError::of(start.name, why.reason))?;
    let Ok(ControlAnswer::Ready { address, authority }) = serde_json::from_str(server.greeting())
    else {
        return Err(TargetError::of(
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
    let endpoint = Arc::new(endpoint.map_err(|why| TargetError::of(start.name, why))?);
    Ok(Box::new(EmbeddedHttp { name: start.name.into(), server, endpoint, trust }))
}
impl Started for EmbeddedHttp {
    fn endpoint(&self) -> targets::Endpoint {
        self.endpoint.clone()
    }

    fn watched(&self) -> Option<Watched> {
        Some(Watched::Process(self.server.pid()))
    }

    fn facts(&self) -> Vec<(String, String)> {
        let mut facts = self.endpoint.http2_facts(&self.name);
        facts.extend(self.endpoint.pool_fact(&self.name));
        facts.extend(self.endpoint.drain_fact(&self.name));
        facts.extend(self.endpoint.tls_facts(&self.name, &self.trust));
        facts
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
        let mut report = self.endpoint.report(&self.name, served, counts);
        report.proof.extend(proof);
        Ok(report)
    }
}
impl EmbeddedHttp {
    fn counts(&mut self) -> Result<CountsByName, TargetError> {
        let answer =
            self.server.ask("counts").map_err(|why| TargetError::of(&self.name, why.reason))?;
        match serde_json::from_str(&answer) {
            Ok(ControlAnswer::Counts(counts)) => Ok(counts),
            _ => Err(TargetError::of(&self.name, format!("did not say its counts but: {answer}"))),
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
    if has_drains(endpoint) {
        // Who has asked may leave before the answer comes, or still wait for it when the load has ended.
        let gone = found(GIVEN_UP) + found(STILL_OWED);
        let owed = found(IN_FLIGHT).saturating_sub(gone);
        let what = "requests in flight when it drained that were answered by";
        lines.push(line(what, owed, found(ANSWERED)));
    }
    // After a standstill the server finds connections that have ended long ago.
    let stalls = endpoint.embedded.as_ref().is_some_and(|(server, _)| server.stall.is_some());
    if let Some(most) = endpoint.most_connections().filter(|_| !stalls) {
        let held = found(HELD_MOST);
        lines.push(line("most connections at once to", held.min(most), held));
    }
    if endpoint.tls.is_some() {
        // Of the connections that it has accepted, those of attempts that were given up may have
        // ended before.
        let full = found(FULL_HANDSHAKES);
        let expected = full.clamp(least, accepted.max(least));
        lines.push(line("full TLS handshakes of", expected, full));
    }
    if endpoint.http2.is_some() {
        lines.push(line("requests over HTTP/2 to", found("requests"), found(MULTIPLEXED)));
    }
    lines
}

fn has_drains(endpoint: &HttpEndpoint) -> bool {
    endpoint.embedded.as_ref().is_some_and(|(server, _)| server.drain.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::targets::{
        PoolSpec,
        http::{Http2, Http2Connections, HttpDrain, HttpPool},
    };

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
    fn more_connections_than_a_pool_has_are_found_out() {
        let there = ([127, 0, 0, 1], 1).into();
        let places = PoolSpec { max: 2, acquire_timeout: Duration::ZERO };
        let pool = Some(HttpPool { places, idle_timeout: Duration::ZERO, force_close: false });
        let server = HttpTarget { pool, ..HttpTarget::default() };
        let endpoint = HttpEndpoint::new(there, "h".into(), String::new(), Some((server, 1)));
        let wrong = |held: u64| {
            let counts = [(HELD_MOST.to_owned(), held)].into();
            let lines =
                proof("api", &endpoint, &counts).into_iter().chain(endpoint.pool_proof("api"));
            let mut wrong = lines.filter(|line| line.expected != line.found);
            wrong.next().map(|line| format!("{}: {} of {}", line.what, line.found, line.expected))
        };
        assert_eq!((wrong(1), wrong(2)), (None, None));
        let what = "most connections at once to target api, by its own count";
        assert_eq!(wrong(3).unwrap(), format!("{what}: 3 of 2"));
        // And by that of the steps, one after another or at once.
        let open = || endpoint.connections.open();
        drop((open(), open()));
        drop((open(), open()));
        assert_eq!(endpoint.pool_proof("api").map(|line| line.found).as_deref(), Some("2"));
        drop((open(), open(), open()));
        let line = endpoint.pool_proof("api").unwrap();
        assert_eq!((line.expected.as_str(), line.found.as_str()), ("2", "3"));
        // A step that has its own connections is not of the pool.
        endpoint.around_pool.set(()).unwrap();
        assert_eq!(
            (endpoint.most_connections(), endpoint.pool_proof("api").is_none()),
            (None, true)
        );
    }

    #[test]
    fn an_answer_that_is_lost_when_the_server_drains_is_found_out() {
        let there = ([127, 0, 0, 1], 1).into();
        let drain = Some(HttpDrain { every: Duration::from_secs(1) });
        let server = HttpTarget { drain, ..HttpTarget::default() };
        let endpoint = HttpEndpoint::new(there, "h".into(), String::new(), Some((server, 1)));
        let wrong = |in_flight: u64, answered: u64, left: u64| {
            let counts = [(IN_FLIGHT, in_flight), (ANSWERED, answered), (GIVEN_UP, left)];
            let counts = counts.map(|(name, count)| (name.to_owned(), count)).into();
            let lines = proof("api", &endpoint, &counts);
            let wrong = lines.into_iter().find(|line| line.expected != line.found);
            wrong.map(|line| format!("{}: {} of {}", line.what, line.found, line.expected))
        };
        assert_eq!((wrong(5, 5, 0), wrong(5, 4, 1)), (None, None));
        let what =
            "requests in flight when it drained that were answered by target api, by its own count";
        assert_eq!(wrong(5, 4, 0).unwrap(), format!("{what}: 4 of 5"));
    }

    #[test]
    fn a_request_that_does_not_come_over_http_2_is_found_out() {
        let there = ([127, 0, 0, 1], 1).into();
        let http2 = Some(Http2 { connections: Http2Connections::PerSlot, streams: 128 });
        let server = HttpTarget { http2, ..HttpTarget::default() };
        let endpoint = HttpEndpoint::new(there, "h".into(), String::new(), Some((server, 1)));
        let wrong = |requests: u64, multiplexed: u64| {
            let counts = [("requests", requests), (MULTIPLEXED, multiplexed)];
            let counts = counts.map(|(name, count)| (name.to_owned(), count)).into();
            let lines = proof("api", &endpoint, &counts);
            let wrong = lines.into_iter().find(|line| line.expected != line.found);
            wrong.map(|line| format!("{}: {} of {}", line.what, line.found, line.expected))
        };
        assert_eq!(wrong(5, 5), None);
        let what = "requests over HTTP/2 to target api, by its own count";
        assert_eq!(wrong(5, 4).unwrap(), format!("{what}: 4 of 5"));
    }
}
