//! SQL targets: an embedded SQLite database in the trial's scratch folder, with known contents.
//!
//! Two tables, the same under every database that may follow:
//! `items(id INTEGER PRIMARY KEY, category INTEGER, name TEXT, price INTEGER)` with ids from 1 to `rows`, to read
//! from, and the empty `log(id INTEGER PRIMARY KEY, task INTEGER, value INTEGER)`, to write to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Start, Started, TargetError, TargetKind};
use crate::{config::Fields, units::Distribution};

mod account;
mod database;
mod seed;

pub use account::Account;
pub use database::{Database, Engine};
pub use seed::CATEGORIES;

/// Every trial seeds its database afresh, at about a million rows a second.
const MOST_ROWS: u64 = 10_000_000;

/// An SQL database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sql {
    /// Rows of the table `items`, with ids from 1.
    pub rows: u64,
    /// A simulated round trip before each statement.
    pub delay: Distribution,
}

/// Ten thousand items and no round trip.
impl Default for Sql {
    fn default() -> Self {
        Self { rows: 10_000, delay: Distribution::Const(Duration::ZERO) }
    }
}

impl TargetKind for Sql {
    const KEY: &'static str = "sql";
    const DOC: &'static str = "An SQL database: embedded SQLite, with the tables `items` and `log`.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let usual = Self::default();
        let rows = fields.or("rows", usual.rows, "Rows of the table `items`, with ids from 1.");
        let delay = fields.or(
            "delay",
            usual.delay,
            "A simulated round trip: how long a step waits, with the executor's timer, before each statement.",
        );
        if rows > MOST_ROWS {
            fields.reject("rows", format!("expected at most {MOST_ROWS} rows: every trial fills them in anew"), None);
        }
        // Not part of the schema as long as it has no good value.
        if fields.has("url") {
            let _: Option<String> = fields.optional("url", "Your own database.");
            let help = "remove `url`; `delay` simulates the round trip to a database on a network".to_owned();
            fields.reject("url", "only the embedded SQLite database is available", Some(help));
        }
        Some(Self { rows, delay })
    }

    fn has_process(&self) -> bool {
        false
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Started>, TargetError> {
        Ok(Box::new(database::start(self, start)?))
    }
}

#[cfg(test)]
mod tests;
