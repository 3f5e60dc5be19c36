//! One connection as a state machine over bytes: it knows no socket and no clock.
//!
//! Requests that come in are answered into a queue, which keeps their order whatever their delays;
//! the bytes of the responses at its front that are due are what may be sent.

use std::{collections::VecDeque, io::IoSlice, mem};

use super::{
    answer::hashed_id,
    counts::PathKey,
    drain::AtDrain,
    incoming::Incoming,
    request::{self, Framing, Persistence, Rejection, RequestHead},
    response::{Framed, ResponseChoice},
    site::ServedSite,
};

/// Most responses waiting in a connection; while there are as many, nothing more is read from it.
const MOST_WAITING: usize = 128;

/// The state of one connection.
#[derive(Debug)]
pub struct ServedConnection {
    /// Received but not yet understood: part of a head, or requests beyond [`MOST_WAITING`].
    input: Vec<u8>,
    reading: RequestProgress,
    waiting: VecDeque<WaitingAnswer>,
    /// How many bytes of the first waiting response are sent.
    sent: u64,
    /// Whether bytes came after the last request that is answered.
    excess: bool,
    /// Whether it ends with what is in flight, because the server drains.
    draining: bool,
    /// Whether the request that is coming was in flight when the server drained.
    owes_next: bool,
}

/// What the next bytes are.
#[derive(Debug)]
enum RequestProgress {
    Head,
    Body(Incoming, Request),
    /// Nothing that matters: the connection ends when all is sent.
    Ended,
}

/// A request whose body is still coming.
#[derive(Debug, Clone, Copy)]
struct Request {
    path: PathKey,
    /// The page of the list that it asks for, if it does.
    page: Option<u64>,
    id: Option<u64>,
    how: Framed,
}

/// A response that is not yet sent.
#[derive(Debug, Clone, Copy)]
struct WaitingAnswer {
    due: u64,
    choice: ResponseChoice,
    how: Framed,
    /// Whether its request was in flight when the server drained.
    owed: bool,
}

impl ServedConnection {
    /// A connection on which nothing has come.
    pub fn new() -> Self {
        Self {
            input: Vec::new(),
            reading: RequestProgress::Head,
            waiting: VecDeque::new(),
            sent: 0,
            excess: false,
            draining: false,
            owes_next: false,
        }
    }

    /// Whether more bytes may be given to [`Self::receive`]; if not, the peer has to wait.
    pub fn wants_input(&self) -> bool {
        self.waiting.len() < MOST_WAITING
    }

    /// Takes bytes that came at `now`.
    pub fn receive(&mut self, bytes: &[u8], now: u64, site: &mut ServedSite) {
        if self.input.is_empty() {
            let used = self.advance(bytes, now, site);
            self.input.extend_from_slice(&bytes[used..]);
        } else {
            self.input.extend_from_slice(bytes);
            self.advance_stored(now, site);
        }
    }

    /// Goes on with requests that had no room before; whether that gave new responses.
    pub fn resume(&mut self, now: u64, site: &mut ServedSite) -> bool {
        let before = self.waiting.len();
        if !self.input.is_empty() && self.wants_input() {
            self.advance_stored(now, site);
        }
        self.waiting.len() > before
    }

    /// Puts the bytes that may be sent at `now` into `slices`; returns how many slices have been
    /// filled.
    pub fn output<'a>(&self, now: u64, site: &'a ServedSite, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut sent = self.sent;
        for next in self.waiting.iter().take_while(|next| next.due <= now) {
            filled += site.responses.fill(next.choice, next.how, sent, &mut slices[filled..]);
            if filled == slices.len() {
                break;
            }
            sent = 0;
        }
        filled
    }

    /// Notes that this many bytes of the output were sent.
    pub fn sent(&mut self, bytes: usize, site: &mut ServedSite) {
        let mut bytes = bytes as u64;
        while let Some(front) = self.waiting.front().copied() {
            let length = site.responses.length(front.choice, front.how);
            let left = length - self.sent;
            if bytes < left {
                self.sent += bytes;
                return;
            }
            bytes -= left;
            self.sent = 0;
            self.waiting.pop_front();
            site.counts.drains.answered += u64::from(front.owed);
            site.counts.bytes_sent += site.responses.body_part(front.choice, front.how, length);
            if front.choice.is_status() {
                site.counts.answered(site.responses.status(front.choice));
                if let Some(items) = site.responses.items(front.choice) {
                    site.counts.gave_page(items);
                }
            }
        }
    }

    /// When the first response that is not sent is due.
    pub fn next_due(&self) -> Option<u64> {
        self.waiting.front().map(|next| next.due)
    }

    /// Whether all is sent and no request will follow.
    pub fn is_finished(&self) -> bool {
        let has_ended = match self.reading {
            RequestProgress::Head => self.draining && self.input.is_empty(),
            RequestProgress::Body(..) => false,
            RequestProgress::Ended => true,
        };
        has_ended && self.waiting.is_empty()
    }

    /// The server drains: the connection ends with what is in flight on it, if there is something.
    pub fn drain(&mut self) -> AtDrain {
        let (is_coming, has_ended) = match &self.reading {
            RequestProgress::Head => (!self.input.is_empty(), false),
            RequestProgress::Body(..) => (true, false),
            RequestProgress::Ended => (false, true),
        };
        if self.waiting.is_empty() && !is_coming && !has_ended {
            return AtDrain::Idle;
        }
        self.draining = true;
        if !is_coming && !has_ended {
            self.end_with_last();
        }
        let waiting = self.waiting.iter_mut().filter(|next| next.choice.is_status());
        let owed = waiting.map(|next| &mut next.owed);
        let owed = owed.chain(is_coming.then_some(&mut self.owes_next));
        AtDrain::Busy(owed.map(|owed| u64::from(!mem::replace(owed, true))).sum())
    }

    /// The last answer says that no other one will come, unless it is being sent already.
    fn end_with_last(&mut self) {
        let is_begun = self.waiting.len() == 1 && self.sent > 0;
        if let Some(last) = self.waiting.back_mut().filter(|_| !is_begun) {
            last.how.persistence = Persistence::Close;
            self.reading = RequestProgress::Ended;
        }
    }

    /// Whether the peer sent more than was asked for, so that closing at once could destroy the
    /// last response.
    pub fn has_excess(&self) -> bool {
        self.excess
    }

    /// Requests that were in flight when the server drained and are still to be answered.
    pub fn owed(&self) -> u64 {
        let waiting = self.waiting.iter().filter(|next| next.owed).count() as u64;
        waiting + u64::from(self.owes_next)
    }

    /// The connection is gone: counts what it leaves unsent.
    pub fn abandon(&self, site: &mut ServedSite) {
        if let Some(front) = self.waiting.front() {
            site.counts.bytes_sent += site.responses.body_part(front.choice, front.how, self.sent);
        }
        site.counts.drains.given_up += self.owed();
        site.counts.abandoned +=
            self.waiting.iter().filter(|next| next.choice.is_status()).count() as u64;
    }

    fn advance_stored(&mut self, now: u64, site: &mut ServedSite) {
        let mut input = mem::take(&mut self.input);
        let used = self.advance(&input, now, site);
        input.drain(..used);
        self.input = input;
    }

    /// Understands as much of the input as it can; returns how much that was.
    fn advance(&mut self, input: &[u8], now: u64, site: &mut ServedSite) -> usize {
        let mut used = 0;
        while used < input.len() && self.wants_input() {
            let rest = &input[used..];
            let step = match &mut self.reading {
                RequestProgress::Head => self.head(rest, now, site),
                RequestProgress::Body(..) => self.body(rest, now, site),
                RequestProgress::Ended => {
                    self.excess = true;
                    return input.len();
                }
            };
            match step {
                Ok(Some(step)) => used += step,
                Ok(None) => break,
                Err(rejection) => {
                    self.reject(rejection, site);
                    return input.len();
                }
            }
        }
        used
    }

    /// Reads a head at the start of `input`; `None` if more is needed.
    fn head(
        &mut self,
        input: &[u8],
        now: u64,
        site: &mut ServedSite,
    ) -> Result<Option<usize>, Rejection> {
        let Some(head) = request::parse(input)? else { return Ok(None) };
        let path = site.counts.path(head.path);
        let how = Framed { persistence: head.persistence, bodiless: head.bodiless };
        let page = site.page(head.path, head.query);
        let request = Request { path, page, id: head.id, how };
        if head.framing == Framing::Length(0) {
            self.answer(request, now, site);
            return Ok(Some(head.length));
        }
        if head.expects_continue && head.length == input.len() {
            self.waiting.push_back(ask_for_body(&head));
        }
        self.reading = RequestProgress::Body(Incoming::new(head.framing), request);
        Ok(Some(head.length))
    }

    /// Reads more of a body; `None` if more is needed before any of `input` can be used.
    fn body(
        &mut self,
        input: &[u8],
        now: u64,
        site: &mut ServedSite,
    ) -> Result<Option<usize>, Rejection> {
        let RequestProgress::Body(incoming, request) = &mut self.reading else { return Ok(None) };
        let request = *request;
        let before = incoming.received();
        let taken = incoming.take(input)?;
        site.counts.bytes_received += incoming.received() - before;
        if taken.complete {
            self.answer(request, now, site);
        }
        Ok((taken.complete || taken.used > 0).then_some(taken.used))
    }

    /// A request is complete: decides its response.
    fn answer(&mut self, request: Request, now: u64, site: &mut ServedSite) {
        let sequence = site.counts.request(request.path);
        let id = request.id.unwrap_or_else(|| hashed_id(request.path.hash, sequence));
        let (choice, due) = site.answer(request.page, id, now);
        let mut how = request.how;
        if self.draining {
            how.persistence = Persistence::Close;
        }
        let owed = mem::take(&mut self.owes_next);
        self.waiting.push_back(WaitingAnswer { due, choice, how, owed });
        self.reading = if how.persistence == Persistence::Close {
            RequestProgress::Ended
        } else {
            RequestProgress::Head
        };
    }

    /// A request cannot be understood: after the responses before it, says so and ends.
    fn reject(&mut self, rejection: Rejection, site: &mut ServedSite) {
        site.counts.rejected += 1;
        let choice = ResponseChoice::rejection(rejection);
        self.waiting.push_back(WaitingAnswer {
            due: 0,
            choice,
            how: Framed { persistence: Persistence::Close, bodiless: false },
            owed: mem::take(&mut self.owes_next),
        });
        self.reading = RequestProgress::Ended;
        self.excess = true;
    }
}

/// The interim response to a client that sends the body only when asked to (RFC 9110, 10.1.1).
fn ask_for_body(head: &RequestHead<'_>) -> WaitingAnswer {
    debug_assert!(head.expects_continue, "the client asked to be asked");
    WaitingAnswer {
        due: 0,
        choice: ResponseChoice::CONTINUE,
        how: Framed { persistence: Persistence::Implied, bodiless: false },
        owed: false,
    }
}

#[cfg(test)]
mod tests;
