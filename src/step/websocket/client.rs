//! An instance of the step: its connection, opened in preparation and kept, and the calls on it.

use std::{future::poll_fn, marker::PhantomData, sync::Arc};

use super::{
    connection::WebSocketConnection,
    lost::{Cut, TalkTrouble},
    talk::Talk,
};
use crate::{
    runtime::Native,
    step::{Call, Done, Failure, Opening, Operation, StepOutcome},
    targets::websocket::WebSocketEndpoint,
};

/// What all instances share.
pub(super) struct WebSocketShared {
    pub endpoint: Arc<WebSocketEndpoint>,
    /// Whether it talks to the hub.
    pub at_hub: bool,
    pub allow_errors: bool,
    /// The step, in words.
    pub words: String,
    /// What a call that ends well has sent and received, in bytes.
    pub done: Done,
}

/// An instance.
pub(super) struct WebSocketClient<N: Native> {
    shared: Arc<WebSocketShared>,
    /// None after it was lost.
    connection: Option<Box<WebSocketConnection<N>>>,
    talk: Talk,
    native: PhantomData<fn() -> N>,
}

impl<N: Native> WebSocketClient<N> {
    /// One that has no connection yet.
    pub fn new(shared: Arc<WebSocketShared>, talk: Talk) -> Self {
        Self { shared, connection: None, talk, native: PhantomData }
    }

    /// The connection that was kept, or a new one; and whether it was kept.
    async fn take(&mut self) -> Result<(Box<WebSocketConnection<N>>, bool), Cut> {
        if let Some(kept) = self.connection.take() {
            return Ok((kept, true));
        }
        let opened = self.shared.connect().await?;
        self.shared.endpoint.connections.reopen();
        Ok((opened, false))
    }

    /// A call that has come to no end because of its connection: counted where the scenario allows
    /// it.
    fn cut(&self, why: &Cut) -> StepOutcome {
        let came = self.talk.was_answered();
        if self.shared.allow_errors {
            self.shared.endpoint.connections.count_kind(why.kind(came));
            return Ok(Done { errors: 1, ..Done::default() });
        }
        Err(self.shared.failure(why, came))
    }
}

impl WebSocketShared {
    async fn connect<N: Native>(&self) -> Result<Box<WebSocketConnection<N>>, Cut> {
        WebSocketConnection::open(&self.endpoint, self.endpoint.path_to(self.at_hub)).await
    }

    fn failure(&self, why: &Cut, came: bool) -> Failure {
        let words = why.words(self.endpoint.address, came, self.at_hub);
        Failure::of_kind(
            why.kind(came),
            format!("{}: {}: {words}", self.words, self.endpoint.words),
        )
    }
}

impl<N: Native> Operation for WebSocketClient<N> {
    async fn open(&mut self, when: Opening) -> StepOutcome {
        if self.connection.is_some() {
            return Ok(Done::default());
        }
        match self.shared.connect().await {
            Ok(opened) => self.connection = Some(opened),
            // The call tries again, and counts it.
            Err(_) if when == Opening::FirstUse && self.shared.allow_errors => {}
            Err(why) => return Err(self.shared.failure(&why, false)),
        }
        Ok(Done::default())
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        loop {
            self.talk.begin(call.key);
            let (mut connection, was_kept) = match self.take().await {
                Ok(taken) => taken,
                Err(why) => return self.cut(&why),
            };
            N::begin();
            let talk = &mut self.talk;
            let talked = poll_fn(|context| talk.poll(context, &mut *connection)).await;
            match talked {
                Ok(()) => {
                    self.connection = Some(connection);
                    return Ok(self.shared.done);
                }
                // The server has closed what nobody used. Once more at most, for this happens on a
                // kept connection only, and then there is none.
                Err(TalkTrouble::Cut(why))
                    if was_kept && why.is_end() && !self.talk.was_answered() =>
                {
                    (0..self.talk.sent()).for_each(|_| self.shared.endpoint.connections.repeat());
                }
                Err(TalkTrouble::Cut(why)) => return self.cut(&why),
                Err(TalkTrouble::Wrong(why)) => {
                    let WebSocketShared { words, endpoint, .. } = &*self.shared;
                    return Err(Failure::Wrong(format!("{words}: {}: {why}", endpoint.words)));
                }
            }
        }
    }
}
