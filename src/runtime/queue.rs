//! The queue of the thread pool: first in, first out, for tasks of the load and for jobs that tasks have started.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::clock;

/// A task of the load, waiting for a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticket {
    /// The task's or client's number.
    pub number: u64,
    /// When it is meant to start, in ns; a worker does not take it earlier.
    pub due_ns: u64,
}

/// A started job. Running it twice does nothing the second time.
pub(super) trait Job: Send + Sync {
    fn run(&self);
}

enum Entry {
    Ticket(Ticket),
    Job(Arc<dyn Job>),
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    /// Tickets that are in the queue or in the hands of a worker.
    live_tickets: u64,
    /// Workers that wait for a ticket or a job.
    serving: usize,
    /// Workers that wait for a job.
    idle: usize,
    closed: bool,
}

/// A blocking queue that several workers empty.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    for_serving: Condvar,
    for_idle: Condvar,
}

/// What a worker found.
pub(super) enum Found {
    Job(Arc<dyn Job>),
    Closed,
}

impl Queue {
    /// What a ticket takes in the queue, in bytes.
    pub const ENTRY_BYTES: u64 = size_of::<Entry>() as u64;

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent whenever the lock is free: no code that could panic runs under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds tickets, all at once.
    pub fn admit(&self, tickets: impl Iterator<Item = Ticket>) {
        let mut state = self.lock();
        for ticket in tickets {
            state.live_tickets += 1;
            state.entries.push_back(Entry::Ticket(ticket));
        }
        self.wake_all_serving(&state);
    }

    /// Adds one ticket and wakes one worker for it.
    pub fn admit_one(&self, ticket: Ticket) {
        let mut state = self.lock();
        state.live_tickets += 1;
        state.entries.push_back(Entry::Ticket(ticket));
        self.wake_serving(&state);
    }

    /// Keeps the workers waiting for tickets that are still to come; [`Queue::retire`] ends it.
    pub fn hold(&self) {
        self.lock().live_tickets += 1;
    }

    /// Takes a ticket that no worker will get any more.
    pub fn withdraw(&self) -> Option<Ticket> {
        let mut state = self.lock();
        let position = state.entries.iter().position(|entry| matches!(entry, Entry::Ticket(_)))?;
        let Some(Entry::Ticket(ticket)) = state.entries.remove(position) else { return None };
        state.live_tickets -= 1;
        if state.live_tickets == 0 {
            self.wake_all_serving(&state);
        }
        Some(ticket)
    }

    /// Puts a ticket that a worker holds back at the end of the queue, and takes the next one that is due; also says
    /// when it was taken. The caller has read the clock at `now_ns`: where nobody had to be waited for since, that
    /// reading is used again, for a ticket's way through a free queue takes less time than another reading.
    pub fn exchange(&self, ticket: Ticket, now_ns: u64) -> Option<(Ticket, u64)> {
        let (mut state, waited) = match self.state.try_lock() {
            Ok(state) => (state, false),
            Err(_) => (self.lock(), true),
        };
        state.entries.push_back(Entry::Ticket(ticket));
        if let Some(&Entry::Ticket(first)) = state.entries.front()
            && first.due_ns <= now_ns
        {
            // One in, one out: there is nothing that another worker could be woken for.
            state.entries.pop_front();
            drop(state);
            return Some((first, if waited { clock::now_ns() } else { now_ns }));
        }
        self.wake_serving(&state);
        self.next_of(state).map(|ticket| (ticket, clock::now_ns()))
    }

    /// Ends a ticket that a worker holds.
    pub fn retire(&self) {
        let mut state = self.lock();
        state.live_tickets -= 1;
        if state.live_tickets == 0 {
            self.wake_all_serving(&state);
        }
    }

    /// The next ticket that is due; runs jobs that are in front of it; `None` once no ticket is left alive.
    pub fn next_ticket(&self) -> Option<Ticket> {
        self.next_of(self.lock())
    }

    fn next_of<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Option<Ticket> {
        loop {
            if state.live_tickets == 0 {
                return None;
            }
            match state.entries.pop_front() {
                None => state = self.wait_serving(state, None),
                Some(Entry::Job(job)) => {
                    drop(state);
                    job.run();
                    state = self.lock();
                }
                Some(Entry::Ticket(ticket)) => match ticket.due_ns.checked_sub(clock::now_ns()) {
                    None | Some(0) => return Some(ticket),
                    Some(early_ns) => {
                        state.entries.push_front(Entry::Ticket(ticket));
                        state = self.wait_serving(state, Some(Duration::from_nanos(early_ns)));
                    }
                },
            }
        }
    }

    /// Adds a job.
    pub(super) fn push_job(&self, job: Arc<dyn Job>) {
        let mut state = self.lock();
        state.entries.push_back(Entry::Job(job));
        // A notification is a system call even if nobody waits, so it is saved then.
        if state.idle > 0 {
            self.for_idle.notify_one();
        } else {
            self.wake_serving(&state);
        }
    }

    /// The next job, for a worker that is not serving tickets. Tickets stay where they are.
    pub(super) fn next_job(&self) -> Found {
        let mut state = self.lock();
        loop {
            let position = state.entries.iter().position(|entry| matches!(entry, Entry::Job(_)));
            if let Some(Entry::Job(job)) = position.and_then(|at| state.entries.remove(at)) {
                return Found::Job(job);
            }
            if state.closed {
                return Found::Closed;
            }
            state.idle += 1;
            state = self.for_idle.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Lets the workers end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
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
            Some(time) => self.for_serving.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0,
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
mod tests {
    use super::*;

    struct Count(Mutex<u32>);

    impl Job for Count {
        fn run(&self) {
            *self.0.lock().expect("not poisoned") += 1;
        }
    }

    fn ticket(number: u64) -> Ticket {
        Ticket { number, due_ns: 0 }
    }

    #[test]
    fn tickets_come_in_order_and_end() {
        let queue = Queue::default();
        queue.admit((0..3).map(ticket));
        let first = queue.next_ticket().expect("a ticket");
        assert_eq!(queue.exchange(first, 7), Some((ticket(1), 7)));
        queue.retire();
        let order: Vec<u64> = (0..2)
            .map(|_| {
                let number = queue.next_ticket().expect("a ticket").number;
                queue.retire();
                number
            })
            .collect();
        assert_eq!(order, [2, 0]);
        assert_eq!(queue.next_ticket(), None);
    }

    #[test]
    fn a_queue_that_is_held_waits_for_more_and_gives_back_what_nobody_has_taken() {
        let queue = Arc::new(Queue::default());
        queue.hold();
        let serving = queue.clone();
        let worker = std::thread::spawn(move || {
            let mut served = Vec::new();
            while let Some(ticket) = serving.next_ticket() {
                served.push(ticket.number);
                serving.retire();
            }
            served
        });
        for number in 0..3 {
            queue.admit_one(ticket(number));
        }
        while !queue.lock().entries.is_empty() {
            std::thread::yield_now();
        }
        queue.retire();
        assert_eq!(worker.join().expect("no panic"), [0, 1, 2]);
        queue.push_job(Arc::new(Count(Mutex::new(0))));
        queue.admit_one(ticket(9));
        assert_eq!((queue.withdraw(), queue.withdraw()), (Some(ticket(9)), None));
        assert_eq!(queue.next_ticket(), None);
    }

    #[test]
    fn jobs_in_front_of_a_ticket_are_run() {
        let queue = Queue::default();
        let job = Arc::new(Count(Mutex::new(0)));
        queue.push_job(job.clone());
        queue.admit([ticket(7)].into_iter());
        assert_eq!(queue.next_ticket(), Some(ticket(7)));
        assert_eq!(*job.0.lock().expect("not poisoned"), 1);
    }

    #[test]
    fn idle_workers_take_jobs_past_tickets_and_stop_when_closed() {
        let queue = Queue::default();
        queue.admit([ticket(1)].into_iter());
        queue.push_job(Arc::new(Count(Mutex::new(0))));
        assert!(matches!(queue.next_job(), Found::Job(_)));
        queue.close();
        assert!(matches!(queue.next_job(), Found::Closed));
        assert_eq!(queue.next_ticket(), Some(ticket(1)));
    }
}
