//! One connection: its greeting, and the exchange of one command for one answer.

use bson::{RawDocument, RawDocumentBuf, rawdoc};
use hyper::rt::{Read, Write};

use super::{
    error::MongoError,
    message::{self, DocumentSequence, HEADER},
    reply,
};
use crate::client::wire::Wire;

/// Most bytes of a message that MongoDB's servers accept or send.
const MOST_MESSAGE: usize = 48_000_000;
/// Most bytes of a document.
const MOST_DOCUMENT: usize = 16 * 1024 * 1024;
/// Most documents of one `insert`.
const MOST_WRITES: usize = 100_000;
/// A command may be so many bytes larger than the largest document that it carries (MongoDB's
/// BSONObjMaxInternalSize).
const COMMAND_ROOM: usize = 16 * 1024;
/// The version of the protocol since which there is OP_MSG: MongoDB 3.6.
const OP_MSG_SINCE: i64 = 6;

/// What a server accepts, by its own word, and never more than MongoDB itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MongoLimits {
    /// Bytes of a document.
    pub document: usize,
    /// Bytes of a message.
    pub message: usize,
    /// Documents of one `insert`.
    pub writes: usize,
}

/// MongoDB's own.
impl Default for MongoLimits {
    fn default() -> Self {
        Self { document: MOST_DOCUMENT, message: MOST_MESSAGE, writes: MOST_WRITES }
    }
}

impl MongoLimits {
    /// As the answer to `hello` says.
    fn told(answer: &RawDocument) -> Result<Self, MongoError> {
        let get = |key, most: usize| -> Result<usize, MongoError> {
            let said = reply::whole(answer, key)?.and_then(|said| usize::try_from(said).ok());
            Ok(said.map_or(most, |said| said.clamp(1, most)))
        };
        Ok(Self {
            document: get("maxBsonObjectSize", MOST_DOCUMENT)?,
            message: get("maxMessageSizeBytes", MOST_MESSAGE)?,
            writes: get("maxWriteBatchSize", MOST_WRITES)?,
        })
    }

    /// Refuses what the server would refuse, before any of it is sent.
    fn check(&self, command: &RawDocument, length: usize) -> Result<(), MongoError> {
        let of_command = (command.as_bytes().len(), self.document + COMMAND_ROOM);
        for (bytes, most) in [of_command, (length, self.message)] {
            if bytes > most {
                return Err(MongoError::Oversized {
                    what: "command",
                    bytes: bytes as u64,
                    most: most as u64,
                });
            }
        }
        Ok(())
    }
}

/// A connection on which one command at a time is exchanged for its answer.
#[derive(Debug)]
pub struct MongoConnection<S> {
    wire: Wire<S>,
    /// The id of the last command.
    id: i32,
    /// Bytes of the last answer, which lies in the wire's buffer until the next command.
    answered: usize,
    /// Whether the last exchange has ended, so that another one can begin.
    idle: bool,
    limits: MongoLimits,
}

impl<S> MongoConnection<S> {
    /// Whether another command can be sent. False after an exchange that was given up, or whose
    /// answer made no sense: close the connection.
    pub fn is_usable(&self) -> bool {
        self.idle
    }

    /// What the server accepts.
    pub fn limits(&self) -> MongoLimits {
        self.limits
    }

    /// The stream, as it was left.
    #[cfg(test)]
    pub(super) fn into_stream(mut self) -> S {
        self.wire.consume(self.answered);
        self.wire.into_stream().unwrap()
    }
}

impl<S: Read + Write + Unpin> MongoConnection<S> {
    /// Greets the server at the other end of a stream.
    pub async fn open(stream: S) -> Result<Self, MongoError> {
        let mut connection = Self {
            wire: Wire::new(stream),
            id: 0,
            answered: 0,
            idle: true,
            limits: MongoLimits::default(),
        };
        let answer = connection.exchange("hello", &hello(), None).await?;
        let newest = reply::whole(answer, "maxWireVersion")?.unwrap_or(0);
        if newest < OP_MSG_SINCE {
            return Err(MongoError::Protocol(format!(
                "version {newest} of the protocol, where {OP_MSG_SINCE} is needed"
            )));
        }
        connection.limits = MongoLimits::told(answer)?;
        Ok(connection)
    }

    /// Sends a command and waits for its answer, which must say that it was done.
    pub(super) async fn exchange(
        &mut self,
        name: &'static str,
        command: &RawDocument,
        sequence: Option<DocumentSequence<'_>>,
    ) -> Result<&RawDocument, MongoError> {
        self.limits.check(command, message::length(command, sequence))?;
        self.wire.consume(std::mem::take(&mut self.answered));
        // Until the answer is there, nobody may send another command: not even if this future is
        // dropped.
        if !std::mem::take(&mut self.idle) || !self.wire.received().is_empty() {
            return Err(MongoError::protocol("bytes that nobody asked for"));
        }
        self.id = self.id.checked_add(1).unwrap_or(1);
        message::write(self.wire.request(), self.id, command, sequence);
        self.wire.send().await?;
        self.wire.fill(HEADER).await?;
        let length = message::claimed(self.wire.received(), MOST_MESSAGE)?;
        self.wire.fill(length).await?;
        self.answered = length;
        let answer = message::body(&self.wire.received()[..length], self.id)?;
        self.idle = true;
        reply::check(name, answer)?;
        Ok(answer)
    }
}

/// The greeting, with what a server writes into its log about its clients.
fn hello() -> RawDocumentBuf {
    rawdoc! {
        "hello": 1,
        "helloOk": true,
        "client": {
            "application": { "name": "regatta" },
            "driver": { "name": "regatta", "version": env!("CARGO_PKG_VERSION") },
            "os": { "type": std::env::consts::OS },
        },
        "$db": "admin",
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::{super::tests::answer, *};
    use crate::client::testing::Scripted;

    /// A connection to a server that says these answers after its greeting.
    async fn greeted(answers: &[RawDocumentBuf]) -> MongoConnection<Scripted> {
        let greeting = rawdoc! { "ok": 1, "maxWireVersion": 21, "maxBsonObjectSize": 1000, "maxMessageSizeBytes": 2000 };
        let all = [greeting].into_iter().chain(answers.iter().cloned()).zip(1..);
        let says = all.map(|(document, id)| answer(id, &document));
        MongoConnection::open(Scripted::new(says)).await.unwrap()
    }

    fn ping() -> RawDocumentBuf {
        rawdoc! { "ping": 1, "$db": "admin" }
    }

    #[test]
    fn the_server_says_what_it_accepts() {
        let connection = block_on(greeted(&[]));
        assert_eq!(
            connection.limits(),
            MongoLimits { document: 1000, message: 2000, writes: MOST_WRITES }
        );
        let told = |answer: RawDocumentBuf| MongoLimits::told(&answer).unwrap();
        assert_eq!(
            told(rawdoc! { "maxBsonObjectSize": i64::MAX, "maxMessageSizeBytes": -1 }),
            MongoLimits::default()
        );
    }

    #[test]
    fn a_server_before_op_msg_is_refused() {
        let says = [answer(1, &rawdoc! { "ok": 1, "maxWireVersion": 5 })];
        let why = block_on(MongoConnection::open(Scripted::new(says))).unwrap_err().to_string();
        assert!(why.contains("version 5 of the protocol"), "{why}");
    }

    #[test]
    fn an_error_of_the_server_leaves_the_connection_usable() {
        block_on(async {
            let mut connection =
                greeted(&[rawdoc! { "ok": 0, "code": 2, "errmsg": "bad" }, rawdoc! { "ok": 1 }])
                    .await;
            assert!(matches!(
                connection.exchange("ping", &ping(), None).await,
                Err(MongoError::Command { code: 2, .. })
            ));
            assert!(connection.is_usable());
            connection.exchange("ping", &ping(), None).await.unwrap();
        });
    }

    #[test]
    fn after_an_answer_that_never_came_nothing_is_sent() {
        block_on(async {
            let mut connection = greeted(&[]).await;
            assert!(matches!(
                connection.exchange("ping", &ping(), None).await,
                Err(MongoError::Lost(_))
            ));
            assert!(!connection.is_usable());
            let why = connection.exchange("ping", &ping(), None).await.unwrap_err().to_string();
            assert!(why.contains("nobody asked for"), "{why}");
        });
    }

    #[test]
    fn a_call_given_up_in_the_middle_makes_the_connection_unusable() {
        block_on(async {
            let mut connection = greeted(&[rawdoc! { "ok": 1 }]).await;
            let (ping, mut waits) = (ping(), std::pin::pin!(std::future::pending::<()>()));
            let one_poll =
                futures_lite::future::poll_once(connection.exchange("ping", &ping, None)).await;
            assert!(
                one_poll.is_none() && futures_lite::future::poll_once(&mut waits).await.is_none()
            );
            assert!(!connection.is_usable());
        });
    }

    #[test]
    fn what_is_too_large_is_not_sent_and_does_no_harm() {
        block_on(async {
            let mut connection = greeted(&[rawdoc! { "ok": 1 }]).await;
            let large = rawdoc! { "x": "y".repeat(2000) };
            assert!(matches!(
                connection.exchange("ping", &large, None).await,
                Err(MongoError::Oversized { most: 2000, .. })
            ));
            connection.exchange("ping", &ping(), None).await.unwrap();
        });
    }

    #[test]
    fn an_answer_that_is_not_to_this_command_is_refused() {
        let says = [answer(2, &rawdoc! { "ok": 1 })];
        let why = block_on(MongoConnection::open(Scripted::new(says))).unwrap_err().to_string();
        assert!(why.contains("an answer to request 2 instead of 1"), "{why}");
    }
}
