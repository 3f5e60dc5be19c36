//! A connection and its socket: moves bytes between the two until the kernel has no more to give or
//! to take.

use std::{io::IoSlice, os::fd::OwnedFd};

use rustix::{
    io::Errno,
    net::{Shutdown, shutdown},
};

use super::{
    conversation::Conversation,
    drain::AtDrain,
    site::ServedSite,
    stream::{PeerStream, Received},
};
use crate::clock::now_ns;

/// Reads in one turn before other connections get theirs.
const READS_PER_TURN: usize = 16;
/// Writes in one turn before other connections get theirs: a long body must not stop all others.
const WRITES_PER_TURN: usize = 16;
/// Slices given to the kernel in one write.
const SLICES: usize = 16;
/// How long a refused client may take to read the refusal before its connection is closed, in ns.
const LINGER_NS: u64 = 1_000_000_000;

/// A connection and its socket, which is non-blocking and watched for edges, not levels.
#[derive(Debug)]
pub struct Peer {
    stream: PeerStream,
    connection: Conversation,
    input: Input,
    output: Outgoing,
    /// Whether another turn is promised to it.
    promised: bool,
    /// For when timers are set for this connection, each earlier than the one before: for the first
    /// response that waits. Over HTTP/1.1 there is at most one.
    timers: Vec<u64>,
    /// When the connection is closed although the peer has not read everything.
    linger_until: Option<u64>,
}

/// What a read may find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// Nothing, until the kernel says so.
    Nothing,
    /// Something; a short read has found all of it.
    Something,
    /// Something, and behind it the end.
    End,
}

/// What has become of the responses that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outgoing {
    /// They are written.
    Written,
    /// The socket took less than it was given: the next turn comes when it has room.
    Blocked,
    /// The turn was over before.
    Unfinished,
}

/// What the server does with a peer after its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerTurn {
    /// Waits for the next event.
    Wait,
    /// Gives it another turn after the others.
    Again,
    /// Drops it.
    Close,
}

impl Peer {
    /// A new connection.
    pub fn new(stream: PeerStream) -> Self {
        Self {
            stream,
            connection: Conversation::new(),
            input: Input::Nothing,
            output: Outgoing::Written,
            promised: false,
            timers: Vec::new(),
            linger_until: None,
        }
    }

    /// The socket.
    pub fn socket(&self) -> &OwnedFd {
        self.stream.socket()
    }

    /// The kernel has something to read, or the peer has stopped sending.
    pub fn set_readable(&mut self, hung_up: bool) {
        if hung_up {
            self.input = Input::End;
        } else if self.input == Input::Nothing {
            self.input = Input::Something;
        }
    }

    /// Promises another turn; false: it is promised already.
    pub fn promise_turn(&mut self) -> bool {
        !std::mem::replace(&mut self.promised, true)
    }

    /// The promised turn comes now.
    pub fn keep_promise(&mut self) {
        self.promised = false;
    }

    /// The first of the timers fired.
    pub fn clear_timer(&mut self) {
        self.timers.pop();
    }

    /// The time of a timer to be set now, if one is needed and not set.
    pub fn take_timer(&mut self) -> Option<u64> {
        // What was due has been sent, unless the socket is full or the turn was over: so the first
        // one left needs no look at the clock.
        let next = || self.connection.next_due().filter(|_| self.output == Outgoing::Written);
        let due = self.linger_until.or_else(next)?;
        if self.timers.last().is_some_and(|set| *set <= due) {
            return None;
        }
        self.timers.push(due);
        Some(due)
    }

    /// Reads, answers and writes as far as possible.
    pub fn turn(&mut self, scratch: &mut [u8], site: &mut ServedSite) -> PeerTurn {
        for _ in 0..READS_PER_TURN {
            if self.exchange(scratch, site).is_err() {
                return PeerTurn::Close;
            }
            if self.output == Outgoing::Unfinished {
                return PeerTurn::Again;
            }
            let is_sent = self.output == Outgoing::Written && self.connection.is_finished();
            if is_sent && self.finish() {
                return PeerTurn::Close;
            }
            if !self.may_read() {
                return PeerTurn::Wait;
            }
        }
        PeerTurn::Again
    }

    /// The server drains.
    pub fn drain(&mut self) -> AtDrain {
        self.connection.drain()
    }

    /// Requests that were in flight when the server drained and are still to be answered.
    pub fn owed(&self) -> u64 {
        self.connection.owed()
    }

    /// Says that nothing more will come, where the protocol has words for it.
    pub fn say_end(&mut self) {
        self.stream.say_end();
    }

    /// Counts what the peer did not wait for.
    pub fn abandon(&self, site: &mut ServedSite) {
        self.connection.abandon(site);
    }

    fn may_read(&self) -> bool {
        self.input != Input::Nothing && self.connection.wants_input()
    }

    /// One read, if there may be something to read, and all writes that are due.
    fn exchange(&mut self, scratch: &mut [u8], site: &mut ServedSite) -> Result<(), Errno> {
        let received = if self.may_read() { self.read(scratch, site)? } else { 0 };
        // Read after the request was: counted from here, a response is never early.
        let now = if site.has_delays { now_ns() } else { 0 };
        if received > 0 {
            self.connection.receive(&scratch[..received], now, site);
        }
        self.write(now, site)
    }

    /// Reads once; 0 if there was nothing. An end of input is an error: nobody waits for a response
    /// any more.
    fn read(&mut self, scratch: &mut [u8], site: &mut ServedSite) -> Result<usize, Errno> {
        match self.stream.receive(scratch, &mut site.counts) {
            Ok(Received { bytes: 0, .. }) => Err(Errno::PIPE),
            Ok(Received { bytes, drained }) => {
                if drained && self.input == Input::Something {
                    self.input = Input::Nothing;
                }
                Ok(bytes)
            }
            Err(Errno::AGAIN) => {
                self.input = Input::Nothing;
                Ok(0)
            }
            Err(Errno::INTR) => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, now: u64, site: &mut ServedSite) -> Result<(), Errno> {
        self.output = Outgoing::Written;
        for _ in 0..WRITES_PER_TURN {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = self.connection.output(now, site, &mut slices);
            if filled == 0 {
                if self.connection.resume(now, site) {
                    continue;
                }
                return self.flush();
            }
            match self.stream.send(&slices[..filled]) {
                Ok(sent) => self.connection.sent(sent, site),
                Err(Errno::AGAIN) => {
                    self.output = Outgoing::Blocked;
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        self.output = Outgoing::Unfinished;
        Ok(())
    }

    /// Hands over what an encrypted stream still holds.
    fn flush(&mut self) -> Result<(), Errno> {
        match self.stream.flush() {
            Err(Errno::AGAIN) => {
                self.output = Outgoing::Blocked;
                Ok(())
            }
            flushed => flushed,
        }
    }

    /// Everything is sent: whether the connection can be closed now. If the peer is still sending,
    /// closing would reset the connection and could destroy the response on its way (RFC 9112,
    /// 9.6): its bytes are read and thrown away until it closes or a second has passed.
    fn finish(&mut self) -> bool {
        self.stream.say_end();
        if !self.connection.has_excess() {
            return true;
        }
        if let Some(until) = self.linger_until {
            return now_ns() >= until;
        }
        self.linger_until = Some(now_ns().saturating_add(LINGER_NS));
        shutdown(self.stream.socket(), Shutdown::Write).is_err()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
        time::Duration,
    };

    use super::*;
    use crate::{targets::http::HttpTarget, units::Distribution};

    #[test]
    fn a_full_socket_sets_no_timer_that_would_fire_for_ever() {
        let spec = HttpTarget {
            delay: Distribution::Const(Duration::from_nanos(1)),
            body: 4 << 20,
            ..HttpTarget::default()
        };
        let mut site = ServedSite::new(&spec, 1);
        let (mut client, socket) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut peer = Peer::new(PeerStream::Plain(socket.into()));
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        peer.set_readable(false);
        let mut scratch = [0; 1024];
        // The response is due a nanosecond after the request; the second turn comes later than
        // that.
        let turns = [peer.turn(&mut scratch, &mut site), peer.turn(&mut scratch, &mut site)];
        assert_eq!(turns, [PeerTurn::Wait; 2]);
        assert_eq!(peer.output, Outgoing::Blocked);
        assert_eq!(peer.take_timer(), None);
        assert!(client.read(&mut [0; 4096]).unwrap() > 0);
    }

    #[test]
    fn a_long_body_gives_way_and_goes_on() {
        let length = 200 << 20;
        let mut site = ServedSite::new(&HttpTarget { body: length, ..HttpTarget::default() }, 1);
        let (mut client, socket) = UnixStream::pair().unwrap();
        let mut peer = Peer::new(PeerStream::Plain(socket.into()));
        client.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
        // The socket is blocking and the client reads on: nothing else would end the first turn.
        let reader = std::thread::spawn(move || {
            let (mut got, mut buffer) = (0, vec![0; 1 << 20]);
            loop {
                match client.read(&mut buffer).unwrap() {
                    0 => return got,
                    read => got += read as u64,
                }
            }
        });
        peer.set_readable(false);
        let mut turns = vec![peer.turn(&mut [0; 1024], &mut site)];
        assert_eq!((turns[0], peer.take_timer()), (PeerTurn::Again, None));
        assert!(peer.promise_turn() && !peer.promise_turn());
        peer.keep_promise();
        assert!(peer.promise_turn());
        while turns.last() == Some(&PeerTurn::Again) {
            turns.push(peer.turn(&mut [0; 1024], &mut site));
        }
        assert_eq!(turns.last(), Some(&PeerTurn::Close));
        assert!(turns.len() > 2, "{turns:?}");
        assert_eq!(site.counts.bytes_sent, length);
        drop(peer);
        assert!(reader.join().unwrap() > length);
    }

    #[test]
    fn there_is_one_timer_at_a_time() {
        let spec = HttpTarget {
            delay: Distribution::Const(Duration::from_secs(3600)),
            ..HttpTarget::default()
        };
        let mut site = ServedSite::new(&spec, 1);
        let (mut client, socket) = UnixStream::pair().unwrap();
        let mut peer = Peer::new(PeerStream::Plain(socket.into()));
        assert_eq!(peer.take_timer(), None);
        client.write_all(&b"GET / HTTP/1.1\r\n\r\n".repeat(2)).unwrap();
        peer.set_readable(false);
        assert_eq!(peer.turn(&mut [0; 1024], &mut site), PeerTurn::Wait);
        let due = peer.take_timer();
        assert!(due.is_some());
        assert_eq!(peer.take_timer(), None);
        peer.clear_timer();
        assert_eq!(peer.take_timer(), due);
    }

    #[test]
    fn a_refused_client_that_stays_is_closed_in_the_end() {
        let mut site = ServedSite::new(&HttpTarget::default(), 1);
        let (mut client, socket) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut peer = Peer::new(PeerStream::Plain(socket.into()));
        client.write_all(b"nonsense\r\n\r\n").unwrap();
        peer.set_readable(false);
        let before = now_ns();
        assert_eq!(peer.turn(&mut [0; 1024], &mut site), PeerTurn::Wait);
        assert!(peer.take_timer().unwrap() >= before + LINGER_NS);
        peer.linger_until = Some(now_ns());
        assert_eq!(peer.turn(&mut [0; 1024], &mut site), PeerTurn::Close);
    }
}
