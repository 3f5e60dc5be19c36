//! `queue`: a bounded queue, first in, first out, for any number of tasks on either side.
//!
//! Every item has a number of its own: which of the putting steps put it, and how many that one had
//! put before. Each side adds up a mark of every number, a draw that is keyed by it. So an item
//! that is lost, and one that is given twice in its place, are seen at the end, whatever the order.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use serde::{Deserialize, Serialize};

use super::{
    cells::{OwnedCell, UserCells, bump},
    spec::{Made, ObjectLine, SharedAccount, SharedCalls, SharedCounts, SharedKind},
};
use crate::{
    config::Fields,
    draw,
    runtime::{Channel, Coordination},
};

/// More places than this are memory that nobody has asked for.
const MOST_PLACES: usize = 1 << 20;

/// A bounded queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedQueue {
    capacity: NonZeroUsize,
}

impl SharedQueue {
    /// How many items it has room for.
    pub fn capacity(&self) -> u64 {
        self.capacity.get() as u64
    }
}

impl SharedKind for SharedQueue {
    const KEY: &'static str = "queue";
    const DOC: &'static str = "A bounded queue, first in, first out.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let capacity: Option<NonZeroUsize> =
            fields.required("capacity", "Room for so many items; 1 048 576 at most.");
        if capacity.is_some_and(|capacity| capacity.get() > MOST_PLACES) {
            let message = format!("expected at most {MOST_PLACES} items");
            fields.reject("capacity", message, None);
        }
        Some(Self { capacity: capacity? })
    }

    fn make<N: Coordination>(&self) -> Made {
        Made::new(QueueOf::<N> {
            channel: N::Channel::bounded(self.capacity.get()),
            puts: UserCells::default(),
            takes: UserCells::default(),
            left: Mutex::default(),
        })
    }

    fn facts<N: Coordination>() -> [&'static str; 2] {
        [N::Channel::NAME, N::Channel::TURNS]
    }
}

/// What one user has put or taken.
#[derive(Default)]
struct QueueTally {
    items: AtomicU64,
    marks: AtomicU64,
}

impl QueueTally {
    #[inline]
    fn add(&self, item: u64) {
        bump(&self.items, 1);
        bump(&self.marks, mark(item));
    }
}

/// Spreads an item's number over 64 bits, so that the sum of some tells which.
#[inline]
fn mark(item: u64) -> u64 {
    draw::mix(0x71_75_65_75_65, item)
}

/// A queue, made of an executor's primitives.
pub struct QueueOf<N: Coordination> {
    channel: N::Channel,
    puts: UserCells<QueueTally>,
    takes: UserCells<QueueTally>,
    /// What was found in the queue when its account was read.
    left: Mutex<ItemSum>,
}

/// Items, and the sum of their marks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ItemSum {
    items: u64,
    marks: u64,
}

impl<N: Coordination> QueueOf<N> {
    /// For a step that puts.
    pub fn putter(self: &Arc<Self>) -> Putter<N> {
        Putter { count: self.puts.own(), queue: self.clone() }
    }

    /// For a step that takes.
    pub fn taker(self: &Arc<Self>) -> Taker<N> {
        Taker { count: self.takes.own(), queue: self.clone() }
    }

    /// Empties the queue: all that was in it when it was asked for its account.
    fn drain(&self) -> ItemSum {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(item) = self.channel.try_take() {
            left.items += 1;
            left.marks = left.marks.wrapping_add(mark(item));
        }
        *left
    }
}

fn sum(cells: &UserCells<QueueTally>) -> ItemSum {
    ItemSum { items: cells.sum(|count| &count.items), marks: cells.sum(|count| &count.marks) }
}

/// Puts items, one at a time.
pub struct Putter<N: Coordination> {
    queue: Arc<QueueOf<N>>,
    count: OwnedCell<QueueTally>,
}

impl<N: Coordination> Putter<N> {
    /// Waits until there is room, and puts an item that is like no other.
    pub async fn put(&self) {
        let item = self.count.number() << 40 | self.count.items.load(Relaxed);
        self.queue.channel.put(item).await;
        self.count.add(item);
    }
}

/// Takes items, one at a time.
pub struct Taker<N: Coordination> {
    queue: Arc<QueueOf<N>>,
    count: OwnedCell<QueueTally>,
}

impl<N: Coordination> Taker<N> {
    /// Waits until there is an item, and takes it.
    pub async fn take(&self) {
        let item = self.queue.channel.take().await;
        self.count.add(item);
    }
}

impl<N: Coordination> SharedAccount for QueueOf<N> {
    fn read(&self) -> Box<dyn SharedCounts> {
        let left = self.drain();
        Box::new(QueueCount { puts: sum(&self.puts), takes: sum(&self.takes), left })
    }
}

struct QueueCount {
    puts: ItemSum,
    takes: ItemSum,
    left: ItemSum,
}

impl SharedCounts for QueueCount {
    fn lines(&self, calls: &dyn Fn(&str) -> SharedCalls) -> Vec<ObjectLine> {
        let Self { puts, takes, left } = self;
        let (of_puts, of_takes) = (calls("put"), calls("take"));
        let mut lines = vec![
            ObjectLine::of_calls("items put", of_puts, 0, puts.items),
            ObjectLine::of_calls("items taken", of_takes, 0, takes.items),
        ];
        // An item on its way is on neither side.
        if !of_puts.moves && !of_takes.moves {
            let (out, marks) = (takes.items + left.items, takes.marks.wrapping_add(left.marks));
            lines.push(ObjectLine::equal("items taken and left in it", puts.items, out));
            lines.push(ObjectLine::equal(
                "the same items, by the sum of their marks",
                puts.marks,
                marks,
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, block_on};

    fn queue() -> Arc<QueueOf<Blocking>> {
        let spec = SharedQueue { capacity: NonZeroUsize::new(8).unwrap() };
        spec.make::<Blocking>().object.downcast().ok().unwrap()
    }

    /// What does not hold of a queue into which five were put, and of which three were taken.
    fn wrong(queue: &QueueOf<Blocking>) -> Vec<&'static str> {
        let calls = |key: &str| {
            let count = if key == "put" { 5 } else { 3 };
            SharedCalls { least: count, most: count, moves: false }
        };
        let lines = queue.read().lines(&calls);
        lines.iter().filter(|line| !line.holds()).map(|line| line.what).collect()
    }

    fn used() -> Arc<QueueOf<Blocking>> {
        let queue = queue();
        let (first, second, taker) = (queue.putter(), queue.putter(), queue.taker());
        block_on(async {
            for putter in [&first, &second, &first, &second, &first] {
                putter.put().await;
            }
            for _ in 0..3 {
                taker.take().await;
            }
        });
        queue
    }

    #[test]
    fn what_was_put_is_taken_or_left_and_can_be_counted_again() {
        let queue = used();
        assert_eq!((wrong(&queue), queue.drain().items), (vec![], 2));
        assert_eq!(wrong(&queue), [""; 0]);
    }

    #[test]
    fn a_lost_item_is_missed() {
        let queue = used();
        queue.channel.try_take();
        assert_eq!(
            wrong(&queue),
            ["items taken and left in it", "the same items, by the sum of their marks"]
        );
    }

    #[test]
    fn an_item_that_is_given_twice_in_place_of_another_is_seen() {
        let queue = used();
        let again = queue.channel.try_take().unwrap();
        queue.channel.try_take();
        block_on(async {
            queue.channel.put(again).await;
            queue.channel.put(again).await;
        });
        assert_eq!(wrong(&queue), ["the same items, by the sum of their marks"]);
    }

    #[test]
    fn an_item_that_no_step_put_is_seen() {
        let queue = used();
        let putter = queue.putter();
        block_on(putter.put());
        assert_eq!(wrong(&queue), ["items put"]);
    }
}
