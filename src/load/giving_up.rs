//! How a closed load ends that ends by time, whatever its tasks do: what is in flight when nobody
//! waits any longer is given up, and the account of the clients is exact.
//!
//! Every client is somewhere: in a lane of its own, where its next turn stands for all to see
//! ([`ClientTurn`]); in the queue of a pool; or for a moment in the hands of a worker, from where
//! it gets back into the queue or into a task. Who settles a task is decided by its slot's
//! [`SlotLog`]. So the load looks until it has found every client.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    Slot,
    lane::LoadShared,
    log::{SlotAccount, SlotLog, SlotSeen},
};
use crate::{
    clock,
    measure::{Record, Recorders},
    runtime::{Ticket, Tickets},
};

/// A client's next turn, or the one that it is having: written by its lane, read by a load that
/// gives up.
#[derive(Debug)]
pub(super) struct ClientTurn {
    /// Its own number, and then one more round of all clients with each task.
    number: AtomicU64,
    due_ns: AtomicU64,
}

/// The turn of a client that has had its last.
const ENDED: u64 = u64::MAX;

impl ClientTurn {
    pub(super) fn new(turn: Ticket) -> Self {
        Self { number: AtomicU64::new(turn.number), due_ns: AtomicU64::new(turn.due_ns) }
    }

    /// Its turn; none after its last.
    #[inline]
    pub(super) fn turn(&self) -> Option<Ticket> {
        let due_ns = self.due_ns.load(Relaxed);
        (due_ns != ENDED).then(|| Ticket { number: self.number.load(Relaxed), due_ns })
    }

    #[inline]
    pub(super) fn has(&self, turn: Ticket) {
        self.number.store(turn.number, Relaxed);
        self.due_ns.store(turn.due_ns, Relaxed);
    }

    pub(super) fn end(&self) {
        self.due_ns.store(ENDED, Relaxed);
    }
}

/// What can be seen of a lane from outside.
struct WatchedLane {
    log: Arc<SlotLog>,
    /// Those that it serves; in a pool the one that it serves now.
    clients: Arc<[ClientTurn]>,
}

/// What looks on while the lanes of a load run, and takes their slots when they have ended.
pub struct Watch<Rec> {
    lanes: Vec<WatchedLane>,
    tickets: Option<Tickets>,
    shared: Arc<LoadShared>,
    /// No task is started whose intended start is not before this.
    until_ns: u64,
    clients: u64,
    returned: Mutex<Vec<(usize, Slot<Rec>)>>,
}

/// What a load has given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Clients whose task was running.
    pub running: u64,
    /// Clients whose task was due and had not been started.
    pub waiting: u64,
    /// Tasks, of both kinds, that were meant to start in the window.
    pub measured: u64,
    /// Clients that had no task left to begin, and had not said so.
    over: u64,
}

impl Left {
    /// What a racer in a process of its own says that it has given up.
    pub fn of(running: u64, waiting: u64, measured: u64) -> Self {
        Self { running, waiting, measured, over: 0 }
    }

    /// Tasks that were given up.
    pub fn tasks(&self) -> u64 {
        self.running + self.waiting
    }
}

/// What became of the clients of a closed load that ends by time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Tasks that ended by themselves, warm-up included.
    pub ended: u64,
    /// Of them, those that were meant to start in the window.
    pub measured: u64,
    /// Tasks that completed inside the window.
    pub completed: u64,
    /// Clients that have run their last task.
    pub clients: u64,
    /// What was given up.
    pub left: Left,
    /// How long after the end of the window, in ns; 0 where nothing was.
    pub waited_ns: u64,
}

impl<Rec: Record> Watch<Rec> {
    /// Over these slots, each with the clients that its lane begins with.
    pub(super) fn over<'a>(
        slots: impl Iterator<Item = (&'a Slot<Rec>, Arc<[ClientTurn]>)>,
        tickets: Option<Tickets>,
        shared: Arc<LoadShared>,
        clients: u64,
        until_ns: u64,
    ) -> Self {
        let lanes = slots.map(|(slot, clients)| WatchedLane { log: slot.log(), clients }).collect();
        Self { lanes, tickets, shared, until_ns, clients, returned: Mutex::default() }
    }

    pub(super) fn clients_of(&self, lane: usize) -> Arc<[ClientTurn]> {
        self.lanes[lane].clients.clone()
    }

    /// A lane has ended.
    pub(super) fn give_back(&self, lane: usize, slot: Slot<Rec>) {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).push((lane, slot));
    }

    /// How many lanes have ended.
    pub(super) fn ended(&self) -> usize {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// The slots of the lanes that have ended, in order.
    pub fn slots(&self) -> Vec<Slot<Rec>> {
        let mut returned =
            std::mem::take(&mut *self.returned.lock().unwrap_or_else(PoisonError::into_inner));
        returned.sort_unstable_by_key(|(lane, _)| *lane);
        returned.into_iter().map(|(_, slot)| slot).collect()
    }

    fn account(&self) -> SlotAccount {
        let mut sum = SlotAccount::default();
        for lane in &self.lanes {
            sum.add(lane.log.account());
        }
        sum
    }

    /// What became of the clients, after all lanes have ended or `left` was given up.
    pub fn drained(&self, left: Left, waited_ns: u64) -> Drained {
        let SlotAccount { ended, measured, completed, clients } = self.account();
        Drained { ended, measured, completed, clients: clients + left.over, left, waited_ns }
    }

    /// Gives up whatever is in flight at `now_ns`: what runs, and what is due and waits. None, if
    /// the account cannot be closed: a client has neither ended nor is it anywhere.
    pub fn give_up(&self, recorders: &Recorders, now_ns: u64) -> Option<Left> {
        /// A client in a worker's hands is in the queue or in a task a moment later, and a task
        /// that is being settled ends.
        const MOMENT_NS: u64 = 200_000;
        const MOMENTS: u32 = 25_000;
        self.shared.given_up.say();
        let mut left = Left::default();
        let mut open: Vec<&WatchedLane> = self.lanes.iter().collect();
        for _ in 0..MOMENTS {
            while let Some(ticket) = self.tickets.as_ref().and_then(Tickets::withdraw) {
                self.find(ticket, None, (recorders, now_ns), &mut left);
            }
            open.retain(|lane| !self.close(lane, (recorders, now_ns), &mut left));
            if self.account().clients + left.tasks() + left.over == self.clients {
                return Some(left);
            }
            clock::sleep_until(clock::now_ns() + MOMENT_NS);
        }
        None
    }

    /// Takes what a lane has; false if it has to be looked at again.
    fn close(&self, lane: &WatchedLane, given_up: (&Recorders, u64), left: &mut Left) -> bool {
        let running = match lane.log.look() {
            SlotSeen::Settling => return false,
            SlotSeen::Running(client, since_ns) => Some((client, since_ns)),
            // A worker of a pool has no client when it does nothing, and may get one.
            SlotSeen::Idle if self.tickets.is_some() => return false,
            SlotSeen::Idle => None,
        };
        for (place, client) in lane.clients.iter().enumerate() {
            if let Some(turn) = client.turn() {
                let since_ns = running
                    .filter(|(client, _)| *client == place as u64)
                    .map(|(_, since_ns)| since_ns);
                self.find(turn, since_ns, given_up, left);
            }
        }
        if let Some(tickets) = &self.tickets {
            // The worker will not do it: it may hang, and the others wait for the last ticket.
            tickets.retire();
        }
        true
    }

    fn find(
        &self,
        turn: Ticket,
        since_ns: Option<u64>,
        given_up: (&Recorders, u64),
        left: &mut Left,
    ) {
        if turn.due_ns >= self.until_ns {
            left.over += 1;
            return;
        }
        let (recorders, now_ns) = given_up;
        left.measured += u64::from(recorders.censor(turn.due_ns, since_ns, now_ns));
        match since_ns {
            Some(_) => left.running += 1,
            None => left.waiting += 1,
        }
    }
}
