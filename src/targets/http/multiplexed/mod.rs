//! A connection of HTTP/2 as a state machine over bytes: it knows no socket and no clock.
//!
//! The protocol is the library's (h2), which reads and writes a [`pipe`] in memory and is polled
//! whenever bytes came, an answer is due, or what it wrote has left. Requests are answered as those
//! of HTTP/1.1 are, each on its own stream ([`answers`]): in the order in which they are due.

mod answers;
mod pipe;

use std::{
    future::Future as _,
    io::IoSlice,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::{
    RecvStream,
    server::{Builder, Connection, Handshake, SendResponse},
};
use hyper::{Method, Request, header::CONTENT_LENGTH};
use hyper_util::rt::TokioIo;

use self::{
    answers::{OpenAnswers, WaitingStream},
    pipe::Pipe,
};
use super::{
    answer::hashed_id,
    counts::PathKey,
    drain::AtDrain,
    request::{ID_HEADER, MOST_BODY, Rejection},
    response::ResponseChoice,
    site::ServedSite,
};

/// What a client sends first (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of bodies that may be under way to the server on a stream, and on a connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Streams that a client may have given up before they were looked at; beyond that it is taken for
/// an attacker, and the connection ends. The library's own limit is 20, which a storm of time-outs
/// reaches.
const MOST_RESET: usize = 1024;

/// The state of one connection.
#[derive(Debug)]
pub struct ServedMultiplex {
    phase: Phase,
    pipe: Pipe,
    /// What goes to the socket next, and how much of it has gone.
    outgoing: Vec<u8>,
    sent: usize,
    receiving: Vec<Receiving>,
    answers: OpenAnswers,
    /// Most streams that were open at once.
    most: usize,
    /// Whether the library has to be polled although nothing has come.
    is_told: bool,
}

#[derive(Debug)]
enum Phase {
    /// The client's first bytes have not come as a whole.
    Greeting(Handshake<TokioIo<Pipe>, Bytes>),
    Open(Connection<TokioIo<Pipe>, Bytes>),
    /// Nothing that matters will come; whether something may that is not wanted.
    Ended(bool),
}

/// A request whose body is still coming.
#[derive(Debug)]
struct Receiving {
    asked: StreamRequest,
    respond: SendResponse<Bytes>,
    body: RecvStream,
    received: u64,
}

/// What matters of a request.
#[derive(Debug, Clone, Copy)]
struct StreamRequest {
    path: PathKey,
    page: Option<u64>,
    id: Option<u64>,
    bodiless: bool,
}

/// How far the body of a request has come.
enum BodyEnd {
    Coming,
    Whole,
    TooLong,
    Gone,
}

impl ServedMultiplex {
    /// A connection on which nothing has come, and on which so many streams may be open at once.
    pub fn new(streams: u32) -> Self {
        let pipe = Pipe::default();
        let greeting = Builder::new()
            .max_concurrent_streams(streams)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_pending_accept_reset_streams(MOST_RESET)
            .handshake(TokioIo::new(pipe.clone()));
        Self {
            phase: Phase::Greeting(greeting),
            pipe,
            outgoing: Vec::new(),
            sent: 0,
            receiving: Vec::new(),
            answers: OpenAnswers::default(),
            most: 0,
            is_told: false,
        }
    }

    /// Whether more bytes may be given to [`Self::receive`]; if not, the peer has to wait.
    pub fn wants_input(&self) -> bool {
        !self.pipe.is_full()
    }

    /// Takes bytes that came at `now`.
    pub fn receive(&mut self, bytes: &[u8], now: u64, site: &mut ServedSite) {
        self.pipe.give(bytes);
        self.advance(now, site);
        self.refill();
    }

    /// Goes on with what is due, or had no room before; whether that gave something to send.
    pub fn resume(&mut self, now: u64, site: &mut ServedSite) -> bool {
        let is_due = self.answers.next_due().is_some_and(|due| due <= now);
        let is_told = std::mem::take(&mut self.is_told);
        if is_due || is_told || !self.pipe.is_empty() {
            self.refill();
            self.advance(now, site);
            self.refill();
        }
        !self.outgoing.is_empty()
    }

    /// Puts the bytes that may be sent into `slices`; returns how many slices have been filled.
    pub fn output<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let left = &self.outgoing[self.sent..];
        match slices.first_mut() {
            Some(slice) if !left.is_empty() => *slice = IoSlice::new(left),
            _ => return 0,
        }
        1
    }

    /// Notes that this many bytes of the output were sent.
    pub fn sent(&mut self, bytes: usize, site: &mut ServedSite) {
        self.sent += bytes;
        if self.sent < self.outgoing.len() {
            return;
        }
        self.outgoing.clear();
        self.sent = 0;
        if self.pipe.is_empty() {
            self.answers.left(site);
        }
    }

    /// When the first answer that is not begun is due.
    pub fn next_due(&self) -> Option<u64> {
        self.answers.next_due()
    }

    /// Whether all is sent and no request will follow.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Ended(_)) && self.outgoing.is_empty() && self.pipe.is_empty()
    }

    /// The server drains: a GOAWAY says so, and the connection ends with the streams that are open.
    pub fn drain(&mut self) -> AtDrain {
        match &mut self.phase {
            Phase::Greeting(_) => return AtDrain::Unused,
            Phase::Open(connection) => connection.graceful_shutdown(),
            Phase::Ended(_) => {}
        }
        // It is written when the connection is polled, as if something had come.
        self.is_told = true;
        AtDrain::Busy(0)
    }

    /// Whether the client may be sending what nobody reads.
    pub fn has_excess(&self) -> bool {
        matches!(self.phase, Phase::Ended(true))
    }

    /// The connection is gone: counts what it leaves unsent.
    pub fn abandon(&self, site: &mut ServedSite) {
        self.answers.abandon(site);
    }

    /// Moves what is to go to where the socket takes it from, once that is empty.
    fn refill(&mut self) {
        if self.outgoing.is_empty() {
            self.pipe.take(&mut self.outgoing);
        }
    }

    /// Reads, answers and writes until nothing moves any more, or there is enough to send.
    fn advance(&mut self, now: u64, site: &mut ServedSite) {
        loop {
            let mut moved = self.listen(now, site);
            moved |= self.read_bodies(now, site);
            moved |= self.answers.begin(now, site);
            moved |= self.answers.pump(site);
            if !moved || self.pipe.is_full() {
                return;
            }
        }
    }

    /// Polls the connection, which reads and writes; whether there were requests.
    fn listen(&mut self, now: u64, site: &mut ServedSite) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut any = false;
        loop {
            match &mut self.phase {
                Phase::Greeting(greeting) => match Pin::new(greeting).poll(&mut context) {
                    Poll::Pending => return any,
                    Poll::Ready(Ok(connection)) => self.phase = Phase::Open(connection),
                    Poll::Ready(Err(_)) => self.end(true, site),
                },
                Phase::Open(connection) => match connection.poll_accept(&mut context) {
                    Poll::Pending => return any,
                    Poll::Ready(Some(Ok((request, respond)))) => {
                        any = true;
                        self.begin(request, respond, now, site);
                    }
                    Poll::Ready(Some(Err(_))) => self.end(true, site),
                    Poll::Ready(None) => self.end(false, site),
                },
                Phase::Ended(_) => return any,
            }
        }
    }

    fn end(&mut self, is_fault: bool, site: &mut ServedSite) {
        site.counts.rejected += u64::from(is_fault);
        self.phase = Phase::Ended(is_fault);
    }

    /// The head of a request has come.
    fn begin(
        &mut self,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        now: u64,
        site: &mut ServedSite,
    ) {
        let asked = asked(&request, site);
        let declared = number(&request, CONTENT_LENGTH.as_str()).and_then(Result::ok).unwrap_or(0);
        let body = request.into_body();
        match asked {
            Err(rejection) => self.refuse(rejection, respond, site),
            Ok(_) if declared > MOST_BODY => self.refuse(Rejection::BodyTooLong, respond, site),
            Ok(asked) if body.is_end_stream() => self.answer(asked, respond, now, site),
            Ok(asked) => self.receiving.push(Receiving { asked, respond, body, received: 0 }),
        }
        self.note_open(site);
    }

    /// Notes how many streams are open, where that is more than ever before.
    fn note_open(&mut self, site: &mut ServedSite) {
        if self.receiving.len() + self.answers.open() > self.most {
            self.answers.drop_reset(site);
            self.most = self.most.max(self.receiving.len() + self.answers.open());
            site.counts.had_streams(self.most as u64);
        }
    }

    /// Reads what has come of bodies; whether one has come to its end.
    fn read_bodies(&mut self, now: u64, site: &mut ServedSite) -> bool {
        let mut any = false;
        for place in (0..self.receiving.len()).rev() {
            let end = self.receiving[place].read(site);
            if matches!(end, BodyEnd::Coming) {
                continue;
            }
            any = true;
            let Receiving { asked, respond, .. } = self.receiving.swap_remove(place);
            match end {
                BodyEnd::Whole => self.answer(asked, respond, now, site),
                BodyEnd::TooLong => self.refuse(Rejection::BodyTooLong, respond, site),
                BodyEnd::Coming | BodyEnd::Gone => {}
            }
        }
        any
    }

    /// A request is complete: decides its response.
    fn answer(
        &mut self,
        asked: StreamRequest,
        respond: SendResponse<Bytes>,
        now: u64,
        site: &mut ServedSite,
    ) {
        let sequence = site.counts.request(asked.path);
        site.counts.requests_multiplexed += 1;
        let id = asked.id.unwrap_or_else(|| hashed_id(asked.path.hash, sequence));
        let (choice, due) = site.answer(asked.page, id, now);
        self.answers.add(due, WaitingStream { respond, choice, bodiless: asked.bodiless });
    }

    /// A request cannot be served: says so. The connection stays.
    fn refuse(
        &mut self,
        rejection: Rejection,
        respond: SendResponse<Bytes>,
        site: &mut ServedSite,
    ) {
        site.counts.rejected += 1;
        let choice = ResponseChoice::rejection(rejection);
        self.answers.add(0, WaitingStream { respond, choice, bodiless: false });
    }
}

impl Receiving {
    /// Reads what has come, so that there is room for more.
    fn read(&mut self, site: &mut ServedSite) -> BodyEnd {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let data = match self.body.poll_data(&mut context) {
                Poll::Pending => return BodyEnd::Coming,
                Poll::Ready(None) => return BodyEnd::Whole,
                Poll::Ready(Some(Err(_))) => return BodyEnd::Gone,
                Poll::Ready(Some(Ok(data))) => data,
            };
            self.received += data.len() as u64;
            site.counts.bytes_received += data.len() as u64;
            // It cannot be more than what came.
            let _ = self.body.flow_control().release_capacity(data.len());
            if self.received > MOST_BODY {
                return BodyEnd::TooLong;
            }
        }
    }
}

/// What matters of a request; an error says why it is refused.
fn asked(request: &Request<RecvStream>, site: &mut ServedSite) -> Result<StreamRequest, Rejection> {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let id = number(request, ID_HEADER).transpose()?;
    Ok(StreamRequest {
        page: site.page(path.as_bytes(), query.as_bytes()),
        path: site.counts.path(path.as_bytes()),
        id,
        bodiless: request.method() == Method::HEAD,
    })
}

/// A header that is to be a number, if it is there.
fn number(request: &Request<RecvStream>, name: &str) -> Option<Result<u64, Rejection>> {
    let text = request.headers().get(name)?.to_str().ok();
    Some(text.and_then(|text| text.parse().ok()).ok_or(Rejection::Malformed))
}

#[cfg(test)]
mod tests;
