//! The semaphores of the executors' worlds: what tasks wait on when there are fewer of something
//! than tasks.

use std::future::Future;

/// A number of permits that tasks take and give back.
pub trait Semaphore: Send + Sync + 'static {
    /// What it is called.
    const NAME: &'static str;
    /// Who gets a permit that is given back, in words for the fairness manifest.
    const TURNS: &'static str;

    /// So many permits.
    fn new(permits: usize) -> Self;

    /// Takes a permit, and waits until there is one. A wait that is given up takes none.
    fn acquire(&self) -> impl Future<Output = ()> + Send;

    /// Gives a permit back.
    fn release(&self);
}

/// A permit that is given back belongs to who has waited longest, whoever asks in between.
impl Semaphore for tokio::sync::Semaphore {
    const NAME: &'static str = "the semaphore of tokio";
    const TURNS: &'static str = "first come, first served";

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    async fn acquire(&self) {
        // It is an error only for a semaphore that was closed, which nobody does.
        if let Ok(permit) = tokio::sync::Semaphore::acquire(self).await {
            permit.forget();
        }
    }

    fn release(&self) {
        self.add_permits(1);
    }
}

/// That of smol, and of async-std, whose own locks are those of the same crate. A permit that is
/// given back belongs to nobody: one waiter is woken, and wakes the next one when it has come. Who
/// comes too late waits behind all others.
impl Semaphore for async_lock::Semaphore {
    const NAME: &'static str = "the semaphore of async-lock";
    const TURNS: &'static str =
        "who asks first when one is free; who has waited longest is woken, one after another";

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    async fn acquire(&self) {
        async_lock::Semaphore::acquire(self).await.forget();
    }

    fn release(&self) {
        self.add_permits(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::testing::Waiter;

    /// Whether somebody has a permit now.
    trait Asks {
        fn has_one(&mut self) -> bool;
    }

    impl Asks for Waiter<'_, ()> {
        fn has_one(&mut self) -> bool {
            self.asks().is_some()
        }
    }

    fn waiter(semaphore: &impl Semaphore) -> Waiter<'_, ()> {
        Waiter::of(semaphore.acquire())
    }

    /// Two who wait for two permits, while two others hold them.
    fn contended<S: Semaphore>(check: impl FnOnce(&S, [Waiter<'_, ()>; 2])) {
        let semaphore = S::new(2);
        let mut holders = [waiter(&semaphore), waiter(&semaphore)];
        assert!(holders.iter_mut().all(Asks::has_one));
        let mut waiters = [waiter(&semaphore), waiter(&semaphore)];
        assert!(!waiters.iter_mut().any(Asks::has_one));
        check(&semaphore, waiters);
    }

    #[test]
    fn in_tokio_nobody_overtakes() {
        contended::<tokio::sync::Semaphore>(|semaphore, [mut first, mut second]| {
            semaphore.release();
            assert!(first.is_woken() && !second.is_woken());
            let mut late = waiter(semaphore);
            assert!(!late.has_one() && !second.has_one());
            semaphore.release();
            assert!(second.is_woken(), "each permit wakes somebody");
            assert!(first.has_one() && second.has_one());
        });
    }

    #[test]
    fn in_smol_and_async_std_the_quickest_is_first_and_the_overtaken_one_is_last() {
        contended::<async_lock::Semaphore>(|semaphore, [mut first, mut second]| {
            semaphore.release();
            assert!(first.is_woken() && !second.is_woken());
            assert!(waiter(semaphore).has_one(), "somebody who has not waited at all");
            assert!(!first.has_one());
            semaphore.release();
            assert!(second.is_woken() && !first.is_woken());
            assert!(second.has_one());
        });
    }

    #[test]
    fn in_smol_and_async_std_one_is_woken_after_another() {
        contended::<async_lock::Semaphore>(|semaphore, [mut first, mut second]| {
            semaphore.release();
            semaphore.release();
            assert!(first.is_woken() && !second.is_woken());
            // There is a second permit all the time, of which the first one tells.
            assert!(first.has_one() && second.is_woken());
            assert!(second.has_one());
        });
    }
}
