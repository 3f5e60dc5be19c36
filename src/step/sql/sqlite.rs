//! A connection to SQLite with the buffers of one step: everything here blocks.

use std::{path::Path, sync::Arc};

use rusqlite::{
    CachedStatement, Connection, ErrorCode, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use super::{
    statement::{Arg, Effect},
    work::Work,
};
use crate::{
    draw,
    step::{Call, Done},
    target::sql::{Account, Engine},
};

/// Statements that a transaction needs besides its own.
const CONTROLS: usize = 3;

/// A connection with the arguments of the next call.
pub(super) struct Session {
    connection: Connection,
    account: Arc<Account>,
    work: Arc<Work>,
    /// The arguments of each statement.
    bound: Vec<Vec<Bound>>,
}

/// An argument's value in one call.
enum Bound {
    Integer(i64),
    Real(f64),
    Text(String),
}

/// What a call has done so far.
#[derive(Default)]
struct Effects {
    done: Done,
    inserted: u64,
    deleted: u64,
    unknown: bool,
}

impl Session {
    /// Opens a connection and prepares every statement.
    pub fn open(path: &Path, account: Arc<Account>, work: Arc<Work>) -> Result<Box<Self>, String> {
        let connection = Engine::open_sqlite(path).map_err(|why| {
            format!(
                "{}: no connection to the database: {why}; is the limit on open files (ulimit -n) too low?",
                work.words
            )
        })?;
        connection.set_prepared_statement_cache_capacity(work.statements.len() + CONTROLS);
        let bound = work.statements.iter().map(|statement| statement.args.iter().map(Bound::new).collect()).collect();
        let session = Box::new(Self { connection, account, work, bound });
        for at in 0..session.bound.len() {
            session.check(at)?;
        }
        Ok(session)
    }

    /// Prepares a statement; SQLite's message tells what is wrong with it.
    fn check(&self, at: usize) -> Result<(), String> {
        let (wanted, given) = (self.prepared(at)?.parameter_count(), self.bound[at].len());
        if wanted == given {
            return Ok(());
        }
        Err(self.work.failed(at, format!("it has {wanted} `?`, and `args` has {given} values")))
    }

    /// Runs the statements whose number of rows is to be learned.
    pub fn learn(&mut self) -> Result<(), String> {
        for at in 0..self.bound.len() {
            if self.work.expected[at].is_open() {
                self.execute(at, &mut Effects::default())?;
            }
        }
        Ok(())
    }

    /// Fills in the arguments of a call.
    pub fn bind(&mut self, call: &Call, seed: u64) {
        for (at, (statement, bound)) in self.work.statements.iter().zip(&mut self.bound).enumerate() {
            for (place, (arg, value)) in statement.args.iter().zip(bound).enumerate() {
                value.fill(arg, call, draw::mix(draw::mix(seed, at as u64), place as u64));
            }
        }
    }

    /// Says that a run follows; from here on the target waits for it.
    pub fn begin(&self) {
        self.account.begin();
    }

    /// Runs the statements with the arguments that were filled in.
    pub fn run(&mut self) -> Result<Done, String> {
        let effects = if self.work.transaction { self.transaction() } else { self.execute_all() };
        if let Ok(effects) = &effects {
            self.account.commit(effects.inserted, effects.deleted);
            if effects.unknown {
                self.account.lose_track();
            }
        }
        self.account.end();
        effects.map(|effects| effects.done)
    }

    /// IMMEDIATE, because a transaction that first reads and then writes cannot wait for the lock: it would fail.
    fn transaction(&mut self) -> Result<Effects, String> {
        self.control("BEGIN IMMEDIATE")?;
        let committed = self.execute_all().and_then(|effects| self.control("COMMIT").map(|()| effects));
        if committed.is_err() {
            // After some errors SQLite has rolled back by itself; the first error is the one to report.
            let _ = self.control("ROLLBACK");
        }
        committed
    }

    fn control(&self, text: &str) -> Result<(), String> {
        let done = self.connection.prepare_cached(text).and_then(|mut statement| statement.raw_execute());
        done.map(drop).map_err(|why| format!("{}: {text}: {}", self.work.words, remedy(&why)))
    }

    fn execute_all(&self) -> Result<Effects, String> {
        let mut effects = Effects::default();
        for at in 0..self.bound.len() {
            self.execute(at, &mut effects)?;
        }
        Ok(effects)
    }

    fn prepared(&self, at: usize) -> Result<CachedStatement<'_>, String> {
        let query = &self.work.statements[at].query;
        self.connection.prepare_cached(query).map_err(|why| self.work.failed(at, remedy(&why)))
    }

    fn execute(&self, at: usize, effects: &mut Effects) -> Result<(), String> {
        let changes_before = self.connection.total_changes();
        let mut statement = self.prepared(at)?;
        let done = &mut effects.done;
        let returned =
            exchange(&mut statement, &self.bound[at], done).map_err(|why| self.work.failed(at, remedy(&why)))?;
        let returns_rows = statement.column_count() > 0;
        drop(statement);
        let changed = self.connection.total_changes() - changes_before;
        match self.work.effects[at] {
            Effect::Read | Effect::Update => {}
            Effect::Insert => effects.inserted += changed,
            Effect::Delete => effects.deleted += changed,
            Effect::Unknown => effects.unknown = true,
        }
        self.work.compare(at, if returns_rows { returned } else { changed })
    }
}

impl Drop for Session {
    /// A call that was cancelled before it ran will never end.
    fn drop(&mut self) {
        self.account.end();
    }
}

/// Sends the arguments, and reads every column of every row; returns the number of rows.
fn exchange(statement: &mut CachedStatement<'_>, args: &[Bound], done: &mut Done) -> rusqlite::Result<u64> {
    for (at, value) in args.iter().enumerate() {
        statement.raw_bind_parameter(at + 1, value)?;
        done.sent += length(value.as_ref());
    }
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        for column in 0..columns {
            done.received += length(row.get_ref(column)?);
        }
    }
    Ok(count)
}

/// A value's length in bytes; a number has 8.
fn length(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Null => 0,
        ValueRef::Integer(_) | ValueRef::Real(_) => 8,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() as u64,
    }
}

/// SQLite's message, and what can be done where the message does not say it.
fn remedy(why: &rusqlite::Error) -> String {
    match why {
        // Printed as it is, it would repeat the whole text.
        rusqlite::Error::SqlInputError { msg, offset, .. } => format!("{msg} (at byte {offset} of the query)"),
        _ if why.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            format!(
                "{why}: other writers held the lock for more than 5 s; lower the concurrency, or write less at once"
            )
        }
        _ => why.to_string(),
    }
}

impl Bound {
    /// Room for an argument's values.
    fn new(arg: &Arg) -> Self {
        match arg {
            Arg::Integer(value) => Self::Integer(*value),
            Arg::Real(value) => Self::Real(*value),
            Arg::Text(template) => Self::Text(template.constant().unwrap_or_default().to_owned()),
        }
    }

    /// The argument's value in a call.
    fn fill(&mut self, arg: &Arg, call: &Call, seed: u64) {
        let Arg::Text(template) = arg else { return };
        if template.constant().is_some() {
            return;
        }
        match (template.value(call, seed), &mut *self) {
            (Some(value), _) => *self = Self::Integer(value),
            (None, Self::Text(text)) => {
                text.clear();
                template.render(call, seed, text);
            }
            // A template that is no single key has room for text from the beginning.
            (None, _) => {}
        }
    }

    fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }
    }
}

impl ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.as_ref()))
    }
}
