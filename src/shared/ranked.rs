//! A queue out of which the item of the highest priority comes first.
//!
//! No runtime has one. So it is made as its users make it: a binary heap under a mutex of std, and
//! the runtime's own semaphores, on which those wait who find no item or no room. The mutex is
//! held for a push or a pop, and nobody waits with it.
//!
//! Under the same mutex stands an account that knows nothing of the heap: how many items of each
//! priority are there. Whoever takes an item looks there whether one of a higher priority was left.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::runtime::Semaphore;

/// Priorities are below this: as many as a word has bits.
pub(super) const PRIORITIES: u64 = 64;

/// An item in the order of who is first: the highest priority, and of equals who came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RankedItem {
    priority: u8,
    arrival: Reverse<u64>,
    number: u64,
}

/// What items are kept in, so that the greatest comes out first.
pub(super) trait Heap: Default + Send + 'static {
    /// Puts an item in.
    fn push(&mut self, item: RankedItem);

    /// Takes the greatest out.
    fn pop(&mut self) -> Option<RankedItem>;

    /// Makes room for so many, so that it does not grow while it is used.
    fn make_room(&mut self, _items: usize) {}
}

impl Heap for BinaryHeap<RankedItem> {
    fn push(&mut self, item: RankedItem) {
        Self::push(self, item);
    }

    fn pop(&mut self) -> Option<RankedItem> {
        Self::pop(self)
    }

    fn make_room(&mut self, items: usize) {
        self.reserve(items);
    }
}

/// The heap, and what is known of it otherwise.
struct RankedItems<H> {
    heap: H,
    /// How many came until now.
    arrivals: u64,
    /// By priority: how many are there.
    levels: [u64; PRIORITIES as usize],
    /// The priorities of which there are some, by bits.
    present: u64,
    /// How often an item came out though one of a higher priority was there.
    overtaken: u64,
}

impl<H: Heap> Default for RankedItems<H> {
    fn default() -> Self {
        let levels = [0; PRIORITIES as usize];
        Self { heap: H::default(), arrivals: 0, levels, present: 0, overtaken: 0 }
    }
}

impl<H: Heap> RankedItems<H> {
    fn push(&mut self, priority: u8, number: u64) {
        self.arrivals += 1;
        self.heap.push(RankedItem { priority, arrival: Reverse(self.arrivals), number });
        self.levels[usize::from(priority)] += 1;
        self.present |= 1 << priority;
    }

    fn pop(&mut self) -> Option<u64> {
        let RankedItem { priority, number, .. } = self.heap.pop()?;
        let highest =
            u64::from(u64::BITS - 1).saturating_sub(u64::from(self.present.leading_zeros()));
        self.overtaken += u64::from(highest != u64::from(priority));
        let level = &mut self.levels[usize::from(priority)];
        *level = level.saturating_sub(1);
        if *level == 0 {
            self.present &= !(1 << priority);
        }
        Some(number)
    }
}

/// A queue between tasks: the highest priority first. `S` is the runtime's semaphore.
pub(super) struct RankedQueue<S, H = BinaryHeap<RankedItem>> {
    /// Room that is left; none: there is always room.
    places: Option<S>,
    filled: S,
    items: Mutex<RankedItems<H>>,
}

impl<S: Semaphore, H: Heap> RankedQueue<S, H> {
    /// An empty one with room for so many items, or for any number.
    pub(super) fn new(capacity: Option<usize>) -> Self {
        let queue =
            Self { places: capacity.map(S::new), filled: S::new(0), items: Mutex::default() };
        queue.locked().heap.make_room(capacity.unwrap_or(0));
        queue
    }

    /// Nothing that can panic runs with them locked.
    fn locked(&self) -> MutexGuard<'_, RankedItems<H>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room, and puts an item in. A call that is given up has put nothing in.
    /// The priority is below [`PRIORITIES`].
    pub(super) async fn put(&self, priority: u8, number: u64) {
        if let Some(places) = &self.places {
            places.acquire().await;
        }
        self.locked().push(priority, number);
        self.filled.release();
    }

    /// Waits until there is an item, and takes out the one of the highest priority. A call that is
    /// given up has taken nothing.
    pub(super) async fn take(&self) -> u64 {
        loop {
            self.filled.acquire().await;
            // Only who drains the queue takes an item without a permit.
            if let Some(number) = self.try_take() {
                return number;
            }
        }
    }

    /// Takes an item out if there is one.
    pub(super) fn try_take(&self) -> Option<u64> {
        let number = self.locked().pop()?;
        if let Some(places) = &self.places {
            places.release();
        }
        Some(number)
    }

    /// How often an item came out though one of a higher priority was there.
    pub(super) fn overtaken(&self) -> u64 {
        self.locked().overtaken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, Coordination, testing::Waiter};

    type BlockingSemaphore = <Blocking as Coordination>::Semaphore;

    fn puts<S: Semaphore, H: Heap>(queue: &RankedQueue<S, H>, priority: u8, number: u64) -> bool {
        Waiter::of(queue.put(priority, number)).asks().is_some()
    }

    fn takes<S: Semaphore, H: Heap>(queue: &RankedQueue<S, H>) -> Option<u64> {
        Waiter::of(queue.take()).asks()
    }

    fn check<S: Semaphore>() {
        let queue = RankedQueue::<S>::new(Some(4));
        for (priority, number) in [(3, 1), (63, 2), (3, 3), (0, 4)] {
            assert!(puts(&queue, priority, number), "{}", S::NAME);
        }
        assert!(!puts(&queue, 9, 5), "there is no room: {}", S::NAME);
        let taken = [takes(&queue), takes(&queue)];
        assert_eq!(taken, [Some(2), Some(1)], "of equals who came first: {}", S::NAME);
        assert!(puts(&queue, 9, 6));
        let taken = [takes(&queue), takes(&queue), takes(&queue), takes(&queue)];
        assert_eq!(taken, [Some(6), Some(3), Some(4), None], "{}", S::NAME);
        assert_eq!(queue.overtaken(), 0);
    }

    #[test]
    fn the_highest_comes_first_and_of_equals_who_came_first() {
        check::<tokio::sync::Semaphore>();
        check::<async_lock::Semaphore>();
        check::<BlockingSemaphore>();
    }

    #[test]
    fn there_may_be_room_for_any_number() {
        let queue = RankedQueue::<BlockingSemaphore>::new(None);
        assert!((0..5_000).all(|number| puts(&queue, (number % PRIORITIES) as u8, number)));
        let taken: Vec<u64> = std::iter::from_fn(|| queue.try_take()).collect();
        assert!(taken.is_sorted_by_key(|number| Reverse(number % PRIORITIES)));
        assert_eq!((taken.len(), queue.overtaken()), (5_000, 0));
        // The permits of what was drained are worth nothing.
        assert_eq!(takes(&queue), None);
        assert!(puts(&queue, 1, 7) && takes(&queue) == Some(7));
    }

    /// First in, first out, whatever the priority.
    #[derive(Default)]
    struct NoHeap(std::collections::VecDeque<RankedItem>);

    impl Heap for NoHeap {
        fn push(&mut self, item: RankedItem) {
            self.0.push_back(item);
        }

        fn pop(&mut self) -> Option<RankedItem> {
            self.0.pop_front()
        }
    }

    #[test]
    fn a_heap_that_gives_another_one_first_is_seen() {
        let queue = RankedQueue::<BlockingSemaphore, NoHeap>::new(None);
        assert!([5, 5, 4, 6, 6].iter().all(|priority| puts(&queue, *priority, 0)));
        // All but the last two come out while there is a 6.
        assert!((0..5).all(|_| takes(&queue).is_some()));
        assert_eq!(queue.overtaken(), 3);
    }
}
