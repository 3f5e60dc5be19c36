//! Tasks that wait for a worker of rayon, the lanes in which they run, and who is to look for them:
//! everything that one lock guards.
//!
//! This stands where rayon has its injector: first in, first out, and looked at last, after a
//! worker's own deque and those of the others.

use std::{sync::Arc, thread::Thread};

use crate::runtime::{
    lane::LaneWorker,
    queue::{Entry, LoadNumber, State},
    ticket::Ticket,
};

/// A task with the lane in which it runs.
pub(super) struct PoolTurn {
    pub(super) load: LoadNumber,
    pub(super) lane: Arc<dyn LaneWorker>,
    pub(super) ticket: Ticket,
}

/// Tickets, free lanes, and workers that look for them.
#[derive(Default)]
pub(super) struct Office {
    pub(super) tickets: State,
    /// Each load's lanes that no task runs in; the one that was used last is used next, so that no
    /// more connections are opened than are needed.
    lanes: Vec<Vec<Arc<dyn LaneWorker>>>,
    /// Workers that wait for children and are asleep, and the one that waits for what is due next.
    pub(super) parked: Vec<Thread>,
    /// When the first worker wakes by itself that waits for a ticket to be due, in ns.
    pub(super) wakes_ns: Option<u64>,
    /// Workers that look for tickets, or run one and look when it has ended.
    pub(super) serving: usize,
    /// Jobs of rayon's that make a worker look for tickets, and have not begun.
    pub(super) calls: usize,
    pub(super) closed: bool,
}

impl Office {
    fn lanes_mut(&mut self, load: LoadNumber) -> &mut Vec<Arc<dyn LaneWorker>> {
        let place = usize::from(load);
        if self.lanes.len() <= place {
            self.lanes.resize_with(place + 1, Vec::new);
        }
        &mut self.lanes[place]
    }

    fn has_lane(&self, load: LoadNumber) -> bool {
        self.lanes.get(usize::from(load)).is_some_and(|lanes| !lanes.is_empty())
    }

    /// Where the first ticket stands for which there is a lane.
    fn first(&self) -> Option<usize> {
        self.tickets
            .entries
            .iter()
            .position(|entry| entry.load().is_some_and(|load| self.has_lane(load)))
    }

    /// Whether there is a task that could be begun.
    pub(super) fn has_turn(&self) -> bool {
        self.first().is_some()
    }

    /// The first task that is due.
    pub(super) fn take(&mut self) -> Option<PoolTurn> {
        let at = self.first()?;
        let (load, ticket) = self.tickets.entries.remove(at)?.into_ticket()?;
        let lane = self.lanes_mut(load).pop()?;
        Some(PoolTurn { load, lane, ticket })
    }

    /// A lane that is free from now on; given back, if its load has no ticket left: it is to end.
    pub(super) fn free(
        &mut self,
        load: LoadNumber,
        lane: Arc<dyn LaneWorker>,
    ) -> Option<Arc<dyn LaneWorker>> {
        if self.tickets.live(load) == 0 {
            return Some(lane);
        }
        self.lanes_mut(load).push(lane);
        None
    }

    /// Counts a ticket that has ended; after the last one, the lanes that are to end.
    pub(super) fn ended(&mut self, load: LoadNumber) -> Vec<Arc<dyn LaneWorker>> {
        let live = self.tickets.live_mut(load);
        *live -= 1;
        if *live == 0 { std::mem::take(self.lanes_mut(load)) } else { Vec::new() }
    }

    /// When the next ticket is due, in ns, if nobody wakes by then.
    pub(super) fn unwatched(&self) -> Option<u64> {
        self.tickets.next_due_ns().filter(|due| self.wakes_ns.is_none_or(|wakes| *due < wakes))
    }

    /// How many more of so many workers must be called, so that each task that is due finds one and
    /// somebody waits for the next; they count as called. None where all look by themselves.
    pub(super) fn call(&mut self, workers: usize) -> usize {
        let free = workers.saturating_sub(self.serving + self.calls);
        if free == 0 {
            return 0;
        }
        let can = self.tickets.entries.iter().filter_map(Entry::load);
        let due = can.filter(|load| self.has_lane(*load)).take(free + self.calls).count();
        let watch = usize::from(self.unwatched().is_some());
        let more = (due + watch).saturating_sub(self.calls).min(free);
        self.calls += more;
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_that_is_due_before_anybody_wakes_is_watched() {
        let mut office = Office::default();
        office.tickets.put(0, Ticket { number: 1, due_ns: 400 }, 0);
        assert_eq!(office.unwatched(), Some(400));
        office.wakes_ns = Some(400);
        assert_eq!(office.unwatched(), None);
        office.tickets.put(0, Ticket { number: 2, due_ns: 5 }, 0);
        assert_eq!(office.unwatched(), Some(5));
    }
}
