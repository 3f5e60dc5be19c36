//! Where the pacer hands arrivals over to the executor.

use std::sync::Arc;

use super::Ring;
use crate::runtime::{Ticket, Tickets};

/// Where the pacer hands arrivals over.
#[derive(Clone)]
pub enum HandOff {
    /// To one intake, which starts a task for each.
    Ring(Arc<Ring>),
    /// To the workers of a pool, who take them by themselves.
    Queue(Tickets),
}

impl HandOff {
    /// The hand-off of an executor, for so many tasks in flight.
    pub(super) fn of(tickets: Option<Tickets>, max_in_flight: u64) -> Self {
        match tickets {
            Some(tickets) => {
                tickets.hold();
                Self::Queue(tickets)
            }
            None => Self::Ring(Arc::new(Ring::new(max_in_flight as usize))),
        }
    }

    pub(super) fn push(&self, ticket: Ticket) {
        match self {
            // The ring has room for all that may be in flight; were it otherwise, the account would
            // not add up.
            Self::Ring(ring) => {
                let _ = ring.push(ticket);
            }
            Self::Queue(tickets) => tickets.admit_one(ticket),
        }
    }

    /// Takes back an arrival that nobody has taken.
    pub(super) fn withdraw(&self) -> Option<Ticket> {
        match self {
            Self::Ring(ring) => ring.pop(),
            Self::Queue(tickets) => tickets.withdraw(),
        }
    }

    /// Nothing more is handed over.
    pub fn close(&self) {
        match self {
            Self::Ring(ring) => ring.close(),
            Self::Queue(tickets) => tickets.retire(),
        }
    }
}
