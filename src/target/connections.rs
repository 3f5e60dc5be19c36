//! The account of the connections that steps have to a server of the user's own, and of the faults that the scenario
//! allows.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    client::{Fault, FaultKind},
    measure::Unanswered,
};

/// What is counted. Clones count into the same account.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    opened: AtomicU64,
    closed: AtomicU64,
    faults: [AtomicU64; FaultKind::ALL.len()],
}

/// An open connection of a step; dropping it counts it as closed.
#[derive(Debug)]
pub struct Opened(Arc<Counters>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Relaxed);
    }
}

impl Connections {
    /// Counts a connection that is opened.
    pub fn open(&self) -> Opened {
        self.0.opened.fetch_add(1, Relaxed);
        Opened(self.0.clone())
    }

    /// Counts a fault that the scenario allows.
    pub fn count(&self, fault: &Fault) {
        self.count_kind(fault.kind);
    }

    /// The same of a fault that has no words.
    pub fn count_kind(&self, kind: FaultKind) {
        self.0.faults[kind as usize].fetch_add(1, Relaxed);
    }

    /// The faults so far: of calls that had no connection, and of those whose connection gave no answer.
    pub fn unanswered(&self) -> Unanswered {
        let sum = |unconnected: bool| {
            let counted = FaultKind::ALL.iter().zip(&self.0.faults);
            let of_kind = counted.filter(|(kind, _)| kind.is_unconnected() == unconnected);
            of_kind.map(|(_, count)| count.load(Relaxed)).sum::<u64>()
        };
        Unanswered { unconnected: sum(true), lost: sum(false) }
    }

    /// How many are open.
    pub fn still_open(&self) -> u64 {
        self.0.opened.load(Relaxed).saturating_sub(self.0.closed.load(Relaxed))
    }

    /// The faults by name; those that there were none of are left out.
    pub fn faults(&self) -> BTreeMap<String, u64> {
        let faults = FaultKind::ALL.iter().zip(&self.0.faults);
        let named = faults.map(|(kind, count)| (format!("errors: {}", kind.name()), count.load(Relaxed)));
        named.filter(|(_, count)| *count > 0).collect()
    }

    /// All of it, for a report.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = self.faults();
        counts.insert("connections opened".into(), self.0.opened.load(Relaxed));
        counts.insert("connections closed".into(), self.0.closed.load(Relaxed));
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_is_open_until_it_is_dropped() {
        let connections = Connections::default();
        let (first, second) = (connections.open(), connections.clone().open());
        drop(first);
        assert_eq!(connections.still_open(), 1);
        drop(second);
        connections.count(&Fault::new(FaultKind::Deadlock, ""));
        let expected = [("connections closed", 2), ("connections opened", 2), ("errors: deadlock", 1)];
        assert_eq!(connections.counts(), expected.map(|(name, count)| (name.to_owned(), count)).into());
    }
}
