//! MySQL and MariaDB as a target: a database with a table as its mark, filled by INSERTs of many
//! rows.

use std::sync::Arc;

use super::{
    Server, SessionId,
    admin::{Admin, Owner},
    seed,
};
use crate::{
    client::{
        Fault, FaultKind,
        mysql::{self, ColumnValue, Mysql},
    },
    runtime::{Blocking, block_on},
};

/// The table by which a database of Regatta's is known, and its comment.
const MARK: &str = "regatta_mark";
const COMMENT: &str = "made by Regatta, dropped after each trial";

/// The target's own connection.
pub(super) struct MysqlKeeper {
    connection: Mysql<Blocking>,
    server: Arc<Server>,
    schema: String,
}

impl MysqlKeeper {
    /// Connects. Locks are not waited for long: a session that holds one for ever must not hang the
    /// trial.
    pub fn open(server: &Arc<Server>) -> Result<Self, Fault> {
        let connection = block_on(mysql::open::<Blocking>(&server.address, None))?;
        let mut keeper = Self { connection, server: server.clone(), schema: server.schema.clone() };
        // Tables are dropped in any order.
        keeper.run(
            "SET SESSION lock_wait_timeout = 10, SESSION innodb_lock_wait_timeout = 10, SESSION foreign_key_checks = 0",
        )?;
        // A limit that the server has for everybody is for the steps.
        keeper.run(&format!("SET SESSION {} = 0", statement_limit(keeper.connection.version())))?;
        Ok(keeper)
    }

    fn run(&mut self, text: &str) -> Result<(), Fault> {
        Ok(block_on(self.connection.run(text)).map(drop)?)
    }

    /// The numbers in the first column; a value that is none is left out.
    fn numbers(&mut self, query: &str) -> Result<Vec<i64>, Fault> {
        let mut numbers = Vec::new();
        block_on(self.connection.query(query, |column, cell| {
            if column == 0 {
                numbers.extend(cell.number());
            }
        }))?;
        Ok(numbers)
    }

    fn count(&mut self, query: &str) -> Result<u64, Fault> {
        Ok(self.numbers(query)?.first().copied().unwrap_or(0).cast_unsigned())
    }

    /// Texts in the first column.
    fn texts(&mut self, query: &str) -> Result<Vec<String>, Fault> {
        let mut texts = Vec::new();
        block_on(self.connection.query(query, |column, cell| {
            if let (0, ColumnValue::Bytes(text)) = (column, cell) {
                texts.push(String::from_utf8_lossy(text).into_owned());
            }
        }))?;
        Ok(texts)
    }

    /// Sessions that use the database and are not this one, as far as `which` is true of them.
    fn users(&mut self, which: &str) -> Result<Vec<u64>, Fault> {
        let schema = &self.schema;
        let found = self.numbers(&format!(
            "SELECT id FROM information_schema.processlist WHERE db = '{schema}' AND id <> connection_id() AND {which}"
        ))?;
        Ok(found.into_iter().map(i64::cast_unsigned).collect())
    }

    /// Sessions of this trial's steps. Others may use the database, too: a person who looks into
    /// it.
    fn own_users(&mut self) -> Result<Vec<u64>, Fault> {
        let mut users = self.users("true")?;
        if !users.is_empty() {
            let noted = self.server.noted_sessions();
            users.retain(|id| noted.contains(id));
        }
        Ok(users)
    }

    /// Who keeps the database from being dropped, as far as this user is shown it. A session that
    /// is not this trial's is not ours to end: a trial that was killed gave its sessions no name,
    /// and this one may be a person's.
    fn held(&mut self, fault: Fault) -> Fault {
        let query = format!(
            "SELECT concat('session ', id, ' of ', user, '@', host) FROM information_schema.processlist
             WHERE db = '{}' AND id <> connection_id()",
            self.schema
        );
        match self.texts(&query) {
            Ok(users) if !users.is_empty() => {
                let ids =
                    "is not this trial's, so that it is not ended; it can be: KILL and its number";
                fault.at(format!(
                    "somebody has locked what is in it, and {} {ids}",
                    users.join(", ")
                ))
            }
            _ => fault.at("a session that this user is not shown has locked what is in it"),
        }
    }

    fn kill(&mut self, sessions: &[u64]) {
        for session in sessions {
            // It may have gone by itself.
            let _ = self.run(&format!("KILL CONNECTION {session}"));
        }
    }

    /// Whether there is nothing at all in the database, and nobody uses it. What the user may not
    /// see could be there.
    fn is_empty(&mut self) -> Result<bool, Fault> {
        let schema = self.schema.clone();
        let sees_all = format!(
            "SELECT count(DISTINCT privilege_type) FROM (
                SELECT grantee, privilege_type FROM information_schema.user_privileges
                UNION ALL SELECT grantee, privilege_type FROM information_schema.schema_privileges
                WHERE '{schema}' LIKE table_schema) AS held
             WHERE grantee = concat('''', replace(current_user(), '@', '''@'''), '''')
             AND privilege_type IN ('EXECUTE', 'EVENT')"
        );
        let things = format!(
            "SELECT (SELECT count(*) FROM information_schema.tables WHERE table_schema = '{schema}')
                + (SELECT count(*) FROM information_schema.routines WHERE routine_schema = '{schema}')
                + (SELECT count(*) FROM information_schema.events WHERE event_schema = '{schema}')"
        );
        Ok(self.count(&sees_all)? == 2
            && self.count(&things)? == 0
            && self.users("true")?.is_empty())
    }

    /// Drops the database. Its mark goes last: a server that dies in the middle of DROP DATABASE
    /// leaves some tables, and which ones is not ours to choose.
    fn drop_database(&mut self) -> Result<(), Fault> {
        let schema = self.schema.clone();
        for (what, condition) in [("VIEW", "= 'VIEW'"), ("TABLE", "<> 'VIEW'")] {
            let names = self.texts(&format!(
                "SELECT table_name FROM information_schema.tables
                 WHERE table_schema = '{schema}' AND table_type {condition} AND table_name <> '{MARK}'"
            ))?;
            for name in names {
                let name = name.replace('`', "``");
                self.run(&format!("DROP {what} IF EXISTS `{schema}`.`{name}`"))?;
            }
        }
        self.run(&format!("DROP DATABASE IF EXISTS `{schema}`"))
    }
}

/// What a server's greeting says that it is, such as `MariaDB 10.11.6`. MariaDB puts a `5.5.5-` in
/// front, for replicas of MySQL that know no version of two digits.
fn product(version: &str) -> String {
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    match version.split_once("-MariaDB") {
        Some((number, _)) => format!("MariaDB {number}"),
        None => format!("MySQL {version}"),
    }
}

/// The variable that limits the time of a statement.
fn statement_limit(version: &str) -> &'static str {
    if version.contains("MariaDB") { "max_statement_time" } else { "max_execution_time" }
}

impl Admin for MysqlKeeper {
    fn lock(&mut self) -> Result<bool, Fault> {
        // Names of locks have 64 characters at most.
        let query = format!("SELECT GET_LOCK(concat('regatta.', sha1('{}')), 0)", self.schema);
        Ok(self.number(&query)? == Some(1))
    }

    fn owner(&mut self) -> Result<Owner, Fault> {
        let schema = self.schema.clone();
        let query = format!(
            "SELECT count(*) FROM information_schema.schemata WHERE schema_name = '{schema}'"
        );
        if self.count(&query)? == 0 {
            return Ok(Owner::Nobody);
        }
        let query = format!(
            "SELECT count(*) FROM information_schema.tables
             WHERE table_schema = '{schema}' AND table_name = '{MARK}' AND table_comment = '{COMMENT}'"
        );
        // A server that dies between the first two statements of `create` leaves an empty database.
        // The one in the url was there before, and whoever connects to it needs it.
        let is_the_user_s = self.server.address.database.as_ref() == Some(&schema);
        let is_ours = self.count(&query)? == 1 || !is_the_user_s && self.is_empty()?;
        Ok(if is_ours { Owner::Regatta } else { Owner::Somebody })
    }

    fn create(&mut self) -> Result<(), Fault> {
        let schema = &self.schema;
        let text = format!(
            "CREATE DATABASE `{schema}` CHARACTER SET utf8mb4;
             CREATE TABLE `{schema}`.{MARK}(id BIGINT PRIMARY KEY) COMMENT = '{COMMENT}';
             CREATE TABLE `{schema}`.items(id BIGINT PRIMARY KEY, category BIGINT, name TEXT, price BIGINT) ENGINE = InnoDB;
             CREATE TABLE `{schema}`.log(id BIGINT AUTO_INCREMENT PRIMARY KEY, task BIGINT, value BIGINT) ENGINE = InnoDB"
        );
        self.run(&text)
    }

    fn fill(&mut self, rows: u64, seed: u64) -> Result<(), Fault> {
        let table = format!("`{}`.items", self.schema);
        self.run("BEGIN")?;
        for insert in seed::inserts(&table, rows, seed) {
            self.run(&insert)?;
        }
        // Plans must not depend on when the server's own worker comes by.
        self.run(&format!("COMMIT; ANALYZE TABLE {table}"))
    }

    fn number(&mut self, query: &str) -> Result<Option<i64>, Fault> {
        Ok(self.numbers(query)?.first().copied())
    }

    fn sessions(&mut self) -> Result<u64, Fault> {
        Ok(self.own_users()?.len() as u64)
    }

    fn cancel(&mut self, session: &SessionId) -> Result<(), Fault> {
        // A proxy may have numbers of its own, and this one be somebody else's.
        let SessionId::Number(id) = session else { return Ok(()) };
        if !self.is_there(session)? {
            return Ok(());
        }
        match self.run(&format!("KILL QUERY {id}")) {
            // It has gone meanwhile.
            Err(fault) if !fault.ends_connection() => Ok(()),
            asked => asked,
        }
    }

    fn is_there(&mut self, session: &SessionId) -> Result<bool, Fault> {
        let SessionId::Number(id) = session else { return Ok(false) };
        Ok(!self.users(&format!("id = {id}"))?.is_empty())
    }

    fn version(&mut self) -> Option<String> {
        Some(product(self.connection.version()))
    }

    fn remove(&mut self) -> Result<(), Fault> {
        let own = self.own_users()?;
        self.kill(&own);
        match self.drop_database() {
            Err(fault) if fault.kind == FaultKind::LockTimeout => Err(self.held(fault)),
            dropped => dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_apart() {
        assert_eq!(product("5.5.5-10.11.6-MariaDB-0+deb12u1"), "MariaDB 10.11.6");
        assert_eq!(product("11.4.2-MariaDB"), "MariaDB 11.4.2");
        assert_eq!(product("8.0.36"), "MySQL 8.0.36");
        assert_eq!(statement_limit("5.5.5-10.11.6-MariaDB-0+deb12u1"), "max_statement_time");
        assert_eq!(statement_limit("8.0.36"), "max_execution_time");
    }
}
