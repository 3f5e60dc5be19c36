//! `semaphore`: lets so many tasks in at once.
//!
//! Beside it stands a word in which whoever was let in counts itself in and out, and from which the
//! most at once are read.

use std::{
    num::NonZeroUsize,
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
use crate::{
    config::Fields,
    runtime::{Coordination, Semaphore as _},
};

/// What every executor's semaphore can count.
const MOST_PERMITS: usize = 1 << 20;

/// A semaphore.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedSemaphore {
    permits: NonZeroUsize,
}

impl SharedKind for SharedSemaphore {
    const KEY: &'static str = "semaphore";
    const DOC: &'static str = "A semaphore: lets so many tasks in at once.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let permits: Option<NonZeroUsize> =
            fields.required("permits", "Tasks that are let in at once; 1 048 576 at most.");
        if permits.is_some_and(|permits| permits.get() > MOST_PERMITS) {
            fields.reject("permits", format!("expected at most {MOST_PERMITS} permits"), None);
        }
        Some(Self { permits: permits? })
    }

    fn make<N: Coordination>(&self) -> Made {
        Made::new(SemaphoreOf::<N> {
            semaphore: N::Semaphore::new(self.permits.get()),
            permits: self.permits.get() as u64,
            inside: AtomicU64::new(0),
            most: AtomicU64::new(0),
            cells: UserCells::default(),
        })
    }

    fn facts<N: Coordination>(&self) -> [String; 2] {
        [N::Semaphore::NAME, N::Semaphore::TURNS].map(str::to_owned)
    }
}

/// A semaphore, made of an executor's primitives.
pub struct SemaphoreOf<N: Coordination> {
    semaphore: N::Semaphore,
    permits: u64,
    inside: AtomicU64,
    most: AtomicU64,
    cells: UserCells<SemaphoreCount>,
}

/// What one user has done.
#[derive(Default)]
struct SemaphoreCount {
    acquired: AtomicU64,
    released: AtomicU64,
    /// Of those that were released: because the task was given up.
    given_up: AtomicU64,
}

impl<N: Coordination> SemaphoreOf<N> {
    /// For a step that shares it with others.
    pub fn sharer(self: &Arc<Self>) -> Sharer<N> {
        Sharer { count: self.cells.own(), semaphore: self.clone() }
    }

    fn count_in(&self) {
        let inside = self.inside.fetch_add(1, Relaxed) + 1;
        if inside > self.most.load(Relaxed) {
            self.most.fetch_max(inside, Relaxed);
        }
    }
}

/// Takes permits, one at a time.
pub struct Sharer<N: Coordination> {
    semaphore: Arc<SemaphoreOf<N>>,
    count: OwnedCell<SemaphoreCount>,
}

impl<N: Coordination> Sharer<N> {
    /// Waits until the task is let in.
    pub async fn acquire(&self) -> Permit<'_, N> {
        self.semaphore.semaphore.acquire().await;
        self.semaphore.count_in();
        bump(&self.count.acquired, 1);
        Permit { of: self, ended: false }
    }
}

/// The right to be in. Dropping it gives it back.
pub struct Permit<'a, N: Coordination> {
    of: &'a Sharer<N>,
    ended: bool,
}

impl<N: Coordination> Permit<'_, N> {
    /// The task goes out by itself, and not because it is given up.
    pub fn ends(&mut self) {
        self.ended = true;
    }

    /// The same, at once.
    #[cfg(test)]
    fn end(mut self) {
        self.ends();
    }
}

impl<N: Coordination> Drop for Permit<'_, N> {
    fn drop(&mut self) {
        let Sharer { semaphore, count } = self.of;
        bump(&count.given_up, u64::from(!self.ended));
        bump(&count.released, 1);
        // First out and then free, or the next one would be counted beside this one.
        semaphore.inside.fetch_sub(1, Relaxed);
        semaphore.semaphore.release();
    }
}

impl<N: Coordination> SharedAccount for SemaphoreOf<N> {
    fn read(&self) -> Box<dyn SharedCounts> {
        let cells = &self.cells;
        Box::new(Permits {
            room: self.permits,
            most: self.most.load(Relaxed),
            inside: self.inside.load(Relaxed),
            acquired: cells.sum(|count| &count.acquired),
            released: cells.sum(|count| &count.released),
            given_up: cells.sum(|count| &count.given_up),
        })
    }
}

struct Permits {
    room: u64,
    most: u64,
    inside: u64,
    acquired: u64,
    released: u64,
    given_up: u64,
}

impl SharedCounts for Permits {
    fn lines(&self, calls: &dyn Fn(&str) -> SharedCalls) -> Vec<ObjectLine> {
        let calls = calls("acquire");
        let out = ObjectLine::of_calls("permits given back", calls, self.given_up, self.released);
        let most = ObjectLine {
            what: "most who were in at once",
            expected: (0, self.room),
            found: self.most,
        };
        let mut lines = vec![out, most];
        // Somebody who goes in or out is on neither side.
        if !calls.moves {
            let accounted = self.released + self.inside;
            lines.push(ObjectLine::equal("permits given back and held", self.acquired, accounted));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, block_on};

    fn semaphore(permits: usize) -> Arc<SemaphoreOf<Blocking>> {
        let spec = SharedSemaphore { permits: NonZeroUsize::new(permits).unwrap() };
        spec.make::<Blocking>().object.downcast().ok().unwrap()
    }

    /// What does not hold of a semaphore that so many calls have ended with.
    fn wrong(semaphore: &SemaphoreOf<Blocking>, ended: u64) -> Vec<&'static str> {
        let calls = |_: &str| SharedCalls { least: ended, most: ended, moves: false };
        let lines = semaphore.read().lines(&calls);
        lines.iter().filter(|line| !line.holds()).map(|line| line.what).collect()
    }

    #[test]
    fn permits_are_counted_in_and_out_also_of_who_is_given_up() {
        let semaphore = semaphore(2);
        let (first, second) = (semaphore.sharer(), semaphore.sharer());
        let (one, other) = (block_on(first.acquire()), block_on(second.acquire()));
        assert_eq!(wrong(&semaphore, 0), [""; 0]);
        one.end();
        drop(other);
        assert_eq!(
            (wrong(&semaphore, 1), wrong(&semaphore, 2)),
            (vec![], vec!["permits given back"])
        );
    }

    #[test]
    fn one_more_than_there_are_permits_is_seen() {
        let semaphore = semaphore(2);
        // Somebody gives back what it did not have.
        semaphore.semaphore.release();
        let sharers = [semaphore.sharer(), semaphore.sharer(), semaphore.sharer()];
        sharers
            .iter()
            .map(|sharer| block_on(sharer.acquire()))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(Permit::end);
        assert_eq!(wrong(&semaphore, 3), ["most who were in at once"]);
    }
}
