//! `driver = "customary"`: the blocking client that a database's users have, where the executor
//! puts blocking work.
//!
//! A session owns its client. Each statement, and each transaction as a whole, is one piece of
//! work: the client goes with its arguments to the executor's pool for blocking work
//! ([`NativeWork::unblock`](crate::runtime::NativeWork::unblock)) and comes back with the answer,
//! as a service would write it with `spawn_blocking`. An executor without such a pool does it in
//! place. A client is also opened and closed there, for both block. What differs between clients is
//! behind [`CustomaryClient`]: one file each.

use std::{mem::ManuallyDrop, sync::Arc, thread};

use serde::{Deserialize, Serialize};

use super::{
    arg::BoundValue,
    bound::Bindings,
    effects::StatementAnswer,
    network::not_rolled_back,
    session::{Control, OneGo, Protocol, Session},
};
use crate::{
    client::{Address, Fault, FaultKind, TlsMode},
    config::{Diagnostics, Field, Node, choice_schema, read_choice},
    runtime::Native,
    step::Workplace,
    targets::sql::Server,
};

mod mysql;
mod postgres;

pub(super) use mysql::CustomaryMysql;
pub(super) use postgres::CustomaryPostgres;

/// `driver`: whose client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Driver {
    /// Regatta's: the same code under every executor, over its own streams.
    Same,
    /// The blocking one that users of the database have.
    Customary,
}

const DRIVERS: &[(&str, Driver)] = &[("same", Driver::Same), ("customary", Driver::Customary)];

impl Field for Driver {
    fn schema() -> serde_json::Value {
        choice_schema(DRIVERS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, DRIVERS, diagnostics)
    }
}

/// Why these clients do not reach a server, which only the address tells.
pub(super) fn complaint(address: &Address) -> Option<String> {
    // What is wrong with the address itself is said when it is opened.
    let encrypts =
        address.tls().is_ok_and(|mode| !matches!(mode, TlsMode::Off | TlsMode::Preferred));
    let remedy = "remove `driver`, or the option of the url that asks for it";
    encrypts.then(|| {
        format!(
            "`driver = \"customary\"` does not encrypt, and {address} is to be encrypted; {remedy}"
        )
    })
}

/// A customary client with its connection. Everything here blocks.
pub(super) trait CustomaryClient: Send + Sized + 'static {
    /// What it is called, for the fairness manifest.
    const NAME: &'static str;

    /// What is kept of a prepared statement.
    type Statement: Send + 'static;

    /// Connects and logs in; statements then find the tables of the schema.
    fn open(server: &Server) -> Result<Self, Fault>;

    /// The server's number of the session, where it knows it by no name.
    fn session(&self) -> Option<u64> {
        None
    }

    /// Prepares a statement, or keeps its text where the protocol is the simple one.
    fn prepare(&mut self, query: &str, protocol: Protocol) -> Result<Self::Statement, Fault>;

    /// How many arguments a statement takes.
    fn arguments(statement: &Self::Statement) -> usize;

    /// Runs a statement, and reads every column of every row.
    fn run(
        &mut self,
        statement: &Self::Statement,
        args: &[BoundValue],
    ) -> Result<StatementAnswer, Fault>;

    /// Begins or ends a transaction.
    fn control(&mut self, control: Control) -> Result<(), Fault>;

    /// Whether it can be used for another call.
    fn is_open(&self) -> bool;
}

/// A client with what its next piece of work needs.
struct Hand<C: CustomaryClient> {
    client: C,
    statements: Vec<C::Statement>,
    /// The statements to run, by their place.
    order: Vec<usize>,
    /// The arguments of each, in room that is kept from call to call.
    args: Vec<Vec<BoundValue>>,
}

/// A connection of a customary client.
pub(super) struct Customary<C: CustomaryClient> {
    /// None while a piece of work has it, and after the connection has ended.
    hand: Option<Box<Hand<C>>>,
}

/// A statement: its place in the hand, and how many arguments it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeptStatement {
    at: usize,
    arguments: usize,
}

/// What came of a piece of work; or the fault, and the statement that had it.
type ClientResult<T> = Result<T, (Fault, Option<usize>)>;

impl<C: CustomaryClient> Hand<C> {
    /// Resumes the work: statements with their arguments.
    fn resume<'a>(&mut self, work: impl Iterator<Item = (KeptStatement, &'a [BoundValue])>) {
        self.order.clear();
        for (place, (statement, args)) in work.enumerate() {
            self.order.push(statement.at);
            if self.args.len() == place {
                self.args.push(Vec::new());
            }
            let room = &mut self.args[place];
            room.truncate(args.len());
            room.iter_mut().zip(args).for_each(|(room, arg)| room.assign(arg));
            room.extend_from_slice(&args[room.len()..]);
        }
    }

    /// Runs what was resumed, in order.
    fn statements(&mut self) -> ClientResult<Vec<StatementAnswer>> {
        let Self { client, statements, order, args } = self;
        let each = order.iter().zip(args).enumerate();
        each.map(|(at, (&place, args))| {
            client.run(&statements[place], args).map_err(|fault| (fault, Some(at)))
        })
        .collect()
    }

    /// The same as a transaction; one that has a fault is rolled back.
    fn transaction(&mut self) -> ClientResult<Vec<StatementAnswer>> {
        self.control(Control::Begin)?;
        let done =
            self.statements().and_then(|answers| self.control(Control::Commit).map(|()| answers));
        if let Err((fault, _)) = &done
            && !fault.ends_connection()
            && self.client.is_open()
            && let Err(why) = self.client.control(Control::Rollback)
        {
            return Err((not_rolled_back(&why), None));
        }
        done
    }

    fn control(&mut self, control: Control) -> ClientResult<()> {
        self.client.control(control).map_err(|fault| (fault, None))
    }
}

impl<C: CustomaryClient> Customary<C> {
    /// Hands a piece of work over, and takes the client back. One whose connection has ended is
    /// dropped there.
    async fn hand_over<N: Native, T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Hand<C>) -> ClientResult<T> + Send + 'static,
    ) -> ClientResult<T> {
        // Whoever drops it, it is a session that is dropped: a call that is given up leaves what
        // comes back to the executor.
        let mut held = Self { hand: self.hand.take() };
        let run = move || {
            let Some(hand) = &mut held.hand else {
                return (
                    held,
                    Err((Fault::new(FaultKind::Lost, "the connection was lost before"), None)),
                );
            };
            let done = work(hand);
            let has_ended = matches!(&done, Err((fault, _)) if fault.ends_connection());
            if has_ended || !hand.client.is_open() {
                held.hand = None;
            }
            (held, done)
        };
        let (mut held, done) = Workplace::Offload.run::<N, _, _>(run).await;
        self.hand = held.hand.take();
        done
    }
}

impl<N: Native, C: CustomaryClient> Session<N> for Customary<C> {
    type Statement = KeptStatement;

    const DRIVER: &'static str = C::NAME;

    async fn open(server: &Arc<Server>) -> Result<Self, Fault> {
        let place = server.clone();
        let open = move || {
            let opened = C::open(&place).map_err(|fault| fault.at(&place.address));
            let hand = |client| {
                Box::new(Hand {
                    client,
                    statements: Vec::new(),
                    order: Vec::new(),
                    args: Vec::new(),
                })
            };
            opened.map(|client| Self { hand: Some(hand(client)) })
        };
        let session = Workplace::Offload.run::<N, _, _>(open).await?;
        if let Some(id) = session.hand.as_ref().and_then(|hand| hand.client.session()) {
            server.note_session(id);
        }
        Ok(session)
    }

    async fn prepare(&mut self, query: &str, protocol: Protocol) -> Result<KeptStatement, Fault> {
        let query = query.to_owned();
        let prepare = move |hand: &mut Hand<C>| {
            let statement = hand.client.prepare(&query, protocol).map_err(|fault| (fault, None))?;
            let kept =
                KeptStatement { at: hand.statements.len(), arguments: C::arguments(&statement) };
            hand.statements.push(statement);
            Ok(kept)
        };
        self.hand_over::<N, _>(prepare).await.map_err(|(fault, _)| fault)
    }

    fn arguments(statement: &KeptStatement) -> usize {
        statement.arguments
    }

    async fn run(
        &mut self,
        statement: &KeptStatement,
        args: &[BoundValue],
    ) -> Result<StatementAnswer, Fault> {
        if let Some(hand) = &mut self.hand {
            hand.resume(std::iter::once((*statement, args)));
        }
        let run = |hand: &mut Hand<C>| {
            let statement = &hand.statements[hand.order[0]];
            hand.client.run(statement, &hand.args[0]).map_err(|fault| (fault, None))
        };
        self.hand_over::<N, _>(run).await.map_err(|(fault, _)| fault)
    }

    const IN_ONE_GO: OneGo = OneGo::Always;

    async fn in_one_go(
        &mut self,
        statements: &[KeptStatement],
        bound: &Bindings,
    ) -> ClientResult<Vec<StatementAnswer>> {
        if let Some(hand) = &mut self.hand {
            hand.resume(
                statements.iter().enumerate().map(|(at, statement)| (*statement, bound.of(at))),
            );
        }
        self.hand_over::<N, _>(Hand::transaction).await
    }

    async fn control(&mut self, control: Control) -> Result<(), Fault> {
        self.hand_over::<N, _>(move |hand| hand.control(control)).await.map_err(|(fault, _)| fault)
    }

    fn is_open(&self) -> bool {
        self.hand.is_some()
    }

    async fn close(mut self) {
        let mut held = Self { hand: self.hand.take() };
        Workplace::Offload.run::<N, _, _>(move || drop(held.hand.take())).await;
    }
}

impl<C: CustomaryClient> Drop for Customary<C> {
    /// What nobody has closed is closed on a thread of its own: a client may have a runtime inside,
    /// and tokio lets none be dropped on a thread of another one's. Where there is no thread to be
    /// had, the connection ends with the process.
    fn drop(&mut self) {
        let Some(hand) = self.hand.take().map(ManuallyDrop::new) else { return };
        if let Ok(closing) =
            thread::Builder::new().spawn(move || drop(ManuallyDrop::into_inner(hand)))
        {
            // A client that panics while it says good-bye has closed its connection all the same.
            let _ = closing.join();
        }
    }
}

#[cfg(test)]
mod tests;
