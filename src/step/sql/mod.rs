//! `sql`: a query or a transaction on an SQL target.
//!
//! The parameters name no database: `?` stands for an argument, and what a statement does is read off its text. How
//! it is sent is the business of the engine behind the target: `sqlite` in this process, driven by `call`, or a server,
//! driven by `network`, with one file per protocol.
//!
//! What is proven: a statement returns or changes as many rows as `expect` says. Without `expect`, a query without
//! `${…}` on a target to which nothing is written returns as many rows as it did in preparation; of all others it is
//! proven that they ran without an error, and that all rows were read. Over the whole process the target's tables
//! must have as many rows in the end as were inserted and not deleted, by the count of every connection.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use self::{
    call::{Calls, Way},
    expect::{Allow, Expect},
    network::{Route, Session},
    statement::Statement,
    work::{Expected, Work},
};
use super::{Blocking, BuildError, Cost, Site, Step, StepKind, StepSpec, TargetUse};
use crate::{
    client::{mysql::Mysql, postgres::Postgres},
    config::{Fields, Name},
    runtime::Runtime,
    target::{
        TargetSpec,
        sql::{Database, Engine, Server},
    },
};

mod bound;
mod call;
mod effects;
mod expect;
mod mysql;
mod network;
mod placeholders;
mod postgres;
mod sqlite;
mod statement;
mod work;

/// An estimate of a point read or a single insert in SQLite, for `list`.
const NOMINAL_STATEMENT: Duration = Duration::from_micros(5);
/// An estimate of the way into a pool for blocking work and back, for `list`.
const NOMINAL_HOP: Duration = Duration::from_micros(20);

/// A query or a transaction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sql {
    target: Name,
    statements: Vec<Statement>,
    /// Rows that each statement must return or change, where that is known.
    expect: Vec<Option<u64>>,
    transaction: bool,
    blocking: Blocking,
    #[serde(default, skip_serializing_if = "Allow::is_none")]
    allow: Allow,
}

impl StepKind for Sql {
    const KEY: &'static str = "sql";
    const DOC: &'static str = "Runs a query or a transaction on an SQL target, and reads every row of the answer.";

    fn read(op: &mut Fields<'_>, step: &mut Fields<'_>) -> Option<Self> {
        let target = op.required("target", "The SQL target.");
        let query: Option<String> = op.optional(
            "query",
            "One statement, with `?` for each argument, such as `SELECT name, price FROM items WHERE id = ?`.",
        );
        let args = op.optional("args", "The values of the `?`, in order: numbers, or text with `${i}` and the like.");
        let transaction: Option<Vec<Statement>> = op
            .optional("transaction", "Statements that are done together or not at all, each with `query` and `args`.");
        let blocking = op.or(
            "blocking",
            Blocking::Offload,
            "`offload` hands SQLite's work to the executor's pool for blocking work; `inline` does it in place.",
        );
        let expect: Option<Expect> = step.optional("expect", Expect::USE);
        let allow = step.or("allow", Allow::default(), Allow::USE);
        let in_transaction = op.has("transaction");
        check_keys(op);
        let statements = match query {
            Some(query) => statement::check(&query, "query", op)
                .map(|()| vec![Statement { query, args: args.unwrap_or_default() }]),
            None => transaction,
        }?;
        if statements.is_empty() {
            op.reject("transaction", "a transaction needs at least one statement", None);
            return None;
        }
        let expect = expect::by_statement(expect, statements.len(), in_transaction, step);
        Some(Self { target: target?, statements, expect: expect?, transaction: in_transaction, blocking, allow })
    }

    fn targets(&self) -> Vec<TargetUse<'_>> {
        vec![TargetUse { name: &self.target, kind: "sql" }]
    }

    fn cancellable(&self) -> bool {
        false
    }

    fn cost<'a>(&self, target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        let trips = self.round_trips();
        let delay = match target(&self.target.text) {
            Some(TargetSpec::Sql(database)) => Some(database.delay),
            _ => None,
        };
        let hop = if self.blocking == Blocking::Offload { NOMINAL_HOP } else { Duration::ZERO };
        let cpu = NOMINAL_STATEMENT * trips + hop;
        let least = delay.map_or(Duration::ZERO, |delay| delay.least() * trips);
        Cost { least, mean: delay.map_or(Duration::ZERO, |delay| delay.mean() * trips) + cpu, cpu }
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let database: Arc<Database> = site.endpoint(&self.target.text)?;
        let work = Arc::new(self.work(site));
        match &database.engine {
            Engine::Sqlite { path } => {
                let way = Way::<R::Native> {
                    path: path.as_path().into(),
                    work,
                    trips: self.round_trips(),
                    seed: site.seed(),
                    blocking: self.blocking,
                    native: PhantomData,
                    database: database.clone(),
                };
                Ok(site.operation(move || Calls::new(way.clone())))
            }
            Engine::Mysql(server) => Ok(self.on_server::<R, Mysql<R::Native>>(site, work, &database, server)),
            Engine::Postgres(server) => Ok(self.on_server::<R, Postgres<R::Native>>(site, work, &database, server)),
        }
    }
}

impl Sql {
    /// The step on a server, by whatever protocol.
    fn on_server<R: Runtime, S: Session<R::Native>>(
        &self,
        site: &Site<R>,
        work: Arc<Work>,
        database: &Arc<Database>,
        server: &Arc<Server>,
    ) -> Box<dyn Step> {
        let route = Arc::new(Route {
            database: database.clone(),
            server: server.clone(),
            work,
            number: site.number,
            seed: site.seed(),
            allow_errors: self.allow.errors,
        });
        let shelf: Arc<network::Shelf<S, S::Statement>> = site.shared(&self.target.text);
        site.operation(move || network::Calls::<R::Native, S>::new(route.clone(), shelf.clone()))
    }
}

/// Reports what each key alone cannot see.
fn check_keys(op: &mut Fields<'_>) {
    let help = |text: &str| Some(text.to_owned());
    match (op.has("query"), op.has("transaction")) {
        (true, true) => {
            let message = "expected exactly one of `query` and `transaction`, found both";
            op.reject("transaction", message, help("move the query into the transaction, or remove one"));
        }
        (false, false) if !op.is_describing() => {
            let message = "expected exactly one of `query` and `transaction`, found none";
            op.reject("query", message, help("add query = \"SELECT …\""));
        }
        (false, true) if op.has("args") => {
            op.reject(
                "args",
                "`args` belongs to a query",
                help("give each statement of the transaction its own `args`"),
            );
        }
        _ => {}
    }
}

impl Sql {
    /// Statements that are sent, each with its round trip: a transaction also sends its BEGIN and its COMMIT.
    fn round_trips(&self) -> u32 {
        self.statements.len() as u32 + if self.transaction { 2 } else { 0 }
    }

    fn work<R: Runtime>(&self, site: &Site<R>) -> Work {
        let read_only =
            !site.trial.tasks.iter().flat_map(|task| &task.steps).any(|step| self.is_written_by(&step.spec));
        let expected = self.statements.iter().zip(&self.expect).map(|(statement, rows)| match rows {
            Some(rows) => Expected::known(*rows),
            None if read_only && statement.is_constant() => Expected::learned(),
            None => Expected::Unknown,
        });
        Work {
            words: words(site),
            statements: self.statements.clone(),
            effects: self.statements.iter().map(Statement::effect).collect(),
            expected: expected.collect(),
            transaction: self.transaction,
        }
    }

    /// Whether a step may change what is in this step's target.
    fn is_written_by(&self, step: &StepSpec) -> bool {
        let StepSpec::Sql(other) = step else { return false };
        other.target == self.target && other.statements.iter().any(|statement| !statement.effect().is_read())
    }
}

/// The step's task and name, for messages.
fn words<R: Runtime>(site: &Site<R>) -> String {
    let mut steps = site.trial.tasks.iter().flat_map(|task| task.steps.iter().map(move |step| (task, step)));
    let (task, step) = match steps.nth(site.number) {
        Some((task, step)) => (task.name.as_str(), step.name.as_deref()),
        None => ("?", None),
    };
    format!("task {task}, step {}", step.unwrap_or("sql"))
}

#[cfg(test)]
mod tests;
