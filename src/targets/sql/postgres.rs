//! PostgreSQL as a target: a schema with a comment as its mark, filled by COPY.

use std::{fmt::Write as _, sync::Arc};

use bytes::Bytes;
use futures_util::SinkExt as _;

use super::{
    Road, Server, SessionId,
    admin::{Admin, Owner},
    pooler::{self, FoundPooler, Holder},
    seed,
};
use crate::{
    client::{Fault, FaultKind, cancel, postgres::Postgres},
    runtime::{Blocking, block_on},
};

/// The comment by which a schema of Regatta's is known.
const MARK: &str = "made by Regatta, dropped after each trial";
/// Whether a session is in the same database; a schema of the same name in another one is none of
/// ours.
const OURS: &str = "datname = current_database()";
/// Bytes that are handed over at once while the table is filled.
const CHUNK: usize = 256 * 1024;

/// Settings of the target's own statements. Locks are not waited for long: a session that holds one
/// for ever must not hang the trial.
const SETTINGS: [(&str, &str); 2] = [("lock_timeout", "10s"), ("statement_timeout", "0")];

/// The target's own connection.
pub(super) struct PostgresKeeper {
    connection: Postgres<Blocking>,
    server: Arc<Server>,
    application: String,
    road: Road,
    /// Whether the sessions of the server are a pooler's, which others use after us.
    pooled: bool,
    /// Has locked the schema's name where a pooler would take the session away.
    holder: Option<Holder>,
}

impl PostgresKeeper {
    /// Connects, and looks at what is between.
    pub fn open(server: &Arc<Server>) -> Result<Self, Fault> {
        let application = format!("regatta keeper {}", std::process::id());
        let settings = [&[("search_path", server.schema.as_str())], &SETTINGS[..]].concat();
        let FoundPooler { connection, road, pooled } =
            pooler::look(server, &application, &settings)?;
        server.found_road(road);
        Ok(Self { connection, server: server.clone(), application, road, pooled, holder: None })
    }

    /// Runs statements together or not at all.
    fn run(&mut self, text: &str) -> Result<(), Fault> {
        if self.road == Road::Login {
            return self.plainly(text);
        }
        // They last as long as the statements that come with them.
        let settings = SETTINGS.map(|(name, value)| format!("SET LOCAL {name} = '{value}'; "));
        self.plainly(&format!("{}{text}", settings.concat()))
    }

    /// Runs a statement that must be alone.
    fn plainly(&mut self, text: &str) -> Result<(), Fault> {
        block_on(self.connection.run(text))
    }

    /// The first column of the first row as text.
    fn text(&mut self, query: &str) -> Result<Option<String>, Fault> {
        block_on(self.connection.text(query))
    }

    /// Ends the sessions of this user in this database, but for this one, of which `which` is true;
    /// behind a pooler, whose sessions are for others, too, what they do.
    fn end(&mut self, which: &str) -> Result<(), Fault> {
        let (how, at_work) = if self.pooled {
            ("pg_cancel_backend", "AND state = 'active'")
        } else {
            ("pg_terminate_backend", "")
        };
        self.plainly(&format!(
            "SELECT {how}(pid) FROM pg_stat_activity
             WHERE {OURS} AND pid <> pg_backend_pid() AND usename = current_user AND {which} {at_work}"
        ))
    }

    /// The name of the steps' sessions as a statement has it: a part of it is the user's own.
    fn steps(&self) -> String {
        format!("'{}'", self.server.application.replace('\'', "''"))
    }

    /// Who keeps the schema from being dropped; none if it is nobody any more.
    fn holders(&mut self) -> Result<Option<String>, Fault> {
        let locked = has_locked(&self.server.schema);
        self.text(&format!(
            "SELECT string_agg(format('session %s of %s (%s)', pid, usename, application_name), ', ')
             FROM pg_stat_activity WHERE {OURS} AND pid <> pg_backend_pid() AND {locked}"
        ))
    }

    /// Drops the schema. Somebody's transaction may have locked what is in it, and never end.
    fn drop_schema(&mut self) -> Result<(), Fault> {
        let schema = self.server.quoted();
        self.run(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))
    }

    /// Fills the table by COPY.
    fn copy(&mut self, table: &str, rows: u64, seed: u64) -> Result<(), Fault> {
        let query = format!("COPY {table}(id, category, name, price) FROM STDIN");
        let copied = self.connection.with(|client| async move {
            let sink = client.copy_in(&query).await?;
            let mut sink = std::pin::pin!(sink);
            for chunk in lines(rows, seed) {
                sink.send(chunk).await?;
            }
            sink.finish().await
        });
        block_on(copied).map(drop)
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
            let _ =
                writeln!(chunk, "{}\t{}\t{}\t{}", item.id, item.category, item.name, item.price);
            if chunk.len() >= CHUNK {
                break;
            }
        }
        (!chunk.is_empty()).then(|| Bytes::from(chunk))
    })
}

impl Admin for PostgresKeeper {
    fn lock(&mut self) -> Result<bool, Fault> {
        let name = format!("regatta:{}", self.server.schema);
        if !self.pooled {
            let query = format!("SELECT pg_try_advisory_lock(hashtext('{name}'))");
            return Ok(self.text(&query)?.as_deref() == Some("t"));
        }
        if self.holder.is_none() {
            self.holder = Some(Holder::new(&self.server, &self.application)?);
            pooler::has_room(&mut self.connection, &self.server)?;
        }
        self.holder.as_mut().map_or(Ok(false), |holder| holder.locks(&name))
    }

    fn owner(&mut self) -> Result<Owner, Fault> {
        let found = self.text(&format!(
            "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = '{}'",
            self.server.schema
        ))?;
        Ok(match found.as_deref() {
            None => Owner::Nobody,
            Some(MARK) => Owner::Regatta,
            Some(_) => Owner::Somebody,
        })
    }

    fn create(&mut self) -> Result<(), Fault> {
        let schema = self.server.quoted();
        self.run(&format!(
            "CREATE SCHEMA {schema}; COMMENT ON SCHEMA {schema} IS '{MARK}';
             CREATE TABLE {schema}.items(id BIGINT PRIMARY KEY, category BIGINT, name TEXT, price BIGINT);
             CREATE TABLE {schema}.log(id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, task BIGINT, value BIGINT)"
        ))
    }

    fn fill(&mut self, rows: u64, seed: u64) -> Result<(), Fault> {
        let table = format!("{}.items", self.server.quoted());
        if self.pooled {
            // COPY takes more messages than one, and a pooler may give each to another session.
            for insert in seed::inserts(&table, rows, seed) {
                self.run(&insert)?;
            }
        } else {
            self.copy(&table, rows, seed)?;
        }
        // Plans must not depend on when the server's own worker comes by.
        self.plainly(&format!("VACUUM ANALYZE {table}"))
    }

    fn number(&mut self, query: &str) -> Result<Option<i64>, Fault> {
        Ok(self.text(query)?.and_then(|text| text.parse().ok()))
    }

    fn sessions(&mut self) -> Result<u64, Fault> {
        let at_work = if self.pooled { "AND state <> 'idle'" } else { "" };
        let steps = self.steps();
        let query = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE {OURS} AND application_name = {steps} {at_work}"
        );
        Ok(self.number(&query)?.unwrap_or(0).cast_unsigned())
    }

    fn cancel(&mut self, session: &SessionId) -> Result<(), Fault> {
        let SessionId::Key(key) = session else { return Ok(()) };
        block_on(cancel::<Blocking>(&self.server.address, key))
    }

    fn is_there(&mut self, session: &SessionId) -> Result<bool, Fault> {
        let SessionId::Key(key) = session else { return Ok(false) };
        if self.pooled {
            return Ok(false);
        }
        let (process, steps) = (key.process(), self.steps());
        let query = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE {OURS} AND pid = {process} AND application_name = {steps}"
        );
        Ok(self.number(&query)? != Some(0))
    }

    fn pooler(&self) -> Option<&'static str> {
        match (self.pooled, self.road) {
            (false, _) => None,
            (true, Road::Login) => Some("a pooler"),
            (true, Road::Session) => {
                Some("a pooler in session mode: `search_path` is set after the login")
            }
            (true, Road::Transaction) => {
                Some("a pooler in transaction mode: each text begins with `SET LOCAL search_path`")
            }
        }
    }

    fn version(&mut self) -> Option<String> {
        let version = self.text("SHOW server_version").ok().flatten();
        version.map(|version| format!("PostgreSQL {version}"))
    }

    fn remove(&mut self) -> Result<(), Fault> {
        let (steps, locked) = (self.steps(), has_locked(&self.server.schema));
        self.end(&format!("application_name = {steps}"))?;
        // Whoever still works in the schema under such a name is a trial that was given up, or
        // killed.
        self.end(&format!("application_name LIKE 'regatta steps %' AND {locked}"))?;
        match self.drop_schema() {
            Err(fault) if fault.kind == FaultKind::LockTimeout => match self.holders()? {
                Some(who) => Err(fault.at(format!(
                    "{who} holds it, and is not this trial's, so that it is not ended"
                ))),
                None => self.drop_schema(),
            },
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
        assert_eq!(
            (rows.len(), rows[19_999].split('\t').nth(2)),
            (20_000, Some(item.name.as_str()))
        );
        assert!(rows.iter().all(|row| row.split('\t').count() == 4 && !row.contains('\\')));
        assert_eq!(lines(0, 7).count(), 0);
    }
}
