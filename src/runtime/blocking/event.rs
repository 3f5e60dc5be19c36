//! The event of the blocking executors.

use std::{future::poll_fn, sync::Mutex};

use super::{
    super::EventFlag,
    line::{WaitingLine, locked},
};

/// A flag under a mutex with a condition variable; waiting blocks the thread, at most until the
/// task's deadline.
#[derive(Default)]
pub struct BlockingEvent {
    state: Mutex<EventState>,
    line: WaitingLine,
}

#[derive(Default)]
struct EventState {
    is_set: bool,
    /// How often it was set: those who waited go on though it was cleared before they woke.
    sets: u64,
}

impl EventFlag for BlockingEvent {
    const NAME: &'static str = "a mutex with a condition variable of std";
    const TURNS: &'static str = "the kernel wakes all";

    fn new() -> Self {
        Self::default()
    }

    fn set(&self) {
        let mut event = locked(&self.state);
        event.is_set = true;
        event.sets += 1;
        drop(event);
        self.line.wake_all();
    }

    fn clear(&self) {
        locked(&self.state).is_set = false;
    }

    async fn wait(&self) {
        let Some(sets) = self.begin() else { return };
        let happened = |event: &mut EventState| (event.is_set || event.sets > sets).then_some(());
        poll_fn(|context| self.line.poll(context, &self.state, happened)).await;
    }
}

impl BlockingEvent {
    /// How often it was set before; none: it is set now.
    fn begin(&self) -> Option<u64> {
        let event = locked(&self.state);
        (!event.is_set).then_some(event.sets)
    }
}
