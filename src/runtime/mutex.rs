//! The mutexes of the executors' worlds.

use std::future::Future;

/// Lets one task in at a time, and guards a number.
pub trait Mutex: Send + Sync + 'static {
    /// What it is called.
    const NAME: &'static str;
    /// Who is let in when it is given back, in words for the fairness manifest.
    const TURNS: &'static str;
    /// What the task holds that was let in. Dropping it lets the next one in.
    type Guard<'a>: Guarded
    where
        Self: 'a;

    /// One that is free, and guards 0.
    fn new() -> Self;

    /// Waits until it is free, and takes it. A wait that is given up takes nothing.
    fn lock(&self) -> impl Future<Output = Self::Guard<'_>> + Send;
}

/// Access to what a mutex guards: read and write are two steps, as in code that is only right
/// because nobody else is in.
pub trait Guarded: Send {
    /// The number.
    fn get(&self) -> u64;

    /// Another number.
    fn set(&mut self, value: u64);
}

/// It is given back to who has waited longest.
impl Mutex for tokio::sync::Mutex<u64> {
    const NAME: &'static str = "the mutex of tokio";
    const TURNS: &'static str = "first come, first served";
    type Guard<'a> = tokio::sync::MutexGuard<'a, u64>;

    fn new() -> Self {
        Self::new(0)
    }

    fn lock(&self) -> impl Future<Output = Self::Guard<'_>> + Send {
        tokio::sync::Mutex::lock(self)
    }
}

impl Guarded for tokio::sync::MutexGuard<'_, u64> {
    fn get(&self) -> u64 {
        **self
    }

    fn set(&mut self, value: u64) {
        **self = value;
    }
}

/// That of smol, and of async-std, whose own is of the same crate.
impl Mutex for async_lock::Mutex<u64> {
    const NAME: &'static str = "the mutex of async-lock";
    const TURNS: &'static str =
        "who asks first when it is free, until somebody has waited for 0.5 ms; then in turn";
    type Guard<'a> = async_lock::MutexGuard<'a, u64>;

    fn new() -> Self {
        Self::new(0)
    }

    async fn lock(&self) -> Self::Guard<'_> {
        async_lock::Mutex::lock(self).await
    }
}

impl Guarded for async_lock::MutexGuard<'_, u64> {
    fn get(&self) -> u64 {
        **self
    }

    fn set(&mut self, value: u64) {
        **self = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::testing::Waiter;

    /// Whether somebody who has not waited at all is let in before the one who was woken.
    fn is_overtaken<M: Mutex>() -> bool {
        let mutex = M::new();
        let holder = Waiter::of(mutex.lock()).asks().expect("it is free");
        let mut first = Waiter::of(mutex.lock());
        assert!(first.asks().is_none());
        drop(holder);
        assert!(first.is_woken());
        let late = Waiter::of(mutex.lock()).asks();
        assert_eq!(late.is_some(), first.asks().is_none(), "one of the two");
        late.is_some()
    }

    #[test]
    fn turns_are_what_the_manifest_says() {
        assert!(!is_overtaken::<tokio::sync::Mutex<u64>>());
        assert!(is_overtaken::<async_lock::Mutex<u64>>());
    }

    #[test]
    fn a_wait_that_is_given_up_takes_nothing() {
        fn check<M: Mutex>() {
            let mutex = M::new();
            let mut holder = Waiter::of(mutex.lock()).asks().expect("it is free");
            holder.set(7);
            let mut waiter = Waiter::of(mutex.lock());
            assert!(waiter.asks().is_none());
            drop(holder);
            drop(waiter);
            assert_eq!(
                Waiter::of(mutex.lock()).asks().map(|held| held.get()),
                Some(7),
                "{}",
                M::NAME
            );
        }
        check::<tokio::sync::Mutex<u64>>();
        check::<async_lock::Mutex<u64>>();
        check::<<crate::runtime::Blocking as crate::runtime::Coordination>::Mutex>();
    }
}
