//! The sql target: what it seeds, and what its own proof finds.

use std::path::Path;

use super::{database::COUNTS, *};
use crate::{
    measure::{ProofLine, TargetReport},
    step::testing::{read_target, start_target},
};

fn database(text: &str, scratch: &Path) -> (Box<dyn Started>, rusqlite::Connection) {
    let started = start_target(text, scratch).unwrap();
    let endpoint: std::sync::Arc<Database> = started.endpoint().downcast().unwrap();
    let Engine::Sqlite { path } = &endpoint.engine else { panic!("not embedded") };
    let connection = open_sqlite(path).unwrap();
    (started, connection)
}

fn report(text: &str) -> TargetReport {
    let scratch = tempfile::tempdir().unwrap();
    let (mut started, _) = database(text, scratch.path());
    started.report().unwrap()
}

/// The lines of the proof that do not hold, in short.
fn wrong(started: &mut dyn Started) -> Vec<String> {
    let proof = started.report().unwrap().proof;
    let wrong = proof.iter().filter(|line| line.expected != line.found);
    let what =
        |line: &ProofLine| line.what.split(" in target").next().unwrap_or_default().to_owned();
    wrong.map(|line| format!("{}: {}, found {}", what(line), line.expected, line.found)).collect()
}

/// Says that a statement that writes has run, and changed no number of rows.
fn write(started: &dyn Started) {
    let endpoint: std::sync::Arc<Database> = started.endpoint().downcast().unwrap();
    let account = endpoint.account();
    account.begin(true);
    account.end();
}

fn number(connection: &rusqlite::Connection, query: &str) -> i64 {
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

#[test]
fn the_contents_are_as_described() {
    let scratch = tempfile::tempdir().unwrap();
    let (started, connection) = database("{ sql = { rows = 1000 } }", scratch.path());
    assert_eq!(number(&connection, "SELECT count(*) FROM items WHERE id BETWEEN 1 AND 1000"), 1000);
    assert_eq!(number(&connection, "SELECT count(*) FROM items"), 1000);
    assert_eq!(number(&connection, "SELECT count(*) FROM log"), 0);
    assert_eq!(
        number(&connection, "SELECT count(DISTINCT category) FROM items"),
        CATEGORIES.cast_signed()
    );
    assert_eq!(number(&connection, "SELECT min(price) >= 1 AND max(price) <= 10000 FROM items"), 1);
    assert_eq!(number(&connection, "SELECT count(DISTINCT name) FROM items"), 1000);
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!((mode.as_str(), number(&connection, "PRAGMA synchronous")), ("wal", 1));
    assert_eq!(started.watched(), None);
}

#[test]
fn the_contents_depend_on_the_seed_and_nothing_else() {
    let contents = |seed| {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        embedded::fill(&mut connection, 50, seed).unwrap();
        let query =
            "SELECT group_concat(id || ' ' || category || ' ' || name || ' ' || price) FROM items";
        connection.query_row(query, [], |row| row.get::<_, String>(0)).unwrap()
    };
    assert_eq!(contents(1), contents(1));
    assert_ne!(contents(1), contents(2));
}

#[test]
fn an_untouched_database_proves_its_rows() {
    let report = report("{ sql = { rows = 7 } }");
    let sum = seed::sum_of_prices(7, 11).to_string();
    for (line, (what, expected)) in
        report.proof.iter().zip(COUNTS.iter().zip(["7", "0", &sum, "0"]))
    {
        assert!(
            line.what.starts_with(what.0) && line.what.ends_with("to which nothing was written"),
            "{line:?}"
        );
        assert_eq!((line.expected.as_str(), line.found.as_str()), (expected, expected), "{line:?}");
    }
    assert_eq!(report.proof.len(), COUNTS.len());
    assert_eq!(
        (report.served, report.counts["rows items"], report.counts["rows log"]),
        (None, 7, 0)
    );
}

#[test]
fn rows_that_nobody_counted_are_seen() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut started, connection) = database("{ sql = { rows = 7 } }", scratch.path());
    connection.execute("INSERT INTO log(task, value) VALUES (1, 2)", []).unwrap();
    assert_eq!(wrong(started.as_mut()), ["rows log: 0, found 1", "sum log.value: 0, found 2"]);
    // Of those who write, too.
    write(started.as_ref());
    assert_eq!(wrong(started.as_mut()), ["rows: 7, found 8"]);
}

#[test]
fn a_price_that_nobody_of_the_trial_has_changed_is_seen() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut started, connection) = database("{ sql = { rows = 7 } }", scratch.path());
    connection.execute("UPDATE items SET price = price + 1 WHERE id = 3", []).unwrap();
    let sum = seed::sum_of_prices(7, 11);
    assert_eq!(wrong(started.as_mut()), [format!("sum items.price: {sum}, found {}", sum + 1)]);
    connection.execute("UPDATE items SET price = -price", []).unwrap();
    assert_eq!(
        wrong(started.as_mut()),
        [format!("sum items.price: {sum}, found none, or less than zero")]
    );
    // A trial that writes prices is asked for no sum of them.
    write(started.as_ref());
    assert_eq!(wrong(started.as_mut()), Vec::<String>::new());
}

#[test]
fn accounts_add_up_and_one_without_a_count_spoils_the_sum() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut started, _) = database("{ sql = { rows = 7 } }", scratch.path());
    let endpoint: std::sync::Arc<Database> = started.endpoint().downcast().unwrap();
    write(started.as_ref());
    endpoint.account().commit(5, 2);
    endpoint.account().commit(1, 0);
    assert_eq!(started.report().unwrap().proof[0].expected, "11");
    endpoint.account().lose_track();
    assert_eq!(started.report().unwrap().proof, []);
}

#[test]
fn the_report_waits_for_who_still_writes() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut started, connection) = database("{ sql = { rows = 7 } }", scratch.path());
    let endpoint: std::sync::Arc<Database> = started.endpoint().downcast().unwrap();
    let account = endpoint.account();
    account.begin(true);
    let late = std::thread::spawn(move || {
        crate::clock::sleep_until(crate::clock::now_ns() + 20_000_000);
        connection.execute("INSERT INTO log(task, value) VALUES (1, 2)", []).unwrap();
        account.commit(1, 0);
        account.end();
    });
    let proof = started.report().unwrap().proof;
    assert_eq!((proof[0].expected.as_str(), proof[0].found.as_str()), ("8", "8"));
    late.join().unwrap();
}

#[test]
fn what_cannot_be_summed_is_left_out() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut started, connection) = database("{ sql = { rows = 7 } }", scratch.path());
    connection.execute("UPDATE items SET price = -1", []).unwrap();
    let counts = started.report().unwrap().counts;
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["rows items", "rows log", "sum log.value"]);
    connection.execute("DROP TABLE log", []).unwrap();
    assert!(started.report().unwrap_err().to_string().contains("no such table: log"));
}

#[test]
fn senseless_parameters_are_refused() {
    assert!(read_target("{ sql = {} }").is_ok());
    assert!(
        read_target("{ sql = { url = 'postgres://me@localhost/db', pool = { max = 65535 } } }")
            .is_ok()
    );
    assert!(read_target("{ sql = { url = '${env:DATABASE_URL}', schema = 'mine' } }").is_ok());
    // A word of SQL; names are quoted.
    assert!(read_target("{ sql = { url = '${env:DATABASE_URL}', schema = 'table' } }").is_ok());
    for (wrong, message) in [
        ("url = 'postgres://me:pw@localhost/db'", "would end up in every run file"),
        ("url = 'localhost'", "begins with one of"),
        ("url = 'oracle://h/db'", "begins with one of"),
        ("url = 'mongodb://h/db'", "begins with `postgres://` or `mysql://`"),
        ("url = 'postgres:///db'", "names no host"),
        ("url = 'postgres://h/db?frob=1'", "unknown option `frob`"),
        ("url = 'mysql://h/db?options=1'", "unknown option `options`"),
        ("url = 'mysql://h/db?ssl-mode=PERHAPS'", "not whether to encrypt"),
        ("url = 'postgres://h/db?connect_timeout=soon'", "number of seconds"),
        ("url = 'postgres://h/db?sslmode=verify-full'", "needs the certificates"),
        ("url = '${env:U}', schema = 'a;b'", "no name of a schema"),
        ("url = '${env:U}', schema = 'pg_mine'", "`pg_mine` is a schema of the server's own"),
        ("url = '${env:U}', schema = 'pg_catalog'", "`pg_catalog` is a schema of the server's own"),
        ("url = '${env:U}', schema = 'public'", "`public` is a schema of the server's own"),
        ("url = '${env:U}', schema = 'mysql'", "`mysql` is a schema of the server's own"),
        ("url = '${env:U}', schema = 'sys'", "`sys` is a schema of the server's own"),
        ("url = '${env:U}', schema = 'information_schema'", "is a schema of the server's own"),
        ("url = '${env:U}', schema = 'performance_schema'", "is a schema of the server's own"),
        ("url = '${env:U}', pool = { max = 0 }", "at least 1"),
        ("url = '${env:U}', pool = { max = 65536 }", "at most 65535 connections"),
        ("url = '${env:U}', delay = '1ms'", "`delay` simulates"),
        ("schema = 'mine'", "there is no `url`"),
        ("pool = { max = 4 }", "there is no `url`"),
    ] {
        let found = read_target(&format!("{{ sql = {{ {wrong} }} }}")).unwrap_err();
        assert!(found.iter().any(|found| found.contains(message)), "{wrong}: {found:?}");
    }
    assert!(
        read_target("{ sql = { rows = 10000001 } }").unwrap_err()[0].contains("at most 10000000")
    );
    assert!(read_target("{ sql = { rows = -1 } }").is_err());
    let mut fields = Fields::describing();
    assert!(<SqlTarget as TargetKind>::read(&mut fields).is_some());
    let schema = fields.into_schema(SqlTarget::DOC);
    assert_eq!(
        schema["properties"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["delay", "pool", "rows", "schema", "url"]
    );
}
