//! The contents of a new database: a pure function of the seed and the number of rows.

use rusqlite::{Connection, Transaction, params};

use crate::draw::draw;

/// Categories of items, numbered from 0, all about equally large.
pub const CATEGORIES: u64 = 100;
/// Prices are from 1 to this.
const MOST_PRICE: u64 = 10_000;

const SCHEMA: &str = "
    CREATE TABLE items(id INTEGER PRIMARY KEY, category INTEGER, name TEXT, price INTEGER);
    CREATE TABLE log(id INTEGER PRIMARY KEY, task INTEGER, value INTEGER);
";

/// Creates the tables and fills them, and leaves an empty write-ahead log.
pub(super) fn fill(connection: &mut Connection, rows: u64, seed: u64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    insert_items(&transaction, rows, seed)?;
    transaction.commit()?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn insert_items(transaction: &Transaction<'_>, rows: u64, seed: u64) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT INTO items(id, category, name, price) VALUES (?, ?, ?, ?)")?;
    for id in 1..=rows {
        let category = draw(seed, id, 0) % CATEGORIES;
        let price = draw(seed, id, 1) % MOST_PRICE + 1;
        let name = format!("item {id} {:016x}", draw(seed, id, 2));
        insert.execute(params![id.cast_signed(), category.cast_signed(), name, price.cast_signed()])?;
    }
    Ok(())
}
