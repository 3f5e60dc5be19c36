//! The account of the connections that steps have to a server of the user's own, and of the faults
//! that the scenario allows.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
};

use crate::{
    client::{Fault, FaultKind},
    measure::Unanswered,
};

/// What a target's counts call the requests that were sent again and may have been served before.
pub const REPEATED: &str = "requests sent again";
/// And the connections of a pool that were closed because they were idle for too long.
const EXPIRED: &str = "connections closed after being idle";

/// What is counted. Clones count into the same account.
#[derive(Debug, Clone, Default)]
pub struct Connections(Arc<ConnectionCounters>);

#[derive(Debug, Default)]
struct ConnectionCounters {
    opened: AtomicU64,
    closed: AtomicU64,
    /// Most that were open at once.
    most: AtomicU64,
    /// Of those that were opened: by a call, in place of one that had ended.
    reopened: AtomicU64,
    /// Of those that were closed: because they were idle for too long.
    expired: AtomicU64,
    /// Requests that were sent again, of which something was sent before.
    repeated: AtomicU64,
    /// Attempts to connect that were given up: the server may have seen them.
    abandoned: AtomicU64,
    /// Attempts that have come to no end, and may never: an executor that has stopped keeps them as
    /// they were.
    pending: AtomicU64,
    faults: [AtomicU64; FaultKind::ALL.len()],
}

/// An open connection of a step; dropping it counts it as closed.
#[derive(Debug)]
pub struct Opened(Arc<ConnectionCounters>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Release);
    }
}

/// An attempt to connect. One that is dropped was given up.
#[derive(Debug)]
pub struct Attempt<'a> {
    connections: &'a Connections,
    settled: bool,
}

impl Attempt<'_> {
    /// It is open.
    pub fn succeeded(mut self) -> Opened {
        self.settled = true;
        self.connections.open()
    }

    /// There is no connection.
    pub fn failed(mut self) {
        self.settled = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.connections.0.pending.fetch_sub(1, Relaxed);
        if !self.settled {
            self.connections.0.abandoned.fetch_add(1, Relaxed);
        }
    }
}

impl Connections {
    /// An attempt begins.
    pub fn attempt(&self) -> Attempt<'_> {
        self.0.pending.fetch_add(1, Relaxed);
        Attempt { connections: self, settled: false }
    }

    /// Counts that a call opens a connection which should have been there: the one before it has
    /// ended.
    pub fn reopen(&self) {
        self.0.reopened.fetch_add(1, Relaxed);
    }

    /// Counts that a connection is closed because it was idle for too long.
    pub fn expire(&self) {
        self.0.expired.fetch_add(1, Relaxed);
    }

    /// Counts that a request is sent again of which something was sent before, and which may have
    /// been served.
    pub fn repeat(&self) {
        self.0.repeated.fetch_add(1, Relaxed);
    }

    /// How many were opened so far.
    pub fn opened(&self) -> u64 {
        self.0.opened.load(Relaxed)
    }

    /// Of those that were opened, how many took the place of one that had ended.
    pub fn reopened(&self) -> u64 {
        self.0.reopened.load(Relaxed)
    }

    /// How many a server may have seen, at least and at most.
    pub(super) fn seen_by_server(&self) -> (u64, u64) {
        let opened = self.opened();
        (opened, opened + self.0.abandoned.load(Relaxed) + self.pending())
    }

    /// Attempts to connect that are under way.
    pub(super) fn pending(&self) -> u64 {
        self.0.pending.load(Relaxed)
    }

    /// Counts a connection that is opened.
    pub fn open(&self) -> Opened {
        // Whoever has closed one before another one took its place is seen to have done so: by the
        // order of these additions, and of whatever they have waited on.
        let opened = self.0.opened.fetch_add(1, AcqRel) + 1;
        let open = opened.saturating_sub(self.0.closed.load(Acquire));
        self.0.most.fetch_max(open, Relaxed);
        Opened(self.0.clone())
    }

    /// Counts connections that a racer in a process of its own has opened, some of them in place of
    /// others, and closed when it ended.
    pub fn told(&self, opened: u64, reopened: u64) {
        self.0.opened.fetch_add(opened, Relaxed);
        self.0.reopened.fetch_add(reopened, Relaxed);
        self.0.closed.fetch_add(opened, Relaxed);
    }

    /// Counts a fault that the scenario allows.
    pub fn count(&self, fault: &Fault) {
        self.count_kind(fault.kind);
    }

    /// The same of a fault that has no words.
    pub fn count_kind(&self, kind: FaultKind) {
        self.0.faults[kind as usize].fetch_add(1, Relaxed);
    }

    /// The faults so far: of calls that had no connection, and of those whose connection gave no
    /// answer.
    pub fn unanswered(&self) -> Unanswered {
        let sum = |unconnected: bool| {
            let counted = FaultKind::ALL.iter().zip(&self.0.faults);
            let of_kind = counted.filter(|(kind, _)| kind.is_unconnected() == unconnected);
            of_kind.map(|(_, count)| count.load(Relaxed)).sum::<u64>()
        };
        Unanswered { unconnected: sum(true), lost: sum(false) }
    }

    /// The most that were open at once.
    pub(super) fn most(&self) -> u64 {
        self.0.most.load(Relaxed)
    }

    /// How many are open.
    pub fn still_open(&self) -> u64 {
        self.0.opened.load(Relaxed).saturating_sub(self.0.closed.load(Relaxed))
    }

    /// The faults by name; those that there were none of are left out.
    pub fn faults(&self) -> BTreeMap<String, u64> {
        let faults = FaultKind::ALL.iter().zip(&self.0.faults);
        let named =
            faults.map(|(kind, count)| (format!("errors: {}", kind.name()), count.load(Relaxed)));
        named.filter(|(_, count)| *count > 0).collect()
    }

    /// All of it, for a report.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = self.faults();
        counts.insert("connections opened".into(), self.opened());
        counts.insert("connections reopened".into(), self.reopened());
        let rare = [(REPEATED, &self.0.repeated), (EXPIRED, &self.0.expired)];
        let rare = rare.map(|(name, count)| (name.to_owned(), count.load(Relaxed)));
        counts.extend(rare.into_iter().filter(|(_, count)| *count > 0));
        counts.insert("connections closed".into(), self.0.closed.load(Relaxed));
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_is_given_up_may_have_been_seen() {
        let connections = Connections::default();
        drop(connections.attempt().succeeded());
        connections.attempt().failed();
        drop(connections.attempt());
        assert_eq!(connections.seen_by_server(), (1, 2));
    }

    #[test]
    fn what_is_opened_is_open_until_it_is_dropped() {
        let connections = Connections::default();
        let (first, second) = (connections.open(), connections.clone().open());
        drop(first);
        assert_eq!(connections.still_open(), 1);
        drop(second);
        connections.count(&Fault::new(FaultKind::Deadlock, ""));
        connections.reopen();
        connections.repeat();
        let expected = [
            ("connections closed", 2),
            ("connections opened", 2),
            ("connections reopened", 1),
            ("errors: deadlock", 1),
            (REPEATED, 1),
        ];
        assert_eq!(
            connections.counts(),
            expected.map(|(name, count)| (name.to_owned(), count)).into()
        );
    }
}
