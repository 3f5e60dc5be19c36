//! `rate-limit`: lets so many tasks pass in a second, a burst of them at once.
//!
//! The generic cell rate algorithm (ITU-T I.371): one word holds when the next task would be due if
//! all had come in step. Who comes takes a turn by moving it on, and waits until that turn with the
//! executor's own timer. So nobody waits for a lock, and turns are in the order of asking. The same
//! under every executor: none of them has a limiter of its own.

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use serde::{Deserialize, Serialize};

use super::{
    cells::{OwnedCell, UserCells, bump},
    spec::{Made, ObjectLine, SharedAccount, SharedCalls, SharedCounts, SharedKind},
};
use crate::{clock, config::Fields, runtime::Coordination, units::Rate};

/// A second, in ns.
const SECOND_NS: f64 = 1e9;

/// A limiter of a rate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedRateLimit {
    /// Tasks per second.
    rate: f64,
    burst: NonZeroU64,
}

impl SharedKind for SharedRateLimit {
    const KEY: &'static str = "rate-limit";
    const DOC: &'static str = "A rate limit: lets so many tasks pass in a second.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let rate: Option<Rate> = fields.required("rate", "Tasks that may pass, such as `100/s`.");
        let burst =
            fields.or("burst", NonZeroU64::MIN, "Tasks that may pass at once after a pause.");
        if rate.is_some_and(|rate| !(1e-3..=1e8).contains(&rate.0)) {
            fields.reject("rate", "expected a rate from 0.001/s to 100M/s", None);
        }
        Some(Self { rate: rate?.0, burst })
    }

    fn make<N: Coordination>(&self) -> Made {
        Made::new(RateLimit::new(self.rate, self.burst.get()))
    }

    fn facts<N: Coordination>(&self) -> [String; 2] {
        ["one word of time that all share, and the executor's timer", "first come, first served"]
            .map(str::to_owned)
    }
}

/// A limiter of a rate.
pub struct RateLimit {
    /// Between two turns; rounded up, so that the rate is never above what was asked for.
    interval_ns: u64,
    burst: u64,
    /// When who comes next is due, had all come in step.
    due_ns: AtomicU64,
    /// When the first one asked, whoever came to say so first; `u64::MAX` before.
    first_ns: AtomicU64,
    cells: UserCells<PassCount>,
}

/// What one user has done.
#[derive(Default)]
struct PassCount {
    passed: AtomicU64,
    early: AtomicU64,
}

impl RateLimit {
    fn new(rate: f64, burst: u64) -> Self {
        Self {
            interval_ns: (SECOND_NS / rate).ceil() as u64,
            burst,
            due_ns: AtomicU64::new(0),
            first_ns: AtomicU64::new(u64::MAX),
            cells: UserCells::default(),
        }
    }

    /// For a step that shares it with others.
    pub fn passer(self: &Arc<Self>) -> Passer {
        Passer { count: self.cells.own(), limit: self.clone() }
    }

    /// The next turn, in ns of the clock, for who asks at `now_ns` and waits no longer than until
    /// `deadline_ns`; whatever becomes of who asked, it is taken. The error is a turn that comes too
    /// late: it is not taken, or those who cannot wait for theirs would push all others' away.
    fn turn(&self, now_ns: u64, deadline_ns: u64) -> Result<u64, u64> {
        if now_ns < self.first_ns.load(Relaxed) {
            self.first_ns.fetch_min(now_ns, Relaxed);
        }
        let ahead_ns = (self.burst - 1).saturating_mul(self.interval_ns);
        let turn = |due_ns: u64| due_ns.max(now_ns).saturating_sub(ahead_ns);
        let moved = |due_ns: u64| {
            let next_ns = due_ns.max(now_ns).saturating_add(self.interval_ns);
            (turn(due_ns) <= deadline_ns).then_some(next_ns)
        };
        self.due_ns.fetch_update(Relaxed, Relaxed, moved).map(turn).map_err(turn)
    }

    /// The most that may have passed by `now_ns`, if the first one did so as soon as it asked.
    fn most_by(&self, now_ns: u64) -> u64 {
        let first_ns = self.first_ns.load(Relaxed);
        let Some(elapsed_ns) = now_ns.checked_sub(first_ns) else { return 0 };
        self.burst.saturating_add(elapsed_ns / self.interval_ns)
    }
}

/// Takes turns, one at a time.
pub struct Passer {
    limit: Arc<RateLimit>,
    count: OwnedCell<PassCount>,
}

impl Passer {
    /// The turn of who asks now and waits until `deadline_ns` at most: the clock's time in ns from
    /// which on it may pass. The error is a turn that comes too late, and is not taken.
    pub fn turn(&self, deadline_ns: u64) -> Result<u64, u64> {
        self.limit.turn(clock::now_ns(), deadline_ns)
    }

    /// ThrottlePasses, now that the turn has come.
    pub fn pass(&self, turn_ns: u64) {
        bump(&self.count.passed, 1);
        bump(&self.count.early, u64::from(clock::now_ns() < turn_ns));
    }
}

impl SharedAccount for RateLimit {
    fn read(&self) -> Box<dyn SharedCounts> {
        // Counted before the clock is read, or who passes in between would be one too many.
        let (passed, early) =
            (self.cells.sum(|count| &count.passed), self.cells.sum(|count| &count.early));
        Box::new(ThrottlePasses { passed, early, most: self.most_by(clock::now_ns()) })
    }
}

struct ThrottlePasses {
    passed: u64,
    early: u64,
    most: u64,
}

impl SharedCounts for ThrottlePasses {
    fn lines(&self, calls: &dyn Fn(&str) -> SharedCalls) -> Vec<ObjectLine> {
        let of_rate = ObjectLine {
            what: "most that the rate lets pass",
            expected: (0, self.most),
            found: self.passed,
        };
        vec![
            ObjectLine::of_calls("passes", calls("throttle"), 0, self.passed),
            ObjectLine::equal("passes before their turn", 0, self.early),
            of_rate,
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const MS: u64 = 1_000_000;
    const SOME_DAY: u64 = 1_000 * MS;
    const NEVER: u64 = u64::MAX;

    impl RateLimit {
        /// The turn of who waits for it however long that is.
        fn next(&self, now_ns: u64) -> u64 {
            self.turn(now_ns, NEVER).unwrap()
        }
    }

    #[test]
    fn turns_are_an_interval_apart_and_a_pause_saves_a_burst() {
        let limit = RateLimit::new(100.0, 1);
        let turns = [0, 0, 35, 35, 100].map(|at| limit.next(SOME_DAY + at * MS) - SOME_DAY);
        assert_eq!(turns, [0, 10, 35, 45, 100].map(|ms| ms * MS));
        let limit = RateLimit::new(100.0, 3);
        let waits = [0, 0, 0, 0, 0, 100, 100, 100, 100].map(|at| {
            let now_ns = SOME_DAY + at * MS;
            limit.next(now_ns).saturating_sub(now_ns) / MS
        });
        assert_eq!(waits, [0, 0, 0, 10, 20, 0, 0, 0, 10]);
        // By the end of the last wait, none of them is one too many.
        assert!((0..5).all(|later| limit.most_by(SOME_DAY + later * 10 * MS) >= 3 + later));
        assert_eq!(limit.most_by(SOME_DAY + 110 * MS), 3 + 11);
    }

    #[test]
    fn who_asked_first_counts_whoever_says_so_first() {
        let limit = RateLimit::new(100.0, 1);
        assert_eq!(limit.most_by(SOME_DAY), 0);
        limit.next(SOME_DAY + 10 * MS);
        limit.next(SOME_DAY);
        assert_eq!((limit.most_by(SOME_DAY), limit.most_by(SOME_DAY + 25 * MS)), (1, 3));
    }

    #[test]
    fn a_turn_that_comes_too_late_is_left_to_others() {
        let limit = RateLimit::new(100.0, 1);
        assert_eq!(limit.next(SOME_DAY), SOME_DAY);
        for _ in 0..1_000 {
            let late = limit.turn(SOME_DAY + MS, SOME_DAY + 2 * MS);
            assert_eq!(late, Err(SOME_DAY + 10 * MS));
        }
        assert_eq!(limit.next(SOME_DAY + 2 * MS), SOME_DAY + 10 * MS);
    }

    #[test]
    fn who_asks_at_once_gets_turns_of_their_own() {
        let limit = Arc::new(RateLimit::new(1e6, 1));
        let ask = || {
            let limit = limit.clone();
            thread::spawn(move || (0..1_000).map(|_| limit.next(SOME_DAY)).collect::<Vec<_>>())
        };
        let askers = [ask(), ask(), ask(), ask()];
        let mut turns: Vec<u64> =
            askers.into_iter().flat_map(|asker| asker.join().unwrap()).collect();
        turns.sort_unstable();
        let expected: Vec<u64> = (0..4_000).map(|turn| SOME_DAY + turn * 1_000).collect();
        assert_eq!(turns, expected);
    }

    /// What does not hold of a limiter that so many calls have ended with.
    fn wrong(limit: &RateLimit, ended: u64) -> Vec<&'static str> {
        let calls = |_: &str| SharedCalls { least: ended, most: ended, moves: false };
        let lines = limit.read().lines(&calls);
        lines.iter().filter(|line| !line.holds()).map(|line| line.what).collect()
    }

    #[test]
    fn who_passes_too_early_or_too_often_or_uncounted_is_seen() {
        let limit = Arc::new(RateLimit::new(0.01, 2));
        let passer = limit.passer();
        assert_eq!(wrong(&limit, 0), [""; 0]);
        passer.pass(passer.turn(NEVER).unwrap());
        passer.pass(passer.turn(NEVER).unwrap());
        assert_eq!((wrong(&limit, 2), wrong(&limit, 3)), (vec![], vec!["passes"]));
        passer.pass(passer.turn(NEVER).unwrap());
        assert_eq!(wrong(&limit, 3), ["passes before their turn", "most that the rate lets pass"]);
    }
}
