//! What steps know of an SQL target, and what every engine's target proves: as many rows as all
//! accounts say, and what the tables were filled with where nothing was written.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Account, Server, SqlTarget, seed};
use crate::{clock, measure::ProofLine, targets::TargetError, units::Distribution};

/// How long the report waits for calls that were cancelled and still run: longer than any waits for
/// a lock.
pub(super) const MOST_PATIENCE_NS: u64 = 30_000_000_000;
/// How often it looks.
const GLANCE_NS: u64 = 1_000_000;

/// What is counted at the end, of which table, on every engine.
pub(super) const COUNTS: &[(&str, &str, &str)] = &[
    ("rows items", "count(*)", "items"),
    ("rows log", "count(*)", "log"),
    ("sum items.price", "coalesce(sum(price), 0)", "items"),
    ("sum log.value", "coalesce(sum(value), 0)", "log"),
];

/// The names of [`COUNTS`], and the query that counts each; `schema` is the schema's name as a
/// statement has it, and empty where there is none.
pub(super) fn counting(schema: &str) -> impl Iterator<Item = (&'static str, String)> {
    let dot = if schema.is_empty() { "" } else { "." };
    COUNTS
        .iter()
        .map(move |(name, what, table)| (*name, format!("SELECT {what} FROM {schema}{dot}{table}")))
}

/// Which database it is, and where.
#[derive(Debug, Clone)]
pub enum Engine {
    /// SQLite, in this process.
    Sqlite {
        /// The database file.
        path: PathBuf,
    },
    /// A MySQL or MariaDB server.
    Mysql(Arc<Server>),
    /// A PostgreSQL server.
    Postgres(Arc<Server>),
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
    /// One for each connection, or for each step that shares one.
    accounts: Mutex<Vec<Arc<Account>>>,
}

impl Database {
    /// A database that was filled as `spec` says.
    pub(super) fn new(engine: Engine, spec: &SqlTarget, seed: u64) -> Self {
        Self { engine, seed, rows: spec.rows, delay: spec.delay, accounts: Mutex::default() }
    }

    /// A new account of changes.
    pub fn account(&self) -> Arc<Account> {
        let account = Arc::new(Account::default());
        self.accounts().push(account.clone());
        account
    }

    fn accounts(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no connection is busy; false if one still is after a long time. Only calls that
    /// were cancelled can still be running when the load has ended.
    pub(super) fn settle(&self) -> bool {
        let until_ns = clock::now_ns() + MOST_PATIENCE_NS;
        while self.accounts().iter().any(|account| account.is_busy()) {
            if clock::now_ns() > until_ns {
                return false;
            }
            clock::sleep_until(clock::now_ns() + GLANCE_NS);
        }
        true
    }

    /// The rows that must be there, by the accounts of all connections; none if one of them lost
    /// track.
    fn expected_rows(&self) -> Option<u64> {
        let accounts = self.accounts();
        let changes = accounts.iter().map(|account| account.read());
        let (inserted, deleted) = changes
            .reduce(|sum, next| sum.zip(next).map(|((a, b), (c, d))| (a + c, b + d)))
            .unwrap_or(Some((0, 0)))?;
        Some((self.rows + inserted).saturating_sub(deleted))
    }

    /// What each of [`COUNTS`] comes to as long as nothing is written.
    pub(super) fn filled(&self) -> [i64; COUNTS.len()] {
        [self.rows.cast_signed(), 0, seed::sum_of_prices(self.rows, self.seed), 0]
    }

    /// What was counted, beside what must be there: all that was filled in where nothing was
    /// written, and otherwise as many rows as all accounts say.
    pub(super) fn proof(&self, name: &str, counts: &BTreeMap<String, u64>) -> Vec<ProofLine> {
        if self.accounts().iter().any(|account| account.wrote()) {
            return self.rows_proof(name, counts);
        }
        let lines = COUNTS.iter().zip(self.filled()).map(|((what, ..), expected)| ProofLine {
            what: format!("{what} in target {name}, to which nothing was written"),
            expected: expected.to_string(),
            found: counts.get(*what).map_or("none, or less than zero".into(), u64::to_string),
        });
        lines.collect()
    }

    /// The rows that were counted, beside those that must be there; nothing where an account lost
    /// track.
    fn rows_proof(&self, name: &str, counts: &BTreeMap<String, u64>) -> Vec<ProofLine> {
        let found = counts.get("rows items").copied().unwrap_or(0)
            + counts.get("rows log").copied().unwrap_or(0);
        let what = format!("rows in target {name} after all inserts and deletes");
        let line =
            |rows: u64| ProofLine { what, expected: rows.to_string(), found: found.to_string() };
        self.expected_rows().map(line).into_iter().collect()
    }
}

pub(super) fn error(name: &str, reason: &str) -> TargetError {
    TargetError { name: name.into(), reason: reason.into() }
}
