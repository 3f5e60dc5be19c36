//! What an engine does for a step: a connection of its own protocol, used by one task at a time.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{arg::BoundValue, bound::Bindings, effects::StatementAnswer};
use crate::{
    client::{Fault, FaultKind},
    config::{Diagnostics, Field, Node, choice_schema, read_choice},
    runtime::Native,
    targets::{self, sql::Server},
};

/// A connection of an engine, used by one task at a time.
pub(super) trait Session<N: Native>: Send + Sized + 'static {
    /// What a connection keeps of a prepared statement.
    type Statement: Send + Sync + 'static;

    /// Whose client it is, for the fairness manifest.
    const DRIVER: &'static str = "Regatta's, the same code under every executor";

    /// Connects and logs in within the time limit; statements then find the tables of the server's
    /// schema.
    fn open(server: &Arc<Server>) -> impl Future<Output = Result<Self, Fault>> + Send;

    /// Prepares a statement, or keeps its text where the protocol is the simple one. `?` stands for
    /// an argument, as in the scenario.
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
        args: &[BoundValue],
    ) -> impl Future<Output = Result<StatementAnswer, Fault>> + Send;

    /// When [`Self::in_one_go`] does a transaction.
    const IN_ONE_GO: OneGo = OneGo::Never;

    /// Does a whole transaction: BEGIN, all statements and COMMIT. The fault is that of the first
    /// statement that has one, and then nothing is committed.
    fn in_one_go(
        &mut self,
        _statements: &[Self::Statement],
        _bound: &Bindings,
    ) -> impl Future<Output = Result<Vec<StatementAnswer>, (Fault, Option<usize>)>> + Send {
        std::future::ready(Err((
            Fault::new(FaultKind::Statement, "this server takes one statement at a time"),
            None,
        )))
    }

    /// Whether [`Self::copy`] does what it says.
    const COPIES: bool = false;

    /// Copies rows into a table; `body` has them in COPY's text format.
    fn copy(
        &mut self,
        _query: &str,
        _body: Bytes,
    ) -> impl Future<Output = Result<StatementAnswer, Fault>> + Send {
        std::future::ready(Err(Fault::new(FaultKind::Statement, "this server has no COPY")))
    }

    /// Begins or ends a transaction.
    fn control(&mut self, control: Control) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Whether it can be used for another call.
    fn is_open(&self) -> bool;

    /// How the server is told to end what it does; none where it runs to its end.
    fn number(&self) -> Option<targets::sql::SessionId> {
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

const PROTOCOLS: &[(&str, Protocol)] =
    &[("prepared", Protocol::Prepared), ("simple", Protocol::Simple)];

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
