//! The barriers of the executors' worlds.

use std::future::Future;

/// Where so many tasks wait until all of them have come.
pub trait Barrier: Send + Sync + 'static {
    /// What it is called.
    const NAME: &'static str;
    /// How those who wait are let go, in words for the fairness manifest.
    const TURNS: &'static str;

    /// For so many at a time, at least 1.
    fn new(parties: usize) -> Self;

    /// Waits until all have come; whether this one was the last. Of those who wait and are given up
    /// each has come all the same.
    fn wait(&self) -> impl Future<Output = bool> + Send;
}

impl Barrier for tokio::sync::Barrier {
    const NAME: &'static str = "the barrier of tokio";
    const TURNS: &'static str = "the last one goes on, and wakes all others at once";

    fn new(parties: usize) -> Self {
        Self::new(parties)
    }

    async fn wait(&self) -> bool {
        tokio::sync::Barrier::wait(self).await.is_leader()
    }
}

/// That of smol. async-std gives out the same, to those who ask for what is unstable.
impl Barrier for async_lock::Barrier {
    const NAME: &'static str = "the barrier of async-lock";
    const TURNS: &'static str = "the last one goes on, and wakes all others at once";

    fn new(parties: usize) -> Self {
        Self::new(parties)
    }

    async fn wait(&self) -> bool {
        async_lock::Barrier::wait(self).await.is_leader()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, Coordination, testing::Waiter};

    type BlockingBarrier = <Blocking as Coordination>::Barrier;

    fn check<B: Barrier>() {
        let barrier = B::new(3);
        for _ in 0..3 {
            let mut waiters = [0; 3].map(|_| Waiter::of(barrier.wait()));
            assert_eq!([waiters[0].asks(), waiters[1].asks()], [None, None], "{}", B::NAME);
            assert_eq!(waiters[0].asks(), None, "asking again is no arrival: {}", B::NAME);
            assert_eq!(waiters[2].asks(), Some(true), "{}", B::NAME);
            assert_eq!([waiters[1].asks(), waiters[0].asks()], [Some(false); 2], "{}", B::NAME);
        }
        assert_eq!(Waiter::of(B::new(1).wait()).asks(), Some(true), "{}", B::NAME);
    }

    #[test]
    fn all_go_on_when_the_last_one_has_come() {
        check::<tokio::sync::Barrier>();
        check::<async_lock::Barrier>();
        check::<BlockingBarrier>();
    }

    /// Which is why no step that arrives may have a time limit.
    fn counts_who_is_given_up<B: Barrier>() -> bool {
        let barrier = B::new(2);
        assert_eq!(Waiter::of(barrier.wait()).asks(), None);
        Waiter::of(barrier.wait()).asks().is_some()
    }

    #[test]
    fn who_is_given_up_has_come_in_all_of_them() {
        assert!(counts_who_is_given_up::<tokio::sync::Barrier>());
        assert!(counts_who_is_given_up::<async_lock::Barrier>());
        assert!(counts_who_is_given_up::<BlockingBarrier>());
    }
}
