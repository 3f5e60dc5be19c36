//! The barrier of the blocking executors.
//!
//! That of std blocks where it stands. This one asks the driver first, as all waits do, and is the
//! same otherwise: a mutex with a condition variable.

use std::{future::poll_fn, sync::Mutex};

use super::{
    super::Barrier,
    line::{WaitingLine, locked},
};

/// Where so many tasks wait for each other; waiting blocks the thread.
pub struct BlockingBarrier {
    parties: usize,
    state: Mutex<BarrierState>,
    line: WaitingLine,
}

#[derive(Default)]
struct BarrierState {
    /// Who has come since the last ones were let go.
    arrived: usize,
    /// How often all have come.
    meetings: u64,
}

impl Barrier for BlockingBarrier {
    const NAME: &'static str = "a mutex with a condition variable of std";
    const TURNS: &'static str = "the last one goes on, and the kernel wakes all others";

    fn new(parties: usize) -> Self {
        Self { parties, state: Mutex::default(), line: WaitingLine::default() }
    }

    async fn wait(&self) -> bool {
        let Some(meeting) = self.arrive() else {
            self.line.wake_all();
            return true;
        };
        let is_over = |arrivals: &mut BarrierState| (arrivals.meetings > meeting).then_some(());
        poll_fn(|context| self.line.poll(context, &self.state, is_over)).await;
        false
    }
}

impl BlockingBarrier {
    /// The meeting that is waited for; none: this one was the last to come.
    fn arrive(&self) -> Option<u64> {
        let mut arrivals = locked(&self.state);
        arrivals.arrived += 1;
        if arrivals.arrived < self.parties {
            return Some(arrivals.meetings);
        }
        arrivals.arrived = 0;
        arrivals.meetings += 1;
        None
    }
}
