//! The queues of the executors' worlds, for any number of tasks on either side.

use std::future::Future;

use concurrent_queue::ConcurrentQueue;
use tokio::sync::Semaphore;

/// A queue of numbers between tasks, first in, first out.
pub trait Channel: Send + Sync + 'static {
    /// What it is called.
    const NAME: &'static str;
    /// What it is called where it has no bound.
    const UNBOUNDED: &'static str = Self::NAME;
    /// Who is next when there is an item or a place, in words for the fairness manifest.
    const TURNS: &'static str;

    /// An empty one with room for so many items, at least 1.
    fn bounded(capacity: usize) -> Self;

    /// An empty one with room for any number of items.
    fn unbounded() -> Self;

    /// Waits until there is room, and puts an item in. A call that is given up has put nothing in.
    fn put(&self, item: u64) -> impl Future<Output = ()> + Send;

    /// Waits until there is an item, and takes it out. A call that is given up has taken nothing.
    fn take(&self) -> impl Future<Output = u64> + Send;

    /// Takes an item out if there is one.
    fn try_take(&self) -> Option<u64>;
}

/// tokio's own channel has one receiver only. So this is made of two of its semaphores, for places
/// and for items, around a lock-free queue.
pub struct TokioChannel {
    /// Room that is left; none: there is always room.
    places: Option<Semaphore>,
    filled: Semaphore,
    items: ConcurrentQueue<u64>,
}

/// Takes a permit for good. It fails only where a semaphore was closed, which nobody does.
async fn passed(semaphore: &Semaphore) {
    if let Ok(permit) = semaphore.acquire().await {
        permit.forget();
    }
}

impl TokioChannel {
    /// The item for a permit that was taken. It is there, though who put it may be a moment behind.
    fn pop(&self) -> u64 {
        loop {
            if let Ok(item) = self.items.pop() {
                if let Some(places) = &self.places {
                    places.add_permits(1);
                }
                return item;
            }
            std::hint::spin_loop();
        }
    }
}

impl Channel for TokioChannel {
    const NAME: &'static str = "two semaphores of tokio around a lock-free queue";
    const UNBOUNDED: &'static str = "a semaphore of tokio beside a lock-free queue";
    const TURNS: &'static str = "first come, first served, on either side";

    fn bounded(capacity: usize) -> Self {
        Self {
            places: Some(Semaphore::new(capacity)),
            filled: Semaphore::new(0),
            items: ConcurrentQueue::bounded(capacity),
        }
    }

    fn unbounded() -> Self {
        let items = ConcurrentQueue::unbounded();
        Self { places: None, filled: Semaphore::new(0), items }
    }

    async fn put(&self, item: u64) {
        if let Some(places) = &self.places {
            passed(places).await;
        }
        // There is room for whoever has a permit.
        if self.items.push(item).is_ok() {
            self.filled.add_permits(1);
        }
    }

    async fn take(&self) -> u64 {
        passed(&self.filled).await;
        self.pop()
    }

    fn try_take(&self) -> Option<u64> {
        self.filled.try_acquire().ok()?.forget();
        Some(self.pop())
    }
}

/// Writes a queue of the crate async-channel, of which there are two versions in use.
macro_rules! async_channel {
    ($(#[$doc:meta])* $name:ident, $($path:ident)::+, $called:literal) => {
        $(#[$doc])*
        pub struct $name {
            sender: $($path)::+::Sender<u64>,
            receiver: $($path)::+::Receiver<u64>,
        }

        impl Channel for $name {
            const NAME: &'static str = $called;
            const TURNS: &'static str =
                "who asks first when there is an item or a place; who has waited longest is woken";

            fn bounded(capacity: usize) -> Self {
                let (sender, receiver) = $($path)::+::bounded(capacity);
                Self { sender, receiver }
            }

            fn unbounded() -> Self {
                let (sender, receiver) = $($path)::+::unbounded();
                Self { sender, receiver }
            }

            async fn put(&self, item: u64) {
                // It is an error only where nobody can receive, and both ends are here.
                let _ = self.sender.send(item).await;
            }

            async fn take(&self) -> u64 {
                match self.receiver.recv().await {
                    Ok(item) => item,
                    Err(_) => unreachable!("both ends are here, so that neither is closed"),
                }
            }

            fn try_take(&self) -> Option<u64> {
                self.receiver.try_recv().ok()
            }
        }
    };
}

async_channel! {
    /// smol's own.
    SmolChannel, async_channel, "the channel of async-channel 2"
}

#[cfg(feature = "async-std")]
async_channel! {
    /// async-std's own, which is of an older version of the crate that smol has.
    AsyncStdChannel, async_std::channel, "the channel of async-std, which is of async-channel 1"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, Coordination, testing::Waiter};

    type BlockingChannel = <Blocking as Coordination>::Channel;

    fn puts<C: Channel>(channel: &C, item: u64) -> bool {
        Waiter::of(channel.put(item)).asks().is_some()
    }

    fn takes<C: Channel>(channel: &C) -> Option<u64> {
        Waiter::of(channel.take()).asks()
    }

    /// Items come out once and in order, and there is room for so many.
    fn check<C: Channel>() {
        let channel = C::bounded(3);
        assert_eq!(takes(&channel), None);
        for round in 0..4 {
            assert!((0..3).all(|item| puts(&channel, 10 * round + item)), "{}", C::NAME);
            assert!(!puts(&channel, 99), "{}", C::NAME);
            let taken = [takes(&channel), channel.try_take(), takes(&channel)];
            assert_eq!(taken, [0, 1, 2].map(|item| Some(10 * round + item)), "{}", C::NAME);
            assert_eq!((takes(&channel), channel.try_take()), (None, None), "{}", C::NAME);
        }
    }

    /// There is room for any number, and they come out in order.
    fn check_unbounded<C: Channel>() {
        let channel = C::unbounded();
        assert!((0..5_000).all(|item| puts(&channel, item)), "{}", C::NAME);
        assert!((0..4_999).all(|item| takes(&channel) == Some(item)), "{}", C::NAME);
        assert_eq!((channel.try_take(), channel.try_take()), (Some(4_999), None), "{}", C::NAME);
        let mut taker = Waiter::of(channel.take());
        assert!(taker.asks().is_none() && puts(&channel, 7));
        assert_eq!(taker.asks(), Some(7), "{}", C::NAME);
    }

    #[test]
    fn without_a_bound_there_is_always_room() {
        check_unbounded::<TokioChannel>();
        check_unbounded::<SmolChannel>();
        #[cfg(feature = "async-std")]
        check_unbounded::<AsyncStdChannel>();
        check_unbounded::<BlockingChannel>();
    }

    /// Those who have waited and are given up take no item and leave none behind.
    fn check_given_up<C: Channel>() {
        let channel = C::bounded(1);
        let mut taker = Waiter::of(channel.take());
        assert!(taker.asks().is_none() && puts(&channel, 1));
        drop(taker);
        let mut putter = Waiter::of(channel.put(2));
        assert!(putter.asks().is_none());
        assert_eq!(takes(&channel), Some(1), "{}", C::NAME);
        drop(putter);
        assert_eq!(takes(&channel), None, "{}", C::NAME);
        assert!(puts(&channel, 3) && takes(&channel) == Some(3), "{}", C::NAME);
    }

    #[test]
    fn items_come_out_once_and_in_order() {
        check::<TokioChannel>();
        check::<SmolChannel>();
        #[cfg(feature = "async-std")]
        check::<AsyncStdChannel>();
        check::<BlockingChannel>();
    }

    #[test]
    fn who_is_given_up_has_put_and_taken_nothing() {
        check_given_up::<TokioChannel>();
        check_given_up::<SmolChannel>();
        #[cfg(feature = "async-std")]
        check_given_up::<AsyncStdChannel>();
        check_given_up::<BlockingChannel>();
    }

    /// Whether somebody who has not waited at all gets the item before the one who was woken.
    fn is_overtaken<C: Channel>() -> bool {
        let channel = C::bounded(1);
        let mut first = Waiter::of(channel.take());
        assert!(first.asks().is_none() && puts(&channel, 1) && first.is_woken());
        let late = takes(&channel);
        assert_eq!(late.is_some(), first.asks().is_none(), "one of the two");
        late.is_some()
    }

    #[test]
    fn turns_are_what_the_manifest_says() {
        assert!(!is_overtaken::<TokioChannel>());
        assert!(is_overtaken::<SmolChannel>());
        #[cfg(feature = "async-std")]
        assert!(is_overtaken::<AsyncStdChannel>());
    }
}
