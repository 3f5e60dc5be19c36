//! The read-write locks of the executors' worlds.

use std::future::Future;

/// Lets readers in together, and a writer alone.
pub trait RwLock: Send + Sync + 'static {
    /// What it is called.
    const NAME: &'static str;
    /// Who is let in next, in words for the fairness manifest.
    const TURNS: &'static str;
    /// What a reader holds. Dropping it lets the next ones in.
    type Reading<'a>: Send
    where
        Self: 'a;
    /// What a writer holds. Dropping it lets the next ones in.
    type Writing<'a>: Send
    where
        Self: 'a;

    /// One in which nobody is.
    fn new() -> Self;

    /// Waits until no writer is in, and goes in. A wait that is given up takes nothing.
    fn read(&self) -> impl Future<Output = Self::Reading<'_>> + Send;

    /// Waits until nobody is in, and goes in. A wait that is given up takes nothing, and keeps
    /// nobody out any more.
    fn write(&self) -> impl Future<Output = Self::Writing<'_>> + Send;
}

/// A semaphore with a permit for each reader, of which a writer takes all; so the queue is one.
impl RwLock for tokio::sync::RwLock<()> {
    const NAME: &'static str = "the read-write lock of tokio";
    const TURNS: &'static str =
        "first come, first served; readers who come after a writer wait behind it";
    type Reading<'a> = tokio::sync::RwLockReadGuard<'a, ()>;
    type Writing<'a> = tokio::sync::RwLockWriteGuard<'a, ()>;

    fn new() -> Self {
        Self::new(())
    }

    fn read(&self) -> impl Future<Output = Self::Reading<'_>> + Send {
        tokio::sync::RwLock::read(self)
    }

    fn write(&self) -> impl Future<Output = Self::Writing<'_>> + Send {
        tokio::sync::RwLock::write(self)
    }
}

/// That of smol, and of async-std, whose own is of the same crate. Writers take turns on a mutex;
/// who has it keeps readers out, and waits until those who are in have gone.
impl RwLock for async_lock::RwLock<()> {
    const NAME: &'static str = "the read-write lock of async-lock";
    const TURNS: &'static str = "a writer who waits keeps new readers out; when it leaves, who asks first, and writers \
                                 among each other as on the mutex of async-lock";
    type Reading<'a> = async_lock::RwLockReadGuard<'a, ()>;
    type Writing<'a> = async_lock::RwLockWriteGuard<'a, ()>;

    fn new() -> Self {
        Self::new(())
    }

    async fn read(&self) -> Self::Reading<'_> {
        async_lock::RwLock::read(self).await
    }

    async fn write(&self) -> Self::Writing<'_> {
        async_lock::RwLock::write(self).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, Coordination, testing::Waiter};

    type BlockingRwLock = <Blocking as Coordination>::RwLock;

    fn reads<L: RwLock>(lock: &L) -> Option<L::Reading<'_>> {
        Waiter::of(lock.read()).asks()
    }

    fn writes<L: RwLock>(lock: &L) -> Option<L::Writing<'_>> {
        Waiter::of(lock.write()).asks()
    }

    fn readers_are_in_together_and_writers_alone<L: RwLock>() {
        let lock = L::new();
        let (one, other) = (reads(&lock).expect("it is free"), reads(&lock).expect(L::NAME));
        assert!(writes(&lock).is_none(), "{}", L::NAME);
        drop(one);
        assert!(writes(&lock).is_none(), "{}", L::NAME);
        drop(other);
        let writer = writes(&lock).expect(L::NAME);
        assert!(reads(&lock).is_none() && writes(&lock).is_none(), "{}", L::NAME);
        drop(writer);
        assert!(writes(&lock).is_some() && reads(&lock).is_some(), "{}", L::NAME);
    }

    fn a_writer_who_waits_keeps_readers_out_until_it_is_given_up<L: RwLock>() {
        let lock = L::new();
        let reader = reads(&lock).expect("it is free");
        let mut writer = Waiter::of(lock.write());
        let mut late = Waiter::of(lock.read());
        assert!(writer.asks().is_none() && late.asks().is_none(), "{}", L::NAME);
        drop(writer);
        assert!(late.asks().is_some() && reads(&lock).is_some(), "{}", L::NAME);
        // A reader that is given up while it waits keeps nobody out, either.
        let mut writer = Waiter::of(lock.write());
        let mut late = Waiter::of(lock.read());
        assert!(writer.asks().is_none() && late.asks().is_none(), "{}", L::NAME);
        drop(late);
        drop(reader);
        assert!(writer.asks().is_some(), "{}", L::NAME);
        drop(writer);
        assert!(writes(&lock).is_some(), "{}", L::NAME);
    }

    #[test]
    fn whoever_may_be_in_together_is() {
        readers_are_in_together_and_writers_alone::<tokio::sync::RwLock<()>>();
        readers_are_in_together_and_writers_alone::<async_lock::RwLock<()>>();
        readers_are_in_together_and_writers_alone::<BlockingRwLock>();
    }

    #[test]
    fn in_all_of_them_a_writer_who_waits_keeps_new_readers_out() {
        a_writer_who_waits_keeps_readers_out_until_it_is_given_up::<tokio::sync::RwLock<()>>();
        a_writer_who_waits_keeps_readers_out_until_it_is_given_up::<async_lock::RwLock<()>>();
        a_writer_who_waits_keeps_readers_out_until_it_is_given_up::<BlockingRwLock>();
    }

    /// Whether a reader who came before a writer is let in after it, where the writer asks first.
    fn is_overtaken<L: RwLock>() -> bool {
        let lock = L::new();
        let holder = writes(&lock).expect("it is free");
        let (mut reader, mut writer) = (Waiter::of(lock.read()), Waiter::of(lock.write()));
        assert!(reader.asks().is_none() && writer.asks().is_none());
        drop(holder);
        let late = writer.asks();
        assert_eq!(late.is_some(), reader.asks().is_none(), "one of the two");
        late.is_some()
    }

    #[test]
    fn turns_are_what_the_manifest_says() {
        assert!(!is_overtaken::<tokio::sync::RwLock<()>>());
        assert!(is_overtaken::<async_lock::RwLock<()>>());
        assert!(is_overtaken::<BlockingRwLock>());
    }
}
