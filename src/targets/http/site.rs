//! What all connections of one server share.

use super::{
    HttpTarget,
    answer::{choose, delay},
    counts::ServedCounts,
    http2,
    response::{ResponseChoice, Responses},
};
use crate::units::Distribution;

/// The specification, the responses built from it, and the counts.
#[derive(Debug)]
pub struct ServedSite {
    spec: HttpTarget,
    seed: u64,
    /// Prebuilt responses.
    pub responses: Responses,
    /// What was done so far.
    pub counts: ServedCounts,
    /// Whether any response may have to wait; if not, nobody needs to read the clock.
    pub has_delays: bool,
    /// Requests that one connection of HTTP/2 may have open at once.
    pub streams: u32,
}

impl ServedSite {
    /// A server's state before its first connection.
    pub fn new(spec: &HttpTarget, seed: u64) -> Self {
        Self {
            spec: spec.clone(),
            seed,
            responses: Responses::new(spec),
            counts: ServedCounts::default(),
            streams: http2::streams(spec.http2.as_ref()),
            has_delays: !matches!(spec.delay, Distribution::Const(delay) if delay.is_zero()),
        }
    }

    /// The page of the list that a request asks for, if it does; 0: one that there is not.
    pub fn page(&self, path: &[u8], query: &[u8]) -> Option<u64> {
        self.spec.list.as_ref()?.asked(path, query)
    }

    /// The response to request `id`, which came at `now` and asks for this page, and when it is due
    /// (0: at once).
    pub fn answer(&self, page: Option<u64>, id: u64, now: u64) -> (ResponseChoice, u64) {
        let choice = match page {
            Some(page) => self.responses.page(page),
            None => ResponseChoice::status(choose(&self.spec, self.seed, id)),
        };
        if !self.has_delays {
            return (choice, 0);
        }
        let delay = u64::try_from(delay(&self.spec, self.seed, id).as_nanos()).unwrap_or(u64::MAX);
        (choice, now.saturating_add(delay))
    }
}
