//! `sql`: a query or a transaction on an SQL target.
//!
//! The parameters name no database: `?` stands for an argument, and what a statement does is read
//! off its text. How it is sent is the business of the engine behind the target: `sqlite` in this
//! process, driven by `call`, or a server, driven by `network`, with one file per protocol.
//!
//! `customary` is the other way to a server: the blocking client that users have.
//!
//! What is proven: a statement returns or changes as many rows as `expect` says. Without `expect`,
//! a query without `${…}` on a target to which nothing is written returns as many rows as it did in
//! preparation; of all others it is proven that they ran without an error, and that all rows were
//! read. Over the whole process the target's tables must have as many rows in the end as were
//! inserted and not deleted, by the count of every connection.

use std::{
    marker::PhantomData,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use self::{
    arg::Arg,
    call::{SqliteCalls, Way},
    connection::{ConnectionSource, Policy},
    copy::Copy,
    customary::{Customary, CustomaryMysql, CustomaryPostgres, Driver},
    expect::{SqlAllow, SqlExpect},
    network::Route,
    session::{OneGo, Protocol, Session},
    statement::Statement,
    work::{ExpectedRows, SqlWork},
};
use super::{
    BlockingChoice, BuildError, Cost, Lookup, PlannedStep, PoolBeside, RowTables, Site, Step,
    StepKind, TargetUse, Template, pool_waits::PoolWaits, value::TakenValue,
};
use crate::{
    client::{mysql::Mysql, postgres::Postgres},
    config::{Fields, Name},
    runtime::Runtime,
    targets::{
        TargetSpec,
        sql::{Database, Engine, Server},
    },
};

mod arg;
mod bound;
mod call;
mod check;
mod comments;
mod connection;
mod copy;
mod customary;
mod effects;
mod expect;
mod gate;
mod mysql;
mod network;
mod placeholders;
mod postgres;
mod session;
mod sqlite;
mod statement;
mod work;

/// An estimate of a point read or a single insert in SQLite, for `list`.
const NOMINAL_STATEMENT: Duration = Duration::from_micros(5);
/// An estimate of the way into a pool for blocking work and back, for `list`.
const NOMINAL_HOP: Duration = Duration::from_micros(20);
/// An estimate of a point read in a server on this host, for `list`.
const NOMINAL_ROUND_TRIP: Duration = Duration::from_micros(60);
/// Of it, what the client takes of the CPU.
const NOMINAL_CLIENT: Duration = Duration::from_micros(15);

/// A query or a transaction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sql {
    target: Name,
    statements: Vec<Statement>,
    /// Rows that each statement must return or change, where that is known.
    expect: Vec<Option<u64>>,
    transaction: bool,
    /// Of SQLite only; none: offload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blocking: Option<BlockingChoice>,
    /// Of a server only; none: the same under every executor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    driver: Option<Driver>,
    /// Of a server only; none: the target's pool, or else kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connection: Option<Policy>,
    /// Whether a transaction is sent in one go; of PostgreSQL only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pipeline: bool,
    /// Rows that are copied; of PostgreSQL only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    copy: Option<Copy>,
    /// Of a server only; none: prepared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protocol: Option<Protocol>,
    #[serde(default, skip_serializing_if = "SqlAllow::is_none")]
    allow: SqlAllow,
    /// The columns of rows that it uses, for checks of the file: a plan has them in its arguments.
    #[serde(skip)]
    rows: Vec<Name>,
    /// The values that it uses, for the same.
    #[serde(skip)]
    uses: Vec<Name>,
}

impl StepKind for Sql {
    const KEY: &'static str = "sql";
    const DOC: &'static str =
        "Runs a query or a transaction on an SQL target, and reads every row of the answer.";
    const PROOF: &'static str = "rows are those that `expect` says or preparation saw; what is in the database at the \
         end is what the steps say that they did; a server's sessions are the connections that \
         are open";

    fn read(op: &mut Fields<'_>, step: &mut Fields<'_>) -> Option<Self> {
        let target = op.required("target", "The SQL target.");
        let query: Option<String> = op.optional(
            "query",
            "One statement, with `?` for each argument, such as `SELECT name, price FROM items WHERE id = ?`.",
        );
        let args = op.optional(
            "args",
            "The values of the `?`, in order: numbers, or text with `${i}` and the like.",
        );
        let transaction: Option<Vec<Statement>> = op.optional(
            "transaction",
            "Statements that are done together or not at all, each with `query` and `args`.",
        );
        let blocking = op.optional(
            "blocking",
            "SQLite only: `offload` (default) hands the work to the executor's pool for blocking work, `own-pool` to one \
             apart from the executor; `inline` does it in place.",
        );
        let connection = op.optional(
            "connection",
            "Servers only: `keep` opens it when a slot is first used, `per-call` in every call, `per-task` in every \
             task, `pool` takes one of the target's pool; default: `pool` if the target has one, else `keep`.",
        );
        let protocol = op.optional(
            "protocol",
            "Servers only: `prepared` (default), or `simple`: one text with the arguments written into it.",
        );
        let driver = op.optional(
            "driver",
            "Servers only: `same` (default) is Regatta's client, the same code under every executor; `customary` is the \
             blocking one that users have (crates `postgres` and `mysql`), behind the executor's pool for blocking work.",
        );
        let pipeline = op.or(
            "pipeline",
            false,
            "PostgreSQL only: a transaction's statements are all sent before the first answer is waited for.",
        );
        let copy: Option<Copy> = op.optional(
            "copy",
            "PostgreSQL only: rows that are copied into a table, `{ into = \"log(task, value)\", rows = 1000, args = […] }`.",
        );
        let expect: Option<SqlExpect> = step.optional("expect", SqlExpect::USE);
        let allow = step.or("allow", SqlAllow::default(), SqlAllow::USE);
        let in_transaction = op.has("transaction");
        check::keys(op);
        check::driver(driver, op);
        let query = query.map(|query| Statement { query, args: args.unwrap_or_default() });
        let statements = check::statements(query, copy.as_ref(), transaction, op)?;
        let names = |of| used(op, &statements, copy.as_ref(), of);
        let rows = names(|template| template.rows().collect());
        let uses = names(|template| template.values().collect());
        let expect = expect::by_statement(expect, statements.len(), in_transaction, step);
        Some(Self {
            target: target?,
            statements,
            expect: expect?,
            transaction: in_transaction,
            blocking,
            driver,
            connection,
            pipeline,
            copy,
            protocol,
            allow,
            rows,
            uses,
        })
    }

    fn targets(&self) -> Vec<TargetUse<'_>> {
        vec![TargetUse { name: &self.target, kind: "sql" }]
    }

    fn pool_beside(&self) -> Option<PoolBeside> {
        self.blocking.and_then(BlockingChoice::pool_beside)
    }

    fn uses(&self) -> Vec<&Name> {
        self.uses.iter().collect()
    }

    fn rows(&self) -> Vec<&Name> {
        self.rows.iter().collect()
    }

    fn complaint(&self, target: &TargetSpec) -> Option<(String, String)> {
        let TargetSpec::Sql(database) = target else { return None };
        let about = |key: &str, of: &str, is: &str| {
            Some((
                format!("`{key}` is about {of}, and `{}` is {is}", self.target.text),
                format!("remove `{key}`"),
            ))
        };
        if database.is_server() {
            return match self.connection {
                Some(Policy::Pool) if database.pool.is_none() => Some((
                    format!("`{}` has no pool", self.target.text),
                    "give the target one: `pool = { max = 16 }`".into(),
                )),
                _ if self.blocking.is_some() => about("blocking", "SQLite", "a server"),
                _ => None,
            };
        }
        let keys = [
            ("connection", self.connection.is_some()),
            ("driver", self.driver.is_some()),
            ("protocol", self.protocol.is_some()),
            ("pipeline", self.pipeline),
            ("copy", self.copy.is_some()),
            ("allow", !self.allow.is_none()),
        ];
        keys.into_iter()
            .find(|(_, is_set)| *is_set)
            .and_then(|(key, _)| about(key, "servers", "embedded SQLite"))
    }

    /// Blocking work, SQLite's or a customary client's, runs to its end; otherwise a server is not
    /// waited for any longer.
    fn cancellable(&self, targets: Lookup<'_, '_>) -> bool {
        let is_server = matches!(targets(&self.target.text), Some(TargetSpec::Sql(database)) if database.is_server());
        is_server && !self.is_idiomatic()
    }

    fn is_idiomatic(&self) -> bool {
        self.driver == Some(Driver::Customary)
    }

    fn prepares(&self) -> bool {
        self.protocol != Some(Protocol::Simple) || self.copy.is_some()
    }

    fn cost<'a>(&self, target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        let trips = self.round_trips();
        let delay = match target(&self.target.text) {
            Some(TargetSpec::Sql(database)) if database.is_server() => {
                let hops = if self.is_idiomatic() { NOMINAL_HOP } else { Duration::ZERO };
                let (mean, cpu) =
                    (NOMINAL_ROUND_TRIP * trips + hops, NOMINAL_CLIENT * trips + hops);
                return Cost { least: Duration::ZERO, mean, cpu };
            }
            Some(TargetSpec::Sql(database)) => Some(database.delay),
            _ => None,
        };
        let hop =
            if self.blocking() == BlockingChoice::Inline { Duration::ZERO } else { NOMINAL_HOP };
        let cpu = NOMINAL_STATEMENT * trips + hop;
        let least = delay.map_or(Duration::ZERO, |delay| delay.least() * trips);
        Cost { least, mean: delay.map_or(Duration::ZERO, |delay| delay.mean() * trips) + cpu, cpu }
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let database: Arc<Database> = site.endpoint(&self.target.text)?;
        let work = Arc::new(self.work(site)?);
        match &database.engine {
            Engine::Sqlite { path } => {
                let way = Way::<R::Native> {
                    path: path.as_path().into(),
                    work,
                    trips: self.round_trips(),
                    seed: site.seed(),
                    blocking: self.blocking().at(site)?,
                    native: PhantomData,
                    database: database.clone(),
                };
                Ok(site.operation(move || SqliteCalls::new(way.clone())))
            }
            Engine::Mysql(server) if self.is_idiomatic() => {
                self.on_server::<R, Customary<CustomaryMysql>>(site, work, &database, server)
            }
            Engine::Mysql(server) => {
                self.on_server::<R, Mysql<R::Native>>(site, work, &database, server)
            }
            Engine::Postgres(server) if self.is_idiomatic() => {
                self.on_server::<R, Customary<CustomaryPostgres>>(site, work, &database, server)
            }
            Engine::Postgres(server) => {
                self.on_server::<R, Postgres<R::Native>>(site, work, &database, server)
            }
        }
    }
}

/// What arguments name, with the places where they stand.
fn used(
    op: &Fields<'_>,
    statements: &[Statement],
    copy: Option<&Copy>,
    of: fn(&Template) -> Vec<&str>,
) -> Vec<Name> {
    let key = ["args", "transaction", "copy"].into_iter().find(|key| op.has(key));
    let span = op.span(key.unwrap_or("args"));
    let names = work::args(statements, copy).filter_map(Arg::template).flat_map(of);
    names.map(|name| Name { text: name.to_owned(), span: span.clone() }).collect()
}

impl Sql {
    /// The step on a server, by whatever protocol.
    fn on_server<R: Runtime, S: Session<R::Native>>(
        &self,
        site: &Site<R>,
        work: Arc<SqlWork>,
        database: &Arc<Database>,
        server: &Arc<Server>,
    ) -> Result<Box<dyn Step>, BuildError> {
        if let Some(why) = customary::complaint(&server.address).filter(|_| self.is_idiomatic()) {
            return Err(BuildError(format!("{}: {why}", site.words(Self::KEY))));
        }
        let pipelines = S::IN_ONE_GO == OneGo::Pipelined;
        let keys = [
            ("pipeline", self.pipeline && !pipelines),
            ("copy", self.copy.is_some() && !S::COPIES),
        ];
        if let Some((key, _)) = keys.into_iter().find(|(_, is_missing)| *is_missing) {
            let (words, address) = (site.words(Self::KEY), &server.address);
            return Err(BuildError(format!(
                "{words}: `{key}` is for PostgreSQL only, and the target is {address}"
            )));
        }
        server.use_driver(S::DRIVER);
        let route = Arc::new(Route {
            database: database.clone(),
            server: server.clone(),
            work,
            number: site.number,
            seed: site.seed(),
            protocol: self.protocol.unwrap_or(Protocol::Prepared),
            allow_errors: self.allow.errors,
            at_once: if self.policy(server) == Policy::Pool {
                "the `max` of the pool"
            } else {
                site.trial.at_once
            },
        });
        let source = Arc::new(self.source::<R, S>(site, server));
        Ok(site.operation(move || {
            network::NetworkCalls::<R::Native, S>::new(route.clone(), source.clone())
        }))
    }

    /// When connections are opened and closed.
    fn policy(&self, server: &Server) -> Policy {
        self.connection.unwrap_or(if server.pool.is_some() { Policy::Pool } else { Policy::Keep })
    }

    /// Where the connections come from.
    fn source<R: Runtime, S: Session<R::Native>>(
        &self,
        site: &Site<R>,
        server: &Server,
    ) -> ConnectionSource<R::Native, S> {
        // A connection is of one driver: steps with different ones share none.
        let place = if self.is_idiomatic() { " customary" } else { "" };
        let place = format!("{}{place}", self.target.text);
        match self.policy(server) {
            Policy::PerCall => ConnectionSource::Fresh(Arc::default()),
            Policy::Keep => ConnectionSource::Kept(site.commons.shared(&place, Default::default)),
            Policy::PerTask => {
                let users = self.users_of_the_task(site);
                let (first, last) =
                    (users.first() == Some(&site.number), users.last() == Some(&site.number));
                let slot = site.commons.shared(&format!("{place} per task"), Default::default);
                ConnectionSource::Task { slot, first, last }
            }
            Policy::Pool => {
                let pool = site.trial.commons.shared(&place, || connection::pool(server));
                ConnectionSource::Pooled { pool, waits: PoolWaits::at(site, &self.target.text) }
            }
        }
    }

    /// The numbers of the steps beside this one that share its connection for the length of a task,
    /// with its own.
    fn users_of_the_task<R: Runtime>(&self, site: &Site<R>) -> Vec<usize> {
        let steps = site.trial.tasks.steps();
        let own = steps.get(site.number).map(|step| step.task);
        let shares = |(_, step): &(usize, &PlannedStep<'_>)| {
            own == Some(step.task) && self.shares_task_with(step)
        };
        steps.iter().enumerate().filter(shares).map(|(number, _)| number).collect()
    }

    fn shares_task_with(&self, other: &PlannedStep<'_>) -> bool {
        let Some(other) = other.parameters.downcast_ref::<Self>() else { return false };
        let is_alike =
            other.target.text == self.target.text && other.is_idiomatic() == self.is_idiomatic();
        is_alike && other.connection == Some(Policy::PerTask)
    }

    fn blocking(&self) -> BlockingChoice {
        self.blocking.unwrap_or(BlockingChoice::Offload)
    }
}

impl Sql {
    /// Statements that are sent, each with its round trip: a transaction also sends its BEGIN and
    /// its COMMIT.
    fn round_trips(&self) -> u32 {
        self.statements.len() as u32 + if self.transaction { 2 } else { 0 }
    }

    fn work<R: Runtime>(&self, site: &Site<R>) -> Result<SqlWork, BuildError> {
        let steps = site.trial.tasks.steps();
        let read_only = !steps.iter().any(|step| self.is_written_by(step));
        let found = |at: usize| {
            let name = format!("rows of step {}, statement {at}", site.number);
            site.trial.commons.shared(&name, OnceLock::new)
        };
        let expected =
            self.statements.iter().zip(&self.expect).enumerate().map(|(at, (statement, rows))| {
                match rows {
                    Some(rows) => ExpectedRows::known(*rows),
                    None if read_only && statement.is_constant() => {
                        ExpectedRows::learned(found(at))
                    }
                    None => ExpectedRows::Unknown,
                }
            });
        let (mut statements, mut copy) = (self.statements.clone(), self.copy.clone());
        let (rows, value) =
            (RowTables::of(&site.trial.commons), |name: &str| TakenValue::of(&site.commons, name));
        let of_statements = statements.iter_mut().flat_map(|statement| &mut statement.args);
        let mut args = of_statements.chain(copy.iter_mut().flat_map(|copy| &mut copy.args));
        args.try_for_each(|arg| arg.bind(&rows, &value))?;
        let templates = work::args(&statements, copy.as_ref()).filter_map(Arg::template);
        let uses_values = templates.into_iter().any(Template::uses_values);
        Ok(SqlWork {
            words: site.words(Self::KEY),
            statements,
            effects: self.statements.iter().map(Statement::effect).collect(),
            expected: expected.collect(),
            transaction: self.transaction,
            pipeline: self.pipeline,
            copy,
            uses_values,
        })
    }

    /// Whether a step may change what is in this step's target.
    fn is_written_by(&self, step: &PlannedStep<'_>) -> bool {
        let Some(other) = step.parameters.downcast_ref::<Self>() else { return false };
        other.target.text == self.target.text
            && other.statements.iter().any(|statement| !statement.effect().is_read())
    }
}

#[cfg(test)]
mod tests;
