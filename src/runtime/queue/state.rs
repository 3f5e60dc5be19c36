//! What is in the queue of the thread pool, and who waits for it: everything that its lock guards.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
    thread::Thread,
};

use crate::runtime::{lane::LaneWorker, ticket::Ticket};

/// A started job. Running it twice does nothing the second time.
pub trait Job: Send + Sync {
    fn run(&self);
}

/// What a worker found.
pub enum FoundWork {
    Job(Arc<dyn Job>),
    /// A ticket for one of its lanes; none: the lane's load has no ticket left.
    Turn(Arc<dyn LaneWorker>, Option<Ticket>),
    Closed,
}

/// A worker's lane, if it has one of a load.
pub(super) type LaneSlot = Option<Arc<dyn LaneWorker>>;

/// A load's place among those of its trial.
pub(in crate::runtime) type LoadNumber = u16;

pub(in crate::runtime) enum Entry {
    Ticket(LoadNumber, Ticket),
    Job(Arc<dyn Job>),
}

impl Entry {
    /// Whose ticket it is, if it is one.
    pub(in crate::runtime) fn load(&self) -> Option<LoadNumber> {
        match self {
            Self::Ticket(load, _) => Some(*load),
            Self::Job(_) => None,
        }
    }

    /// The ticket, if it is one.
    pub(in crate::runtime) fn into_ticket(self) -> Option<(LoadNumber, Ticket)> {
        match self {
            Self::Ticket(load, ticket) => Some((load, ticket)),
            Self::Job(_) => None,
        }
    }
}

/// Nobody waits for a moment.
pub(super) const NEVER_NS: u64 = u64::MAX;

/// A worker that takes something looks so far ahead for somebody else's work.
const AHEAD: usize = 64;

#[derive(Default)]
pub(in crate::runtime) struct State {
    pub(in crate::runtime) entries: VecDeque<Entry>,
    /// Tickets that are not due yet, the first one first: when they are due in ns, their numbers,
    /// and whose they are.
    pub(super) later: BinaryHeap<Reverse<(u64, u64, LoadNumber)>>,
    /// Tickets of each load that are in the queue or in the hands of a worker.
    pub(super) live: Vec<u64>,
    /// Where several loads share the workers: each load's lanes, by the worker that serves them.
    pub(super) lanes: Option<Vec<Vec<LaneSlot>>>,
    /// There: the workers that wait, each with its number, and when one of them wakes by itself for
    /// what is due next, in ns; [`NEVER_NS`]: none does.
    pub(super) parked: Vec<(usize, Thread)>,
    pub(super) wakes_ns: u64,
    /// Workers that wait for a ticket or a job.
    pub(super) serving: usize,
    /// Workers that wait for a job.
    pub(super) idle: usize,
    /// Of them, those that were told of one and have not woken yet.
    pub(super) told: usize,
    pub(super) closed: bool,
}

impl State {
    /// Puts a ticket at the end of the queue, or where those are that are due later.
    pub(in crate::runtime) fn put(&mut self, load: LoadNumber, ticket: Ticket, now_ns: u64) {
        if ticket.is_due(now_ns) {
            self.entries.push_back(Entry::Ticket(load, ticket));
        } else {
            self.later.push(Reverse((ticket.due_ns, ticket.number, load)));
        }
    }

    /// Puts those at the end of the queue that have become due.
    pub(in crate::runtime) fn put_due(&mut self, now_ns: u64) {
        while let Some(Reverse((due_ns, number, load))) = self.later.peek().copied()
            && due_ns <= now_ns
        {
            self.later.pop();
            self.entries.push_back(Entry::Ticket(load, Ticket { number, due_ns }));
        }
    }

    /// When the first one is due of those that are not due yet, in ns.
    pub(in crate::runtime) fn next_due_ns(&self) -> Option<u64> {
        self.later.peek().map(|Reverse((due_ns, ..))| *due_ns)
    }

    /// Takes any ticket of a load.
    pub(in crate::runtime) fn take(&mut self, load: LoadNumber) -> Option<Ticket> {
        let is_its = |entry: &Entry| matches!(entry, Entry::Ticket(of, _) if *of == load);
        let position = self.entries.iter().position(is_its);
        if let Some(Entry::Ticket(_, ticket)) = position.and_then(|at| self.entries.remove(at)) {
            return Some(ticket);
        }
        let found = self.later.iter().map(|Reverse(entry)| *entry).find(|(.., of)| *of == load)?;
        self.later.retain(|Reverse(entry)| *entry != found);
        Some(Ticket { number: found.1, due_ns: found.0 })
    }

    pub(in crate::runtime) fn live(&self, load: LoadNumber) -> u64 {
        self.live.get(usize::from(load)).copied().unwrap_or(0)
    }

    /// The count of a load's tickets, to be changed.
    pub(in crate::runtime) fn live_mut(&mut self, load: LoadNumber) -> &mut u64 {
        let place = usize::from(load);
        if self.live.len() <= place {
            self.live.resize(place + 1, 0);
        }
        &mut self.live[place]
    }

    /// The lane of a load that a worker serves.
    pub(super) fn lane(&self, load: LoadNumber, worker: usize) -> Option<&Arc<dyn LaneWorker>> {
        self.lanes.as_ref()?.get(usize::from(load))?.get(worker)?.as_ref()
    }

    /// A lane of this worker whose load has no ticket left.
    pub(super) fn lane_over(&mut self, worker: usize) -> Option<Arc<dyn LaneWorker>> {
        let Self { lanes, live, .. } = self;
        let is_over = |load: usize| live.get(load).is_none_or(|live| *live == 0);
        let mut of_worker = lanes.iter_mut().flatten().enumerate();
        of_worker.find_map(|(load, lanes)| lanes.get_mut(worker)?.take_if(|_| is_over(load)))
    }

    /// Wakes one worker that waits and can do this: any for a job, one with a lane for a ticket.
    pub(super) fn wake_for(&mut self, load: Option<LoadNumber>) -> bool {
        let can = |worker: usize| load.is_none_or(|load| self.lane(load, worker).is_some());
        let Some(place) = self.parked.iter().rposition(|(worker, _)| can(*worker)) else {
            return false;
        };
        self.parked.remove(place).1.unpark();
        true
    }

    /// Wakes every worker that has a lane of the load; without one, all.
    pub(super) fn wake_all_for(&mut self, load: Option<LoadNumber>) {
        while self.wake_for(load) {}
    }

    /// Somebody else sees to the next entry that anybody who waits can do; false, if there is none.
    pub(super) fn hand_on(&mut self) -> bool {
        if self.parked.is_empty() {
            return false;
        }
        let ahead = self.entries.iter().take(AHEAD).map(|entry| match entry {
            Entry::Job(_) => None,
            Entry::Ticket(load, _) => Some(*load),
        });
        let mut loads: Vec<Option<LoadNumber>> = ahead.collect();
        loads.dedup();
        loads.into_iter().any(|load| self.wake_for(load))
    }

    /// Before a worker goes to work: somebody else sees to the next entry, or to what will be due.
    pub(super) fn leave(&mut self) {
        let unattended = !self.later.is_empty() && self.wakes_ns == NEVER_NS;
        if !self.hand_on() && unattended {
            self.wake_for(None);
        }
    }

    /// The first of what this worker can do, taken out of the queue.
    pub(super) fn take_for(&mut self, worker: usize) -> Option<FoundWork> {
        let can = |entry: &Entry| match entry {
            Entry::Job(_) => true,
            Entry::Ticket(load, _) => self.lane(*load, worker).is_some(),
        };
        let position = self.entries.iter().position(can)?;
        match self.entries.remove(position)? {
            Entry::Job(job) => Some(FoundWork::Job(job)),
            Entry::Ticket(load, ticket) => {
                Some(FoundWork::Turn(self.lane(load, worker)?.clone(), Some(ticket)))
            }
        }
    }
}
