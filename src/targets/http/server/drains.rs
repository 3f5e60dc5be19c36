//! How the server gives way to a successor, and how it ends at SIGTERM.

use std::{io, os::fd::OwnedFd};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::{HttpServer, TERMINATED, Token, now_ns};
use crate::targets::http::drain::AtDrain;

impl HttpServer {
    /// Gives way to a successor, which takes the listening socket over with whatever waits there, and
    /// the connections on which nothing has come. This one answers what is in flight and closes what
    /// is idle.
    pub(super) fn give_way(&mut self) {
        self.drain(false);
        self.set_next_drain();
    }

    /// Sets the time of the next restart, where there are some.
    pub(super) fn set_next_drain(&mut self) {
        if let Some(every_ns) = self.drain_ns {
            self.timers.insert(now_ns().saturating_add(every_ns), super::DRAIN);
        }
    }

    /// Listens for the order to end, which is anything that can be read there.
    pub(super) fn heed(&self, terminated: &OwnedFd) -> io::Result<()> {
        let once = EventFlags::IN | EventFlags::ONESHOT;
        epoll::add(&self.epoll, terminated, EventData::new_u64(TERMINATED.0), once)?;
        Ok(())
    }

    /// Ends when what is in flight is answered, that of connections that wait to be accepted, too.
    /// Nobody listens any more.
    pub(super) fn retire(&mut self) -> io::Result<()> {
        while self.accept()? {}
        if let Some(listener) = self.listener.take() {
            epoll::delete(&self.epoll, &listener)?;
        }
        self.drain(true);
        Ok(())
    }

    /// Whether it was to end, and has done all that it owed.
    pub(super) fn has_retired(&self) -> bool {
        self.listener.is_none() && self.site.counts.open() == 0
    }

    /// Counts the requests that were in flight when it drained and are still to be answered.
    pub(super) fn count_owed(&mut self) {
        let owed = self.peers.tokens().into_iter().filter_map(|token| {
            let peer = self.peers.get_mut(token)?;
            Some(peer.owed())
        });
        self.site.counts.drains.owed = owed.sum();
    }

    fn drain(&mut self, is_last: bool) {
        self.site.counts.drains.begun += 1;
        for token in self.peers.tokens() {
            // What has arrived in the kernel's hands has arrived.
            if let Some(peer) = self.peers.get_mut(token) {
                peer.set_readable(false);
            }
            self.turn(token);
            let Some(peer) = self.peers.get_mut(token) else { continue };
            match peer.drain() {
                AtDrain::Unused if !is_last => {}
                AtDrain::Unused | AtDrain::Idle => self.dismiss(token),
                AtDrain::Busy(in_flight) => {
                    self.site.counts.drains.in_flight += in_flight;
                    self.turn(token);
                }
            }
        }
    }

    /// Closes a connection on which nothing is owed.
    fn dismiss(&mut self, token: Token) {
        if let Some(mut peer) = self.peers.remove(token) {
            peer.say_end();
            self.site.counts.drains.idle += 1;
            self.site.counts.connections_closed += 1;
        }
    }
}
