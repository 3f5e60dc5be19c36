//! The embedded SQLite database: created, opened by the steps, and asked at the end what is in it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use rusqlite::{Connection, OpenFlags, Transaction, params};

use super::{
    Database, Engine, SqlTarget,
    database::{counting, error},
    seed,
};
use crate::{
    measure::TargetReport,
    targets::{self, Start, Started, TargetError},
};

/// How long a connection waits for another one's write lock.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE items(id INTEGER PRIMARY KEY, category INTEGER, name TEXT, price INTEGER);
    CREATE TABLE log(id INTEGER PRIMARY KEY, task INTEGER, value INTEGER);
";

/// Opens a connection to SQLite: `synchronous = NORMAL`, and 5 s of patience with other writers.
/// The file's write-ahead log was switched on for all connections when it was made.
pub fn open_sqlite(path: &Path) -> rusqlite::Result<Connection> {
    set_up(Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?)
}

fn set_up(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// Creates the tables and fills them, and leaves an empty write-ahead log.
pub(super) fn fill(connection: &mut Connection, rows: u64, seed: u64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    insert_items(&transaction, rows, seed)?;
    transaction.commit()?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn insert_items(transaction: &Transaction<'_>, rows: u64, seed: u64) -> rusqlite::Result<()> {
    let mut insert =
        transaction.prepare("INSERT INTO items(id, category, name, price) VALUES (?, ?, ?, ?)")?;
    for item in seed::items(rows, seed) {
        insert.execute(params![item.id, item.category, item.name, item.price])?;
    }
    Ok(())
}

/// The embedded database, filled.
pub(super) struct EmbeddedSqlite {
    name: String,
    /// Kept open, or the write-ahead log would be removed and made again whenever the last step's
    /// connection closes.
    connection: Connection,
    database: Arc<Database>,
}

/// Creates the database and fills it.
pub(super) fn start(spec: &SqlTarget, start: &Start<'_>) -> Result<EmbeddedSqlite, TargetError> {
    let path = start.scratch.join("sqlite.db");
    let create = || {
        let mut connection = set_up(Connection::open(&path)?)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        fill(&mut connection, spec.rows, start.seed)?;
        Ok(connection)
    };
    let connection = create().map_err(|why: rusqlite::Error| {
        let folder = start.scratch.display();
        error(
            start.name,
            &format!("the database could not be filled: {why}; is there room in {folder}?"),
        )
    })?;
    let database = Arc::new(Database::new(Engine::Sqlite { path }, spec, start.seed));
    Ok(EmbeddedSqlite { name: start.name.into(), connection, database })
}

impl Started for EmbeddedSqlite {
    fn endpoint(&self) -> targets::Endpoint {
        self.database.clone()
    }

    fn report(&mut self) -> Result<TargetReport, TargetError> {
        if !self.database.settle() {
            return Err(error(&self.name, "a statement still runs long after the load has ended"));
        }
        let counts = self.counts().map_err(|why| {
            error(
                &self.name,
                &format!(
                    "could not be counted: {why}; leave the tables `items` and `log` as they are"
                ),
            )
        })?;
        let proof = self.database.proof(&self.name, &counts);
        Ok(TargetReport { name: self.name.clone(), counts, proof, ..TargetReport::default() })
    }
}

impl EmbeddedSqlite {
    /// Counts what is there. A sum that is negative, or none because text was written, is left out.
    fn counts(&self) -> rusqlite::Result<BTreeMap<String, u64>> {
        let mut counts = BTreeMap::new();
        for (name, query) in counting("") {
            let value = self.connection.query_row(&query, [], |row| {
                row.get_ref(0)?.as_i64().map_or(Ok(None), |n| Ok(Some(n)))
            })?;
            counts.extend(
                value
                    .and_then(|value| u64::try_from(value).ok())
                    .map(|value| (name.to_owned(), value)),
            );
        }
        Ok(counts)
    }
}
