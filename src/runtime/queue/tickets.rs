//! One load's way to the workers of a pool.

use std::sync::Arc;

use super::Queue;
use crate::{
    clock,
    runtime::{
        lane::{Desk, LaneWorker},
        queue::state::LoadNumber,
        ticket::Ticket,
    },
};

/// Where tickets wait in a pool that serves all lanes turn by turn, whatever loads there are.
pub(in crate::runtime) trait TurnTaker: Send + Sync {
    /// Adds tickets, all at once.
    fn admit(&self, load: LoadNumber, tickets: &mut dyn Iterator<Item = Ticket>);
    /// Keeps lanes waiting for tickets that are still to come.
    fn hold(&self, load: LoadNumber);
    /// Puts a ticket back that a lane with a turn has had. Its worker looks for work next.
    fn put_back(&self, load: LoadNumber, ticket: Ticket, now_ns: u64);
    /// Takes a ticket that no worker will get any more.
    fn withdraw(&self, load: LoadNumber) -> Option<Ticket>;
    /// Ends a ticket that a worker holds.
    fn retire(&self, load: LoadNumber);
    /// Gives the workers a lane of the load.
    fn serve(&self, load: LoadNumber, lane: Arc<dyn LaneWorker>);
}

/// Where the tickets of a pool wait.
#[derive(Clone)]
enum TicketWay {
    Queue(Arc<Queue>),
    Turns(Arc<dyn TurnTaker>),
}

/// One load's way to the workers of a pool, where it may share them with others.
#[derive(Clone)]
pub struct Tickets {
    way: TicketWay,
    load: LoadNumber,
    /// Where its lane is told of a ticket; none: it has a worker for itself.
    desk: Option<Arc<Desk>>,
}

impl Tickets {
    /// Those of the load with this place among the loads of its trial.
    pub fn new(queue: &Arc<Queue>, load: usize) -> Self {
        Self::by(TicketWay::Queue(queue.clone()), load)
    }

    /// The same in a pool that serves all lanes turn by turn.
    pub(in crate::runtime) fn by_turns(pool: Arc<dyn TurnTaker>, load: usize) -> Self {
        Self::by(TicketWay::Turns(pool), load)
    }

    fn by(way: TicketWay, load: usize) -> Self {
        let load = LoadNumber::try_from(load).unwrap_or(LoadNumber::MAX);
        Self { way, load, desk: None }
    }

    /// The same for one lane, which has a worker for a turn at a time where loads share the
    /// workers, and in a pool that has no other way.
    #[must_use]
    pub fn of_lane(&self) -> Self {
        let by_turns = match &self.way {
            TicketWay::Queue(queue) => queue.lock().lanes.is_some(),
            TicketWay::Turns(_) => true,
        };
        Self { desk: by_turns.then(Arc::default), ..self.clone() }
    }

    /// Where this lane asks for tickets; none: it has a worker for itself.
    pub(in crate::runtime) fn desk(&self) -> Option<Arc<Desk>> {
        self.desk.clone()
    }

    /// Gives a worker a lane of the load. Only where lanes are served turn by turn.
    pub(in crate::runtime) fn serve(&self, worker: usize, lane: Arc<dyn LaneWorker>) {
        match &self.way {
            TicketWay::Queue(queue) => queue.serve(self.load, worker, lane),
            TicketWay::Turns(pool) => pool.serve(self.load, lane),
        }
    }

    /// Adds tickets, all at once.
    pub fn admit(&self, mut tickets: impl Iterator<Item = Ticket>) {
        match &self.way {
            TicketWay::Queue(queue) => queue.admit(self.load, tickets),
            TicketWay::Turns(pool) => pool.admit(self.load, &mut tickets),
        }
    }

    /// Adds one ticket and wakes one worker for it.
    pub fn admit_one(&self, ticket: Ticket) {
        match &self.way {
            TicketWay::Queue(queue) => queue.admit_one(self.load, ticket),
            TicketWay::Turns(pool) => pool.admit(self.load, &mut std::iter::once(ticket)),
        }
    }

    /// Keeps the workers waiting for tickets that are still to come; [`Tickets::retire`] ends it.
    pub fn hold(&self) {
        match &self.way {
            TicketWay::Queue(queue) => *queue.lock().live_mut(self.load) += 1,
            TicketWay::Turns(pool) => pool.hold(self.load),
        }
    }

    /// Takes a ticket that no worker will get any more.
    pub fn withdraw(&self) -> Option<Ticket> {
        match &self.way {
            TicketWay::Queue(queue) => queue.withdraw(self.load),
            TicketWay::Turns(pool) => pool.withdraw(self.load),
        }
    }

    /// Puts a ticket that a worker holds back at the end of the queue, and takes the next one that
    /// is due; also says when it was taken. The caller has read the clock at `now_ns`.
    pub async fn exchange(&self, ticket: Ticket, now_ns: u64) -> Option<(Ticket, u64)> {
        match (&self.way, &self.desk) {
            (TicketWay::Queue(queue), None) => return queue.exchange(self.load, ticket, now_ns),
            (TicketWay::Queue(queue), Some(_)) => queue.put_back(self.load, ticket, now_ns),
            (TicketWay::Turns(pool), _) => pool.put_back(self.load, ticket, now_ns),
        }
        self.next_ticket().await.map(|ticket| (ticket, clock::now_ns()))
    }

    /// Ends a ticket that a worker holds.
    pub fn retire(&self) {
        match &self.way {
            TicketWay::Queue(queue) => queue.retire(self.load),
            TicketWay::Turns(pool) => pool.retire(self.load),
        }
    }

    /// The next ticket that is due; `None` once no ticket of the load is left alive. A lane that
    /// has its worker for itself blocks it meanwhile, and runs jobs that are in front.
    pub async fn next_ticket(&self) -> Option<Ticket> {
        match (&self.way, &self.desk) {
            (_, Some(desk)) => desk.ticket().await,
            (TicketWay::Queue(queue), None) => queue.next_ticket(self.load),
            // A lane of such a pool always has a desk.
            (TicketWay::Turns(_), None) => None,
        }
    }
}
