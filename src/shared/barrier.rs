//! `barrier`: where so many tasks wait until all of them have come.
//!
//! Two words stand beside it. Who comes adds one to the first before it waits, and who goes on adds
//! one to the second. Those who go on are let go by meetings of all parties: before the first of a
//! meeting goes on, as many must have come as all meetings need until then.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Relaxed},
        },
    },
};

use serde::{Deserialize, Serialize};

use super::{
    cells::{OwnedCell, UserCells, bump},
    spec::{Made, ObjectLine, SharedAccount, SharedCalls, SharedCounts, SharedKind},
};
use crate::{
    config::Fields,
    runtime::{Barrier as _, Coordination},
};

/// More tasks than this do not run at once.
const MOST_PARTIES: usize = 1 << 20;

/// A barrier.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedBarrier {
    parties: NonZeroUsize,
}

impl SharedBarrier {
    /// How many must come, so that all go on.
    pub fn parties(&self) -> u64 {
        self.parties.get() as u64
    }
}

impl SharedKind for SharedBarrier {
    const KEY: &'static str = "barrier";
    const DOC: &'static str = "A barrier: so many tasks wait until all of them have come.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let parties: Option<NonZeroUsize> =
            fields.required("parties", "Tasks that wait for each other; 1 048 576 at most.");
        if parties.is_some_and(|parties| parties.get() > MOST_PARTIES) {
            fields.reject("parties", format!("expected at most {MOST_PARTIES} parties"), None);
        }
        Some(Self { parties: parties? })
    }

    fn make<N: Coordination>(&self) -> Made {
        Made::new(BarrierOf::<N> {
            barrier: N::Barrier::new(self.parties.get()),
            parties: self.parties(),
            arrived: AtomicU64::new(0),
            left: AtomicU64::new(0),
            cells: UserCells::default(),
        })
    }

    fn facts<N: Coordination>(&self) -> [String; 2] {
        [N::Barrier::NAME, N::Barrier::TURNS].map(str::to_owned)
    }
}

/// A barrier, made of an executor's primitives.
pub struct BarrierOf<N: Coordination> {
    barrier: N::Barrier,
    parties: u64,
    /// Who has come, before it waits.
    arrived: AtomicU64,
    /// Who has gone on.
    left: AtomicU64,
    cells: UserCells<MeetingCount>,
}

/// What one user has seen.
#[derive(Default)]
struct MeetingCount {
    /// It was the last one to come.
    meetings: AtomicU64,
    /// It went on before all had come.
    early: AtomicU64,
    /// It was given up while it waited.
    given_up: AtomicU64,
}

impl<N: Coordination> BarrierOf<N> {
    /// For a step that comes there.
    pub fn party(self: &Arc<Self>) -> Party<N> {
        Party { count: self.cells.own(), barrier: self.clone() }
    }

    /// Goes on; whether fewer have come than are needed for that.
    fn leaves_early(&self) -> bool {
        // Sees all that those saw who have gone on before: who has come for their meetings, too.
        let before = self.left.fetch_add(1, AcqRel);
        let needed = (before / self.parties + 1) * self.parties;
        self.arrived.load(Relaxed) < needed
    }
}

/// Comes to a barrier, as often as it likes.
pub struct Party<N: Coordination> {
    barrier: Arc<BarrierOf<N>>,
    count: OwnedCell<MeetingCount>,
}

/// Somebody who has come and waits.
struct PartyWait<'a, N: Coordination> {
    of: &'a Party<N>,
    goes_on: bool,
}

impl<N: Coordination> Party<N> {
    /// Waits until all have come.
    pub async fn arrive(&self) {
        self.barrier.arrived.fetch_add(1, Relaxed);
        let mut arrival = PartyWait { of: self, goes_on: false };
        let is_last = self.barrier.barrier.wait().await;
        arrival.goes_on = true;
        bump(&self.count.early, u64::from(self.barrier.leaves_early()));
        bump(&self.count.meetings, u64::from(is_last));
    }
}

impl<N: Coordination> Drop for PartyWait<'_, N> {
    fn drop(&mut self) {
        bump(&self.of.count.given_up, u64::from(!self.goes_on));
    }
}

impl<N: Coordination> SharedAccount for BarrierOf<N> {
    fn read(&self) -> Box<dyn SharedCounts> {
        let sum = |counter: fn(&MeetingCount) -> &AtomicU64| self.cells.sum(counter);
        Box::new(BarrierCounts {
            parties: self.parties,
            arrived: self.arrived.load(Relaxed),
            left: self.left.load(Relaxed),
            meetings: sum(|count| &count.meetings),
            early: sum(|count| &count.early),
            given_up: sum(|count| &count.given_up),
        })
    }
}

struct BarrierCounts {
    parties: u64,
    arrived: u64,
    left: u64,
    meetings: u64,
    early: u64,
    given_up: u64,
}

impl SharedCounts for BarrierCounts {
    fn lines(&self, calls: &dyn Fn(&str) -> SharedCalls) -> Vec<ObjectLine> {
        let calls = calls("arrive");
        let mut lines = vec![
            ObjectLine::of_calls("arrivals", calls, self.given_up, self.arrived),
            ObjectLine::of_calls("who went on", calls, 0, self.left),
            ObjectLine::equal("who went on before all had come", 0, self.early),
        ];
        // Who is on its way is on neither side, and who was given up has come and may be the last.
        let rests = !calls.moves && calls.least == calls.most && self.given_up == 0;
        if rests {
            let met = self.meetings * self.parties;
            lines.push(ObjectLine::equal("parties of all meetings", met, self.arrived));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, testing::Waiter};

    /// A barrier that waits for so many, whatever it is asked for.
    struct WaitsFor<const PARTIES: usize>(<Blocking as Coordination>::Barrier);

    impl<const PARTIES: usize> crate::runtime::Barrier for WaitsFor<PARTIES> {
        const NAME: &'static str = "a barrier for another number";
        const TURNS: &'static str = "all at once";

        fn new(_: usize) -> Self {
            Self(crate::runtime::Barrier::new(PARTIES))
        }

        fn wait(&self) -> impl Future<Output = bool> + Send {
            self.0.wait()
        }
    }

    struct Faulty<const PARTIES: usize>;

    impl<const PARTIES: usize> Coordination for Faulty<PARTIES> {
        type Semaphore = <Blocking as Coordination>::Semaphore;
        type Mutex = <Blocking as Coordination>::Mutex;
        type RwLock = <Blocking as Coordination>::RwLock;
        type Barrier = WaitsFor<PARTIES>;
        type Event = <Blocking as Coordination>::Event;
        type Condition = <Blocking as Coordination>::Condition;
        type Channel = <Blocking as Coordination>::Channel;
    }

    fn barrier<N: Coordination>() -> Arc<BarrierOf<N>> {
        let spec = SharedBarrier { parties: NonZeroUsize::new(4).unwrap() };
        spec.make::<N>().object.downcast().ok().unwrap()
    }

    /// What does not hold of a barrier that so many calls have ended with.
    fn wrong<N: Coordination>(barrier: &BarrierOf<N>, ended: u64) -> Vec<&'static str> {
        let calls = |_: &str| SharedCalls { least: ended, most: ended, moves: false };
        let lines = barrier.read().lines(&calls);
        lines.iter().filter(|line| !line.holds()).map(|line| line.what).collect()
    }

    /// Twelve parties come one after another, and go on as soon as they may.
    fn twelve<N: Coordination>() -> (u64, Vec<&'static str>) {
        let barrier = barrier::<N>();
        let parties: Vec<Party<N>> = (0..12).map(|_| barrier.party()).collect();
        let mut waiting: Vec<Waiter<'_, ()>> = Vec::new();
        for party in &parties {
            waiting.push(Waiter::of(party.arrive()));
            waiting.retain_mut(|waiter| waiter.asks().is_none());
        }
        waiting.retain_mut(|waiter| waiter.asks().is_none());
        let left = barrier.left.load(Relaxed);
        (left, wrong(&barrier, left))
    }

    #[test]
    fn who_comes_and_goes_on_is_counted() {
        assert_eq!(twelve::<Blocking>(), (12, vec![]));
    }

    #[test]
    fn a_barrier_that_waits_for_fewer_is_seen() {
        let (left, wrong) = twelve::<Faulty<3>>();
        assert_eq!(left, 12);
        // There are four meetings of three, and not three of four.
        assert_eq!(wrong, ["who went on before all had come", "parties of all meetings"]);
        assert_eq!(twelve::<Faulty<1>>().1, wrong);
    }

    #[test]
    fn a_barrier_that_waits_for_more_is_seen() {
        let (left, wrong) = twelve::<Faulty<6>>();
        // Six go on at a time, though those who came are not enough for two meetings of four.
        let both = vec!["who went on before all had come", "parties of all meetings"];
        assert_eq!((left, wrong), (12, both));
    }

    #[test]
    fn who_is_given_up_has_come() {
        let barrier = barrier::<Blocking>();
        let party = barrier.party();
        assert!(Waiter::of(party.arrive()).asks().is_none());
        assert_eq!(wrong(&barrier, 0), [""; 0]);
        assert_eq!(wrong(&barrier, 1), ["arrivals", "who went on"]);
    }
}
