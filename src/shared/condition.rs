//! `condition`: tickets under a mutex, and tasks that wait until there is one.
//!
//! Each side counts what it has done. In the end as many tickets were supplied as were taken or are
//! left, and where some are left nobody waits for one: no wake-up was lost.

use std::sync::{Arc, atomic::AtomicU64};

use serde::{Deserialize, Serialize};

use super::{
    cells::{OwnedCell, UserCells, bump},
    spec::{Made, ObjectLine, SharedAccount, SharedCalls, SharedCounts, SharedKind},
};
use crate::{
    config::Fields,
    runtime::{Condition as _, Coordination, Waking},
};

/// A condition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedCondition {}

impl SharedKind for SharedCondition {
    const KEY: &'static str = "condition";
    const DOC: &'static str =
        "A condition: tasks wait until there is a ticket, and take it; others supply tickets.";

    fn read(_: &mut Fields<'_>) -> Option<Self> {
        Some(Self {})
    }

    fn make<N: Coordination>(&self) -> Made {
        Made::new(ConditionOf::<N> { condition: N::Condition::new(), cells: UserCells::default() })
    }

    fn facts<N: Coordination>(&self) -> [String; 2] {
        [N::Condition::NAME, N::Condition::TURNS].map(str::to_owned)
    }
}

/// A condition, made of an executor's primitives.
pub struct ConditionOf<N: Coordination> {
    condition: N::Condition,
    cells: UserCells<TicketTally>,
}

/// What one user has done.
#[derive(Default)]
struct TicketTally {
    /// Calls that supplied some.
    supplies: AtomicU64,
    /// Tickets that it has supplied.
    supplied: AtomicU64,
    /// Waits that it has begun.
    waits: AtomicU64,
    /// Of these: it has got a ticket.
    taken: AtomicU64,
    /// Of these: it was given up.
    given_up: AtomicU64,
}

impl<N: Coordination> ConditionOf<N> {
    /// For a step that supplies tickets or takes them.
    pub fn ticketer(self: &Arc<Self>) -> Ticketer<N> {
        Ticketer { count: self.cells.own(), condition: self.clone() }
    }
}

/// Supplies tickets and takes them.
pub struct Ticketer<N: Coordination> {
    condition: Arc<ConditionOf<N>>,
    count: OwnedCell<TicketTally>,
}

/// Somebody who has begun to wait.
struct TicketWait<'a> {
    count: &'a TicketTally,
    has_one: bool,
}

impl<N: Coordination> Ticketer<N> {
    /// Adds so many tickets, and wakes some of those who wait.
    pub fn supply(&self, tickets: u64, waking: Waking) {
        self.condition.condition.supply(tickets, waking);
        bump(&self.count.supplies, 1);
        bump(&self.count.supplied, tickets);
    }

    /// Waits until there is a ticket, and takes it.
    pub async fn take(&self) {
        bump(&self.count.waits, 1);
        let mut waiting = TicketWait { count: &self.count, has_one: false };
        self.condition.condition.take().await;
        waiting.has_one = true;
        bump(&self.count.taken, 1);
    }
}

impl Drop for TicketWait<'_> {
    fn drop(&mut self) {
        bump(&self.count.given_up, u64::from(!self.has_one));
    }
}

impl<N: Coordination> SharedAccount for ConditionOf<N> {
    fn read(&self) -> Box<dyn SharedCounts> {
        let sum = |counter: fn(&TicketTally) -> &AtomicU64| self.cells.sum(counter);
        Box::new(TicketSums {
            supplies: sum(|count| &count.supplies),
            supplied: sum(|count| &count.supplied),
            waits: sum(|count| &count.waits),
            taken: sum(|count| &count.taken),
            given_up: sum(|count| &count.given_up),
            left: self.condition.left(),
            in_vain: self.condition.in_vain(),
        })
    }
}

struct TicketSums {
    supplies: u64,
    supplied: u64,
    waits: u64,
    taken: u64,
    given_up: u64,
    left: u64,
    in_vain: u64,
}

impl SharedCounts for TicketSums {
    fn lines(&self, calls: &dyn Fn(&str) -> SharedCalls) -> Vec<ObjectLine> {
        let (of_supplies, of_takes) = (calls("supply"), calls("await"));
        let any = (0, u64::MAX);
        let mut lines = vec![
            ObjectLine::of_calls("how often tickets were supplied", of_supplies, 0, self.supplies),
            ObjectLine::of_calls("waits that began", of_takes, self.given_up, self.waits),
            ObjectLine::of_calls("tickets taken", of_takes, 0, self.taken),
            ObjectLine { what: "who was woken in vain", expected: any, found: self.in_vain },
        ];
        // Who is on its way is on neither side.
        if !of_supplies.moves && !of_takes.moves {
            let out = self.taken + self.left;
            lines.push(ObjectLine::equal("tickets taken and left", self.supplied, out));
            if self.left > 0 {
                let waiting = self.waits.saturating_sub(self.taken + self.given_up);
                lines.push(ObjectLine::equal("who waits though there is a ticket", 0, waiting));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, testing::Waiter};

    fn condition() -> Arc<ConditionOf<Blocking>> {
        SharedCondition {}.make::<Blocking>().object.downcast().ok().unwrap()
    }

    /// What does not hold of a condition on which so many calls have supplied and taken.
    fn wrong(condition: &ConditionOf<Blocking>, supplies: u64, takes: u64) -> Vec<&'static str> {
        let calls = |key: &str| {
            let count = if key == "supply" { supplies } else { takes };
            SharedCalls { least: count, most: count, moves: false }
        };
        let lines = condition.read().lines(&calls);
        lines.iter().filter(|line| !line.holds()).map(|line| line.what).collect()
    }

    #[test]
    fn tickets_are_counted_also_of_who_is_given_up() {
        let condition = condition();
        let (supplier, taker) = (condition.ticketer(), condition.ticketer());
        let takes = || Waiter::of(taker.take()).asks().is_some();
        assert!(!takes());
        supplier.supply(3, Waking::One);
        assert!(takes() && takes());
        assert_eq!(wrong(&condition, 1, 2), [""; 0]);
        assert_eq!(
            wrong(&condition, 2, 3),
            ["how often tickets were supplied", "waits that began", "tickets taken"]
        );
    }

    #[test]
    fn a_ticket_that_is_lost_or_taken_twice_is_seen() {
        let condition = condition();
        let supplier = condition.ticketer();
        supplier.supply(2, Waking::All);
        assert!(Waiter::of(condition.condition.take()).asks().is_some());
        assert_eq!(wrong(&condition, 1, 0), ["tickets taken and left"]);
        condition.condition.supply(2, Waking::All);
        assert_eq!(wrong(&condition, 1, 0), ["tickets taken and left"]);
    }

    #[test]
    fn who_waits_though_there_is_a_ticket_is_seen() {
        let condition = condition();
        let (supplier, taker) = (condition.ticketer(), condition.ticketer());
        let mut waiting = Waiter::of(taker.take());
        assert!(waiting.asks().is_none());
        supplier.supply(1, Waking::One);
        // It has not been looked at since, as if it had not been woken.
        let wrong = wrong(&condition, 1, 1);
        assert!(wrong.contains(&"who waits though there is a ticket"), "{wrong:?}");
        assert!(waiting.asks().is_some());
    }
}
