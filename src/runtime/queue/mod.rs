//! The queue of the thread pool: first in, first out, for tasks of the loads and for jobs that
//! tasks have started. Tasks that are not due yet stand apart, so that nobody who is due waits
//! behind them.
//!
//! A load alone has the workers for itself: its lanes block in them and take its tickets. Where
//! several loads share the pool, a lane has a worker only for a turn ([`LaneWorker`]), so that each
//! worker serves whichever ticket is first.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use self::state::NEVER_NS;
pub use self::tickets::Tickets;
pub(super) use self::{
    state::{Entry, FoundWork, Job, LoadNumber, State},
    tickets::TurnTaker,
};
use super::{lane::LaneWorker, ticket::Ticket};
use crate::clock;

mod state;
mod tickets;

/// A blocking queue that several workers empty.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    for_serving: Condvar,
    for_idle: Condvar,
}

impl Queue {
    /// What a ticket takes in the queue, in bytes.
    pub const ENTRY_BYTES: u64 = size_of::<Entry>() as u64;

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent whenever the lock is free: no code that could panic runs under
        // it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on so many loads share the workers: lanes are served turn by turn.
    pub fn share(&self, loads: usize) {
        let mut state = self.lock();
        (state.lanes, state.wakes_ns) = (Some(vec![Vec::new(); loads]), NEVER_NS);
        // Who waits as a load alone lets workers wait goes on as others do.
        self.for_idle.notify_all();
    }

    fn admit(&self, load: LoadNumber, tickets: impl Iterator<Item = Ticket>) {
        let now_ns = clock::now_ns();
        let mut state = self.lock();
        for ticket in tickets {
            *state.live_mut(load) += 1;
            state.put(load, ticket, now_ns);
            // Whoever wakes finds it, or sees to when it is due.
            state.wake_for(Some(load));
        }
        self.wake_all_serving(&state);
    }

    fn admit_one(&self, load: LoadNumber, ticket: Ticket) {
        let mut state = self.lock();
        *state.live_mut(load) += 1;
        state.entries.push_back(Entry::Ticket(load, ticket));
        state.wake_for(Some(load));
        self.wake_serving(&state);
    }

    /// Puts a ticket back that a lane with a turn has had. Its worker looks for work next, so that
    /// nobody need be woken.
    fn put_back(&self, load: LoadNumber, ticket: Ticket, now_ns: u64) {
        self.lock().put(load, ticket, now_ns);
    }

    fn withdraw(&self, load: LoadNumber) -> Option<Ticket> {
        let mut state = self.lock();
        let ticket = state.take(load)?;
        self.ended(&mut state, load);
        Some(ticket)
    }

    /// Counts a ticket that has ended.
    fn ended(&self, state: &mut State, load: LoadNumber) {
        let live = state.live_mut(load);
        *live -= 1;
        if *live == 0 {
            state.wake_all_for(Some(load));
            self.wake_all_serving(state);
        }
    }

    /// Puts a ticket that a worker holds back at the end of the queue, and takes the next one that
    /// is due; also says when it was taken. The caller has read the clock at `now_ns`: where nobody
    /// had to be waited for since, that reading is used again, for a ticket's way through a free
    /// queue takes less time than another reading.
    fn exchange(&self, load: LoadNumber, ticket: Ticket, now_ns: u64) -> Option<(Ticket, u64)> {
        let (mut state, waited) = match self.state.try_lock() {
            Ok(state) => (state, false),
            Err(_) => (self.lock(), true),
        };
        state.put(load, ticket, now_ns);
        state.put_due(now_ns);
        if let Some(&Entry::Ticket(_, first)) = state.entries.front()
            && first.is_due(now_ns)
        {
            // One in, one out: another worker could be woken only to wait for the one that is due
            // first.
            state.entries.pop_front();
            if state.next_due_ns() == Some(ticket.due_ns) {
                self.wake_serving(&state);
            }
            drop(state);
            return Some((first, if waited { clock::now_ns() } else { now_ns }));
        }
        self.wake_serving(&state);
        self.next_of(load, state).map(|ticket| (ticket, clock::now_ns()))
    }

    fn retire(&self, load: LoadNumber) {
        self.ended(&mut self.lock(), load);
    }

    /// The next ticket that is due; runs jobs that are in front of it; `None` once no ticket is
    /// left alive.
    fn next_ticket(&self, load: LoadNumber) -> Option<Ticket> {
        self.next_of(load, self.lock())
    }

    fn next_of<'a>(&'a self, load: LoadNumber, mut state: MutexGuard<'a, State>) -> Option<Ticket> {
        loop {
            if state.live(load) == 0 {
                return None;
            }
            let now_ns = clock::now_ns();
            state.put_due(now_ns);
            match state.entries.pop_front() {
                None => {
                    let early_ns = state.next_due_ns().map(|due_ns| due_ns.saturating_sub(now_ns));
                    state = self.wait_serving(state, early_ns.map(Duration::from_nanos));
                }
                Some(Entry::Job(job)) => {
                    drop(state);
                    job.run();
                    state = self.lock();
                }
                Some(Entry::Ticket(_, ticket)) if ticket.is_due(now_ns) => {
                    // Nobody else may look out for those that are due next.
                    if !state.entries.is_empty() || !state.later.is_empty() {
                        self.wake_serving(&state);
                    }
                    return Some(ticket);
                }
                Some(Entry::Ticket(load, ticket)) => state.put(load, ticket, now_ns),
            }
        }
    }

    /// Adds a job.
    pub(super) fn push_job(&self, job: Arc<dyn Job>) {
        let mut state = self.lock();
        state.entries.push_back(Entry::Job(job));
        if state.wake_for(None) {
            return;
        }
        // A notification is a system call even if nobody waits, so it is saved then.
        if state.idle > state.told {
            state.told += 1;
            self.for_idle.notify_one();
        } else {
            self.wake_serving(&state);
        }
    }

    /// Gives a worker a lane of a load. Only where loads share the workers.
    fn serve(&self, load: LoadNumber, worker: usize, lane: Arc<dyn LaneWorker>) {
        let mut state = self.lock();
        let of_load = state.lanes.as_mut().and_then(|lanes| lanes.get_mut(usize::from(load)));
        if let Some(lanes) = of_load {
            if lanes.len() <= worker {
                lanes.resize(worker + 1, None);
            }
            lanes[worker] = Some(lane);
        }
        // It may have waited for want of a lane.
        state.wake_all_for(Some(load));
    }

    /// What a worker does next that does not serve one lane alone: a job, or a turn of one of its
    /// lanes. Tickets of others stay where they are.
    pub(super) fn next_work(&self, worker: usize) -> FoundWork {
        let mut state = self.lock();
        loop {
            if state.lanes.is_some() {
                state.put_due(clock::now_ns());
                if let Some(lane) = state.lane_over(worker) {
                    return FoundWork::Turn(lane, None);
                }
            }
            if let Some(found) = state.take_for(worker) {
                state.leave();
                return found;
            }
            if state.closed {
                return FoundWork::Closed;
            }
            // What has become due may be for others.
            state.hand_on();
            let is_shared = state.lanes.is_some();
            state = if is_shared { self.park(state, worker) } else { self.wait_idle(state) };
        }
    }

    fn wait_idle<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.idle += 1;
        let mut state = self.for_idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        state.told = state.told.saturating_sub(1);
        state
    }

    /// Waits where loads share the workers: until somebody wakes this one, or until the next ticket
    /// is due, if nobody else waits for that.
    fn park<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        worker: usize,
    ) -> MutexGuard<'a, State> {
        let due_ns = state.next_due_ns().filter(|due_ns| *due_ns < state.wakes_ns);
        state.wakes_ns = due_ns.unwrap_or(state.wakes_ns);
        state.parked.push((worker, thread::current()));
        drop(state);
        match due_ns {
            None => thread::park(),
            Some(due_ns) => {
                let early = due_ns.saturating_sub(clock::now_ns());
                thread::park_timeout(Duration::from_nanos(early));
            }
        }
        let mut state = self.lock();
        state.parked.retain(|(other, _)| *other != worker);
        if due_ns == Some(state.wakes_ns) {
            state.wakes_ns = NEVER_NS;
        }
        state
    }

    /// Lets the workers end.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.wake_all_for(None);
        self.for_idle.notify_all();
    }

    fn wait_serving<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        at_most: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        state.serving += 1;
        let mut state = match at_most {
            None => self.for_serving.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                self.for_serving.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.serving -= 1;
        state
    }

    fn wake_serving(&self, state: &State) {
        if state.serving > 0 {
            self.for_serving.notify_one();
        }
    }

    fn wake_all_serving(&self, state: &State) {
        if state.serving > 0 {
            self.for_serving.notify_all();
        }
    }
}

#[cfg(test)]
mod tests;
