//! A connection to SQLite with the buffers of one step: everything here blocks.

use std::{path::Path, sync::Arc};

use rusqlite::{
    CachedStatement, Connection, ErrorCode, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use super::{
    arg::BoundValue,
    bound::Bindings,
    effects::{Effects, StatementAnswer},
    work::SqlWork,
};
use crate::{
    step::{Call, Done},
    targets::sql::{Account, open_sqlite},
};

/// Statements that a transaction needs besides its own.
const CONTROLS: usize = 3;

/// A connection with the arguments of the next call.
pub(super) struct SqliteSession {
    connection: Connection,
    account: Arc<Account>,
    work: Arc<SqlWork>,
    /// The arguments of each statement.
    bound: Bindings,
}

impl SqliteSession {
    /// Opens a connection and prepares every statement.
    pub fn open(
        path: &Path,
        account: Arc<Account>,
        work: Arc<SqlWork>,
    ) -> Result<Box<Self>, String> {
        let connection = open_sqlite(path).map_err(|why| {
            format!(
                "{}: no connection to the database: {why}; is the limit on open files (ulimit -n) too low?",
                work.words
            )
        })?;
        connection.set_prepared_statement_cache_capacity(work.statements.len() + CONTROLS);
        let bound = Bindings::new(&work);
        let session = Box::new(Self { connection, account, work, bound });
        for at in 0..session.bound.len() {
            session.check(at)?;
        }
        Ok(session)
    }

    /// Prepares a statement; SQLite's message tells what is wrong with it.
    fn check(&self, at: usize) -> Result<(), String> {
        let (wanted, given) = (self.prepared(at)?.parameter_count(), self.bound.of(at).len());
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
        self.bound.fill(&self.work, call, seed);
    }

    /// Says that a run follows; from here on the target waits for it.
    pub fn begin(&self) {
        self.account.begin(self.work.writes());
    }

    /// Runs the statements with the arguments that were filled in.
    pub fn run(&mut self) -> Result<Done, String> {
        let effects = if self.work.transaction { self.transaction() } else { self.execute_all() };
        if let Ok(effects) = &effects {
            effects.enter(&self.account);
        }
        self.account.end();
        effects.map(|effects| effects.done)
    }

    /// IMMEDIATE, because a transaction that first reads and then writes cannot wait for the lock:
    /// it would fail.
    fn transaction(&mut self) -> Result<Effects, String> {
        self.control("BEGIN IMMEDIATE")?;
        let committed =
            self.execute_all().and_then(|effects| self.control("COMMIT").map(|()| effects));
        if committed.is_err() {
            // After some errors SQLite has rolled back by itself; the first error is the one to
            // report.
            let _ = self.control("ROLLBACK");
        }
        committed
    }

    fn control(&self, text: &str) -> Result<(), String> {
        let done =
            self.connection.prepare_cached(text).and_then(|mut statement| statement.raw_execute());
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
        let args = self.bound.of(at);
        let (rows, received) =
            exchange(&mut statement, args).map_err(|why| self.work.failed(at, remedy(&why)))?;
        let returned = (statement.column_count() > 0).then_some(rows);
        drop(statement);
        let changed = self.connection.total_changes() - changes_before;
        effects.add(&self.work, at, args, StatementAnswer { returned, changed, received })
    }
}

impl Drop for SqliteSession {
    /// A call that was cancelled before it ran will never end.
    fn drop(&mut self) {
        self.account.end();
    }
}

/// Sends the arguments, and reads every column of every row; returns the number of rows and of
/// bytes in them.
fn exchange(
    statement: &mut CachedStatement<'_>,
    args: &[BoundValue],
) -> rusqlite::Result<(u64, u64)> {
    for (at, value) in args.iter().enumerate() {
        statement.raw_bind_parameter(at + 1, value)?;
    }
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let (mut count, mut received) = (0, 0);
    while let Some(row) = rows.next()? {
        count += 1;
        for column in 0..columns {
            received += length(row.get_ref(column)?);
        }
    }
    Ok((count, received))
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
        rusqlite::Error::SqlInputError { msg, offset, .. } => {
            format!("{msg} (at byte {offset} of the query)")
        }
        _ if why.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            format!(
                "{why}: other writers held the lock for more than 5 s; lower the concurrency, or write less at once"
            )
        }
        _ => why.to_string(),
    }
}

impl ToSql for BoundValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}
