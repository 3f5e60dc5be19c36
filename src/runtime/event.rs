//! The events of the executors' worlds: what tasks wait for until somebody says that it has
//! happened.

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use tokio::sync::Notify;

/// Something that tasks wait for until it is set.
pub trait EventFlag: Send + Sync + 'static {
    /// What it is called.
    const NAME: &'static str;
    /// How those who wait are let go, in words for the fairness manifest.
    const TURNS: &'static str;

    /// One that is not set.
    fn new() -> Self;

    /// Sets it: all who wait go on, and so does whoever comes later.
    fn set(&self);

    /// Whoever comes from now on waits again. Those who waited when it was set go on all the same.
    fn clear(&self);

    /// Waits until it is set. A wait that is given up has changed nothing.
    fn wait(&self) -> impl Future<Output = ()> + Send;
}

/// tokio has none of its own. Its users put a flag beside a `Notify`, as its documentation shows.
#[derive(Default)]
pub struct TokioEvent {
    is_set: AtomicBool,
    notify: Notify,
}

impl EventFlag for TokioEvent {
    const NAME: &'static str = "a flag beside the Notify of tokio";
    const TURNS: &'static str = "all at once, 32 at a time, in the order in which they came";

    fn new() -> Self {
        Self::default()
    }

    fn set(&self) {
        self.is_set.store(true, SeqCst);
        self.notify.notify_waiters();
    }

    fn clear(&self) {
        self.is_set.store(false, SeqCst);
    }

    async fn wait(&self) {
        // It is told of all that is set from here on, whether it was polled or not.
        let told = self.notify.notified();
        if !self.is_set.load(SeqCst) {
            told.await;
        }
    }
}

/// smol and async-std have none of their own. Their users take the crate event-listener, on which
/// all locks of both are built, and put a flag beside its list of waiters, as its documentation
/// shows.
#[derive(Default)]
pub struct ListenerEvent {
    is_set: AtomicBool,
    list: event_listener::Event,
}

impl EventFlag for ListenerEvent {
    const NAME: &'static str = "a flag beside the Event of event-listener";
    const TURNS: &'static str = "all at once, in the order in which they came";

    fn new() -> Self {
        Self::default()
    }

    fn set(&self) {
        self.is_set.store(true, SeqCst);
        self.list.notify(usize::MAX);
    }

    fn clear(&self) {
        self.is_set.store(false, SeqCst);
    }

    async fn wait(&self) {
        if self.is_set.load(SeqCst) {
            return;
        }
        event_listener::listener!(self.list => told);
        // It may have been set before the list was joined.
        if !self.is_set.load(SeqCst) {
            told.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, Coordination, testing::Waiter};

    type BlockingEvent = <Blocking as Coordination>::Event;

    fn goes_on<E: EventFlag>(event: &E) -> bool {
        Waiter::of(event.wait()).asks().is_some()
    }

    fn check<E: EventFlag>() {
        let event = E::new();
        for _ in 0..3 {
            let mut waiters = [0; 40].map(|_| Waiter::of(event.wait()));
            assert!(waiters.iter_mut().all(|waiter| waiter.asks().is_none()), "{}", E::NAME);
            event.set();
            assert!(goes_on(&event), "whoever comes later: {}", E::NAME);
            event.clear();
            assert!(!goes_on(&event), "{}", E::NAME);
            let all = waiters.iter_mut().all(|waiter| waiter.asks().is_some());
            assert!(all, "those who waited go on though it was cleared: {}", E::NAME);
        }
    }

    #[test]
    fn all_who_wait_go_on_when_it_is_set_and_whoever_comes_until_it_is_cleared() {
        check::<TokioEvent>();
        check::<ListenerEvent>();
        check::<BlockingEvent>();
    }

    /// Whether all of those who wait are woken at once.
    fn wakes_all<E: EventFlag>() -> bool {
        let event = E::new();
        let mut waiters = [0; 40].map(|_| Waiter::of(event.wait()));
        assert!(waiters.iter_mut().all(|waiter| waiter.asks().is_none()));
        event.set();
        waiters.iter().all(Waiter::is_woken)
    }

    #[test]
    fn all_are_woken_at_once() {
        assert!(wakes_all::<TokioEvent>());
        assert!(wakes_all::<ListenerEvent>());
    }

    #[test]
    fn who_is_given_up_holds_up_nobody() {
        fn check<E: EventFlag>() {
            let event = E::new();
            let mut gone = Waiter::of(event.wait());
            let mut stays = Waiter::of(event.wait());
            assert!(gone.asks().is_none() && stays.asks().is_none());
            drop(gone);
            event.set();
            assert!(stays.asks().is_some(), "{}", E::NAME);
        }
        check::<TokioEvent>();
        check::<ListenerEvent>();
        check::<BlockingEvent>();
    }
}
