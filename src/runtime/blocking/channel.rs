//! The queue of the blocking executors.

use std::{collections::VecDeque, future::poll_fn, sync::Mutex};

use super::{
    super::Channel,
    line::{WaitingLine, locked},
};

/// A queue under a mutex with two condition variables: one for those who wait for an item, one for
/// those who wait for a place. Waiting blocks the thread, at most until the task's deadline.
pub struct BlockingChannel {
    items: Mutex<VecDeque<u64>>,
    capacity: usize,
    filled: WaitingLine,
    emptied: WaitingLine,
}

impl Channel for BlockingChannel {
    const NAME: &'static str = "a mutex with two condition variables of std";
    const UNBOUNDED: &'static str = "a mutex with a condition variable of std";
    const TURNS: &'static str =
        "who asks first when there is an item or a place; for each one the kernel wakes a thread";

    fn bounded(capacity: usize) -> Self {
        Self {
            items: Mutex::new(VecDeque::with_capacity(capacity)),
            capacity,
            filled: WaitingLine::default(),
            emptied: WaitingLine::default(),
        }
    }

    fn unbounded() -> Self {
        Self { capacity: usize::MAX, ..Self::bounded(0) }
    }

    async fn put(&self, item: u64) {
        let push = |items: &mut VecDeque<u64>| {
            (items.len() < self.capacity).then(|| items.push_back(item))
        };
        poll_fn(|context| self.emptied.poll(context, &self.items, push)).await;
        self.filled.wake_one();
    }

    async fn take(&self) -> u64 {
        let item =
            poll_fn(|context| self.filled.poll(context, &self.items, VecDeque::pop_front)).await;
        self.emptied.wake_one();
        item
    }

    fn try_take(&self) -> Option<u64> {
        let item = locked(&self.items).pop_front();
        self.emptied.wake_one();
        item
    }
}
