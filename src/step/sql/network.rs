//! A step's calls on a database server: everything but the protocol, the same for every engine.
//!
//! An engine implements [`Session`] in one file and gets one line in `mod.rs`. What stands here:
//! the arguments, transactions, the rows that must come back, the account of changes, and faults.
//! When connections are opened and closed is the affair of `connection`.

use std::sync::Arc;

use super::{
    bound::Bindings,
    connection::{ConnectionSource, SqlConnection, Taken},
    copy::Copy,
    effects::Effects,
    session::{Control, OneGo, Protocol, Session},
    work::SqlWork,
};
use crate::{
    client::{Fault, FaultKind},
    runtime::Native,
    step::{Call, Done, Failure, Opening, Operation, StepOutcome},
    targets::sql::{Account, Database, Server},
};

/// What the instances of a step share.
pub(super) struct Route {
    pub database: Arc<Database>,
    pub server: Arc<Server>,
    pub work: Arc<SqlWork>,
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
pub(super) struct NetworkCalls<N: Native, S: Session<N>> {
    route: Arc<Route>,
    source: Arc<ConnectionSource<N, S>>,
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
    Fault::new(
        FaultKind::Lost,
        format!("a transaction that failed could not be rolled back: {why}"),
    )
}

/// The statements of a step among those of a connection, and the connection.
type Ready<N, S> = (Taken<N, S>, usize);

impl<N: Native, S: Session<N>> NetworkCalls<N, S> {
    /// Calls without a connection as yet.
    pub fn new(route: Arc<Route>, source: Arc<ConnectionSource<N, S>>) -> Self {
        let (bound, account) = (Bindings::new(&route.work), route.database.account());
        Self { route, source, bound, current: Call::default(), account }
    }

    /// A connection with this step's statements prepared, and their place in it.
    async fn take(&self, in_call: bool) -> Result<Ready<N, S>, Trouble> {
        let mut taken = self.source.take(&self.route.server, in_call).await?;
        let connection = taken.connection();
        if let Some(place) =
            connection.prepared.iter().position(|(number, _)| *number == self.route.number)
        {
            return Ok((taken, place));
        }
        let prepared = Box::pin(self.all_prepared(&mut taken.begin().session)).await;
        taken.has_ended();
        let connection = taken.connection();
        connection.prepared.push((self.route.number, prepared?));
        let place = connection.prepared.len() - 1;
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
        Err(Trouble::Wrong(
            work.failed(at, format!("it has {wanted} `?`, and `args` has {given} values")),
        ))
    }

    /// Takes a connection with everything prepared, learns what is to be learned, and gives it
    /// back.
    async fn opened(&self) -> Result<(), Trouble> {
        let (mut taken, place) = self.take(false).await?;
        let learned = self.learn(taken.begin(), place).await;
        taken.has_ended();
        learned?;
        self.source.give_back(taken).await;
        Ok(())
    }

    /// Runs the statements whose number of rows is to be learned.
    async fn learn(
        &self,
        connection: &mut SqlConnection<S, S::Statement>,
        place: usize,
    ) -> Result<(), Trouble> {
        for at in 0..self.bound.len() {
            if self.route.work.expected[at].is_open() {
                self.statement(connection, place, at, &mut Effects::default()).await?;
            }
        }
        Ok(())
    }

    async fn statement(
        &self,
        connection: &mut SqlConnection<S, S::Statement>,
        place: usize,
        at: usize,
        effects: &mut Effects,
    ) -> Result<(), Trouble> {
        let SqlConnection { session, prepared, .. } = connection;
        let args = self.bound.of(at);
        let answer = session
            .run(&prepared[place].1[at], args)
            .await
            .map_err(|fault| Trouble::Fault(fault, Some(at)))?;
        effects.add(&self.route.work, at, args, answer).map_err(Trouble::Wrong)
    }

    /// All statements in one go.
    async fn in_one_go(
        &self,
        connection: &mut SqlConnection<S, S::Statement>,
        place: usize,
    ) -> Result<Effects, Trouble> {
        let SqlConnection { session, prepared, .. } = connection;
        let answers = session.in_one_go(&prepared[place].1, &self.bound).await;
        let answers = answers.map_err(|(fault, at)| Trouble::Fault(fault, at))?;
        let mut effects = Effects::default();
        for (at, answer) in answers.into_iter().enumerate() {
            effects.add(&self.route.work, at, self.bound.of(at), answer).map_err(Trouble::Wrong)?;
        }
        Ok(effects)
    }

    /// The rows of a COPY.
    async fn copied(
        &self,
        connection: &mut SqlConnection<S, S::Statement>,
        copy: &Copy,
    ) -> Result<Effects, Trouble> {
        let body = copy.body(&self.current, self.route.seed);
        let mut effects = Effects {
            done: Done { sent: body.len() as u64, ..Done::default() },
            ..Effects::default()
        };
        let query = &self.route.work.statements[0].query;
        let answer = connection
            .session
            .copy(query, body.into())
            .await
            .map_err(|fault| Trouble::Fault(fault, Some(0)))?;
        effects.add(&self.route.work, 0, &[], answer).map_err(Trouble::Wrong)?;
        Ok(effects)
    }

    async fn statements(
        &self,
        connection: &mut SqlConnection<S, S::Statement>,
        place: usize,
    ) -> Result<Effects, Trouble> {
        let mut effects = Effects::default();
        for at in 0..self.bound.len() {
            self.statement(connection, place, at, &mut effects).await?;
        }
        Ok(effects)
    }

    async fn transaction(
        &self,
        connection: &mut SqlConnection<S, S::Statement>,
        place: usize,
    ) -> Result<Effects, Trouble> {
        connection.session.control(Control::Begin).await?;
        let done = self.statements(connection, place).await;
        match done {
            Ok(effects) => connection
                .session
                .control(Control::Commit)
                .await
                .map(|()| effects)
                .map_err(Trouble::from),
            Err(trouble) => {
                if connection.session.is_open()
                    && let Err(why) = connection.session.control(Control::Rollback).await
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
        let connection = taken.begin();
        let done = match &*self.route.work {
            SqlWork { copy: Some(copy), .. } => Box::pin(self.copied(connection, copy)).await,
            work if work.transaction && (work.pipeline || S::IN_ONE_GO == OneGo::Always) => {
                self.in_one_go(connection, place).await
            }
            SqlWork { transaction: true, .. } => self.transaction(connection, place).await,
            _ => self.statements(connection, place).await,
        };
        taken.has_ended();
        let ended = matches!(&done, Err(Trouble::Fault(fault, _)) if fault.ends_connection());
        if !ended && taken.connection().session.is_open() {
            self.source.give_back(taken).await;
        }
        done
    }

    fn outcome(&self, done: Result<Effects, Trouble>) -> StepOutcome {
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
    /// Whether a fault is counted and does not fail the trial: a statement that the server does not
    /// understand is a mistake in the scenario.
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

impl<N: Native, S: Session<N>> Operation for NetworkCalls<N, S> {
    /// What is not kept by the slot is opened in preparation only, to see that it can be.
    async fn open(&mut self, when: Opening) -> StepOutcome {
        if when == Opening::FirstUse && !self.source.is_kept() {
            return Ok(Done::default());
        }
        match Box::pin(self.opened()).await {
            Ok(()) => Ok(Done::default()),
            Err(Trouble::Wrong(why)) => Err(Failure::Wrong(why)),
            // The call tries again, and counts it.
            Err(Trouble::Fault(fault, _))
                if when == Opening::FirstUse && self.route.allows(&fault) =>
            {
                Ok(Done::default())
            }
            Err(Trouble::Fault(fault, at)) => {
                Err(Failure::of_fault(&fault, self.route.named(&fault, at)))
            }
        }
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        self.route.work.check_values().map_err(Failure::Wrong)?;
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
