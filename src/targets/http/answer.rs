//! Which status a request is answered with, and after how long: pure functions that server and
//! client both use.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::{HttpTarget, StatusWeight};
use crate::draw::{draw, mix, unit};

/// Draws of one request are told apart by these numbers.
const STATUS_DRAW: u64 = 1;
const DELAY_DRAW: u64 = 2;

/// The status and the delay of request `id` under `seed`.
pub fn response_for(spec: &HttpTarget, seed: u64, id: u64) -> (u16, Duration) {
    let status = spec.status.get(choose(spec, seed, id)).map_or(200, |entry| entry.status);
    (status, delay(spec, seed, id))
}

/// The wait before the next attempt that the answer to request `id` asks for.
pub fn wait_for(spec: &HttpTarget, seed: u64, id: u64) -> Option<Duration> {
    spec.status.get(choose(spec, seed, id))?.retry_after
}

/// The id of a request that carries none: of its path (without query) and of how many the path had
/// before. The server counts at most 1024 paths apart; the others share one sequence, and need ids
/// to be predictable.
pub fn request_id(path: &str, sequence: u64) -> u64 {
    hashed_id(xxh3_64(path.as_bytes()), sequence)
}

/// [`request_id`] of a path that was hashed already.
#[inline]
pub(super) fn hashed_id(path_hash: u64, sequence: u64) -> u64 {
    mix(path_hash, sequence)
}

/// The place in `spec.status` of the entry that the request is answered with; 0 if there are none.
pub(super) fn choose(spec: &HttpTarget, seed: u64, id: u64) -> usize {
    if spec.status.len() < 2 {
        return 0;
    }
    let total: f64 = spec.status.iter().map(|entry| entry.weight).sum();
    pick(&spec.status, unit(draw(seed, id, STATUS_DRAW)) * total)
}

/// The delay of the request.
pub(super) fn delay(spec: &HttpTarget, seed: u64, id: u64) -> Duration {
    spec.delay.sample(draw(seed, id, DELAY_DRAW))
}

/// The entry at `point` of the weights laid end to end.
fn pick(entries: &[StatusWeight], point: f64) -> usize {
    let mut end = 0.0;
    let found = entries.iter().position(|entry| {
        end += entry.weight;
        point < end
    });
    // Rounding may leave the point at the very end.
    found.unwrap_or(entries.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Distribution;

    fn spec(status: &[(u16, f64)]) -> HttpTarget {
        HttpTarget {
            delay: Distribution::Uniform(Duration::from_millis(1), Duration::from_millis(2)),
            status: status
                .iter()
                .map(|&(status, weight)| StatusWeight { status, weight, retry_after: None })
                .collect(),
            ..HttpTarget::default()
        }
    }

    #[test]
    fn statuses_come_by_weight() {
        let spec = spec(&[(200, 9.0), (500, 1.0), (404, 0.0)]);
        let failures = (0..10_000).filter(|id| response_for(&spec, 7, *id).0 == 500).count();
        assert!((900..1100).contains(&failures), "{failures}");
        assert!((0..10_000).all(|id| response_for(&spec, 7, id).0 != 404));
    }

    #[test]
    fn no_status_list_means_200() {
        assert_eq!(response_for(&spec(&[]), 1, 2).0, 200);
        assert_eq!(response_for(&spec(&[(503, 1.0)]), 1, 2).0, 503);
    }

    #[test]
    fn an_answer_depends_on_seed_and_id_alone() {
        let spec = spec(&[(200, 1.0), (500, 1.0)]);
        assert_eq!(response_for(&spec, 1, 2), response_for(&spec.clone(), 1, 2));
        assert_ne!(response_for(&spec, 1, 2).1, response_for(&spec, 1, 3).1);
        assert_ne!(response_for(&spec, 1, 2).1, response_for(&spec, 2, 2).1);
        assert_ne!(request_id("/a", 0), request_id("/a", 1));
        assert_ne!(request_id("/a", 0), request_id("/b", 0));
    }
}
