//! `queue`: a queue for any number of tasks on either side, with a bound or without, in the order in
//! which items come or in that of their priorities.
//!
//! Every item has a number of its own: which of the putting steps put it, and how many that one had
//! put before. Each side adds up a mark of every number, a draw that is keyed by it. So an item
//! that is lost, and one that is given twice in its place, are seen at the end, whatever the order.
//! `ranked.rs` says how the order of priorities is proven.

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
    ranked::{PRIORITIES, RankedQueue},
    spec::{Made, ObjectLine, SharedAccount, SharedCalls, SharedCounts, SharedKind},
};
use crate::{
    config::{Diagnostics, Field, Fields, Node, Value, choice_schema, mismatch_with, read_choice},
    draw,
    runtime::{Channel, Coordination, Semaphore},
};

/// More places than this are memory that nobody has asked for.
const MOST_PLACES: usize = 1 << 20;

/// A queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedQueue {
    capacity: QueueRoom,
    #[serde(default)]
    order: QueueOrder,
}

/// How many items a queue has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum QueueRoom {
    /// For so many.
    Bounded(NonZeroUsize),
    /// For any number.
    Unbounded(AnyNumber),
}

/// The word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AnyNumber {
    Unbounded,
}

impl Field for QueueRoom {
    fn schema() -> serde_json::Value {
        serde_json::json!({ "anyOf": [NonZeroUsize::schema(), { "const": "unbounded" }] })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if matches!(&node.value, Value::Text(text) if text == "unbounded") {
            return Some(Self::Unbounded(AnyNumber::Unbounded));
        }
        if let Value::Text(_) = &node.value {
            let remedy = "write a number, such as 64, or \"unbounded\"".to_owned();
            let expected = "a whole number of at least 1 or `unbounded`";
            mismatch_with(node, expected, Some(remedy), diagnostics);
            return None;
        }
        <NonZeroUsize as Field>::read(node, diagnostics).map(Self::Bounded)
    }
}

/// Which item comes out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum QueueOrder {
    /// That which came first.
    #[default]
    Fifo,
    /// That of the highest priority; of equals that which came first.
    Priority,
}

const ORDERS: &[(&str, QueueOrder)] =
    &[("fifo", QueueOrder::Fifo), ("priority", QueueOrder::Priority)];

impl Field for QueueOrder {
    fn schema() -> serde_json::Value {
        choice_schema(ORDERS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, ORDERS, diagnostics)
    }
}

impl SharedQueue {
    /// How many items it has room for; none: for any number.
    pub fn capacity(&self) -> Option<u64> {
        self.room().map(|room| room as u64)
    }

    fn room(&self) -> Option<usize> {
        match self.capacity {
            QueueRoom::Bounded(room) => Some(room.get()),
            QueueRoom::Unbounded(_) => None,
        }
    }
}

impl SharedKind for SharedQueue {
    const KEY: &'static str = "queue";
    const DOC: &'static str = "A queue: first in, first out, or the highest priority first.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let capacity: Option<QueueRoom> = fields.required(
            "capacity",
            "Room for so many items, 1 048 576 at most, or `\"unbounded\"`: for any number.",
        );
        if let Some(QueueRoom::Bounded(capacity)) = capacity
            && capacity.get() > MOST_PLACES
        {
            let message = format!("expected at most {MOST_PLACES} items");
            fields.reject("capacity", message, None);
        }
        let order = fields.or(
            "order",
            QueueOrder::Fifo,
            "Which item comes out first: `fifo`, that which came first; `priority`, that of the highest of 64 priorities, \
             which are drawn.",
        );
        Some(Self { capacity: capacity?, order })
    }

    fn make<N: Coordination>(&self) -> Made {
        let items = match (self.order, self.room()) {
            (QueueOrder::Priority, room) => QueueItems::Ranked(RankedQueue::new(room)),
            (QueueOrder::Fifo, Some(room)) => QueueItems::Fifo(N::Channel::bounded(room)),
            (QueueOrder::Fifo, None) => QueueItems::Fifo(N::Channel::unbounded()),
        };
        Made::new(QueueOf::<N> {
            items,
            puts: UserCells::default(),
            takes: UserCells::default(),
            left: Mutex::default(),
        })
    }

    fn facts<N: Coordination>(&self) -> [String; 2] {
        match (self.order, self.room()) {
            (QueueOrder::Priority, _) => {
                let name =
                    format!("a binary heap under a mutex of std, with {}", N::Semaphore::NAME);
                [
                    name,
                    format!("the item of the highest priority; of tasks: {}", N::Semaphore::TURNS),
                ]
            }
            (QueueOrder::Fifo, Some(_)) => [N::Channel::NAME, N::Channel::TURNS].map(str::to_owned),
            (QueueOrder::Fifo, None) => {
                [N::Channel::UNBOUNDED, N::Channel::TURNS].map(str::to_owned)
            }
        }
    }
}

/// What the items are in.
#[expect(clippy::large_enum_variant, reason = "there is one for a whole trial")]
enum QueueItems<N: Coordination> {
    Fifo(N::Channel),
    Ranked(RankedQueue<N::Semaphore>),
}

impl<N: Coordination> QueueItems<N> {
    /// Takes an item out if there is one.
    fn try_take(&self) -> Option<u64> {
        match self {
            Self::Fifo(channel) => channel.try_take(),
            Self::Ranked(ranked) => ranked.try_take(),
        }
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
    items: QueueItems<N>,
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
        while let Some(item) = self.items.try_take() {
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
    /// Waits until there is room, and puts an item that is like no other. The draw decides its
    /// priority, where there are any.
    pub async fn put(&self, draw: u64) {
        let item = self.count.number() << 40 | self.count.items.load(Relaxed);
        match &self.queue.items {
            QueueItems::Fifo(channel) => channel.put(item).await,
            QueueItems::Ranked(ranked) => ranked.put((draw % PRIORITIES) as u8, item).await,
        }
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
        let item = match &self.queue.items {
            QueueItems::Fifo(channel) => channel.take().await,
            QueueItems::Ranked(ranked) => ranked.take().await,
        };
        self.count.add(item);
    }
}

impl<N: Coordination> SharedAccount for QueueOf<N> {
    fn read(&self) -> Box<dyn SharedCounts> {
        let overtaken = match &self.items {
            QueueItems::Fifo(_) => None,
            QueueItems::Ranked(ranked) => Some(ranked.overtaken()),
        };
        let left = self.drain();
        Box::new(QueueCount { puts: sum(&self.puts), takes: sum(&self.takes), left, overtaken })
    }
}

struct QueueCount {
    puts: ItemSum,
    takes: ItemSum,
    left: ItemSum,
    /// Items that came out though one of a higher priority was there; none: there are no
    /// priorities.
    overtaken: Option<u64>,
}

impl SharedCounts for QueueCount {
    fn lines(&self, calls: &dyn Fn(&str) -> SharedCalls) -> Vec<ObjectLine> {
        let Self { puts, takes, left, overtaken } = self;
        let (of_puts, of_takes) = (calls("put"), calls("take"));
        let mut lines = vec![
            ObjectLine::of_calls("items put", of_puts, 0, puts.items),
            ObjectLine::of_calls("items taken", of_takes, 0, takes.items),
        ];
        let what = "items that came before one of a higher priority";
        lines.extend(overtaken.map(|overtaken| ObjectLine::equal(what, 0, overtaken)));
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

    fn queue(order: QueueOrder, capacity: QueueRoom) -> Arc<QueueOf<Blocking>> {
        SharedQueue { capacity, order }.make::<Blocking>().object.downcast().ok().unwrap()
    }

    const EIGHT: QueueRoom = QueueRoom::Bounded(NonZeroUsize::new(8).unwrap());
    const ANY: QueueRoom = QueueRoom::Unbounded(AnyNumber::Unbounded);

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
        filled(queue(QueueOrder::Fifo, EIGHT))
    }

    fn filled(queue: Arc<QueueOf<Blocking>>) -> Arc<QueueOf<Blocking>> {
        let (first, second, taker) = (queue.putter(), queue.putter(), queue.taker());
        block_on(async {
            for (draw, putter) in [&first, &second, &first, &second, &first].iter().enumerate() {
                putter.put(draw as u64).await;
            }
            for _ in 0..3 {
                taker.take().await;
            }
        });
        queue
    }

    #[test]
    fn what_was_put_is_taken_or_left_and_can_be_counted_again() {
        for (order, room) in [
            (QueueOrder::Fifo, EIGHT),
            (QueueOrder::Fifo, ANY),
            (QueueOrder::Priority, EIGHT),
            (QueueOrder::Priority, ANY),
        ] {
            let queue = filled(queue(order, room));
            assert_eq!((wrong(&queue), queue.drain().items), (vec![], 2));
            assert_eq!(wrong(&queue), [""; 0]);
        }
    }

    #[test]
    fn a_lost_item_is_missed() {
        let queue = used();
        queue.items.try_take();
        assert_eq!(
            wrong(&queue),
            ["items taken and left in it", "the same items, by the sum of their marks"]
        );
    }

    #[test]
    fn an_item_that_is_given_twice_in_place_of_another_is_seen() {
        let queue = used();
        let again = queue.items.try_take().unwrap();
        queue.items.try_take();
        block_on(async {
            let QueueItems::Fifo(channel) = &queue.items else { panic!("it is one") };
            channel.put(again).await;
            channel.put(again).await;
        });
        assert_eq!(wrong(&queue), ["the same items, by the sum of their marks"]);
    }

    #[test]
    fn an_item_that_no_step_put_is_seen() {
        let queue = used();
        let putter = queue.putter();
        block_on(putter.put(0));
        assert_eq!(wrong(&queue), ["items put"]);
    }

    #[test]
    fn rooms_are_stored_as_they_are_written() {
        for (text, room) in [("8", EIGHT), ("\"unbounded\"", ANY)] {
            assert_eq!(serde_json::to_string(&room).unwrap(), text);
            assert_eq!(serde_json::from_str::<QueueRoom>(text).unwrap(), room);
        }
    }

    #[test]
    fn a_room_that_is_neither_a_number_nor_any_is_said_with_both() {
        let mut diagnostics = Diagnostics::default();
        let node = crate::config::parse("capacity = 'endless'", &mut diagnostics);
        let room = <QueueRoom as Field>::read(node.get("capacity").unwrap(), &mut diagnostics);
        let said = diagnostics.into_sorted();
        assert!(room.is_none() && said.len() == 1, "{said:?}");
        assert!(said[0].message.contains("or `unbounded`, found the string `endless`"), "{said:?}");
        assert!(said[0].help.as_deref().is_some_and(|help| help.contains("64, or")), "{said:?}");
    }
}
