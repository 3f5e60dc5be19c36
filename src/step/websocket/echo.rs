//! Messages that are sent and must come back.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tungstenite::{Message, Utf8Bytes};

use super::{
    connection::{Arrived, WebSocketConnection},
    lost::{Cut, TalkTrouble},
    message::{MessageId, Messages},
    spec::EchoSpec,
};
use crate::{runtime::Native, targets::websocket::MessageAccount};

/// The exchange of one call. Messages are numbered over all calls of an instance, so that one that
/// comes late or twice is known.
pub(super) struct EchoTalk {
    spec: EchoSpec,
    messages: Messages,
    account: Arc<MessageAccount>,
    /// Key of the call.
    of: u64,
    /// Number of its first message.
    first: u64,
    pub sent: u64,
    pub came: u64,
}

impl EchoTalk {
    /// Nothing was sent so far.
    pub fn new(spec: EchoSpec, account: Arc<MessageAccount>) -> Self {
        let messages = Messages::new(spec.size.0 as usize);
        Self { spec, messages, account, of: 0, first: 0, sent: 0, came: 0 }
    }

    /// A call begins, or begins again.
    pub fn begin(&mut self, of: u64) {
        self.first += self.sent;
        (self.of, self.sent, self.came) = (of, 0, 0);
    }

    /// Goes on to the end of the call.
    pub fn poll<N: Native>(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut WebSocketConnection<N>,
    ) -> Poll<Result<(), TalkTrouble>> {
        while self.came < self.spec.messages {
            while self.sent < self.spec.messages && self.sent - self.came < self.spec.in_flight {
                let message = self.next()?;
                self.account.send();
                self.sent += 1;
                connection.put(context, message)?;
            }
            let arrived = ready!(connection.poll_message(context))?;
            self.judge(&arrived).map_err(TalkTrouble::Wrong)?;
            self.account.answer();
            self.came += 1;
        }
        Poll::Ready(Ok(()))
    }

    fn next(&mut self) -> Result<Message, Cut> {
        let id = MessageId { of: self.of, number: self.first + self.sent };
        let bytes: Bytes = self.messages.make(id);
        if !self.spec.text {
            return Ok(Message::Binary(bytes));
        }
        // It is ASCII: see `message`.
        let text = Utf8Bytes::try_from(bytes).map_err(|why| Cut::Protocol(why.to_string()))?;
        Ok(Message::Text(text))
    }

    /// Whether what came is the message that had to come.
    fn judge(&self, (bytes, is_text): &Arrived) -> Result<(), String> {
        let expected = MessageId { of: self.of, number: self.first + self.came };
        if *is_text == self.spec.text && self.messages.is(bytes, expected) {
            return Ok(());
        }
        let place =
            |number: u64| format!("message {} of {}", number - self.first + 1, self.spec.messages);
        let changed = |why: &str| {
            Err(format!("{} came back changed: {why}; correct the server", place(expected.number)))
        };
        if *is_text != self.spec.text {
            let kind = if *is_text { "text" } else { "binary" };
            return changed(&format!("it is a {kind} message now"));
        }
        match self.messages.look_at(bytes) {
            Err(why) => changed(&why),
            Ok(found) if found.number < expected.number => {
                Err("a message came twice: it had come back before; correct the server".to_owned())
            }
            Ok(found) if found.of == self.of && found.number < self.first + self.sent => {
                Err(format!(
                    "{} came in the place of {}, which was lost or is out of order; correct the server",
                    place(found.number),
                    place(expected.number)
                ))
            }
            Ok(_) => changed("nobody has sent such a message"),
        }
    }
}
