//! An HTTP target as the client side sees it: where it is, and what it will answer.

use std::{collections::BTreeMap, net::SocketAddr, sync::OnceLock};

use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{
    body::ServedBody, http2::Http2, list::HttpList, parameters::HttpTarget, pool::HttpPool, tls,
};
use crate::{
    client::{FaultKind, Https, Trust},
    measure::{ProofLine, TargetReport},
    targets::connections::Connections,
};

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
    /// Whose connections requests over HTTP/2 have; none: they go over HTTP/1.1.
    pub http2: Option<Http2>,
    /// What the server's SETTINGS have said on the first connection of HTTP/2: how many streams may
    /// be open at once; inner none: as many as one likes.
    pub streams_allowed: OnceLock<Option<u32>>,
    /// The connections that all tasks share; none: as each step says.
    pub pool: Option<HttpPool>,
    /// Set once a step has opened a connection that is not of the pool.
    pub around_pool: OnceLock<()>,
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
            http2: embedded.as_ref().and_then(|(server, _)| server.http2),
            streams_allowed: OnceLock::new(),
            pool: embedded.as_ref().and_then(|(server, _)| server.pool),
            around_pool: OnceLock::new(),
            embedded,
            connections: Connections::default(),
            xxh3: OnceLock::new(),
            pages_xxh3: OnceLock::new(),
            sha256: OnceLock::new(),
        }
    }

    /// The same with encrypted connections; an error says what no host or no authority is.
    pub fn encrypted(mut self, host: &str, trust: &Trust) -> Result<Self, String> {
        let https = Https::new(host, trust)?;
        self.tls = Some(if self.http2.is_some() { https.over_http2() } else { https });
        self.words = format!("https://{}{}", self.host, self.base);
        Ok(self)
    }

    /// The scheme of its urls.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// What the report says of its encryption, where there is one.
    pub(super) fn tls_facts(&self, name: &str, trust: &Trust) -> Vec<(String, String)> {
        let Some(https) = &self.tls else { return Vec::new() };
        let agreed = https.agreed().unwrap_or("no handshake has ended").to_owned();
        let resumed = "none is resumed: each connection is one whole handshake".to_owned();
        let facts =
            [("TLS", agreed), ("TLS sessions", resumed), ("certificate", tls::checked(trust))];
        facts.map(|(what, value)| (format!("{name}: {what}"), value)).into()
    }

    /// What the report says of HTTP/2, where requests go over it.
    pub(super) fn http2_facts(&self, name: &str) -> Vec<(String, String)> {
        let Some(http2) = &self.http2 else { return Vec::new() };
        let how = if self.tls.is_some() { "agreed upon by ALPN" } else { "by prior knowledge" };
        let allowed = match self.streams_allowed.get() {
            None => "no connection was opened".to_owned(),
            Some(None) => "as many as one likes, by the server's SETTINGS".to_owned(),
            Some(Some(allowed)) => format!("{allowed} on a connection, by the server's SETTINGS"),
        };
        let facts = [
            ("HTTP version", format!("HTTP/2, {how}")),
            ("HTTP/2 connections", http2.words()),
            ("HTTP/2 streams at once", allowed),
        ];
        facts.map(|(what, value)| (format!("{name}: {what}"), value)).into()
    }

    /// What the report says of the pool, where there is one.
    pub(super) fn pool_fact(&self, name: &str) -> Option<(String, String)> {
        Some((format!("{name}: pool"), self.pool?.words()))
    }

    /// What the report says of the server's restarts, where there are some.
    pub(super) fn drain_fact(&self, name: &str) -> Option<(String, String)> {
        let every = self.embedded.as_ref()?.0.drain?.every;
        Some((format!("{name}: drains"), format!("every {every:?}, for a successor")))
    }

    /// The most connections that may be open at once; none: as many as the steps like.
    pub(super) fn most_connections(&self) -> Option<u64> {
        let pool = self.pool.filter(|_| self.around_pool.get().is_none())?;
        Some(u64::from(pool.places.max))
    }

    /// No more connections are open at once than the pool has, by the count of the steps.
    pub(super) fn pool_proof(&self, name: &str) -> Option<ProofLine> {
        let (most, found) = (self.most_connections()?, self.connections.most());
        Some(ProofLine {
            what: format!("most connections to target {name} at once, by the steps"),
            expected: found.min(most).to_string(),
            found: found.to_string(),
        })
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
    pub(super) fn report(
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
        let proof = self.pool_proof(name).into_iter().collect();
        TargetReport {
            name: name.into(),
            served,
            counts,
            unanswered,
            proof,
            ..TargetReport::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
