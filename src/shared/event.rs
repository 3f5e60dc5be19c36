//! `event`: something that tasks wait for until it is set.
//!
//! A word stands beside it: whether it may be set, and how often it was. Who sets it writes that
//! before, and who clears it afterwards; so a wait that begins when the word says "not set" must
//! find another one there when it ends. Who waits counts itself before, and when it goes on.

use std::sync::{Arc, atomic::AtomicU64};

use serde::{Deserialize, Serialize};

use super::{
    cells::{OwnedCell, UserCells, bump},
    event_word::EventWord,
    spec::{Made, ObjectLine, SharedAccount, SharedCalls, SharedCounts, SharedKind},
};
use crate::{
    config::Fields,
    runtime::{Coordination, EventFlag as _},
};

/// An event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedEvent {}

impl SharedKind for SharedEvent {
    const KEY: &'static str = "event";
    const DOC: &'static str = "An event: tasks wait until it is set, and then all go on.";

    fn read(_: &mut Fields<'_>) -> Option<Self> {
        Some(Self {})
    }

    fn make<N: Coordination>(&self) -> Made {
        Made::new(EventOf::<N> {
            event: N::Event::new(),
            word: EventWord::default(),
            cells: UserCells::default(),
        })
    }

    fn facts<N: Coordination>(&self) -> [String; 2] {
        [N::Event::NAME, N::Event::TURNS].map(str::to_owned)
    }
}

/// An event, made of an executor's primitives.
pub struct EventOf<N: Coordination> {
    event: N::Event,
    word: EventWord,
    cells: UserCells<EventCount>,
}

/// What one user has done and seen.
#[derive(Default)]
struct EventCount {
    /// Waits that it has begun.
    waits: AtomicU64,
    /// Of these: it went on.
    released: AtomicU64,
    /// Of these: it went on before the event was set.
    early: AtomicU64,
    /// It was given up while it waited.
    given_up: AtomicU64,
    sets: AtomicU64,
    clears: AtomicU64,
}

impl<N: Coordination> EventOf<N> {
    /// For a step that waits.
    pub fn waiter(self: &Arc<Self>) -> EventWaiter<N> {
        EventWaiter { count: self.cells.own(), event: self.clone() }
    }

    /// For a step that sets or clears it.
    pub fn herald(self: &Arc<Self>) -> Herald<N> {
        Herald { count: self.cells.own(), event: self.clone() }
    }
}

/// Sets an event and clears it.
pub struct Herald<N: Coordination> {
    event: Arc<EventOf<N>>,
    count: OwnedCell<EventCount>,
}

impl<N: Coordination> Herald<N> {
    /// Lets all go on who wait, and whoever comes later.
    pub fn set(&self) {
        self.event.word.set(|| self.event.event.set());
        bump(&self.count.sets, 1);
    }

    /// Lets whoever comes later wait.
    pub fn clear(&self) {
        self.event.word.clear(|| self.event.event.clear());
        bump(&self.count.clears, 1);
    }
}

/// Waits for an event, as often as it likes.
pub struct EventWaiter<N: Coordination> {
    event: Arc<EventOf<N>>,
    count: OwnedCell<EventCount>,
}

/// Somebody who has begun to wait.
struct EventWait<'a> {
    count: &'a EventCount,
    goes_on: bool,
}

impl<N: Coordination> EventWaiter<N> {
    /// Waits until it is set.
    pub async fn wait(&self) {
        let before = self.event.word.begin();
        bump(&self.count.waits, 1);
        let mut waiting = EventWait { count: &self.count, goes_on: false };
        self.event.event.wait().await;
        waiting.goes_on = true;
        bump(&self.count.early, u64::from(self.event.word.is_early(before)));
        bump(&self.count.released, 1);
    }
}

impl Drop for EventWait<'_> {
    fn drop(&mut self) {
        bump(&self.count.given_up, u64::from(!self.goes_on));
    }
}

impl<N: Coordination> SharedAccount for EventOf<N> {
    fn read(&self) -> Box<dyn SharedCounts> {
        let sum = |counter: fn(&EventCount) -> &AtomicU64| self.cells.sum(counter);
        Box::new(EventCounts {
            may_be_set: self.word.may_be_set(),
            waits: sum(|count| &count.waits),
            released: sum(|count| &count.released),
            early: sum(|count| &count.early),
            given_up: sum(|count| &count.given_up),
            sets: sum(|count| &count.sets),
            clears: sum(|count| &count.clears),
        })
    }
}

struct EventCounts {
    may_be_set: bool,
    waits: u64,
    released: u64,
    early: u64,
    given_up: u64,
    sets: u64,
    clears: u64,
}

impl SharedCounts for EventCounts {
    fn lines(&self, calls: &dyn Fn(&str) -> SharedCalls) -> Vec<ObjectLine> {
        let (of_waits, of_sets) = (calls("wait"), calls("set"));
        let mut lines = vec![
            ObjectLine::of_calls("waits that began", of_waits, self.given_up, self.waits),
            ObjectLine::of_calls("who went on", of_waits, 0, self.released),
            ObjectLine::equal("who went on before it was set", 0, self.early),
            ObjectLine::of_calls("how often it was set", of_sets, 0, self.sets),
            ObjectLine::of_calls("how often it was cleared", calls("clear"), 0, self.clears),
        ];
        // Who is on its way is on neither side.
        if self.may_be_set && !of_waits.moves && !of_sets.moves {
            let waiting = self.waits.saturating_sub(self.released + self.given_up);
            lines.push(ObjectLine::equal("who waits though it is set", 0, waiting));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, EventFlag, testing::Waiter};

    /// An event for which nobody waits, or of which nobody learns.
    struct FaultyFlag<const LETS_GO: bool>;

    impl<const LETS_GO: bool> EventFlag for FaultyFlag<LETS_GO> {
        const NAME: &'static str = "no event at all";
        const TURNS: &'static str = "none";

        fn new() -> Self {
            Self
        }

        fn set(&self) {}

        fn clear(&self) {}

        async fn wait(&self) {
            if !LETS_GO {
                std::future::pending::<()>().await;
            }
        }
    }

    struct Faulty<const LETS_GO: bool>;

    impl<const LETS_GO: bool> Coordination for Faulty<LETS_GO> {
        type Semaphore = <Blocking as Coordination>::Semaphore;
        type Mutex = <Blocking as Coordination>::Mutex;
        type RwLock = <Blocking as Coordination>::RwLock;
        type Barrier = <Blocking as Coordination>::Barrier;
        type Event = FaultyFlag<LETS_GO>;
        type Condition = <Blocking as Coordination>::Condition;
        type Channel = <Blocking as Coordination>::Channel;
    }

    fn event<N: Coordination>() -> Arc<EventOf<N>> {
        SharedEvent {}.make::<N>().object.downcast().ok().unwrap()
    }

    /// What does not hold of an event for which so many calls have waited, and that was set and
    /// cleared so often.
    fn wrong<N: Coordination>(event: &EventOf<N>, [waits, sets, clears]: [u64; 3]) -> Vec<String> {
        let calls = |key: &str| {
            let count = match key {
                "wait" => waits,
                "set" => sets,
                _ => clears,
            };
            SharedCalls { least: count, most: count, moves: false }
        };
        let lines = event.read().lines(&calls);
        lines.iter().filter(|line| !line.holds()).map(|line| line.what.to_owned()).collect()
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn who_waits_and_goes_on_is_counted_in_every_round() {
        let event = event::<Blocking>();
        let (waiters, herald) = ([event.waiter(), event.waiter()], event.herald());
        for round in 0..3 {
            let mut waiting = waiters.each_ref().map(|waiter| Waiter::of(waiter.wait()));
            assert!(waiting.iter_mut().all(|waiter| waiter.asks().is_none()));
            herald.set();
            assert!(waiting.iter_mut().all(|waiter| waiter.asks().is_some()));
            herald.clear();
            let rounds = round + 1;
            assert_eq!(wrong(&event, [2 * rounds, rounds, rounds]), NONE);
        }
        herald.set();
        herald.set();
        assert!(Waiter::of(waiters[0].wait()).asks().is_some());
        assert_eq!(wrong(&event, [7, 5, 3]), NONE);
        assert_eq!(
            wrong(&event, [8, 4, 4]),
            ["waits that began", "who went on", "how often it was set", "how often it was cleared"]
        );
    }

    #[test]
    fn who_goes_on_before_it_is_set_is_seen() {
        let event = event::<Faulty<true>>();
        let (waiter, herald) = (event.waiter(), event.herald());
        let goes_on = || Waiter::of(waiter.wait()).asks().is_some();
        herald.set();
        assert!(goes_on());
        assert_eq!(wrong(&event, [1, 1, 0]), NONE);
        herald.clear();
        assert!(goes_on());
        assert_eq!(wrong(&event, [2, 1, 1]), ["who went on before it was set"]);
    }

    #[test]
    fn who_waits_though_it_is_set_is_seen() {
        let event = event::<Faulty<false>>();
        let (waiter, herald) = (event.waiter(), event.herald());
        let mut waiting = Waiter::of(waiter.wait());
        assert!(waiting.asks().is_none());
        herald.set();
        assert!(waiting.asks().is_none());
        assert!(wrong(&event, [1, 1, 0]).contains(&"who waits though it is set".to_owned()));
    }

    #[test]
    fn who_is_given_up_is_counted_apart() {
        let event = event::<Blocking>();
        let waiter = event.waiter();
        assert!(Waiter::of(waiter.wait()).asks().is_none());
        event.herald().set();
        assert_eq!(wrong(&event, [0, 1, 0]), NONE);
    }
}
