//! SQL targets: an embedded SQLite database in the trial's scratch folder, or a schema in a server
//! of the user's own, with known contents.
//!
//! Two tables, the same under every database: `items(id INTEGER PRIMARY KEY, category INTEGER, name
//! TEXT, price INTEGER)` with ids from 1 to `rows`, to read from, and the empty `log(id INTEGER
//! PRIMARY KEY, task INTEGER, value INTEGER)`, to write to.

use super::{Start, Started, TargetError, TargetKind};
use crate::{config::Fields, secret::Lack};

mod account;
mod admin;
mod database;
mod declared;
mod embedded;
mod engines;
mod mysql;
mod parameters;
mod pooler;
mod postgres;
mod seed;
mod server;
mod session;
mod undertaker;

pub use account::Account;
pub use database::{Database, Engine};
pub use embedded::open_sqlite;
pub use parameters::SqlTarget;
pub use seed::CATEGORIES;
pub use server::{Road, Server};
pub use session::{GivenUpSession, SessionId};

pub use super::connections::Opened;

/// Every trial seeds its database afresh, at about a million rows a second.
const MOST_ROWS: u64 = 10_000_000;

impl TargetKind for SqlTarget {
    const KEY: &'static str = "sql";
    const DOC: &'static str = "An SQL database: embedded SQLite, or your own server by its url, with the tables `items` and `log`.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let usual = Self::default();
        let rows = fields.or("rows", usual.rows, "Rows of the table `items`, with ids from 1.");
        let delay = fields.or(
            "delay",
            usual.delay,
            "A simulated round trip: how long a step waits, with the executor's timer, before each statement.",
        );
        if rows > MOST_ROWS {
            fields.reject(
                "rows",
                format!("expected at most {MOST_ROWS} rows: every trial fills them in anew"),
                None,
            );
        }
        let url = fields.optional(
            "url",
            "Your own server: `${env:DATABASE_URL}` takes its url from the environment; without it SQLite is embedded.",
        );
        let schema = fields.or(
            "schema",
            usual.schema,
            "The schema (in MySQL: the database) that is made in your server for a trial, and dropped afterwards.",
        );
        let pool = fields.optional(
            "pool",
            "How many connections to your server the tasks share: `{ max = 16 }`.",
        );
        let sql = Self { rows, delay, url, schema, pool };
        sql.check(fields);
        Some(sql)
    }

    fn has_process(&self) -> bool {
        false
    }

    fn is_embedded(&self) -> bool {
        self.url.is_none()
    }

    fn unready(&self) -> Option<Lack> {
        let url = self.url.as_ref()?;
        let variable = url.variable().map(str::to_owned);
        declared::address(url).err().map(|reason| Lack { variable, reason })
    }

    fn address(&self) -> Option<String> {
        declared::address(self.url.as_ref()?).ok().map(|address| address.words())
    }

    fn version(&self) -> Option<String> {
        declared::version(self, self.url.as_ref()?)
    }

    fn has_pool(&self) -> bool {
        self.pool.is_some()
    }

    fn sweep(&self, name: &str, pid: u32) -> Result<(), TargetError> {
        self.url.as_ref().map_or(Ok(()), |url| declared::sweep(self, url, name, pid))
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Started>, TargetError> {
        match &self.url {
            None => Ok(Box::new(embedded::start(self, start)?)),
            Some(url) => Ok(Box::new(declared::start(self, url, start)?)),
        }
    }
}

/// Schemas that servers have of their own, and that are nobody's to make or drop; also those whose
/// names begin with `pg_`.
const SYSTEM_SCHEMAS: &[&str] =
    &["information_schema", "mysql", "performance_schema", "public", "sys"];
/// Longest name of a schema that every server takes.
const MOST_SCHEMA: usize = 48;

impl SqlTarget {
    /// Reports what each key alone cannot see. A schema's name is put into statements, so that it
    /// may have no letter that means something there.
    fn check(&self, fields: &mut Fields<'_>) {
        let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let is_name = self.schema.bytes().all(fine)
            && self.schema.starts_with(|first: char| first.is_ascii_lowercase());
        if SYSTEM_SCHEMAS.contains(&self.schema.as_str()) || self.schema.starts_with("pg_") {
            let message = format!("`{}` is a schema of the server's own", self.schema);
            let help = "name one that is not there, such as `regatta_bench`: it is made, and dropped afterwards";
            fields.reject("schema", message, Some(help.to_owned()));
        } else if !is_name || self.schema.len() > MOST_SCHEMA {
            let help = format!(
                "lower-case letters, digits and `_`, at most {MOST_SCHEMA}, such as `regatta_bench`"
            );
            fields.reject("schema", "this is no name of a schema", Some(help));
        }
        match &self.url {
            None => {
                for key in ["schema", "pool"] {
                    if fields.has(key) {
                        fields.reject(
                            key,
                            format!("`{key}` is about your own server, and there is no `url`"),
                            None,
                        );
                    }
                }
            }
            Some(url) if url.is_literal() && self.unready().is_some() => {
                fields.reject(
                    "url",
                    self.unready().map_or_else(String::new, |lack| lack.reason),
                    None,
                );
            }
            Some(_) if fields.has("delay") => {
                let help = "remove `delay` or `url`".to_owned();
                fields.reject(
                    "delay",
                    "`delay` simulates what a server on a network has by itself",
                    Some(help),
                );
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
