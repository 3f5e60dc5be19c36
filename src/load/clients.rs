//! When each client of a closed load takes part: a pure function of its number and the load's
//! stages.
//!
//! With N(t) clients at a moment t, those numbered below N(t) take part. So a ramp lets clients
//! join in the order of their numbers and leave in the opposite one, and who takes part is the same
//! under every executor. A client that leaves ends the task that it has begun.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::runtime::Ticket;

/// A stretch of time over which the number of clients is constant or changes linearly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStage {
    /// Clients at its start.
    pub from: u64,
    /// Clients at its end.
    pub to: u64,
    /// Its length in ns.
    pub length_ns: u64,
}

/// The moment of a client that takes part no more.
pub(super) const NEVER: u64 = Ticket::OVER;

impl ClientStage {
    /// When a client joins and leaves, in ns from the stage's start: `None`, if it takes no part. A
    /// client takes part while the number of clients is above its own number.
    fn attended(&self, client: u64) -> Option<(u64, u64)> {
        let place = client.saturating_add(1);
        let all = (0, self.length_ns);
        match (self.from >= place, self.to >= place) {
            (true, true) => Some(all),
            (false, true) => Some((self.reaches(place - self.from, self.to - self.from), all.1)),
            (true, false) => Some((all.0, self.reaches(self.from - place, self.from - self.to))),
            (false, false) => None,
        }
        .filter(|(joins_ns, leaves_ns)| joins_ns < leaves_ns)
    }

    /// When so many of all the clients that come or go have done so, in ns.
    fn reaches(&self, clients: u64, all: u64) -> u64 {
        let ns = u128::from(self.length_ns) * u128::from(clients) / u128::from(all.max(1));
        u64::try_from(ns).unwrap_or(self.length_ns)
    }
}

/// Time that clients take part in stages, all of them together, in ns, and how often one of them
/// leaves before the end.
pub fn attendance(stages: &[ClientStage]) -> (f64, u64) {
    // The clients of a ramp make a stair: its first step up comes after a while, its first one down
    // at once.
    let stair = |stage: &ClientStage| stage.from.abs_diff(stage.to).saturating_sub(1) as f64 / 2.0;
    let area = |stage: &ClientStage| {
        (stage.from.min(stage.to) as f64 + stair(stage)) * stage.length_ns as f64
    };
    let falls = stages.iter().map(|stage| stage.from.saturating_sub(stage.to));
    let steps = stages.windows(2).map(|pair| pair[0].to.saturating_sub(pair[1].from));
    (stages.iter().map(area).sum(), falls.chain(steps).fold(0, u64::saturating_add))
}

/// Who takes part when in a load with stages.
#[derive(Debug, Clone)]
pub(super) struct Attendance {
    /// Clients of the warm-up, and when that ends, in ns of the clock.
    warming: u64,
    from_ns: u64,
    stages: Arc<[ClientStage]>,
}

impl Attendance {
    /// Of stages that begin at `from_ns`, after a warm-up of so many clients.
    pub(super) fn new(stages: &Arc<[ClientStage]>, warming: u64, from_ns: u64) -> Self {
        Self { warming, from_ns, stages: stages.clone() }
    }

    /// The first moment from `due_ns` on at which the client takes part; [`NEVER`] after its last.
    pub(super) fn next(&self, client: u64, due_ns: u64) -> u64 {
        if due_ns < self.from_ns && client < self.warming {
            return due_ns;
        }
        let mut begins_ns = self.from_ns;
        for stage in self.stages.iter() {
            if let Some((joins_ns, leaves_ns)) = stage.attended(client)
                && due_ns < begins_ns.saturating_add(leaves_ns)
            {
                return due_ns.max(begins_ns.saturating_add(joins_ns));
            }
            begins_ns = begins_ns.saturating_add(stage.length_ns);
        }
        NEVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clients for 100 ns, up to six in 40, six for 10, down to none in 60.
    fn stages() -> Arc<[ClientStage]> {
        [(2, 2, 100), (2, 6, 40), (6, 6, 10), (6, 0, 60)]
            .map(|(from, to, length_ns)| ClientStage { from, to, length_ns })
            .into()
    }

    #[test]
    fn clients_join_in_order_and_leave_in_the_opposite_one() {
        let attendance = Attendance::new(&stages(), 3, 1_000);
        let next = |client, due_ns| attendance.next(client, due_ns);
        // The warm-up has three; the third waits then for its place in the ramp, as the fourth does
        // from the start.
        assert_eq!([0, 1, 2, 3].map(|client| next(client, 0)), [0, 0, 0, 1_120]);
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(|client| next(client, 1_000)),
            [1_000, 1_000, 1_110, 1_120, 1_130, 1_140]
        );
        // The sixth leaves at once when the last ramp begins, the first when one sixth of it is
        // left.
        assert_eq!((next(5, 1_149), next(5, 1_150)), (1_149, NEVER));
        assert_eq!((next(0, 1_199), next(0, 1_200)), (1_199, NEVER));
        assert_eq!(next(6, 0), NEVER);
    }

    #[test]
    fn a_client_that_left_comes_back_with_the_next_stage_that_has_it() {
        let stages = [(4, 4, 100), (1, 1, 100), (4, 4, 100)];
        let stages = stages.map(|(from, to, length_ns)| ClientStage { from, to, length_ns });
        let attendance = Attendance::new(&stages.into(), 4, 0);
        assert_eq!(
            (attendance.next(0, 150), attendance.next(1, 99), attendance.next(1, 100)),
            (150, 99, 200)
        );
        assert_eq!(super::attendance(&stages), (900.0, 3));
    }

    #[test]
    fn the_time_of_all_clients_is_the_sum_of_theirs() {
        let stages = stages();
        let (area, leaves) = super::attendance(&stages);
        assert_eq!(leaves, 6);
        let attendance = Attendance::new(&stages, 2, 0);
        let takes_part = |client, ns| attendance.next(client, ns) == ns;
        let counted = (0..210)
            .map(|ns| (0..6).filter(|client| takes_part(*client, ns)).count() as f64)
            .sum::<f64>();
        assert!((counted - area).abs() < 1e-9, "{counted} of {area}");
    }
}
