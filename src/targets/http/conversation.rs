//! What is spoken on a connection: HTTP/1.1 or HTTP/2, as the client's first bytes say.

use std::io::IoSlice;

use super::{
    connection::ServedConnection,
    drain::AtDrain,
    multiplexed::{PREFACE, ServedMultiplex},
    site::ServedSite,
};

/// One connection as a state machine over bytes.
#[derive(Debug)]
pub enum Conversation {
    /// Nothing has come, or what has come is how HTTP/2 begins.
    Undecided(Vec<u8>),
    /// HTTP/1.1.
    Lines(ServedConnection),
    /// HTTP/2.
    Streams(Box<ServedMultiplex>),
}

impl Conversation {
    /// A connection on which nothing has come.
    pub fn new() -> Self {
        Self::Undecided(Vec::new())
    }

    /// Whether more bytes may be given to [`Self::receive`]; if not, the peer has to wait.
    pub fn wants_input(&self) -> bool {
        match self {
            Self::Undecided(_) => true,
            Self::Lines(lines) => lines.wants_input(),
            Self::Streams(streams) => streams.wants_input(),
        }
    }

    /// Takes bytes that came at `now`.
    pub fn receive(&mut self, bytes: &[u8], now: u64, site: &mut ServedSite) {
        match self {
            Self::Undecided(_) => self.decide(bytes, now, site),
            Self::Lines(lines) => lines.receive(bytes, now, site),
            Self::Streams(streams) => streams.receive(bytes, now, site),
        }
    }

    /// No request of HTTP/1.1 begins as HTTP/2 does.
    fn decide(&mut self, bytes: &[u8], now: u64, site: &mut ServedSite) {
        let Self::Undecided(before) = self else { return };
        let mut first = std::mem::take(before);
        first.extend_from_slice(bytes);
        *self = if first.starts_with(PREFACE) {
            Self::Streams(Box::new(ServedMultiplex::new(site.streams)))
        } else if PREFACE.starts_with(&first) {
            *self = Self::Undecided(first);
            return;
        } else {
            Self::Lines(ServedConnection::new())
        };
        self.receive(&first, now, site);
    }

    /// Goes on with what had no room before; whether that gave something to send.
    pub fn resume(&mut self, now: u64, site: &mut ServedSite) -> bool {
        match self {
            Self::Undecided(_) => false,
            Self::Lines(lines) => lines.resume(now, site),
            Self::Streams(streams) => streams.resume(now, site),
        }
    }

    /// Puts the bytes that may be sent at `now` into `slices`; returns how many slices have been
    /// filled.
    pub fn output<'a>(
        &'a self,
        now: u64,
        site: &'a ServedSite,
        slices: &mut [IoSlice<'a>],
    ) -> usize {
        match self {
            Self::Undecided(_) => 0,
            Self::Lines(lines) => lines.output(now, site, slices),
            Self::Streams(streams) => streams.output(slices),
        }
    }

    /// Notes that this many bytes of the output were sent.
    pub fn sent(&mut self, bytes: usize, site: &mut ServedSite) {
        match self {
            Self::Undecided(_) => {}
            Self::Lines(lines) => lines.sent(bytes, site),
            Self::Streams(streams) => streams.sent(bytes, site),
        }
    }

    /// When the first response that is not sent is due.
    pub fn next_due(&self) -> Option<u64> {
        match self {
            Self::Undecided(_) => None,
            Self::Lines(lines) => lines.next_due(),
            Self::Streams(streams) => streams.next_due(),
        }
    }

    /// Whether all is sent and no request will follow.
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Undecided(_) => false,
            Self::Lines(lines) => lines.is_finished(),
            Self::Streams(streams) => streams.is_finished(),
        }
    }

    /// The server drains: what is in flight is answered, and nothing else.
    pub fn drain(&mut self) -> AtDrain {
        match self {
            Self::Undecided(_) => AtDrain::Unused,
            Self::Lines(lines) => lines.drain(),
            Self::Streams(streams) => streams.drain(),
        }
    }

    /// Whether the peer sent more than was asked for, so that closing at once could destroy the
    /// last response.
    pub fn has_excess(&self) -> bool {
        match self {
            Self::Undecided(_) => false,
            Self::Lines(lines) => lines.has_excess(),
            Self::Streams(streams) => streams.has_excess(),
        }
    }

    /// Requests that were in flight when the server drained and are still to be answered.
    pub fn owed(&self) -> u64 {
        match self {
            // Over HTTP/2 nothing is counted at a drain.
            Self::Undecided(_) | Self::Streams(_) => 0,
            Self::Lines(lines) => lines.owed(),
        }
    }

    /// The connection is gone: counts what it leaves unsent.
    pub fn abandon(&self, site: &mut ServedSite) {
        match self {
            Self::Undecided(_) => {}
            Self::Lines(lines) => lines.abandon(site),
            Self::Streams(streams) => streams.abandon(site),
        }
    }
}
