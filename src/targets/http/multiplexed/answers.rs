//! Answers of one connection of HTTP/2: those that wait for their time, in whatever order they are
//! due, and those whose bodies are on their way, as far as their streams have room.

use std::{
    collections::BTreeMap,
    task::{Context, Waker},
};

use bytes::Bytes;
use h2::{SendStream, server::SendResponse};
use hyper::Response;

use crate::targets::http::{response::ResponseChoice, site::ServedSite};

/// Most bytes of a body that a stream is given at once.
const PIECE: u64 = 64 << 10;

/// An answer that waits for its time.
#[derive(Debug)]
pub(super) struct WaitingStream {
    pub respond: SendResponse<Bytes>,
    pub choice: ResponseChoice,
    pub bodiless: bool,
}

/// An answer whose head is given, and not all of its body.
#[derive(Debug)]
struct Sending {
    stream: SendStream<Bytes>,
    choice: ResponseChoice,
    place: u64,
    length: u64,
}

/// An answer that is given as a whole, and may not have left yet: what, and the bytes of its body.
type Given = (ResponseChoice, u64);

/// All answers of a connection that have not left.
#[derive(Debug, Default)]
pub(super) struct OpenAnswers {
    /// By the time when they are due and their number.
    waiting: BTreeMap<(u64, u64), WaitingStream>,
    sending: Vec<Sending>,
    given: Vec<Given>,
    /// OpenAnswers so far.
    number: u64,
}

impl OpenAnswers {
    /// An answer is due at this time.
    pub(super) fn add(&mut self, due: u64, answer: WaitingStream) {
        self.number += 1;
        self.waiting.insert((due, self.number), answer);
    }

    /// How many have no end yet.
    pub(super) fn open(&self) -> usize {
        self.waiting.len() + self.sending.len()
    }

    /// When the first one is due.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// Begins those that are due at `now`; whether there were any.
    pub(super) fn begin(&mut self, now: u64, site: &mut ServedSite) -> bool {
        let mut any = false;
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= now) {
            any = true;
            let answer = first.remove();
            self.send(answer, site);
        }
        any
    }

    fn send(&mut self, answer: WaitingStream, site: &mut ServedSite) {
        let WaitingStream { mut respond, choice, bodiless } = answer;
        let length = site.responses.body_to_send(choice, bodiless);
        let mut head = Response::new(());
        *head.status_mut() = site.responses.status_code(choice);
        head.headers_mut().clone_from(site.responses.fields(choice));
        match respond.send_response(head, length == 0) {
            Ok(_) if length == 0 => self.given.push((choice, 0)),
            Ok(stream) => self.sending.push(Sending { stream, choice, place: 0, length }),
            // The client has given the stream up.
            Err(_) => count_abandoned(choice, 0, site),
        }
    }

    /// Gives the bodies on their way as much as their streams have room for; whether that was
    /// anything.
    pub(super) fn pump(&mut self, site: &mut ServedSite) -> bool {
        let Self { sending, given, .. } = self;
        let mut any = false;
        sending.retain_mut(|answer| match answer.pump(site) {
            Pumped::Stalled(moved) => {
                any |= moved;
                true
            }
            Pumped::Whole => {
                any = true;
                given.push((answer.choice, answer.length));
                false
            }
            Pumped::Reset => {
                count_abandoned(answer.choice, answer.place, site);
                false
            }
        });
        any
    }

    /// Lets go of those whose stream the client has given up.
    pub(super) fn drop_reset(&mut self, site: &mut ServedSite) {
        let mut context = Context::from_waker(Waker::noop());
        self.waiting.retain(|_, answer| {
            let is_reset = answer.respond.poll_reset(&mut context).is_ready();
            if is_reset {
                count_abandoned(answer.choice, 0, site);
            }
            !is_reset
        });
    }

    /// All that was given has left.
    pub(super) fn left(&mut self, site: &mut ServedSite) {
        for (choice, bytes) in self.given.drain(..) {
            site.counts.bytes_sent += bytes;
            if choice.is_status() {
                site.counts.answered(site.responses.status(choice));
                if let Some(items) = site.responses.items(choice) {
                    site.counts.gave_page(items);
                }
            }
        }
    }

    /// The connection is gone: counts what it leaves unsent.
    pub(super) fn abandon(&self, site: &mut ServedSite) {
        self.waiting.values().for_each(|answer| count_abandoned(answer.choice, 0, site));
        self.sending.iter().for_each(|answer| count_abandoned(answer.choice, answer.place, site));
        self.given.iter().for_each(|&(choice, bytes)| count_abandoned(choice, bytes, site));
    }
}

/// An answer does not leave as a whole, but so many bytes of its body may have.
fn count_abandoned(choice: ResponseChoice, bytes: u64, site: &mut ServedSite) {
    site.counts.bytes_sent += bytes;
    site.counts.abandoned += u64::from(choice.is_status());
}

/// How far a body has come.
enum Pumped {
    /// Its stream has no more room; whether it had some.
    Stalled(bool),
    /// To its end.
    Whole,
    /// The client has given it up.
    Reset,
}

impl Sending {
    fn pump(&mut self, site: &ServedSite) -> Pumped {
        let mut moved = false;
        loop {
            let wanted = (self.length - self.place).min(PIECE) as usize;
            self.stream.reserve_capacity(wanted);
            let room = self.stream.capacity().min(wanted);
            if room == 0 {
                let mut context = Context::from_waker(Waker::noop());
                let is_reset = self.stream.poll_reset(&mut context).is_ready();
                return if is_reset { Pumped::Reset } else { Pumped::Stalled(moved) };
            }
            let mut piece = site.responses.piece(self.choice, self.place);
            piece.truncate(room);
            self.place += piece.len() as u64;
            let is_whole = self.place == self.length;
            if self.stream.send_data(piece, is_whole).is_err() {
                return Pumped::Reset;
            }
            if is_whole {
                return Pumped::Whole;
            }
            moved = true;
        }
    }
}
