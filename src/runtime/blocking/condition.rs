//! The condition of the blocking executors.

use std::{future::poll_fn, sync::Mutex};

use super::{
    super::{Condition, Waking},
    line::{WaitingLine, locked},
};

/// Tickets under a mutex with a condition variable; waiting blocks the thread, at most until the
/// task's deadline.
#[derive(Default)]
pub struct BlockingCondition {
    tickets: Mutex<u64>,
    line: WaitingLine,
}

impl Condition for BlockingCondition {
    const NAME: &'static str = "a mutex with a condition variable of std";
    const TURNS: &'static str = "the kernel wakes a thread; who asks first has the ticket";

    fn new() -> Self {
        Self::default()
    }

    fn supply(&self, tickets: u64, waking: Waking) {
        *locked(&self.tickets) += tickets;
        match waking {
            Waking::One => (0..tickets).for_each(|_| self.line.wake_one()),
            Waking::All => self.line.wake_all(),
        }
    }

    async fn take(&self) {
        let take = |tickets: &mut u64| {
            *tickets = tickets.checked_sub(1)?;
            Some(())
        };
        poll_fn(|context| self.line.poll(context, &self.tickets, take)).await;
    }

    fn left(&self) -> u64 {
        *locked(&self.tickets)
    }

    fn in_vain(&self) -> u64 {
        self.line.in_vain()
    }
}
