//! One load's way to the workers of the thread pool.

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

/// One load's way to the workers of the queue, where it may share them with others.
#[derive(Clone)]
pub struct Tickets {
    queue: Arc<Queue>,
    load: LoadNumber,
    /// Where its lane is told of a ticket; none: it has a worker for itself.
    desk: Option<Arc<Desk>>,
}

impl Tickets {
    /// Those of the load with this place among the loads of its trial.
    pub fn new(queue: &Arc<Queue>, load: usize) -> Self {
        let load = LoadNumber::try_from(load).unwrap_or(LoadNumber::MAX);
        Self { queue: queue.clone(), load, desk: None }
    }

    /// The same for one lane, which has a worker for a turn at a time where several loads share the
    /// workers.
    #[must_use]
    pub fn of_lane(&self) -> Self {
        let desk = self.queue.lock().lanes.is_some().then(Arc::default);
        Self { desk, ..self.clone() }
    }

    /// Where this lane asks for tickets; none: it has a worker for itself.
    pub(in crate::runtime) fn desk(&self) -> Option<Arc<Desk>> {
        self.desk.clone()
    }

    /// Gives a worker a lane of the load. Only where loads share the workers.
    pub(in crate::runtime) fn serve(&self, worker: usize, lane: Arc<dyn LaneWorker>) {
        self.queue.serve(self.load, worker, lane);
    }

    /// Adds tickets, all at once.
    pub fn admit(&self, tickets: impl Iterator<Item = Ticket>) {
        self.queue.admit(self.load, tickets);
    }

    /// Adds one ticket and wakes one worker for it.
    pub fn admit_one(&self, ticket: Ticket) {
        self.queue.admit_one(self.load, ticket);
    }

    /// Keeps the workers waiting for tickets that are still to come; [`Tickets::retire`] ends it.
    pub fn hold(&self) {
        *self.queue.lock().live_mut(self.load) += 1;
    }

    /// Takes a ticket that no worker will get any more.
    pub fn withdraw(&self) -> Option<Ticket> {
        self.queue.withdraw(self.load)
    }

    /// Puts a ticket that a worker holds back at the end of the queue, and takes the next one that
    /// is due; also says when it was taken. The caller has read the clock at `now_ns`.
    pub async fn exchange(&self, ticket: Ticket, now_ns: u64) -> Option<(Ticket, u64)> {
        let Some(desk) = &self.desk else { return self.queue.exchange(self.load, ticket, now_ns) };
        self.queue.put_back(self.load, ticket, now_ns);
        desk.ticket().await.map(|ticket| (ticket, clock::now_ns()))
    }

    /// Ends a ticket that a worker holds.
    pub fn retire(&self) {
        self.queue.retire(self.load);
    }

    /// The next ticket that is due; `None` once no ticket of the load is left alive. A lane that
    /// has its worker for itself blocks it meanwhile, and runs jobs that are in front.
    pub async fn next_ticket(&self) -> Option<Ticket> {
        match &self.desk {
            Some(desk) => desk.ticket().await,
            None => self.queue.next_ticket(self.load),
        }
    }
}
