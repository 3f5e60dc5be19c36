//! A member of a room: it registers, publishes, gets what all have published, and leaves.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use tungstenite::Message;

use super::{
    connection::{Arrived, WebSocketConnection},
    lost::TalkTrouble,
    message::{MessageId, Messages},
    spec::BroadcastSpec,
};
use crate::{
    runtime::Native,
    targets::websocket::{
        MessageAccount,
        words::{LEAVE, Registration, Seat, delivered},
    },
};

/// Bits of the number of a member in what its messages are known by; above them is the room's.
const MEMBER_BITS: u32 = 20;

/// The membership of one call.
pub(super) struct MemberTalk {
    terms: Registration,
    messages: Messages,
    account: Arc<MessageAccount>,
    has_registered: bool,
    seat: Option<Seat>,
    published: u64,
    /// Messages of the room that came.
    came: u64,
    /// Of them, by member.
    by_member: Vec<u32>,
    has_left: bool,
}

impl MemberTalk {
    /// It is nowhere a member.
    pub fn new(spec: &BroadcastSpec, account: Arc<MessageAccount>) -> Self {
        Self {
            terms: spec.terms,
            messages: Messages::new(spec.size.0 as usize),
            account,
            has_registered: false,
            seat: None,
            published: 0,
            came: 0,
            by_member: Vec::new(),
            has_left: false,
        }
    }

    /// A call begins, or begins again.
    pub fn begin(&mut self) {
        self.by_member.clear();
        self.by_member.resize(self.terms.members as usize, 0);
        (self.has_registered, self.has_left, self.seat) = (false, false, None);
        (self.published, self.came) = (0, 0);
    }

    /// Messages that it has published.
    pub fn published(&self) -> u64 {
        self.published
    }

    /// Whether the hub has answered.
    pub fn is_seated(&self) -> bool {
        self.seat.is_some()
    }

    /// Goes on to the end of the call.
    pub fn poll<N: Native>(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut WebSocketConnection<N>,
    ) -> Poll<Result<(), TalkTrouble>> {
        if !self.has_registered {
            self.has_registered = true;
            self.account.register();
            connection.put(context, Message::text(self.terms.to_string()))?;
        }
        while self.came < self.terms.deliveries() {
            let arrived = ready!(connection.poll_message(context))?;
            let is_own = match self.seat {
                None => {
                    self.seat = Some(self.sit_down(&arrived).map_err(TalkTrouble::Wrong)?);
                    self.account.seat();
                    true
                }
                Some(seat) => self.judge(seat, &arrived).map_err(TalkTrouble::Wrong)?,
            };
            // The next one when the last one has come back, so that nobody is far ahead.
            if is_own && self.published < u64::from(self.terms.messages) {
                let bytes = self.messages.make(self.id());
                self.account.send();
                self.published += 1;
                connection.put(context, Message::Binary(bytes))?;
            }
        }
        if !self.has_left {
            self.has_left = true;
            connection.put(context, Message::text(LEAVE))?;
        }
        ready!(connection.poll_flush(context))?;
        self.account.leave();
        Poll::Ready(Ok(()))
    }

    /// What its next message is known by.
    fn id(&self) -> MessageId {
        let of = self.seat.map_or(0, |seat| seat.room << MEMBER_BITS | u64::from(seat.number));
        MessageId { of, number: self.published }
    }

    /// Where it is, when the room is full.
    fn sit_down(&self, (bytes, is_text): &Arrived) -> Result<Seat, String> {
        let text = if *is_text { std::str::from_utf8(bytes).ok() } else { None };
        let seat = text.and_then(Seat::parse).filter(|seat| seat.number < self.terms.members);
        seat.ok_or_else(|| "the hub did not say that the room is full, but something else".into())
    }

    /// Whether what came is the next message of the room; says whether it is one's own.
    fn judge(&mut self, seat: Seat, (bytes, _): &Arrived) -> Result<bool, String> {
        let (at, all) = (self.came + 1, self.terms.deliveries());
        let place = || format!("message {at} of {all} in room {}", seat.room);
        let (number, message) = delivered(bytes).ok_or_else(|| {
            format!("{}: {} bytes came, which is no delivery", place(), bytes.len())
        })?;
        if number < self.came {
            return Err(format!("{}: message {} came twice", place(), number + 1));
        }
        if number > self.came {
            let came = number + 1;
            return Err(format!(
                "{}: message {came} came in its place, so that it is lost",
                place()
            ));
        }
        let id = self.messages.look_at(message);
        let id = id.map_err(|why| format!("{} came changed: {why}", place()))?;
        let member = id.of & ((1 << MEMBER_BITS) - 1);
        let before = self.by_member.get_mut(member as usize);
        let Some(before) = before.filter(|_| id.of >> MEMBER_BITS == seat.room) else {
            return Err(format!("{}: it is of nobody in this room", place()));
        };
        if id.number != u64::from(*before) {
            let (found, expected) = (id.number + 1, *before + 1);
            return Err(format!(
                "{}: it is message {found} of member {member}, of whom message {expected} is next: one was lost, came \
                 twice or is out of order",
                place()
            ));
        }
        *before += 1;
        self.came += 1;
        let is_own = member == u64::from(seat.number);
        if is_own {
            self.account.answer();
        } else {
            self.account.deliver();
        }
        Ok(is_own)
    }
}
