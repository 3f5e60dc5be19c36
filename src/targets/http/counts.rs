//! The server's own account of what it did, against which the client's account is proven.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasherDefault, Hasher},
};

use tokio_rustls::rustls::HandshakeKind;
use xxhash_rust::xxh3::xxh3_64;

use super::{drain::DrainCounts, held_most::HeldMost};
use crate::clock::now_ns;

/// Paths beyond this number are counted together, so that random paths cannot grow the server.
const MOST_PATHS: usize = 1024;

/// Counts since the server started.
#[derive(Debug, Default)]
pub struct ServedCounts {
    /// Connections accepted.
    pub connections: u64,
    /// Of them, closed by either side.
    pub connections_closed: u64,
    /// Most connections open at once.
    pub connections_most: u64,
    /// Most that were open for a while, where there is to be a limit.
    held: Option<HeldMost>,
    /// Times that `accept` failed for want of file descriptors or memory.
    pub accepts_refused: u64,
    /// Well-formed requests received whole.
    pub requests: u64,
    /// Of them, those that came over HTTP/2.
    pub requests_multiplexed: u64,
    /// Most streams that were open at once on one connection of HTTP/2.
    streams_most: u64,
    /// Requests that one such connection may have open at once; none: nothing is said of HTTP/2.
    streams_allowed: Option<u32>,
    /// Requests that broke the protocol or a limit, answered with 400, 413 or 431.
    pub rejected: u64,
    /// Responses to well-formed requests that were not sent whole because the peer had closed.
    pub abandoned: u64,
    /// Bytes of request bodies, without chunk framing.
    pub bytes_received: u64,
    /// Bytes of response bodies that the kernel took.
    pub bytes_sent: u64,
    /// Pages of the list that were sent whole, and the items on them.
    list: (u64, u64),
    handshakes: Option<Handshakes>,
    /// What was done when the server drained.
    pub drains: DrainCounts,
    statuses: Vec<(u16, u64)>,
    paths: Paths,
}

/// Handshakes of a server that speaks TLS.
#[derive(Debug, Clone, Copy, Default)]
struct Handshakes {
    full: u64,
    resumed: u64,
    /// Those that came to no end because what was received made no sense.
    failed: u64,
}

/// What a target's counts call the handshakes that were full ones.
pub(in crate::targets) const FULL_HANDSHAKES: &str = "TLS handshakes, full";
/// And the requests that came over HTTP/2.
pub(super) const MULTIPLEXED: &str = "requests over HTTP/2";
/// And the most streams that one connection had open at once, and may have.
pub(super) const STREAMS_MOST: &str = "HTTP/2 streams open at most";
/// And the most connections that were open for 20 ms.
pub(super) const HELD_MOST: &str = "connections open at most, for 20ms";
const STREAMS_ALLOWED: &str = "HTTP/2 streams allowed at once";

impl ServedCounts {
    /// Requests are to come over HTTP/2, so many at once on a connection.
    pub fn expect_streams(&mut self, allowed: u32) {
        self.streams_allowed = Some(allowed);
    }

    /// So many streams of one connection were open at once.
    pub fn had_streams(&mut self, open: u64) {
        self.streams_most = self.streams_most.max(open);
    }

    /// Handshakes are counted from now on.
    pub fn expect_handshakes(&mut self) {
        self.handshakes = Some(Handshakes::default());
    }

    /// A handshake has ended.
    pub fn shook_hands(&mut self, kind: Option<HandshakeKind>) {
        let handshakes = self.handshakes.get_or_insert_default();
        match kind {
            Some(HandshakeKind::Resumed) => handshakes.resumed += 1,
            _ => handshakes.full += 1,
        }
    }

    /// What came on an encrypted connection made no sense.
    pub fn refused_handshake(&mut self) {
        self.handshakes.get_or_insert_default().failed += 1;
    }

    /// A connection was accepted.
    pub fn opened(&mut self) {
        self.connections += 1;
    }

    /// The number of connections is to be limited.
    pub fn expect_limit(&mut self) {
        self.held = Some(HeldMost::default());
    }

    /// The ends of connections that had come are counted, and those that have begun since are not.
    pub fn settle(&mut self) {
        let open = self.open();
        self.connections_most = self.connections_most.max(open);
        if let Some(held) = &mut self.held {
            held.see(open, now_ns);
        }
    }

    /// Connections open now.
    pub fn open(&self) -> u64 {
        self.connections - self.connections_closed
    }

    /// Looks a path up, before its request is complete.
    pub fn path(&mut self, path: &[u8]) -> PathKey {
        self.paths.find(path)
    }

    /// Counts a complete request; returns how many the same path had before it.
    pub fn request(&mut self, path: PathKey) -> u64 {
        self.requests += 1;
        let count = match path.index {
            Some(index) => &mut self.paths.known[index as usize].1,
            None => &mut self.paths.other,
        };
        *count += 1;
        *count - 1
    }

    /// Counts a response that was sent whole.
    pub fn answered(&mut self, status: u16) {
        match self.statuses.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => self.statuses.push((status, 1)),
        }
    }

    /// Counts a page of the list that was sent whole, and its items.
    pub fn gave_page(&mut self, items: u64) {
        self.list.0 += 1;
        self.list.1 += items;
    }

    /// The counts by name, as a target reports them.
    pub fn to_map(&self) -> BTreeMap<String, u64> {
        let fixed = [
            ("connections", self.connections),
            ("connections closed", self.connections_closed),
            ("connections open", self.open()),
            ("connections open at most", self.connections_most),
            ("accepts refused", self.accepts_refused),
            ("requests", self.requests),
            ("requests rejected", self.rejected),
            ("responses abandoned", self.abandoned),
            ("bytes received", self.bytes_received),
            ("bytes sent", self.bytes_sent),
        ];
        let mut map: BTreeMap<_, _> =
            fixed.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        map.extend(
            self.statuses.iter().map(|(status, count)| (format!("status {status}"), *count)),
        );
        if let Some(Handshakes { full, resumed, failed }) = self.handshakes {
            let resumed = ("TLS handshakes, resumed".into(), resumed);
            let failed = ("TLS handshakes, failed".into(), failed);
            map.extend([(FULL_HANDSHAKES.into(), full), resumed, failed]);
        }
        if self.streams_allowed.is_some() || self.requests_multiplexed > 0 {
            let allowed = u64::from(self.streams_allowed.unwrap_or_default());
            let allowed =
                Some((STREAMS_ALLOWED.into(), allowed)).filter(|(_, allowed)| *allowed > 0);
            map.extend(allowed);
            map.extend([
                (MULTIPLEXED.into(), self.requests_multiplexed),
                (STREAMS_MOST.into(), self.streams_most),
            ]);
        }
        if self.drains.begun > 0 {
            map.extend(self.drains.named().map(|(name, count)| (name.to_owned(), count)));
        }
        map.extend(self.held.as_ref().map(|held| (HELD_MOST.into(), held.most())));
        if self.list.0 > 0 {
            map.extend([("list pages".into(), self.list.0), ("list items".into(), self.list.1)]);
        }
        map.extend(self.paths.known.iter().map(|(path, count)| (format!("path {path}"), *count)));
        if self.paths.other > 0 {
            map.insert("path other".to_owned(), self.paths.other);
        }
        map
    }
}

/// A path that was looked up.
#[derive(Debug, Clone, Copy)]
pub struct PathKey {
    /// Its xxh3 hash.
    pub hash: u64,
    index: Option<u32>,
}

/// Requests per path. Two paths of equal 64-bit hash would be counted as one: 1 in 10¹³ for 1024
/// paths.
#[derive(Debug, Default)]
struct Paths {
    index: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    known: Vec<(String, u64)>,
    other: u64,
}

impl Paths {
    fn find(&mut self, path: &[u8]) -> PathKey {
        let hash = xxh3_64(path);
        let mut index = self.index.get(&hash).copied();
        if index.is_none() && self.known.len() < MOST_PATHS {
            let new = self.known.len() as u32;
            self.known.push((String::from_utf8_lossy(path).into_owned(), 0));
            self.index.insert(hash, new);
            index = Some(new);
        }
        PathKey { hash, index }
    }
}

/// Keys that are hashes already need no second hashing.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_paths_up_to_the_limit_and_the_rest_together() {
        let mut counts = ServedCounts::default();
        for round in 0..2 {
            for path in 0..MOST_PATHS + 10 {
                let key = counts.path(format!("/{path}").as_bytes());
                let before = counts.request(key);
                assert!(path >= MOST_PATHS || before == round);
            }
        }
        let map = counts.to_map();
        assert_eq!(map["path /0"], 2);
        assert_eq!(map["path /1023"], 2);
        assert_eq!(map["path other"], 20);
        assert_eq!(map["requests"], 2 * 1034);
    }

    #[test]
    fn remembers_the_most_open_at_once() {
        let mut counts = ServedCounts::default();
        counts.opened();
        counts.opened();
        counts.settle();
        // Two have ended; the server sees the third before that.
        counts.opened();
        counts.connections_closed += 2;
        counts.settle();
        let map = counts.to_map();
        assert_eq!(
            (
                map["connections"],
                map["connections open"],
                map["connections open at most"],
                map["connections closed"]
            ),
            (3, 1, 2, 2)
        );
    }

    #[test]
    fn statuses_are_counted_apart() {
        let mut counts = ServedCounts::default();
        for status in [200, 500, 200] {
            counts.answered(status);
        }
        let map = counts.to_map();
        assert_eq!((map["status 200"], map["status 500"]), (2, 1));
    }
}
