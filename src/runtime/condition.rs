//! The conditions of the executors' worlds: a number of tickets under a mutex, and tasks that wait
//! until there is one.

use std::{
    future::Future,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use event_listener::IntoNotification as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// Who is woken when tickets are supplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waking {
    /// One of those who wait for each ticket.
    #[default]
    One,
    /// All who wait.
    All,
}

/// Tickets that tasks wait for until there is one.
pub trait Condition: Send + Sync + 'static {
    /// What it is called.
    const NAME: &'static str;
    /// Who is woken and who gets a ticket, in words for the fairness manifest.
    const TURNS: &'static str;

    /// One without tickets.
    fn new() -> Self;

    /// Adds so many tickets, and wakes some of those who wait.
    fn supply(&self, tickets: u64, waking: Waking);

    /// Waits until there is a ticket, and takes it. A wait that is given up has taken none, and
    /// keeps none from others.
    fn take(&self) -> impl Future<Output = ()> + Send;

    /// How many tickets there are.
    fn left(&self) -> u64;

    /// How often somebody was woken and found none.
    fn in_vain(&self) -> u64;
}

/// Tickets under a mutex of std, and a count of those who were woken in vain.
///
/// The mutex is held for an addition, and nobody waits for anything with it: for that tokio's
/// documentation recommends the one of std, too. With an asynchronous one who is given up while it
/// waits for that would take the wake-up of another with it.
#[derive(Default)]
struct TicketCount {
    tickets: Mutex<u64>,
    in_vain: AtomicU64,
}

impl TicketCount {
    /// Nothing that can panic runs with it locked.
    fn locked(&self) -> MutexGuard<'_, u64> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a ticket if there is one.
    fn take(&self) -> bool {
        let mut tickets = self.locked();
        let is_there = *tickets > 0;
        *tickets -= u64::from(is_there);
        is_there
    }

    /// The same of somebody who was woken.
    fn take_woken(&self) -> bool {
        let taken = self.take();
        if !taken {
            self.in_vain.fetch_add(1, Relaxed);
        }
        taken
    }
}

/// tokio has no condition variable. Its users put a mutex beside a `Notify`.
#[derive(Default)]
pub struct TokioCondition {
    count: TicketCount,
    notify: Notify,
}

impl Condition for TokioCondition {
    const NAME: &'static str = "a mutex of std beside the Notify of tokio";
    const TURNS: &'static str = "who has waited longest is woken; who asks first has the ticket, and who comes too late waits behind all others";

    fn new() -> Self {
        Self::default()
    }

    fn supply(&self, tickets: u64, waking: Waking) {
        *self.count.locked() += tickets;
        match waking {
            Waking::One => (0..tickets).for_each(|_| self.notify.notify_one()),
            Waking::All => self.notify.notify_waiters(),
        }
    }

    async fn take(&self) {
        let mut taken = self.count.take();
        while !taken {
            let mut told = std::pin::pin!(self.notify.notified());
            // First among those who wait and then another look, or a ticket that comes in between
            // would be missed: a `Notify` keeps no more than one wake-up for later.
            told.as_mut().enable();
            if self.count.take() {
                return;
            }
            told.await;
            taken = self.count.take_woken();
        }
    }

    fn left(&self) -> u64 {
        *self.count.locked()
    }

    fn in_vain(&self) -> u64 {
        self.count.in_vain.load(Relaxed)
    }
}

/// smol has no condition variable, and that of async-std is behind its feature `unstable`, and
/// loses the wake-up of who waits with a time-out. Users of both take the crate event-listener.
#[derive(Default)]
pub struct ListenerCondition {
    count: TicketCount,
    list: event_listener::Event,
}

impl Condition for ListenerCondition {
    const NAME: &'static str = "a mutex of std beside the Event of event-listener";
    const TURNS: &'static str = TokioCondition::TURNS;

    fn new() -> Self {
        Self::default()
    }

    fn supply(&self, tickets: u64, waking: Waking) {
        *self.count.locked() += tickets;
        match waking {
            // Not "so many in all": others may be woken already, and have tickets of their own.
            Waking::One => {
                self.list.notify(usize::try_from(tickets).unwrap_or(usize::MAX).additional())
            }
            Waking::All => self.list.notify(usize::MAX),
        };
    }

    async fn take(&self) {
        let mut taken = self.count.take();
        while !taken {
            event_listener::listener!(self.list => told);
            // It may have come before the list was joined.
            if self.count.take() {
                return;
            }
            told.await;
            taken = self.count.take_woken();
        }
    }

    fn left(&self) -> u64 {
        *self.count.locked()
    }

    fn in_vain(&self) -> u64 {
        self.count.in_vain.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, Coordination, testing::Waiter};

    type BlockingCondition = <Blocking as Coordination>::Condition;

    /// Those who have not got a ticket yet.
    fn asks(waiters: &mut Vec<Waiter<'_, ()>>) -> usize {
        waiters.retain_mut(|waiter| waiter.asks().is_none());
        waiters.len()
    }

    fn waiters<C: Condition>(condition: &C, count: usize) -> Vec<Waiter<'_, ()>> {
        let mut waiters: Vec<_> = (0..count).map(|_| Waiter::of(condition.take())).collect();
        assert_eq!(asks(&mut waiters), count, "{}", C::NAME);
        waiters
    }

    fn check<C: Condition>() {
        for waking in [Waking::One, Waking::All] {
            let condition = C::new();
            let mut waiting = waiters(&condition, 5);
            condition.supply(2, waking);
            assert_eq!(asks(&mut waiting), 3, "{}, {waking:?}", C::NAME);
            condition.supply(4, waking);
            assert_eq!(asks(&mut waiting), 0, "{}, {waking:?}", C::NAME);
            assert_eq!(condition.left(), 1);
            assert!(Waiter::of(condition.take()).asks().is_some(), "{}", C::NAME);
            waiters(&condition, 1);
        }
    }

    #[test]
    fn there_are_as_many_as_were_supplied() {
        check::<TokioCondition>();
        check::<ListenerCondition>();
        check::<BlockingCondition>();
    }

    /// How many of five are woken by three tickets.
    fn woken<C: Condition>(waking: Waking) -> usize {
        let condition = C::new();
        let waiting = waiters(&condition, 5);
        condition.supply(2, waking);
        condition.supply(1, waking);
        waiting.iter().filter(|waiter| waiter.is_woken()).count()
    }

    #[test]
    fn each_ticket_wakes_one_or_all() {
        assert_eq!(
            (woken::<TokioCondition>(Waking::One), woken::<TokioCondition>(Waking::All)),
            (3, 5)
        );
        assert_eq!(
            (woken::<ListenerCondition>(Waking::One), woken::<ListenerCondition>(Waking::All)),
            (3, 5)
        );
    }

    /// Somebody who was woken is given up: the next one is woken in its place.
    fn passes_on<C: Condition>() {
        let condition = C::new();
        let mut waiting = waiters(&condition, 2);
        condition.supply(1, Waking::One);
        let first = waiting.iter().position(Waiter::is_woken).expect("one is woken");
        drop(waiting.remove(first));
        assert!(waiting[0].is_woken(), "{}", C::NAME);
        assert_eq!((asks(&mut waiting), condition.left()), (0, 0));
    }

    /// Somebody who has not waited takes the ticket of the one who was woken.
    fn is_overtaken<C: Condition>() {
        let condition = C::new();
        let mut waiting = waiters(&condition, 1);
        condition.supply(1, Waking::One);
        assert!(Waiter::of(condition.take()).asks().is_some());
        assert_eq!((asks(&mut waiting), condition.in_vain()), (1, 1), "{}", C::NAME);
        condition.supply(1, Waking::One);
        assert_eq!((asks(&mut waiting), condition.in_vain()), (0, 1), "{}", C::NAME);
    }

    #[test]
    fn no_wake_up_is_lost_with_who_is_given_up_or_overtaken() {
        passes_on::<TokioCondition>();
        passes_on::<ListenerCondition>();
        is_overtaken::<TokioCondition>();
        is_overtaken::<ListenerCondition>();
    }
}
