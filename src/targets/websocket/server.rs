//! The embedded server's event loop: one thread, one epoll set, sockets watched for edges. What a
//! batch of events gives each peer is written to it at once.

use std::{
    io::{self, Write},
    net::TcpListener,
    os::fd::{AsFd, OwnedFd},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
    net::{SocketFlags, accept_with},
};
use tungstenite::Message;

use super::{
    counts::WebSocketCounts,
    hub::Hub,
    parameters::WebSocketTarget,
    peer::{Next, WebSocketPeer},
    words::{LEAVE, NUMBER_BYTES, Registration},
};
use crate::targets::http::{
    Commands, ControlAnswer, ControlCommand, Identity, PeerStream, Slab, Token,
};

/// Connections accepted before the others get their turn.
const ACCEPTS_PER_TURN: usize = 256;
/// Messages of one peer before the others get their turn.
const MESSAGES_PER_TURN: usize = 64;
/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
/// How long the server rests when no descriptor is free, in ns.
const PAUSE_NS: i64 = 10_000_000;

/// Tokens that are not connections: no slab has that many places.
const LISTENER: Token = Token(u64::MAX);
const CONTROL: Token = Token(u64::MAX - 1);

/// Serves on a listening socket until `commands` says `stop` or ends.
///
/// `commands` must be a pipe, a socket or a terminal; `answers` gets one line of JSON when the
/// server is up, and one for each command `counts`.
pub fn serve(
    spec: &WebSocketTarget,
    listener: TcpListener,
    commands: impl AsFd,
    mut answers: impl Write,
) -> io::Result<()> {
    let mut server = WebSocketServer::new(spec, listener)?;
    epoll::add(&server.epoll, &commands, EventData::new_u64(CONTROL.0), EventFlags::IN)?;
    let address = server.listener.local_addr()?;
    let authority = server.identity.as_ref().map(|identity| identity.authority.clone());
    say(&mut answers, &ControlAnswer::Ready { address, authority })?;
    let mut lines = Commands::default();
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        server.wait(&mut events)?;
        let commanded = server.handle(&events)?;
        // Last, so that the counts hold whatever was there before they were asked for.
        if commanded && server.obey(&mut lines, &commands, &mut answers)? {
            return Ok(());
        }
    }
}

fn say(answers: &mut impl Write, answer: &ControlAnswer) -> io::Result<()> {
    answers.write_all(answer.to_line()?.as_bytes())?;
    answers.flush()
}

/// The listening side and its connections.
struct WebSocketServer {
    epoll: OwnedFd,
    listener: TcpListener,
    peers: Slab<WebSocketPeer>,
    hub: Hub,
    counts: WebSocketCounts,
    /// Connections that had more to read when their turn was over.
    again: Vec<Token>,
    /// Connections to which something may have to be written.
    dirty: Vec<Token>,
    /// Who it is where it speaks TLS.
    identity: Option<Identity>,
}

impl WebSocketServer {
    fn new(spec: &WebSocketTarget, listener: TcpListener) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        listener.set_nonblocking(true)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER.0), EventFlags::IN)?;
        let identity = spec.tls.as_ref().map(|_| Identity::make()).transpose()?;
        let mut counts = WebSocketCounts::default();
        if identity.is_some() {
            counts.connections.expect_handshakes();
        }
        Ok(Self {
            epoll,
            listener,
            peers: Slab::new(),
            hub: Hub::default(),
            counts,
            again: Vec::new(),
            dirty: Vec::new(),
            identity,
        })
    }

    /// Waits for events, unless a connection has more to do.
    fn wait(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timeout = if self.again.is_empty() { None } else { Some(&now) };
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(events), timeout) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Handles a batch of events; whether there is a command to read.
    fn handle(&mut self, events: &[Event]) -> io::Result<bool> {
        let mut commanded = false;
        let again = std::mem::take(&mut self.again);
        for event in events {
            match Token(event.data.u64()) {
                LISTENER => self.accept()?,
                CONTROL => commanded = true,
                token => self.event(token, event.flags),
            }
        }
        for token in again {
            if let Some(peer) = self.peers.get_mut(token) {
                peer.promised = false;
            }
            self.turn(token);
        }
        self.flush();
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

    /// Reads what a peer has sent, and does what follows.
    fn turn(&mut self, token: Token) {
        self.dirty.push(token);
        for _ in 0..MESSAGES_PER_TURN {
            let Some(peer) = self.peers.get_mut(token) else { return };
            match peer.next(&mut self.counts) {
                Next::Nothing => return,
                Next::Served => {}
                Next::Words(message) => {
                    if let Err(why) = self.hear(token, message) {
                        self.refuse(token, why);
                    }
                }
                Next::Ended => return self.close(token),
            }
        }
        self.promise(token);
    }

    /// Another turn, after the others.
    fn promise(&mut self, token: Token) {
        if let Some(peer) = self.peers.get_mut(token)
            && !std::mem::replace(&mut peer.promised, true)
        {
            self.again.push(token);
        }
    }

    /// What somebody says to the hub. An error is why that cannot be.
    fn hear(&mut self, token: Token, message: Message) -> Result<(), &'static str> {
        match message {
            Message::Text(text) if text.as_str() == LEAVE => self.hub.leave(token),
            Message::Text(text) => {
                let terms = Registration::parse(&text).ok_or("nobody understands that")?;
                for (member, seat) in self.hub.register(token, terms)? {
                    self.put(member, Message::text(seat.to_string()));
                }
                Ok(())
            }
            Message::Binary(published) => self.deliver(token, &published),
            _ => Ok(()),
        }
    }

    /// Sends what was published to all members of the room.
    fn deliver(&mut self, token: Token, published: &Bytes) -> Result<(), &'static str> {
        self.counts.received += 1;
        let (number, members) = self.hub.publish(token)?;
        let mut delivery = BytesMut::with_capacity(NUMBER_BYTES + published.len());
        delivery.put_u64(number);
        delivery.put_slice(published);
        let delivery = delivery.freeze();
        for &member in members {
            let Some(peer) = self.peers.get_mut(member) else { continue };
            self.dirty.push(member);
            // One whose buffer cannot be written is seen when it is flushed.
            if peer.put(Message::Binary(delivery.clone()), &mut self.counts).is_ok() {
                self.counts.delivered += 1;
            }
        }
        Ok(())
    }

    fn put(&mut self, token: Token, message: Message) {
        let Some(peer) = self.peers.get_mut(token) else { return };
        self.dirty.push(token);
        let _ = peer.put(message, &mut self.counts);
    }

    /// Tells a peer why it is not heard any more; it is to end the connection.
    fn refuse(&mut self, token: Token, why: &'static str) {
        self.dismiss(token, why);
        self.lose(token);
    }

    fn dismiss(&mut self, token: Token, why: &'static str) {
        if let Some(peer) = self.peers.get_mut(token) {
            self.dirty.push(token);
            peer.refuse(why, &mut self.counts);
        }
    }

    /// Writes what waits.
    fn flush(&mut self) {
        while let Some(token) = self.dirty.pop() {
            let Some(peer) = self.peers.get_mut(token) else { continue };
            match peer.flush(&mut self.counts) {
                Err(()) => self.close(token),
                Ok(()) if peer.goes_on() => self.promise(token),
                Ok(()) => {}
            }
        }
    }

    fn close(&mut self, token: Token) {
        if let Some(peer) = self.peers.remove(token) {
            peer.abandon(&mut self.counts);
            self.counts.connections.connections_closed += 1;
        }
        self.lose(token);
    }

    /// Somebody is not a member any more; others may be without what it would have published.
    fn lose(&mut self, token: Token) {
        for other in self.hub.lose(token) {
            self.dismiss(other, "a member of the room has gone");
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTS_PER_TURN {
            match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => self.welcome(socket)?,
                Err(Errno::AGAIN) => return Ok(()),
                // The listener would be reported again and again while no descriptor is free.
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    self.counts.connections.accepts_refused += 1;
                    let pause = Timespec { tv_sec: 0, tv_nsec: PAUSE_NS };
                    let _ = rustix::thread::nanosleep(&pause);
                    return Ok(());
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
        Ok(())
    }

    fn welcome(&mut self, socket: OwnedFd) -> io::Result<()> {
        let stream = match &self.identity {
            Some(identity) => PeerStream::encrypted(socket, identity.session()?),
            None => PeerStream::Plain(socket),
        };
        let token = self.peers.insert(WebSocketPeer::new(stream));
        self.counts.connections.opened();
        let Some(peer) = self.peers.get_mut(token) else { return Ok(()) };
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, peer.socket(), EventData::new_u64(token.0), flags)?;
        Ok(())
    }

    /// Reads and answers commands; whether the server has to stop.
    fn obey(
        &self,
        lines: &mut Commands,
        commands: &impl AsFd,
        answers: &mut impl Write,
    ) -> io::Result<bool> {
        let mut bytes = [0; 512];
        let read = match rustix::io::read(commands, &mut bytes) {
            Err(Errno::INTR | Errno::AGAIN) => return Ok(false),
            read => read?,
        };
        for command in lines.receive(&bytes[..read]) {
            let answer = match command {
                ControlCommand::Stop => return Ok(true),
                ControlCommand::Counts => {
                    ControlAnswer::Counts(self.counts.to_map(&self.hub.counts))
                }
                ControlCommand::Unknown(line) => ControlAnswer::Error(format!(
                    "`{line}` is no command; there are `counts` and `stop`"
                )),
            };
            say(answers, &answer)?;
        }
        Ok(false)
    }
}
