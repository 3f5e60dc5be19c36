//! A slot's client: its connection, opened in preparation or by each call, and the exchanges on it.

use std::sync::Arc;

use super::{
    answer::{HttpAnswer, Want},
    expect::begins,
    failed::Failed,
    link::{Link, LinkRoute},
    lost::Lost,
    shared::{HttpAsked, HttpShared},
    spec::HttpLifetime,
    taking::HttpTaking,
};
use crate::{
    client::FaultKind,
    runtime::Native,
    step::{
        Call, Done, Failure, Opening, Operation, StepOutcome,
        asked_wait::AskedWait,
        ledger::{Owned, ValueCell},
    },
};

/// A slot's client.
pub(super) struct HttpClient<N: Native> {
    shared: Arc<HttpShared>,
    /// None while the connection is per call, or after it was lost.
    connection: Option<Link<N>>,
    /// Where it comes from.
    route: LinkRoute<N>,
    text: String,
    /// Where a `retry` around it looks for the wait that an answer asks for; none: nobody does.
    asked: Option<Arc<AskedWait>>,
    /// The values that it takes from answers; none: nothing is taken.
    taking: Option<CountedTaking>,
}

/// The values that a client takes, and where it counts the calls after which they are there.
type CountedTaking = (Box<HttpTaking>, Owned<ValueCell>);

impl<N: Native> HttpClient<N> {
    /// A client that has no connection yet.
    pub(super) fn new(
        shared: Arc<HttpShared>,
        route: LinkRoute<N>,
        asked: Option<Arc<AskedWait>>,
        taking: Option<CountedTaking>,
    ) -> Self {
        Self { shared, connection: None, route, text: String::new(), asked, taking }
    }
}

impl<N: Native> HttpClient<N> {
    /// Checks the SHA-256 of the body; its cheaper digest then serves for all slots.
    async fn learn(&mut self) -> Result<(), Failure> {
        let shared = &self.shared;
        let wrong = |why: String| shared.wrong(&why);
        let opened = self.route.open(shared).await;
        let (mut connection, _) = opened.map_err(|why| shared.lost(&why, b""))?;
        let (request, _) = shared.request(&Call::default(), &mut String::new()).map_err(wrong)?;
        let answer = connection
            .exchange(request, Want::Sha256)
            .await
            .map_err(|why| shared.unanswered(&why))?;
        let learned = shared.expected.learn(&answer).map_err(wrong)?;
        // Preparation is done once; were it done again, it has checked the same.
        let _ = shared.learned.set(learned);
        if shared.lifetime != HttpLifetime::PerCall {
            self.keep(connection);
        }
        Ok(())
    }
}

impl<N: Native> Operation for HttpClient<N> {
    async fn prepare(&mut self) -> StepOutcome {
        self.shared
            .expected
            .contradiction()
            .map_or(Ok(Done::default()), |reason| Err(Failure::Wrong(reason)))
    }

    async fn open(&mut self, when: Opening) -> StepOutcome {
        let shared = &self.shared;
        if when == Opening::Preparation && shared.expected.wants_sha256() {
            Box::pin(self.learn()).await?;
        }
        // What the slot does not keep is opened in preparation only, to see that it can be.
        let is_for_calls = match self.shared.lifetime {
            HttpLifetime::Keep => self.connection.is_some(),
            HttpLifetime::PerCall => true,
            HttpLifetime::Pool => when == Opening::FirstUse,
        };
        if is_for_calls {
            return Ok(Done::default());
        }
        match self.route.open(&self.shared).await {
            Ok((connection, _)) => self.keep(connection),
            // The call tries again, and counts it.
            Err(_) if when == Opening::FirstUse && self.shared.spec.allow.errors => {}
            Err(why) => return Err(self.shared.lost(&why, b"")),
        }
        Ok(Done::default())
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let make = |shared: &HttpShared, text: &mut String| shared.request(&call, text);
        // Moved out for the length of the call; one that is given up takes all of this with it.
        let mut taking = self.taking.take();
        let want = taking.as_mut().map_or(Want::Nothing, |(taking, _)| {
            taking.clear();
            Want::Values(taking)
        });
        let outcome = match self.answered(make, want).await {
            Ok((connection, answer, sent)) => {
                let ended = self.end(connection, &answer, &call, sent);
                match &mut taking {
                    Some(taking) => ended.and_then(|done| self.keep_values(taking, done, &answer)),
                    None => ended,
                }
            }
            Err(ended) => match &taking {
                Some(taking) => ended.and_then(|done| without_values(taking, done)),
                None => ended,
            },
        };
        self.taking = taking;
        outcome
    }
}

/// The end of a call that had an error which the scenario allows, where later steps need what it
/// was to take: they use the defaults, or are left out.
fn without_values((taking, counts): &CountedTaking, done: Done) -> StepOutcome {
    if !taking.use_defaults() {
        return Err(Failure::Skipped(done));
    }
    counts.end(false);
    Ok(done)
}

/// What an exchange gives: its connection, the answer, and the length of the request's body.
type Answered<N> = (Link<N>, HttpAnswer, u64);

impl<N: Native> HttpClient<N> {
    /// A request and its answer, over the connection that was kept or a new one; else how the call
    /// ends. A request that is lost with a kept connection goes again where that is the same as
    /// sending it once.
    pub(super) async fn answered(
        &mut self,
        make: impl Fn(&HttpShared, &mut String) -> Result<HttpAsked, String>,
        mut want: Want<'_>,
    ) -> Result<Answered<N>, StepOutcome> {
        let mut went_again = false;
        loop {
            let (request, sent) =
                make(&self.shared, &mut self.text).map_err(|why| Err(self.shared.wrong(&why)))?;
            let (mut connection, was_kept) = match self.take().await {
                Ok(taken) => taken,
                Err(why) => {
                    let failed = self.shared.failed(why.kind(b""), || self.shared.lost(&why, b""));
                    return Err(failed);
                }
            };
            match connection.exchange(request, want.again()).await {
                Ok(answer) => return Ok((connection, answer, sent)),
                // Once more at most: others may have shared the connection that was kept, and the
                // next one.
                Err(why)
                    if was_kept && !went_again && why.may_go_again(self.shared.is_idempotent) =>
                {
                    went_again = true;
                    self.route.go_again(connection);
                    if why.is_unanswered() {
                        self.shared.endpoint.connections.repeat();
                    }
                }
                Err(why) => {
                    self.route.lose(&connection);
                    let kind = why.why.kind(&why.unread);
                    return Err(self.shared.failed(kind, || self.shared.unanswered(&why)));
                }
            }
        }
    }

    /// The connection that was kept, unless the peer has closed it, or a new one; and whether it
    /// was kept.
    async fn take(&mut self) -> Result<(Link<N>, bool), Lost> {
        let shared = &self.shared;
        if let Some(mut kept) = self.connection.take().or_else(|| self.route.left_open()) {
            // What changes something is not sent twice, so that it is looked before; the others
            // just try.
            if shared.is_idempotent || !kept.has_ended() {
                return Ok((kept, true));
            }
            self.route.lose(&kept);
        }
        let (opened, is_new) = self.route.open(shared).await?;
        if is_new && shared.lifetime == HttpLifetime::Keep {
            shared.endpoint.connections.reopen();
        }
        Ok((opened, !is_new))
    }

    /// Keeps the connection for the next request, if there can be one on it.
    pub(super) fn keep(&mut self, connection: Link<N>) {
        self.route.lose(&connection);
        match connection {
            Link::Pooled(lent) => lent.give_back(),
            own => self.connection = Some(own).filter(Link::is_open),
        }
    }

    /// Closes what a call has opened for itself.
    pub(super) fn leave(&mut self) {
        if self.shared.lifetime == HttpLifetime::PerCall {
            self.connection = None;
        }
    }

    /// Tells a `retry` around it what wait an answer asks for that was an error.
    pub(super) fn pass_on(&self, answer: &HttpAnswer) {
        if let (Some(asked), Some(wait)) = (&self.asked, answer.wait) {
            asked.ask(wait);
        }
    }

    /// Keeps what is taken from an answer that was checked.
    fn keep_values(
        &self,
        counted: &mut CountedTaking,
        done: Done,
        answer: &HttpAnswer,
    ) -> StepOutcome {
        if done.errors > 0 {
            return without_values(counted, done);
        }
        let (taking, counts) = counted;
        let kept = taking.end().map_err(|why| {
            let said = format!("{why}; the answer has status {}{}", answer.status, begins(answer));
            self.shared.wrong(&said).at(taking.place())
        });
        kept.map(|all| {
            counts.end(all);
            done
        })
    }

    /// What all slots share.
    pub(super) fn shared(&self) -> &HttpShared {
        &self.shared
    }

    /// Keeps the connection and checks the answer.
    fn end(
        &mut self,
        connection: Link<N>,
        answer: &HttpAnswer,
        call: &Call,
        sent: u64,
    ) -> StepOutcome {
        if self.shared.lifetime != HttpLifetime::PerCall {
            self.keep(connection);
        }
        let shared = &self.shared;
        let judged = shared.expected.judge(answer, shared.id(call), shared.learned.get().copied());
        let errors = judged.map_err(|why| shared.wrong(&why))?;
        if errors {
            self.pass_on(answer);
        }
        Ok(Done { received: answer.bytes, sent, errors: u64::from(errors), timeouts: 0 })
    }
}

impl HttpShared {
    pub(super) fn wrong(&self, why: &str) -> Failure {
        Failure::Wrong(format!("{}: {why}", self.words()))
    }

    /// The failure of a call that got no answer; `unread` is what was received and not understood.
    fn lost(&self, why: &Lost, unread: &[u8]) -> Failure {
        self.lost_and(why, unread, "")
    }

    fn lost_and(&self, why: &Lost, unread: &[u8], more: &str) -> Failure {
        let words = format!("{}: {}{more}", self.words(), why.words(self.endpoint.address, unread));
        Failure::of_kind(why.kind(unread), words)
    }

    /// The same of one whose request was sent, or a part of it.
    fn unanswered(&self, failed: &Failed) -> Failure {
        let may_be_done = !self.is_idempotent && failed.is_unanswered();
        let more = if may_be_done {
            "; it was not sent again, for the server may have done it"
        } else {
            ""
        };
        self.lost_and(&failed.why, &failed.unread, more)
    }

    /// A call that got no answer: counted where the scenario allows it.
    fn failed(&self, kind: FaultKind, failure: impl FnOnce() -> Failure) -> StepOutcome {
        if self.spec.allow.errors {
            self.endpoint.count(kind);
            return Ok(Done { errors: 1, ..Done::default() });
        }
        Err(failure())
    }
}

#[cfg(test)]
pub(super) mod tests;
