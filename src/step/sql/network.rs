//! A step's calls on a database server: everything but the protocol, the same for every engine.
//!
//! An engine implements [`Session`] in one file and gets one line in `mod.rs`. What stands here: when connections are
//! opened and closed, the arguments, transactions, the rows that must come back, the account of changes, and faults.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    bound::{Bindings, Bound},
    connection::{Seat, Source, Taken},
    copy::Copy,
    effects::{Answer, Effects},
    work::Work,
};
use crate::{
    client::{Fault, FaultKind},
    config::{Diagnostics, Field, Node, choice_schema, read_choice},
    runtime::Native,
    step::{Call, Done, Failure, Opening, Operation, Outcome},
    target::{
        self,
        sql::{Account, Database, Server},
    },
};

/// A connection of an engine, used by one task at a time.
pub(super) trait Session<N: Native>: Send + Sized + 'static {
    /// What a connection keeps of a prepared statement.
    type Statement: Send + Sync + 'static;

    /// Whose client it is, for the fairness manifest.
    const DRIVER: &'static str = "Regatta's, the same code under every executor";

    /// Connects and logs in within the time limit; statements then find the tables of the server's schema.
    fn open(server: &Arc<Server>) -> impl Future<Output = Result<Self, Fault>> + Send;

    /// Prepares a statement, or keeps its text where the protocol is the simple one. `?` stands for an argument, as in
    /// the scenario.
    fn prepare(
        &mut self,
        query: &str,
        protocol: Protocol,
    ) -> impl Future<Output = Result<Self::Statement, Fault>> + Send;

    /// How many arguments a statement takes.
    fn arguments(statement: &Self::Statement) -> usize;

    /// Runs a statement, and reads every column of every row.
    fn run(
        &mut self,
        statement: &Self::Statement,
        args: &[Bound],
    ) -> impl Future<Output = Result<Answer, Fault>> + Send;

    /// When [`Self::in_one_go`] does a transaction.
    const IN_ONE_GO: OneGo = OneGo::Never;

    /// Does a whole transaction: BEGIN, all statements and COMMIT. The fault is that of the first statement that has one,
    /// and then nothing is committed.
    fn in_one_go(
        &mut self,
        _statements: &[Self::Statement],
        _bound: &Bindings,
    ) -> impl Future<Output = Result<Vec<Answer>, (Fault, Option<usize>)>> + Send {
        std::future::ready(Err((Fault::new(FaultKind::Statement, "this server takes one statement at a time"), None)))
    }

    /// Whether [`Self::copy`] does what it says.
    const COPIES: bool = false;

    /// Copies rows into a table; `body` has them in COPY's text format.
    fn copy(&mut self, _query: &str, _body: Bytes) -> impl Future<Output = Result<Answer, Fault>> + Send {
        std::future::ready(Err(Fault::new(FaultKind::Statement, "this server has no COPY")))
    }

    /// Begins or ends a transaction.
    fn control(&mut self, control: Control) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Whether it can be used for another call.
    fn is_open(&self) -> bool;

    /// How the server is told to end what it does; none where it runs to its end.
    fn number(&self) -> Option<target::sql::Session> {
        None
    }

    /// Says good-bye, and closes the connection.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// When a transaction is done in one go, and not statement by statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OneGo {
    /// Statement by statement only.
    Never,
    /// Where the scenario asks for a `pipeline`.
    Pipelined,
    /// Always: it is one piece of work.
    Always,
}

/// `protocol`: how statements are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Protocol {
    /// Prepared once on each connection; arguments are sent beside them.
    Prepared,
    /// As one text each, with the arguments written into it.
    Simple,
}

const PROTOCOLS: &[(&str, Protocol)] = &[("prepared", Protocol::Prepared), ("simple", Protocol::Simple)];

impl Field for Protocol {
    fn schema() -> serde_json::Value {
        choice_schema(PROTOCOLS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, PROTOCOLS, diagnostics)
    }
}

/// What begins and ends a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    Begin,
    Commit,
    Rollback,
}

impl Control {
    /// The statement, the same on every engine.
    pub fn text(self) -> &'static str {
        match self {
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
        }
    }
}

/// What the instances of a step share.
pub(super) struct Route {
    pub database: Arc<Database>,
    pub server: Arc<Server>,
    pub work: Arc<Work>,
    /// The step's number in the plan.
    pub number: usize,
    /// The step's draws.
    pub seed: u64,
    /// How statements are sent.
    pub protocol: Protocol,
    /// Whether faults of the server are counted and do not fail the trial.
    pub allow_errors: bool,
    /// What asks for fewer connections: the pool's key, or the load's.
    pub at_once: &'static str,
}

/// A step in one slot.
pub(super) struct Calls<N: Native, S: Session<N>> {
    route: Arc<Route>,
    source: Arc<Source<N, S>>,
    bound: Bindings,
    /// The call that is under way.
    current: Call,
    account: Arc<Account>,
}

/// Why a call did not do what it should.
enum Trouble {
    /// A fault of the server, while statement `at` was running, where it was one.
    Fault(Fault, Option<usize>),
    /// Other rows than expected.
    Wrong(String),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault, None)
    }
}

/// A transaction is still open: its connection must not be used for another call.
pub(super) fn not_rolled_back(why: &Fault) -> Fault {
    Fault::new(FaultKind::Lost, format!("a transaction that failed could not be rolled back: {why}"))
}

/// The statements of a step among those of a connection, and the connection.
type Ready<N, S> = (Taken<N, S>, usize);

impl<N: Native, S: Session<N>> Calls<N, S> {
    /// Calls without a connection as yet.
    pub fn new(route: Arc<Route>, source: Arc<Source<N, S>>) -> Self {
        let (bound, account) = (Bindings::new(&route.work), route.database.account());
        Self { route, source, bound, current: Call::default(), account }
    }

    /// A connection with this step's statements prepared, and their place in it.
    async fn take(&self, in_call: bool) -> Result<Ready<N, S>, Trouble> {
        let mut taken = self.source.take(&self.route.server, in_call).await?;
        let seat = taken.seat();
        if let Some(place) = seat.prepared.iter().position(|(number, _)| *number == self.route.number) {
            return Ok((taken, place));
        }
        let prepared = Box::pin(self.all_prepared(&mut taken.begin().session)).await;
        taken.has_ended();
        let seat = taken.seat();
        seat.prepared.push((self.route.number, prepared?));
        let place = seat.prepared.len() - 1;
        Ok((taken, place))
    }

    async fn all_prepared(&self, session: &mut S) -> Result<Vec<S::Statement>, Trouble> {
        let mut prepared = Vec::with_capacity(self.bound.len());
        for at in 0..self.bound.len() {
            prepared.push(self.prepared(session, at).await?);
        }
        Ok(prepared)
    }

    async fn prepared(&self, session: &mut S, at: usize) -> Result<S::Statement, Trouble> {
        let work = &self.route.work;
        let protocol = if work.copy.is_some() { Protocol::Simple } else { self.route.protocol };
        let prepared = session.prepare(&work.statements[at].query, protocol).await;
        let statement = prepared.map_err(|fault| Trouble::Fault(fault, Some(at)))?;
        let (wanted, given) = (S::arguments(&statement), self.bound.of(at).len());
        if wanted == given {
            return Ok(statement);
        }
        Err(Trouble::Wrong(work.failed(at, format!("it has {wanted} `?`, and `args` has {given} values"))))
    }

    /// Takes a connection with everything prepared, learns what is to be learned, and gives it back.
    async fn opened(&self) -> Result<(), Trouble> {
        let (mut taken, place) = self.take(false).await?;
        let learned = self.learn(taken.begin(), place).await;
        taken.has_ended();
        learned?;
        self.source.give_back(taken).await;
        Ok(())
    }

    /// Runs the statements whose number of rows is to be learned.
    async fn learn(&self, seat: &mut Seat<S, S::Statement>, place: usize) -> Result<(), Trouble> {
        for at in 0..self.bound.len() {
            if self.route.work.expected[at].is_open() {
                self.statement(seat, place, at, &mut Effects::default()).await?;
            }
        }
        Ok(())
    }

    async fn statement(
        &self,
        seat: &mut Seat<S, S::Statement>,
        place: usize,
        at: usize,
        effects: &mut Effects,
    ) -> Result<(), Trouble> {
        let Seat { session, prepared, .. } = seat;
        let args = self.bound.of(at);
        let answer =
            session.run(&prepared[place].1[at], args).await.map_err(|fault| Trouble::Fault(fault, Some(at)))?;
        effects.add(&self.route.work, at, args, answer).map_err(Trouble::Wrong)
    }

    /// All statements in one go.
    async fn in_one_go(&self, seat: &mut Seat<S, S::Statement>, place: usize) -> Result<Effects, Trouble> {
        let Seat { session, prepared, .. } = seat;
        let answers = session.in_one_go(&prepared[place].1, &self.bound).await;
        let answers = answers.map_err(|(fault, at)| Trouble::Fault(fault, at))?;
        let mut effects = Effects::default();
        for (at, answer) in answers.into_iter().enumerate() {
            effects.add(&self.route.work, at, self.bound.of(at), answer).map_err(Trouble::Wrong)?;
        }
        Ok(effects)
    }

    /// The rows of a COPY.
    async fn copied(&self, seat: &mut Seat<S, S::Statement>, copy: &Copy) -> Result<Effects, Trouble> {
        let body = copy.body(&self.current, self.route.seed);
        let mut effects = Effects { done: Done { sent: body.len() as u64, ..Done::default() }, ..Effects::default() };
        let query = &self.route.work.statements[0].query;
        let answer = seat.session.copy(query, body.into()).await.map_err(|fault| Trouble::Fault(fault, Some(0)))?;
        effects.add(&self.route.work, 0, &[], answer).map_err(Trouble::Wrong)?;
        Ok(effects)
    }

    async fn statements(&self, seat: &mut Seat<S, S::Statement>, place: usize) -> Result<Effects, Trouble> {
        let mut effects = Effects::default();
        for at in 0..self.bound.len() {
            self.statement(seat, place, at, &mut effects).await?;
        }
        Ok(effects)
    }

    async fn transaction(&self, seat: &mut Seat<S, S::Statement>, place: usize) -> Result<Effects, Trouble> {
        seat.session.control(Control::Begin).await?;
        let done = self.statements(seat, place).await;
        match done {
            Ok(effects) => seat.session.control(Control::Commit).await.map(|()| effects).map_err(Trouble::from),
            Err(trouble) => {
                if seat.session.is_open()
                    && let Err(why) = seat.session.control(Control::Rollback).await
                {
                    return Err(Trouble::from(not_rolled_back(&why)));
                }
                Err(trouble)
            }
        }
    }

    /// One call on a connection of its own or of the sequence.
    async fn once(&self) -> Result<Effects, Trouble> {
        let (mut taken, place) = self.take(true).await?;
        let seat = taken.begin();
        let done = match &*self.route.work {
            Work { copy: Some(copy), .. } => Box::pin(self.copied(seat, copy)).await,
            work if work.transaction && (work.pipeline || S::IN_ONE_GO == OneGo::Always) => {
                self.in_one_go(seat, place).await
            }
            Work { transaction: true, .. } => self.transaction(seat, place).await,
            _ => self.statements(seat, place).await,
        };
        taken.has_ended();
        let ended = matches!(&done, Err(Trouble::Fault(fault, _)) if fault.ends_connection());
        if !ended && taken.seat().session.is_open() {
            self.source.give_back(taken).await;
        }
        done
    }

    fn outcome(&self, done: Result<Effects, Trouble>) -> Outcome {
        match done {
            Ok(effects) => {
                effects.enter(&self.account);
                Ok(effects.done)
            }
            Err(Trouble::Wrong(why)) => Err(Failure::Wrong(why)),
            Err(Trouble::Fault(fault, at)) => {
                if !fault.leaves_nothing() && self.route.work.writes() {
                    self.account.lose_track();
                }
                if self.route.allows(&fault) {
                    self.route.server.count(&fault);
                    return Ok(Done { errors: 1, ..Done::default() });
                }
                Err(Failure::of_fault(&fault, self.route.told(&fault, at)))
            }
        }
    }
}

impl Route {
    /// Whether a fault is counted and does not fail the trial: a statement that the server does not understand is a
    /// mistake in the scenario.
    fn allows(&self, fault: &Fault) -> bool {
        self.allow_errors && fault.kind != FaultKind::Statement
    }

    /// A fault with its name, where it happened, and what asks for less.
    fn named(&self, fault: &Fault, at: Option<usize>) -> String {
        let named = format!("{}: {fault}{}", fault.kind.name(), fault.lower(self.at_once));
        match at {
            Some(at) => self.work.failed(at, named),
            None => format!("{}: {named}", self.work.words),
        }
    }

    /// A fault of a call, with the remedy.
    fn told(&self, fault: &Fault, at: Option<usize>) -> String {
        let told = self.named(fault, at);
        if fault.kind == FaultKind::Statement {
            told
        } else {
            format!("{told}; if that may happen: `allow = {{ errors = true }}`")
        }
    }
}

/// A call that was given up: whether the server did its work is not known.
struct UnderWay<'a> {
    account: &'a Account,
    writes: bool,
    ended: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.ended && self.writes {
            self.account.lose_track();
        }
        self.account.end();
    }
}

impl<N: Native, S: Session<N>> Operation for Calls<N, S> {
    /// What is not kept by the slot is opened in preparation only, to see that it can be.
    async fn open(&mut self, when: Opening) -> Outcome {
        if when == Opening::FirstUse && !self.source.is_kept() {
            return Ok(Done::default());
        }
        match Box::pin(self.opened()).await {
            Ok(()) => Ok(Done::default()),
            Err(Trouble::Wrong(why)) => Err(Failure::Wrong(why)),
            // The call tries again, and counts it.
            Err(Trouble::Fault(fault, _)) if when == Opening::FirstUse && self.route.allows(&fault) => {
                Ok(Done::default())
            }
            Err(Trouble::Fault(fault, at)) => Err(Failure::of_fault(&fault, self.route.named(&fault, at))),
        }
    }

    async fn call(&mut self, call: Call) -> Outcome {
        self.bound.fill(&self.route.work, &call, self.route.seed);
        self.current = call;
        let writes = self.route.work.writes();
        self.account.begin(writes);
        let mut under_way = UnderWay { account: &self.account, writes, ended: false };
        let done = self.once().await;
        let outcome = self.outcome(done);
        under_way.ended = true;
        outcome
    }
}
