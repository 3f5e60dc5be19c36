//! A slot's client: its connection, opened in preparation or by each call, and the exchanges on it.

use std::{marker::PhantomData, sync::Arc};

use super::{Keep, Shared, exchange::Connection, lost::Lost};
use crate::{
    runtime::Native,
    step::{Call, Done, Failure, Operation, Outcome},
};

/// A slot's client.
pub(super) struct Client<N: Native> {
    shared: Arc<Shared>,
    /// None while the connection is per call, or after it was lost.
    connection: Option<Box<Connection<N>>>,
    /// Digest of a body whose SHA-256 was checked in preparation.
    learned: Option<u64>,
    text: String,
    native: PhantomData<fn() -> N>,
}

impl<N: Native> Client<N> {
    /// A client that has no connection yet.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, connection: None, learned: None, text: String::new(), native: PhantomData }
    }
}

impl<N: Native> Operation for Client<N> {
    async fn prepare(&mut self) -> Outcome {
        if let Some(reason) = self.shared.expected.contradiction() {
            return Err(Failure::Wrong(reason));
        }
        let shared = self.shared.clone();
        let lost = |why: Lost| shared.lost(&why, b"");
        if shared.expected.wants_sha256() {
            let mut connection = Connection::<N>::open(&shared.endpoint).await.map_err(lost)?;
            let (request, _) = shared.request(&Call::default(), &mut String::new()).map_err(Failure::Wrong)?;
            let answer = match connection.exchange(request, true).await {
                Ok(answer) => answer,
                Err(why) => return Err(shared.lost(&why, &connection.unread())),
            };
            let learned = shared.expected.learn(&answer);
            self.learned = Some(learned.map_err(|why| Failure::Wrong(format!("{}: {why}", shared.words())))?);
        }
        if shared.spec.connection == Keep::Keep {
            let opened = Connection::open(&shared.endpoint).await;
            self.connection = Some(opened.map_err(lost)?);
        }
        Ok(Done::default())
    }

    async fn call(&mut self, call: Call) -> Outcome {
        let Self { shared, connection: kept, learned, text, .. } = self;
        let wrong = |reason: String| Failure::Wrong(format!("{}: {reason}", shared.words()));
        let (request, sent) = shared.request(&call, text).map_err(wrong)?;
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => match Connection::open(&shared.endpoint).await {
                Ok(connection) => connection,
                Err(why) => return shared.failed(&why, b""),
            },
        };
        let answer = match connection.exchange(request, false).await {
            Ok(answer) => answer,
            Err(why) => return shared.failed(&why, &connection.unread()),
        };
        if shared.spec.connection == Keep::Keep && connection.is_open() {
            *kept = Some(connection);
        }
        let errors = shared.expected.judge(&answer, shared.id(&call), *learned).map_err(wrong)?;
        Ok(Done { received: answer.bytes, sent, errors: u64::from(errors), timeouts: 0 })
    }
}

impl Shared {
    /// The failure of a call that got no answer; `unread` is what was received and not understood.
    fn lost(&self, why: &Lost, unread: &[u8]) -> Failure {
        let words = format!("{}: {}", self.words(), why.words(self.endpoint.address, unread));
        Failure::of_kind(why.kind(unread), words)
    }

    /// A call that got no answer: counted where the scenario allows it.
    fn failed(&self, why: &Lost, unread: &[u8]) -> Outcome {
        if self.spec.allow.errors {
            self.endpoint.count(why.kind(unread));
            return Ok(Done { errors: 1, ..Done::default() });
        }
        Err(self.lost(why, unread))
    }
}
