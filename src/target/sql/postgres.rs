//! PostgreSQL as a target: a schema with a comment as its mark, filled by COPY.

use std::fmt::Write as _;

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::SimpleQueryMessage;

use super::{
    Server,
    admin::{Admin, Owner},
    seed,
};
use crate::{
    client::{Fault, FaultKind, postgres::Postgres},
    runtime::{Blocking, block_on},
};

/// The comment by which a schema of Regatta's is known.
const MARK: &str = "made by Regatta, dropped after each trial";
/// Whether a session is in the same database; a schema of the same name in another one is none of ours.
const OURS: &str = "datname = current_database()";
/// Bytes that are handed over at once while the table is filled.
const CHUNK: usize = 256 * 1024;

/// The target's own connection.
pub(super) struct Keeper {
    connection: Postgres<Blocking>,
    schema: String,
    /// The name of the steps' sessions.
    steps: String,
}

impl Keeper {
    /// Connects. Locks are not waited for long: a session that holds one for ever must not hang the trial.
    pub fn open(server: &Server) -> Result<Self, Fault> {
        let settings = [("search_path", server.schema.as_str()), ("lock_timeout", "10s"), ("statement_timeout", "0")];
        let application = format!("regatta keeper {}", std::process::id());
        let connection = block_on(Postgres::open(&server.address, &application, &settings))?;
        Ok(Self { connection, schema: server.schema.clone(), steps: server.application.clone() })
    }

    fn run(&mut self, text: &str) -> Result<(), Fault> {
        block_on(self.connection.with(|client| client.batch_execute(text)))
    }

    /// The first column of the first row as text.
    fn text(&mut self, query: &str) -> Result<Option<String>, Fault> {
        let messages = block_on(self.connection.with(|client| client.simple_query(query)))?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(row.and_then(|row| row.get(0)).map(ToOwned::to_owned))
    }

    /// Ends the sessions of users in this database, but for this one, of which `which` is true. One that may not be ended
    /// does not keep the others from it.
    fn end(&mut self, which: &str) -> Result<(), Fault> {
        let found = self.text(&format!(
            "SELECT string_agg(format('%s of %s', pid, usename), ',') FROM pg_stat_activity
             WHERE {OURS} AND pid <> pg_backend_pid() AND usename IS NOT NULL AND {which}"
        ))?;
        let mut ended = Ok(());
        for session in found.iter().flat_map(|found| found.split(',')) {
            let pid = session.split(' ').next().unwrap_or_default();
            if let Err(fault) = self.run(&format!("SELECT pg_terminate_backend({pid})")) {
                ended = Err(fault.at(format!("session {session} holds it, and could not be ended")));
            }
        }
        ended
    }

    /// Drops the schema. Somebody's transaction may have locked what is in it, and never end.
    fn drop_schema(&mut self) -> Result<(), Fault> {
        self.run(&format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", self.schema))
    }
}

/// Whether a session holds a lock on a schema or on a table or index in it, or waits for one.
fn has_locked(schema: &str) -> String {
    let schema = format!("(SELECT oid FROM pg_namespace WHERE nspname = '{schema}')");
    format!(
        "pid IN (SELECT pid FROM pg_locks
            WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND (relation IN (SELECT oid FROM pg_class WHERE relnamespace = {schema})
                OR classid = 'pg_namespace'::regclass AND objid = {schema}))"
    )
}

/// The table as lines of COPY's text format. No value needs escaping.
fn lines(rows: u64, seed: u64) -> impl Iterator<Item = Bytes> {
    let mut items = seed::items(rows, seed);
    std::iter::from_fn(move || {
        let mut chunk = String::with_capacity(CHUNK + 128);
        for item in items.by_ref() {
            // Writing to a String cannot fail.
            let _ = writeln!(chunk, "{}\t{}\t{}\t{}", item.id, item.category, item.name, item.price);
            if chunk.len() >= CHUNK {
                break;
            }
        }
        (!chunk.is_empty()).then(|| Bytes::from(chunk))
    })
}

impl Admin for Keeper {
    fn lock(&mut self) -> Result<bool, Fault> {
        let query = format!("SELECT pg_try_advisory_lock(hashtext('regatta:{}'))", self.schema);
        Ok(self.text(&query)?.as_deref() == Some("t"))
    }

    fn owner(&mut self) -> Result<Owner, Fault> {
        let found = self.text(&format!(
            "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = '{}'",
            self.schema
        ))?;
        Ok(match found.as_deref() {
            None => Owner::Nobody,
            Some(MARK) => Owner::Regatta,
            Some(_) => Owner::Somebody,
        })
    }

    fn create(&mut self) -> Result<(), Fault> {
        let schema = &self.schema;
        let text = format!(
            "BEGIN; CREATE SCHEMA \"{schema}\"; COMMENT ON SCHEMA \"{schema}\" IS '{MARK}';
             CREATE TABLE items(id BIGINT PRIMARY KEY, category BIGINT, name TEXT, price BIGINT);
             CREATE TABLE log(id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, task BIGINT, value BIGINT);
             COMMIT"
        );
        self.run(&text)
    }

    fn fill(&mut self, rows: u64, seed: u64) -> Result<(), Fault> {
        block_on(self.connection.with(|client| async move {
            let sink = client.copy_in("COPY items(id, category, name, price) FROM STDIN").await?;
            let mut sink = std::pin::pin!(sink);
            for chunk in lines(rows, seed) {
                sink.send(chunk).await?;
            }
            sink.finish().await
        }))?;
        // Plans must not depend on when the server's own worker comes by.
        self.run("VACUUM ANALYZE items")
    }

    fn number(&mut self, query: &str) -> Result<Option<i64>, Fault> {
        Ok(self.text(query)?.and_then(|text| text.parse().ok()))
    }

    fn sessions(&mut self) -> Result<u64, Fault> {
        let query =
            format!("SELECT count(*) FROM pg_stat_activity WHERE {OURS} AND application_name = '{}'", self.steps);
        Ok(self.number(&query)?.unwrap_or(0).cast_unsigned())
    }

    fn version(&mut self) -> Option<String> {
        let version = self.text("SHOW server_version").ok().flatten();
        version.map(|version| format!("PostgreSQL {version}"))
    }

    fn remove(&mut self) -> Result<(), Fault> {
        let locked = has_locked(&self.schema);
        self.end(&format!("application_name = '{}'", self.steps))?;
        // Whoever still works in the schema is a trial that was given up, or killed.
        self.end(&format!("application_name LIKE 'regatta steps %' AND {locked}"))?;
        match self.drop_schema() {
            Err(fault) if fault.kind == FaultKind::LockTimeout => {
                self.end(&locked)?;
                self.drop_schema()
            }
            dropped => dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_items_in_order() {
        let all: Vec<u8> = lines(20_000, 7).flat_map(|chunk| chunk.to_vec()).collect();
        let text = String::from_utf8(all).unwrap();
        let rows: Vec<&str> = text.lines().collect();
        let item = seed::items(20_000, 7).last().unwrap();
        assert_eq!((rows.len(), rows[19_999].split('\t').nth(2)), (20_000, Some(item.name.as_str())));
        assert!(rows.iter().all(|row| row.split('\t').count() == 4 && !row.contains('\\')));
        assert_eq!(lines(0, 7).count(), 0);
    }
}
