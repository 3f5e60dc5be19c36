//! The executor's side of an open load: takes what the pacer hands over, and starts it.

use std::{future::poll_fn, io, sync::Arc};

use super::{
    Flight, HandOff, Ring,
    flight::{InFlightSlot, InFlightTask},
    free::HeldSlots,
};
use crate::{
    load::LoadError,
    runtime::{NativeWork as _, Runtime, Tickets},
};

/// An intake takes so many arrivals before it lets others run, even if more are there.
const AT_ONCE: u64 = 64;

/// Runs the executor's side until the hand-off is closed and nothing waits in it.
pub fn attend<R: Runtime>(
    runtime: &R,
    hand_off: HandOff,
    flight: &'static Flight,
) -> Result<(), LoadError> {
    let refused = |source| refused(source, 1);
    match hand_off {
        HandOff::Ring(ring) => runtime.block_on(async {
            let taking = runtime.spawn(take_in(runtime.clone(), ring, flight)).map_err(refused)?;
            taking.await
        }),
        HandOff::Queue(tickets) => runtime.block_on(async {
            let mut held = HeldSlots::default();
            let start = |(number, slot)| {
                let its = tickets.of_lane();
                let work = work(slot, its.clone(), flight);
                runtime.spawn_lane(&its, number, work).map_err(refused)
            };
            let slots = std::iter::from_fn(|| flight.take(&mut held));
            let workers: Result<Vec<_>, _> = slots.enumerate().map(start).collect();
            for worker in workers? {
                worker.await;
            }
            Ok(())
        }),
    }
}

/// The intake: a task that starts a task for each arrival.
pub async fn take_in<R: Runtime>(
    runtime: R,
    ring: Arc<Ring>,
    flight: &'static Flight,
) -> Result<(), LoadError> {
    let (mut held, mut taken) = (HeldSlots::default(), 0_u64);
    while ring.ready().await {
        // A slot is free before its task counts as taken, so that there is one for each ticket;
        // were it otherwise, the account would not add up.
        while let Some(ticket) = ring.pop()
            && let Some(slot) = flight.take(&mut held)
        {
            let task = InFlightTask::new(slot, ticket);
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
    LoadError::Thread {
        started: (in_flight as usize).saturating_sub(1),
        wanted: in_flight as usize,
        source,
    }
}

/// A worker of a pool.
async fn work(mut slot: Box<InFlightSlot>, tickets: Tickets, flight: &'static Flight) {
    while let Some(ticket) = tickets.next_ticket().await {
        slot.begin(ticket);
        poll_fn(|context| slot.poll(context)).await;
        flight.leave();
        tickets.retire();
    }
    flight.put(slot);
}
