//! The embedded database: started, opened by the steps, and asked at the end what is in it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{Account, Sql, seed};
use crate::{
    clock,
    measure::{ProofLine, TargetReport},
    target::{self, Start, Started, TargetError},
    units::Distribution,
};

/// How long a connection waits for another one's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the report waits for calls that were cancelled and still run: longer than any waits for a lock.
const MOST_PATIENCE_NS: u64 = 30_000_000_000;
/// How often it looks.
const GLANCE_NS: u64 = 1_000_000;

/// Which database it is, and where.
#[derive(Debug, Clone)]
pub enum Engine {
    /// SQLite, in this process.
    Sqlite {
        /// The database file.
        path: PathBuf,
    },
}

/// What steps know of an SQL target: its endpoint.
#[derive(Debug)]
pub struct Database {
    /// Which database it is, and where.
    pub engine: Engine,
    /// The seed of its contents.
    pub seed: u64,
    /// Rows that the table `items` began with.
    pub rows: u64,
    /// A simulated round trip before each statement.
    pub delay: Distribution,
    /// One for each connection.
    accounts: Mutex<Vec<Arc<Account>>>,
}

impl Database {
    /// An account for a new connection.
    pub fn account(&self) -> Arc<Account> {
        let account = Arc::new(Account::default());
        self.accounts().push(account.clone());
        account
    }

    fn accounts(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no connection is busy; false if one still is after a long time. Only calls that were cancelled
    /// can still be running when the load has ended.
    fn settle(&self) -> bool {
        let until_ns = clock::now_ns() + MOST_PATIENCE_NS;
        while self.accounts().iter().any(|account| account.is_busy()) {
            if clock::now_ns() > until_ns {
                return false;
            }
            clock::sleep_until(clock::now_ns() + GLANCE_NS);
        }
        true
    }

    /// The rows that must be there, by the accounts of all connections; none if one of them lost track.
    fn expected_rows(&self) -> Option<u64> {
        let accounts = self.accounts();
        let changes = accounts.iter().map(|account| account.read());
        let (inserted, deleted) =
            changes.reduce(|sum, next| sum.zip(next).map(|((a, b), (c, d))| (a + c, b + d))).unwrap_or(Some((0, 0)))?;
        Some((self.rows + inserted).saturating_sub(deleted))
    }
}

impl Engine {
    /// Opens a connection to SQLite: `synchronous = NORMAL`, and 5 s of patience with other writers. The file's
    /// write-ahead log was switched on for all connections when it was made.
    pub fn open_sqlite(path: &Path) -> rusqlite::Result<Connection> {
        set_up(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?)
    }
}

fn set_up(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// The embedded database, filled.
pub(super) struct Embedded {
    name: String,
    /// Kept open, or the write-ahead log would be removed and made again whenever the last step's connection closes.
    connection: Connection,
    database: Arc<Database>,
}

/// Creates the database and fills it.
pub(super) fn start(spec: &Sql, start: &Start<'_>) -> Result<Embedded, TargetError> {
    let path = start.scratch.join("sqlite.db");
    let fill = || {
        let mut connection = set_up(Connection::open(&path)?)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        seed::fill(&mut connection, spec.rows, start.seed)?;
        Ok(connection)
    };
    let connection = fill().map_err(|why: rusqlite::Error| {
        let folder = start.scratch.display();
        error(start.name, &format!("the database could not be filled: {why}; is there room in {folder}?"))
    })?;
    let database = Arc::new(Database {
        engine: Engine::Sqlite { path },
        seed: start.seed,
        rows: spec.rows,
        delay: spec.delay,
        accounts: Mutex::default(),
    });
    Ok(Embedded { name: start.name.into(), connection, database })
}

fn error(name: &str, reason: &str) -> TargetError {
    TargetError { name: name.into(), reason: reason.into() }
}

impl Started for Embedded {
    fn endpoint(&self) -> target::Endpoint {
        self.database.clone()
    }

    fn report(&mut self) -> Result<TargetReport, TargetError> {
        if !self.database.settle() {
            return Err(error(&self.name, "a statement still runs long after the load has ended"));
        }
        let counts = self.counts().map_err(|why| {
            error(&self.name, &format!("could not be counted: {why}; leave the tables `items` and `log` as they are"))
        })?;
        let found = counts.get("rows items").copied().unwrap_or(0) + counts.get("rows log").copied().unwrap_or(0);
        let what = format!("rows in target {} after all inserts and deletes", self.name);
        let expected = self.database.expected_rows().into_iter();
        let proof =
            expected.map(|rows| ProofLine { what: what.clone(), expected: rows.to_string(), found: found.to_string() });
        Ok(TargetReport { name: self.name.clone(), counts, proof: proof.collect(), ..TargetReport::default() })
    }
}

/// What is counted at the end, and the query that counts it.
const COUNTS: &[(&str, &str)] = &[
    ("rows items", "SELECT count(*) FROM items"),
    ("rows log", "SELECT count(*) FROM log"),
    ("sum items.price", "SELECT coalesce(sum(price), 0) FROM items"),
    ("sum log.value", "SELECT coalesce(sum(value), 0) FROM log"),
];

impl Embedded {
    /// Counts what is there. A sum that is negative, or none because text was written, is left out.
    fn counts(&self) -> rusqlite::Result<BTreeMap<String, u64>> {
        let mut counts = BTreeMap::new();
        for (name, query) in COUNTS {
            let value = self
                .connection
                .query_row(query, [], |row| row.get_ref(0)?.as_i64().map_or(Ok(None), |n| Ok(Some(n))))?;
            counts.extend(value.and_then(|value| u64::try_from(value).ok()).map(|value| ((*name).to_owned(), value)));
        }
        Ok(counts)
    }
}
