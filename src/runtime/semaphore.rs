//! The semaphores of the executors' worlds: what tasks wait on when there are fewer of something than tasks.

use std::future::Future;

/// A number of permits that tasks take and give back.
pub trait Semaphore: Send + Sync + 'static {
    /// So many permits.
    fn new(permits: usize) -> Self;

    /// Takes a permit, and waits until there is one. A wait that is given up takes none.
    fn acquire(&self) -> impl Future<Output = ()> + Send;

    /// Gives a permit back.
    fn release(&self);
}

impl Semaphore for tokio::sync::Semaphore {
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

/// That of smol, and of async-std, whose own locks are those of the same crate.
impl Semaphore for async_lock::Semaphore {
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
