//! The executor's side of an open load: takes what the pacer hands over, and starts it.

use std::{future::poll_fn, io, sync::Arc};

use super::{
    Flight, Ring,
    flight::{Berth, Boarded},
    free::Held,
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
pub fn attend<R: Runtime>(runtime: &R, door: Door, flight: &'static Flight) -> Result<(), LoadError> {
    let refused = |source| refused(source, 1);
    match door {
        Door::Ring(ring) => runtime.block_on(async {
            let taking = runtime.spawn(take_in(runtime.clone(), ring, flight)).map_err(refused)?;
            taking.await
        }),
        Door::Queue(queue) => runtime.block_on(async {
            let mut held = Held::default();
            let workers: Result<Vec<_>, _> = std::iter::from_fn(|| flight.take(&mut held))
                .map(|berth| runtime.spawn(work(berth, queue.clone(), flight)).map_err(refused))
                .collect();
            for worker in workers? {
                worker.await;
            }
            Ok(())
        }),
    }
}

/// The intake: a task that starts a task for each arrival.
pub async fn take_in<R: Runtime>(runtime: R, ring: Arc<Ring>, flight: &'static Flight) -> Result<(), LoadError> {
    let (mut held, mut taken) = (Held::default(), 0_u64);
    while ring.ready().await {
        // A slot is free before its task counts as landed, so that there is one for each ticket; were it otherwise,
        // the account would not add up.
        while let Some(ticket) = ring.pop()
            && let Some(berth) = flight.take(&mut held)
        {
            let task = Boarded::new(berth, ticket);
            runtime.spawn_detached(task).map_err(|source| refused(source, flight.in_flight()))?;
            taken += 1;
            if taken.is_multiple_of(AT_ONCE) {
                R::Native::yield_now().await;
            }
        }
    }
    Ok(())
}

/// A thread was refused while so many tasks were in flight, its own included.
fn refused(source: io::Error, in_flight: u64) -> LoadError {
    LoadError::Thread { started: (in_flight as usize).saturating_sub(1), wanted: in_flight as usize, source }
}

/// A worker of a pool.
async fn work(mut berth: Box<Berth>, queue: Arc<Queue>, flight: &'static Flight) {
    while let Some(ticket) = queue.next_ticket() {
        berth.begin(ticket);
        poll_fn(|context| berth.poll(context)).await;
        flight.leave();
        queue.retire();
    }
    flight.put(berth);
}
