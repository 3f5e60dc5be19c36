//! Sessions of other people that keep a schema from being dropped: they are left alone, and it is
//! said what was left behind.

use regatta::{
    client::{Address, mysql::Mysql, postgres::Postgres},
    runtime::{Blocking, block_on},
};

use crate::{
    bench_dir::{BenchDir, Live, wait_for},
    own_mariadb::{self, OwnMariadb},
    own_postgres::{OwnPostgres, PASSWORD},
    postgres::{run, scenario},
};

const THREADS: &str = "[executors]\nuse = [\"threads\"]";
const BATCH: &str = "batch = { tasks = 1, repeat = 1 }";
const SETTINGS: &[&str] = &["max_prepared_transactions=1"];
const SCHEMAS: &str = "SELECT count(*) FROM pg_namespace WHERE nspname = 'regatta_bench'";

/// A run whose only task waits at the gate; what it says is not asked for.
fn gated(server: &OwnPostgres) -> (BenchDir, Live) {
    let step = "{ sql = { target = \"db\", query = \"SELECT 1 FROM pg_advisory_xact_lock_shared(7)\" }, expect = { rows = 1 } }";
    let bench = BenchDir::with(&scenario("", THREADS, step, BATCH));
    let mut command = bench.command("run --quiet --out out s.toml");
    command.env("DATABASE_URL", server.url(""));
    server.close_gate();
    let live = Live::new(command);
    server.wait_at_gate(1);
    (bench, live)
}

/// A person's session in which a transaction has done something, and does not end.
fn person(server: &OwnPostgres, user: &str, what: &str) -> Postgres<Blocking> {
    let address = Address::parse(&server.url("").replace("//me:", &format!("//{user}:"))).unwrap();
    let mut person = block_on(Postgres::<Blocking>::open(&address, "person", &[])).unwrap();
    let text = format!("BEGIN; {what}");
    block_on(person.with(|client| client.batch_execute(&text))).unwrap();
    person
}

#[test]
fn who_keeps_the_schema_from_being_dropped_is_told_of_and_left_alone() {
    let Some(server) = OwnPostgres::start(SETTINGS) else { return };
    let (_bench, live) = gated(&server);
    // One has read a table, the other is about to make one.
    let mut reader = person(&server, "me", "SELECT count(*) FROM regatta_bench.items");
    let mut maker = person(&server, "me", "CREATE TABLE regatta_bench.mine(id INT)");
    // And this one is elsewhere, though it has locked something.
    let mut other = person(&server, "me", "CREATE TABLE public.other(id INT)");
    server.open_gate();
    let seen = live
        .end()
        .exits(0)
        .says(&["`regatta_bench` could not be dropped and is left behind", "is not ended"]);
    assert_eq!(seen.err.matches(" of me (person)").count(), 2, "{seen:?}");
    for person in [&mut reader, &mut maker, &mut other] {
        block_on(person.run("COMMIT")).unwrap();
    }
    assert_eq!(server.sql("mine", SCHEMAS), "1");
    let step = "{ sql = { target = \"db\", query = \"SELECT 1\" } }";
    run(&BenchDir::new(), &server.url(""), &scenario("", THREADS, step, BATCH)).exits(0);
    assert_eq!(server.sql("mine", SCHEMAS), "0");
}

#[test]
fn a_schema_that_is_left_behind_is_told_of() {
    let Some(server) = OwnPostgres::start(SETTINGS) else { return };
    server.sql("postgres", &format!("CREATE ROLE chief SUPERUSER LOGIN PASSWORD '{PASSWORD}'"));
    let (_bench, live) = gated(&server);
    let chief = person(&server, "chief", "SELECT count(*) FROM regatta_bench.items");
    server.open_gate();
    // What was measured is measured, and this is said though the run is to be quiet.
    let remedy = "remove it: DROP SCHEMA \"regatta_bench\" CASCADE";
    live.end().exits(0).says(&[
        "`regatta_bench` could not be dropped and is left behind",
        " of chief (person) holds it",
        remedy,
    ]);
    assert_eq!(server.sql("mine", SCHEMAS), "1");
    drop(chief);
    let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'chief'";
    wait_for("the end of the session", || (server.sql("mine", left) == "0").then_some(()));
    let again = BenchDir::new();
    let step = "{ sql = { target = \"db\", query = \"SELECT 1\" } }";
    run(&again, &server.url(""), &scenario("", THREADS, step, BATCH)).exits(0);
    assert_eq!(server.sql("mine", SCHEMAS), "0");
}

/// Runs statements that must be understood.
fn done(client: &mut Mysql<Blocking>, text: &str) {
    block_on(client.run(text)).unwrap();
}

fn number(client: &mut Mysql<Blocking>, query: &str) -> i64 {
    let mut found = None;
    block_on(client.query(query, |_, cell| found = cell.number())).unwrap();
    found.unwrap()
}

#[test]
fn a_database_that_is_left_behind_is_told_of() {
    if !own_mariadb::is_installed() {
        return;
    }
    let mut server = OwnMariadb::new();
    server.start(&[]);
    // This user is not shown the sessions of others.
    let mut boss = server.open("").unwrap();
    let password = own_mariadb::PASSWORD;
    done(&mut boss, &format!("CREATE USER few@'127.0.0.1' IDENTIFIED BY '{password}'"));
    done(&mut boss, "GRANT ALL ON regatta_bench.* TO few@'127.0.0.1'; DO GET_LOCK('gate', 0)");
    let step = "{ sql = { target = \"db\", query = \"SELECT GET_LOCK('gate', 100)\" }, expect = { rows = 1 } }";
    let bench = BenchDir::with(&scenario("", THREADS, step, BATCH));
    let mut command = bench.command("run --out out s.toml");
    command.env("DATABASE_URL", server.url("").replace("me:", "few:"));
    let live = Live::new(command);
    let waiting = "SELECT count(*) FROM information_schema.processlist WHERE db = 'regatta_bench' AND state = 'User lock'";
    wait_for("the step", || (number(&mut boss, waiting) == 1).then_some(()));
    done(&mut boss, "BEGIN; SELECT * FROM regatta_bench.log; DO RELEASE_LOCK('gate')");
    let remedy = "remove it: DROP DATABASE `regatta_bench`";
    live.end()
        .exits(0)
        .says(&["`regatta_bench` could not be dropped and is left behind: lock timeout", remedy]);
    let databases =
        "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'regatta_bench'";
    assert_eq!(number(&mut boss, databases), 1);
    done(&mut boss, "ROLLBACK");
    // What is left behind is dropped by the next run. A database may be called by a word of SQL.
    let step = "{ sql = { target = \"db\", query = \"SELECT 1\" }, expect = { rows = 1 } }";
    for schema in ["regatta_bench", "table"] {
        let text = scenario(&format!("schema = \"{schema}\""), THREADS, step, BATCH);
        run(&BenchDir::new(), &server.url(""), &text).exits(0);
        let left = format!(
            "SELECT count(*) FROM information_schema.schemata WHERE schema_name = '{schema}'"
        );
        assert_eq!(number(&mut boss, &left), 0, "{schema}");
    }
}
