//! `sql`: a query or a transaction on an SQL target.
//!
//! The parameters name no database: `?` stands for an argument, and what a statement does is read off its text. How
//! it is sent is the business of the engine behind the target: `sqlite` in this process, driven by `call`, or a server,
//! driven by `network`, with one file per protocol.
//!
//! `customary` is the other way to a server: the blocking client that users have.
//!
//! What is proven: a statement returns or changes as many rows as `expect` says. Without `expect`, a query without
//! `${…}` on a target to which nothing is written returns as many rows as it did in preparation; of all others it is
//! proven that they ran without an error, and that all rows were read. Over the whole process the target's tables
//! must have as many rows in the end as were inserted and not deleted, by the count of every connection.

use std::{
    marker::PhantomData,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use self::{
    call::{Calls, Way},
    connection::{Policy, Source},
    copy::Copy,
    customary::{Customary, Driver},
    expect::{Allow, Expect},
    network::{OneGo, Protocol, Route, Session},
    statement::Statement,
    work::{Expected, Work},
};
use super::{Blocking, BuildError, Cost, Lookup, Site, Step, StepKind, StepSpec, TargetUse};
use crate::{
    client::{mysql::Mysql, postgres::Postgres},
    config::{Fields, Name},
    runtime::Runtime,
    target::{
        TargetSpec, pool_stream,
        sql::{Database, Engine, Server},
    },
};

mod bound;
mod call;
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
    blocking: Option<Blocking>,
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
        let blocking = op.optional(
            "blocking",
            "SQLite only: `offload` (default) hands the work to the executor's pool for blocking work; `inline` does it \
             in place.",
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
        let expect: Option<Expect> = step.optional("expect", Expect::USE);
        let allow = step.or("allow", Allow::default(), Allow::USE);
        let in_transaction = op.has("transaction");
        check_keys(op);
        check_driver(driver, op);
        let statements = match (query, &copy) {
            (None, Some(copy)) => Some(vec![Statement { query: copy.query(), args: Vec::new() }]),
            (Some(query), _) => statement::check(&query, "query", op)
                .map(|()| vec![Statement { query, args: args.unwrap_or_default() }]),
            (None, None) => transaction,
        }?;
        if statements.is_empty() {
            op.reject("transaction", "a transaction needs at least one statement", None);
            return None;
        }
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
        })
    }

    fn targets(&self) -> Vec<TargetUse<'_>> {
        vec![TargetUse { name: &self.target, kind: "sql" }]
    }

    fn complaint(&self, target: &TargetSpec) -> Option<(String, String)> {
        let TargetSpec::Sql(database) = target else { return None };
        let about = |key: &str, of: &str, is: &str| {
            Some((format!("`{key}` is about {of}, and `{}` is {is}", self.target.text), format!("remove `{key}`")))
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
        keys.into_iter().find(|(_, is_set)| *is_set).and_then(|(key, _)| about(key, "servers", "embedded SQLite"))
    }

    /// Blocking work, SQLite's or a customary client's, runs to its end; otherwise a server is not waited for any longer.
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
                let (mean, cpu) = (NOMINAL_ROUND_TRIP * trips + hops, NOMINAL_CLIENT * trips + hops);
                return Cost { least: Duration::ZERO, mean, cpu };
            }
            Some(TargetSpec::Sql(database)) => Some(database.delay),
            _ => None,
        };
        let hop = if self.blocking() == Blocking::Offload { NOMINAL_HOP } else { Duration::ZERO };
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
                    blocking: self.blocking(),
                    native: PhantomData,
                    database: database.clone(),
                };
                Ok(site.operation(move || Calls::new(way.clone())))
            }
            Engine::Mysql(server) if self.is_idiomatic() => {
                self.on_server::<R, Customary<customary::Mysql>>(site, work, &database, server)
            }
            Engine::Mysql(server) => self.on_server::<R, Mysql<R::Native>>(site, work, &database, server),
            Engine::Postgres(server) if self.is_idiomatic() => {
                self.on_server::<R, Customary<customary::Postgres>>(site, work, &database, server)
            }
            Engine::Postgres(server) => self.on_server::<R, Postgres<R::Native>>(site, work, &database, server),
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
    ) -> Result<Box<dyn Step>, BuildError> {
        if let Some(why) = customary::complaint(&server.address).filter(|_| self.is_idiomatic()) {
            return Err(BuildError(format!("{}: {why}", words(site))));
        }
        let pipelines = S::IN_ONE_GO == OneGo::Pipelined;
        let keys = [("pipeline", self.pipeline && !pipelines), ("copy", self.copy.is_some() && !S::COPIES)];
        if let Some((key, _)) = keys.into_iter().find(|(_, is_missing)| *is_missing) {
            let (words, address) = (words(site), &server.address);
            return Err(BuildError(format!("{words}: `{key}` is for PostgreSQL only, and the target is {address}")));
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
            at_once: if self.policy(server) == Policy::Pool { "the `max` of the pool" } else { site.trial.at_once },
        });
        let source = Arc::new(self.source::<R, S>(site, server));
        Ok(site.operation(move || network::Calls::<R::Native, S>::new(route.clone(), source.clone())))
    }

    /// When connections are opened and closed.
    fn policy(&self, server: &Server) -> Policy {
        self.connection.unwrap_or(if server.pool.is_some() { Policy::Pool } else { Policy::Keep })
    }

    /// Where the connections come from.
    fn source<R: Runtime, S: Session<R::Native>>(&self, site: &Site<R>, server: &Server) -> Source<R::Native, S> {
        // A connection is of one driver: steps with different ones share none.
        let place = if self.is_idiomatic() { " customary" } else { "" };
        let place = format!("{}{place}", self.target.text);
        match self.policy(server) {
            Policy::PerCall => Source::Fresh(Arc::default()),
            Policy::Keep => Source::Kept(site.commons.shared(&place, Default::default)),
            Policy::PerTask => {
                let users = self.users_of_the_task(site);
                let (first, last) = (users.first() == Some(&site.number), users.last() == Some(&site.number));
                let shelf = site.commons.shared(&format!("{place} per task"), Default::default);
                Source::Task { shelf, first, last }
            }
            Policy::Pool => {
                let recorders = &site.trial.recorders;
                let waits =
                    recorders.stream_of(&pool_stream(&self.target.text)).map(|at| (recorders.of_slot(site.slot), at));
                Source::Pooled { pool: site.trial.commons.shared(&place, || connection::pool(server)), waits }
            }
        }
    }

    /// The numbers of the steps beside this one that share its connection for the length of a task, with its own.
    fn users_of_the_task<R: Runtime>(&self, site: &Site<R>) -> Vec<usize> {
        let mut first = 0;
        for task in &site.trial.tasks {
            let numbers = first..first + task.steps.len();
            first = numbers.end;
            if numbers.contains(&site.number) {
                let steps = numbers.zip(&task.steps).filter(|(_, step)| self.shares_task_with(&step.spec));
                return steps.map(|(number, _)| number).collect();
            }
        }
        Vec::new()
    }

    fn shares_task_with(&self, other: &StepSpec) -> bool {
        let StepSpec::Sql(other) = other else { return false };
        let is_alike = other.target.text == self.target.text && other.is_idiomatic() == self.is_idiomatic();
        is_alike && other.connection == Some(Policy::PerTask)
    }

    fn blocking(&self) -> Blocking {
        self.blocking.unwrap_or(Blocking::Offload)
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
        (true, _) | (_, true) if op.has("copy") => {
            let message = "`copy` stands by itself, beside neither `query` nor `transaction`";
            op.reject("copy", message, help("make it a step of its own"));
        }
        (false, false) if op.has("copy") => {}
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
    if op.has("pipeline") && !op.has("transaction") {
        op.reject(
            "pipeline",
            "only a transaction has several statements",
            help("write transaction = [{ query = \"…\" }]"),
        );
    }
    if op.has("copy") && op.has("args") {
        op.reject("args", "`args` belongs to a query", help("give `copy` its own `args`"));
    }
}

/// Reports what a customary client does not do.
fn check_driver(driver: Option<Driver>, op: &mut Fields<'_>) {
    for key in ["pipeline", "copy"] {
        if driver == Some(Driver::Customary) && op.has(key) {
            let message = format!("`{key}` is not for `driver = \"customary\"`");
            op.reject(key, message, Some(format!("remove `{key}`, or the `driver`")));
        }
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
        let found = |at: usize| {
            let name = format!("rows of step {}, statement {at}", site.number);
            site.trial.commons.shared(&name, OnceLock::new)
        };
        let expected = self.statements.iter().zip(&self.expect).enumerate().map(|(at, (statement, rows))| match rows {
            Some(rows) => Expected::known(*rows),
            None if read_only && statement.is_constant() => Expected::learned(found(at)),
            None => Expected::Unknown,
        });
        Work {
            words: words(site),
            statements: self.statements.clone(),
            effects: self.statements.iter().map(Statement::effect).collect(),
            expected: expected.collect(),
            transaction: self.transaction,
            pipeline: self.pipeline,
            copy: self.copy.clone(),
        }
    }

    /// Whether a step may change what is in this step's target.
    fn is_written_by(&self, step: &StepSpec) -> bool {
        let StepSpec::Sql(other) = step else { return false };
        other.target.text == self.target.text && other.statements.iter().any(|statement| !statement.effect().is_read())
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
