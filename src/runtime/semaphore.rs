//! The semaphores of the executors' worlds: what tasks wait on when there are fewer of something than tasks.

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

/// That of smol, and of async-std, whose own locks are those of the same crate. A permit that is given back belongs to
/// nobody: one waiter is woken, and wakes the next one when it has come. Who comes too late waits behind all others.
impl Semaphore for async_lock::Semaphore {
    const NAME: &'static str = "the semaphore of async-lock";
    const TURNS: &'static str = "who asks first when one is free; who has waited longest is woken, one after another";

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
    use std::{
        pin::Pin,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering::Relaxed},
        },
        task::{Context, Poll, Wake, Waker},
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    /// Somebody who waits for a permit.
    struct Waiter<'a> {
        acquiring: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
        woken: Arc<Woken>,
    }

    impl<'a> Waiter<'a> {
        fn of(semaphore: &'a impl Semaphore) -> Self {
            Self { acquiring: Box::pin(semaphore.acquire()), woken: Arc::default() }
        }

        /// Whether it has a permit now.
        fn asks(&mut self) -> bool {
            let waker = Waker::from(self.woken.clone());
            self.acquiring.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(())
        }

        fn is_woken(&self) -> bool {
            self.woken.0.swap(false, Relaxed)
        }
    }

    /// Two who wait for two permits, while two others hold them.
    fn contended<S: Semaphore>(check: impl FnOnce(&S, [Waiter<'_>; 2])) {
        let semaphore = S::new(2);
        let mut holders = [Waiter::of(&semaphore), Waiter::of(&semaphore)];
        assert!(holders.iter_mut().all(Waiter::asks));
        let mut waiters = [Waiter::of(&semaphore), Waiter::of(&semaphore)];
        assert!(!waiters.iter_mut().any(Waiter::asks));
        check(&semaphore, waiters);
    }

    #[test]
    fn in_tokio_nobody_overtakes() {
        contended::<tokio::sync::Semaphore>(|semaphore, [mut first, mut second]| {
            semaphore.release();
            assert!(first.is_woken() && !second.is_woken());
            let mut late = Waiter::of(semaphore);
            assert!(!late.asks() && !second.asks());
            semaphore.release();
            assert!(second.is_woken(), "each permit wakes somebody");
            assert!(first.asks() && second.asks());
        });
    }

    #[test]
    fn in_smol_and_async_std_the_quickest_is_first_and_the_overtaken_one_is_last() {
        contended::<async_lock::Semaphore>(|semaphore, [mut first, mut second]| {
            semaphore.release();
            assert!(first.is_woken() && !second.is_woken());
            assert!(Waiter::of(semaphore).asks(), "somebody who has not waited at all");
            assert!(!first.asks());
            semaphore.release();
            assert!(second.is_woken() && !first.is_woken());
            assert!(second.asks());
        });
    }

    #[test]
    fn in_smol_and_async_std_one_is_woken_after_another() {
        contended::<async_lock::Semaphore>(|semaphore, [mut first, mut second]| {
            semaphore.release();
            semaphore.release();
            assert!(first.is_woken() && !second.is_woken());
            // There is a second permit all the time, of which the first one tells.
            assert!(first.asks() && second.is_woken());
            assert!(second.asks());
        });
    }
}
