//! MySQL and MariaDB as a target: a database with a table as its mark, filled by INSERTs of many rows.

use super::{
    seed,
    server::{Admin, Owner, Server},
};
use crate::{
    client::{
        Fault,
        mysql::{self, Mysql},
    },
    runtime::{Blocking, block_on},
};

/// The table by which a database of Regatta's is known, and its comment.
const MARK: &str = "regatta_mark";
const COMMENT: &str = "made by Regatta, dropped after each trial";
/// Rows of one INSERT: about 60 KiB, far below what any server takes.
const BATCH: usize = 1000;

/// The target's own connection.
pub(super) struct Keeper {
    connection: Mysql<Blocking>,
    schema: String,
}

impl Keeper {
    /// Connects. Locks are not waited for long: a session that holds one for ever must not hang the trial.
    pub fn open(server: &Server) -> Result<Self, Fault> {
        let connection = block_on(mysql::open::<Blocking>(&server.address, None))?;
        let mut keeper = Self { connection, schema: server.schema.clone() };
        keeper.run("SET SESSION lock_wait_timeout = 10, SESSION innodb_lock_wait_timeout = 10")?;
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

    /// Sessions that use the database, and are not this one.
    fn users(&self, what: &str) -> String {
        let schema = &self.schema;
        format!("SELECT {what} FROM information_schema.processlist WHERE db = '{schema}' AND id <> connection_id()")
    }
}

/// The table as statements, each with many rows. No value needs escaping.
fn inserts(rows: u64, seed: u64) -> impl Iterator<Item = String> {
    let mut items = seed::items(rows, seed).peekable();
    std::iter::from_fn(move || {
        items.peek()?;
        let row = |item: seed::Item| format!("({},{},'{}',{})", item.id, item.category, item.name, item.price);
        let values: Vec<String> = items.by_ref().take(BATCH).map(row).collect();
        Some(format!("INSERT INTO items(id, category, name, price) VALUES {}", values.join(",")))
    })
}

/// What a server's greeting says that it is, such as `MariaDB 10.11.6`. MariaDB puts a `5.5.5-` in front, for replicas
/// of MySQL that know no version of two digits.
fn product(version: &str) -> String {
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    match version.split_once("-MariaDB") {
        Some((number, _)) => format!("MariaDB {number}"),
        None => format!("MySQL {version}"),
    }
}

impl Admin for Keeper {
    fn lock(&mut self) -> Result<bool, Fault> {
        // Names of locks have 64 characters at most.
        let query = format!("SELECT GET_LOCK(concat('regatta.', sha1('{}')), 0)", self.schema);
        Ok(self.number(&query)? == Some(1))
    }

    fn owner(&mut self) -> Result<Owner, Fault> {
        let schema = self.schema.clone();
        let query = format!("SELECT count(*) FROM information_schema.schemata WHERE schema_name = '{schema}'");
        if self.count(&query)? == 0 {
            return Ok(Owner::Nobody);
        }
        let query = format!(
            "SELECT count(*) FROM information_schema.tables
             WHERE table_schema = '{schema}' AND table_name = '{MARK}' AND table_comment = '{COMMENT}'"
        );
        Ok(if self.count(&query)? == 1 { Owner::Regatta } else { Owner::Somebody })
    }

    fn create(&mut self) -> Result<(), Fault> {
        let schema = &self.schema;
        let text = format!(
            "CREATE DATABASE {schema} CHARACTER SET utf8mb4;
             CREATE TABLE {schema}.{MARK}(id BIGINT PRIMARY KEY) COMMENT = '{COMMENT}';
             USE {schema};
             CREATE TABLE items(id BIGINT PRIMARY KEY, category BIGINT, name TEXT, price BIGINT) ENGINE = InnoDB;
             CREATE TABLE log(id BIGINT AUTO_INCREMENT PRIMARY KEY, task BIGINT, value BIGINT) ENGINE = InnoDB"
        );
        self.run(&text)
    }

    fn fill(&mut self, rows: u64, seed: u64) -> Result<(), Fault> {
        self.run("BEGIN")?;
        for insert in inserts(rows, seed) {
            self.run(&insert)?;
        }
        // Plans must not depend on when the server's own worker comes by.
        self.run("COMMIT; ANALYZE TABLE items")
    }

    fn number(&mut self, query: &str) -> Result<Option<i64>, Fault> {
        Ok(self.numbers(query)?.first().copied())
    }

    fn sessions(&mut self) -> Result<u64, Fault> {
        self.count(&self.users("count(*)"))
    }

    fn version(&mut self) -> Option<String> {
        Some(product(self.connection.version()))
    }

    fn remove(&mut self) -> Result<(), Fault> {
        // Whoever still works in the database is a trial that was given up, or killed.
        for session in self.numbers(&self.users("id"))? {
            // It may have gone by itself.
            let _ = self.run(&format!("KILL CONNECTION {session}"));
        }
        self.run(&format!("DROP DATABASE IF EXISTS {}", self.schema))
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
    }

    #[test]
    fn inserts_are_the_items_in_order() {
        let statements: Vec<String> = inserts(2500, 7).collect();
        let rows = |at: usize| statements[at].matches("),(").count() + 1;
        assert_eq!((statements.len(), rows(0), rows(2)), (3, 1000, 500));
        let item = seed::items(2500, 7).last().unwrap();
        let last = format!("({},{},'{}',{})", item.id, item.category, item.name, item.price);
        assert!(statements[2].ends_with(&last), "{last}");
        assert!(statements.iter().all(|text| !text.contains('\\') && text.len() < 1 << 17));
        assert_eq!(inserts(0, 7).count(), 0);
    }
}
