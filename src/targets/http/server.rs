//! The embedded server's event loop: one thread, one epoll set.
//!
//! Sockets are watched for edges, so that a request costs one `recv` and one `send`, and its share
//! of an `epoll_wait`. Delays are kept by a `timerfd` rather than by the time-out of `epoll_wait`,
//! which counts in milliseconds and is subject to the thread's timer slack (50 µs).

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, accept_with, bind, listen as start_listening,
        socket_with, sockopt,
    },
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create,
        timerfd_settime,
    },
};

use super::{
    HttpTarget,
    control::{Commands, ControlAnswer, ControlCommand},
    counts::ServedCounts,
    identity::Identity,
    peer::{Peer, PeerTurn},
    site::ServedSite,
    slab::{Slab, Token},
    stall::Stall,
    stream::PeerStream,
    timers::Timers,
};
use crate::clock::{now_ns, sleep_until};

mod drains;

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 8192;
/// Connections accepted before the others get their turn.
const ACCEPTS_PER_TURN: usize = 256;
/// How long no connection is accepted after descriptors or memory ran out, in ns.
const ACCEPT_PAUSE_NS: u64 = 10_000_000;
/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
/// Bytes read at once.
const SCRATCH: usize = 64 << 10;

/// Tokens that are not connections: no slab has that many places.
const LISTENER: Token = Token(u64::MAX);
const TIMER: Token = Token(u64::MAX - 1);
const CONTROL: Token = Token(u64::MAX - 2);
const DRAIN: Token = Token(u64::MAX - 3);
const TERMINATED: Token = Token(u64::MAX - 4);

/// Opens a listening socket with a long backlog, on a port of the kernel's choice if the address
/// has port 0.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // Accepted sockets inherit it, which saves a system call for each.
    sockopt::set_tcp_nodelay(&socket, true)?;
    bind(&socket, &address)?;
    start_listening(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Serves on a socket from [`listen`] until `commands` says `stop` or ends, and returns the counts.
///
/// `commands` must be a pipe, a socket or a terminal; `answers` gets one line of JSON when the
/// server is up, and one for each command `counts`.
pub fn serve(
    spec: &HttpTarget,
    seed: u64,
    listener: TcpListener,
    commands: impl AsFd,
    answers: impl Write,
) -> io::Result<ServedCounts> {
    serve_until(spec, seed, listener, (commands, answers), None)
}

/// The same, until there is something to read from `terminated`, too: then it drains, and ends when
/// everything that is in flight is answered.
pub fn serve_until(
    spec: &HttpTarget,
    seed: u64,
    listener: TcpListener,
    (commands, answers): (impl AsFd, impl Write),
    terminated: Option<&OwnedFd>,
) -> io::Result<ServedCounts> {
    let address = listener.local_addr()?;
    let mut server = HttpServer::new(spec, seed, listener)?;
    terminated.map_or(Ok(()), |terminated| server.heed(terminated))?;
    let mut control =
        ControlPipe { input: commands, output: answers, commands: Commands::default() };
    epoll::add(&server.epoll, &control.input, EventData::new_u64(CONTROL.0), EventFlags::IN)
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("the server's input must be a pipe, a socket or a terminal: {error}"),
            )
        })?;
    let authority = server.identity.as_ref().map(|identity| identity.authority.clone());
    control.say(&ControlAnswer::Ready { address, authority })?;
    let mut events = Vec::with_capacity(EVENTS);
    while !server.has_retired() {
        server.wait(&mut events)?;
        server.stand_still();
        let commanded = server.handle(&events)?;
        // Last, so that the counts hold whatever was there before they were asked for.
        if commanded {
            server.count_owed();
        }
        if commanded && control.obey(&server.site.counts)? {
            break;
        }
    }
    Ok(server.site.counts)
}

/// The parent's side of the server.
struct ControlPipe<R, W> {
    input: R,
    output: W,
    commands: Commands,
}

impl<R: AsFd, W: Write> ControlPipe<R, W> {
    /// Reads and answers commands; whether the server has to stop.
    fn obey(&mut self, counts: &ServedCounts) -> io::Result<bool> {
        let mut bytes = [0; 512];
        let read = match rustix::io::read(&self.input, &mut bytes) {
            Err(Errno::INTR | Errno::AGAIN) => return Ok(false),
            read => read?,
        };
        for command in self.commands.receive(&bytes[..read]) {
            match command {
                ControlCommand::Stop => return Ok(true),
                ControlCommand::Counts => self.say(&ControlAnswer::Counts(counts.to_map()))?,
                ControlCommand::Unknown(line) => {
                    self.say(&ControlAnswer::Error(format!(
                        "`{line}` is no command; there are `counts` and `stop`"
                    )))?;
                }
            }
        }
        Ok(false)
    }

    fn say(&mut self, answer: &ControlAnswer) -> io::Result<()> {
        self.output.write_all(answer.to_line()?.as_bytes())?;
        self.output.flush()
    }
}

/// The listening side, its connections and their timers.
struct HttpServer {
    epoll: OwnedFd,
    /// None since it is to end.
    listener: Option<TcpListener>,
    timer: OwnedFd,
    /// The deadline for which the kernel's timer is set.
    timer_set: Option<u64>,
    timers: Timers<Token>,
    peers: Slab<Peer>,
    /// Connections that had more to read or to write when their turn was over.
    again: Vec<Token>,
    site: ServedSite,
    scratch: Box<[u8]>,
    /// Who it is where it speaks TLS.
    identity: Option<Identity>,
    /// When it stands still, and from when on its periods are counted.
    stall: Option<(Stall, u64)>,
    /// The time from one restart to the next, in ns.
    drain_ns: Option<u64>,
}

impl HttpServer {
    fn new(spec: &HttpTarget, seed: u64, listener: TcpListener) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        listener.set_nonblocking(true)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER.0), EventFlags::IN)?;
        // An edge for every time it fires, so that it need not be read.
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER.0), EventFlags::IN | EventFlags::ET)?;
        let identity = spec.tls.as_ref().map(|_| Identity::make()).transpose()?;
        let mut site = ServedSite::new(spec, seed);
        if identity.is_some() {
            site.counts.expect_handshakes();
        }
        if spec.http2.is_some() {
            let streams = site.streams;
            site.counts.expect_streams(streams);
        }
        if spec.pool.is_some() {
            site.counts.expect_limit();
        }
        let mut server = Self {
            epoll,
            listener: Some(listener),
            timer,
            timer_set: None,
            timers: Timers::new(),
            peers: Slab::new(),
            again: Vec::new(),
            site,
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            identity,
            stall: spec.stall.map(|stall| (stall, now_ns())),
            drain_ns: spec.drain.map(|drain| drain.every.as_nanos() as u64),
        };
        server.set_next_drain();
        Ok(server)
    }

    /// Waits for events, unless a connection has more to do.
    fn wait(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        self.set_timer()?;
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timeout = if self.again.is_empty() { None } else { Some(&now) };
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(events), timeout) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sleeps to the end of the standstill, if one is on. A server that waits for events anyway
    /// stands still unseen, so it is enough to look when there is something to do.
    fn stand_still(&self) {
        let Some((stall, started)) = self.stall else { return };
        let now = now_ns();
        let left = stall.left_ns(now.saturating_sub(started));
        if left > 0 {
            sleep_until(now.saturating_add(left));
        }
    }

    /// Sets the kernel's timer to the next deadline, unless it will fire earlier.
    fn set_timer(&mut self) -> io::Result<()> {
        let Some(due) = self.timers.earliest() else { return Ok(()) };
        if self.timer_set.is_some_and(|set| set <= due) {
            return Ok(());
        }
        let it_value = Duration::from_nanos(due).try_into().map_err(io::Error::other)?;
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
        self.timer_set = Some(due);
        Ok(())
    }

    /// Handles a batch of events, then what is due; whether there is a command to read.
    fn handle(&mut self, events: &[Event]) -> io::Result<bool> {
        let (mut commanded, mut knocked) = (false, false);
        let again = std::mem::take(&mut self.again);
        for event in events {
            match Token(event.data.u64()) {
                LISTENER => knocked = true,
                TIMER => self.timer_set = None,
                CONTROL => commanded = true,
                TERMINATED => self.retire()?,
                token => self.event(token, event.flags),
            }
        }
        for token in again {
            if let Some(peer) = self.peers.get_mut(token) {
                peer.keep_promise();
            }
            self.turn(token);
        }
        // A client that has closed a connection before it opened another one has done so in this
        // order: what has ended is seen before what has begun. The end of one that has more to be read
        // stands behind that.
        if events.len() < EVENTS && self.again.is_empty() {
            self.site.counts.settle();
        }
        if knocked {
            self.accept()?;
        }
        self.fire()?;
        Ok(commanded)
    }

    fn event(&mut self, token: Token, flags: EventFlags) {
        let Some(peer) = self.peers.get_mut(token) else { return };
        if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
            return self.close(token);
        }
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP) {
            peer.set_readable(flags.contains(EventFlags::RDHUP));
        }
        self.turn(token);
    }

    fn turn(&mut self, token: Token) {
        let Some(peer) = self.peers.get_mut(token) else { return };
        match peer.turn(&mut self.scratch, &mut self.site) {
            PeerTurn::Close => return self.close(token),
            PeerTurn::Again if peer.promise_turn() => self.again.push(token),
            PeerTurn::Again | PeerTurn::Wait => {}
        }
        if let Some(due) = peer.take_timer() {
            self.timers.insert(due, token);
        }
    }

    fn close(&mut self, token: Token) {
        if let Some(peer) = self.peers.remove(token) {
            peer.abandon(&mut self.site);
            self.site.counts.connections_closed += 1;
        }
    }

    /// Wakes what is due.
    fn fire(&mut self) -> io::Result<()> {
        if self.timers.earliest().is_none() {
            return Ok(());
        }
        let now = now_ns();
        while let Some(token) = self.timers.pop_due(now) {
            if token == LISTENER {
                self.watch_listener(EventFlags::IN)?;
            } else if token == DRAIN {
                self.give_way();
            } else if let Some(peer) = self.peers.get_mut(token) {
                peer.clear_timer();
                self.turn(token);
            }
        }
        Ok(())
    }

    /// Accepts those that wait; whether there may be more.
    fn accept(&mut self) -> io::Result<bool> {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = &self.listener else { return Ok(false) };
            match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => self.welcome(socket)?,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    self.pause()?;
                    return Ok(false);
                }
                // The connection was gone before it was accepted, or a signal came: the next one
                // may be well.
                Err(
                    Errno::INTR
                    | Errno::CONNABORTED
                    | Errno::PROTO
                    | Errno::NETDOWN
                    | Errno::HOSTUNREACH,
                ) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn welcome(&mut self, socket: OwnedFd) -> io::Result<()> {
        let stream = match &self.identity {
            Some(identity) => PeerStream::encrypted(socket, identity.session()?),
            None => PeerStream::Plain(socket),
        };
        let token = self.peers.insert(Peer::new(stream));
        self.site.counts.opened();
        let Some(peer) = self.peers.get_mut(token) else { return Ok(()) };
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, peer.socket(), EventData::new_u64(token.0), flags)?;
        Ok(())
    }

    /// Stops accepting for a moment: the listener would be reported again and again while no
    /// descriptor is free.
    fn pause(&mut self) -> io::Result<()> {
        self.site.counts.accepts_refused += 1;
        self.watch_listener(EventFlags::empty())?;
        self.timers.insert(now_ns() + ACCEPT_PAUSE_NS, LISTENER);
        Ok(())
    }

    fn watch_listener(&self, flags: EventFlags) -> io::Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        epoll::modify(&self.epoll, listener, EventData::new_u64(LISTENER.0), flags)?;
        Ok(())
    }
}

#[cfg(test)]
mod drain_tests;
#[cfg(test)]
mod tests;
