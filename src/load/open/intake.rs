//! The executor's side of an open load: takes what the pacer hands over, and starts it.

use std::sync::Arc;

use super::{
    Flight, Ring,
    flight::{Berth, Boarded},
};
use crate::{
    load::LoadError,
    runtime::{Native, Queue, Runtime, Ticket},
};

/// An intake takes so many arrivals before it lets others run, even if more are there.
const AT_ONCE: u64 = 64;

/// Where the pacer hands arrivals over.
#[derive(Clone)]
pub enum Door {
    /// To one intake, which starts a task for each.
    Ring(Arc<Ring>),
    /// To the workers of a pool, who take them by themselves.
    Queue(Arc<Queue>),
}

impl Door {
    /// The door of an executor, for so many tasks in flight.
    pub(super) fn of<R: Runtime>(runtime: &R, max_in_flight: u64) -> Self {
        match runtime.queue() {
            Some(queue) => {
                queue.hold();
                Self::Queue(queue.clone())
            }
            None => Self::Ring(Arc::new(Ring::new(max_in_flight as usize))),
        }
    }

    pub(super) fn push(&self, ticket: Ticket) {
        match self {
            // The ring has room for all that may be in flight; were it otherwise, the account would not add up.
            Self::Ring(ring) => {
                let _ = ring.push(ticket);
            }
            Self::Queue(queue) => queue.admit_one(ticket),
        }
    }

    /// Takes back an arrival that nobody has taken.
    pub(super) fn withdraw(&self) -> Option<Ticket> {
        match self {
            Self::Ring(ring) => ring.pop(),
            Self::Queue(queue) => queue.withdraw(),
        }
    }

    /// Nothing more is handed over.
    pub fn close(&self) {
        match self {
            Self::Ring(ring) => ring.close(),
            Self::Queue(queue) => queue.retire(),
        }
    }
}

/// Runs the executor's side until the door is closed and nothing waits behind it.
pub fn attend<R: Runtime>(runtime: &R, door: Door, flight: Arc<Flight>) -> Result<(), LoadError> {
    let refused = |source| LoadError::Thread { started: 0, wanted: 1, source };
    match door {
        Door::Ring(ring) => runtime.block_on(async {
            let taking = runtime.spawn(take_in(runtime.clone(), ring, flight)).map_err(refused)?;
            taking.await
        }),
        Door::Queue(queue) => runtime.block_on(async {
            let workers: Result<Vec<_>, _> = std::iter::from_fn(|| flight.take())
                .map(|berth| runtime.spawn(work(berth, queue.clone(), flight.clone())).map_err(refused))
                .collect();
            for worker in workers? {
                worker.await;
            }
            Ok(())
        }),
    }
}

/// The intake: a task that starts a task for each arrival.
pub async fn take_in<R: Runtime>(runtime: R, ring: Arc<Ring>, flight: Arc<Flight>) -> Result<(), LoadError> {
    let mut taken = 0_u64;
    while ring.ready().await {
        // A slot is free before its task counts as landed, so that there is one for each ticket; were it otherwise,
        // the account would not add up.
        let Some(ticket) = ring.pop() else { continue };
        let Some(berth) = flight.take() else { continue };
        let task = Boarded::new(berth, ticket);
        let started = flight.in_flight() as usize;
        let refused = |source| LoadError::Thread { started, wanted: started + 1, source };
        runtime.spawn_detached(task.serve()).map_err(refused)?;
        taken += 1;
        if taken.is_multiple_of(AT_ONCE) {
            R::Native::yield_now().await;
        }
    }
    Ok(())
}

/// A worker of a pool.
async fn work(mut berth: Box<Berth>, queue: Arc<Queue>, flight: Arc<Flight>) {
    while let Some(ticket) = queue.next_ticket() {
        berth.begin(ticket);
        berth.run(ticket).await;
        flight.leave();
        queue.retire();
    }
    flight.put(berth);
}
