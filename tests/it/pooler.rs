//! PostgreSQL behind a pooler that takes no parameters with the login, or drops them: nothing is
//! written anywhere but in the trial's schema, steps find their tables, and sessions that others
//! use are left alone.

use regatta::{
    client::{Address, postgres::Postgres},
    runtime::{Blocking, EXECUTORS, block_on},
};

use crate::{
    bench_dir::{BenchDir, assert_complete},
    own_pgbouncer::OwnPgbouncer,
    own_postgres::OwnPostgres,
    postgres::{measured, run, scenario},
};

const TRANSACTION: &str = "pool_mode = transaction";
const DROPS: &str = "pool_mode = transaction\nignore_startup_parameters = options";
const SESSION: &str = "pool_mode = session\ndefault_pool_size = 40";
const THREADS: &str = "[executors]\nuse = [\"threads\"]";

/// A step of each kind, sent as `protocol` says.
fn steps(protocol: &str) -> String {
    let each = [
        "query = \"SELECT name FROM items WHERE id = ?\", args = [\"${uniform(1,100)}\"]",
        "query = \"INSERT INTO log(task, value) VALUES (?, 2)\", args = [\"${i}\"]",
        "query = \"SELECT name FROM items WHERE id = 7\", connection = \"per-call\"",
        "query = \"SELECT name FROM items WHERE id = 7\", driver = \"customary\"",
    ];
    let step = |what: &&str| {
        format!(
            "{{ sql = {{ target = \"db\", protocol = \"{protocol}\", {what} }}, expect = {{ rows = 1 }} }}"
        )
    };
    let transaction = "transaction = [{ query = \"UPDATE items SET price = price + 0 WHERE id = ?\", args = [1] }, \
                       { query = \"INSERT INTO log(task, value) VALUES (?, 3)\", args = [\"${i}\"] }]";
    let both = format!(
        "{{ sql = {{ target = \"db\", protocol = \"{protocol}\", {transaction} }}, expect = {{ rows = [1, 1] }} }}"
    );
    format!("{}, {both}", each.iter().map(step).collect::<Vec<_>>().join(", "))
}

/// Runs all kinds of steps under every executor through a pooler, and sees that nothing is left
/// anywhere.
fn runs_through(settings: &str, protocol: &str, between: &str) {
    let Some(server) = OwnPostgres::start(&["max_connections=60"]) else { return };
    server.sql("postgres", "ALTER ROLE me CONNECTION LIMIT 50");
    server.sql("mine", "GRANT ALL ON SCHEMA public TO me");
    let Some(pooler) = OwnPgbouncer::start(&server, settings) else { return };
    // Somebody else uses the pooler, too, and is in the middle of something.
    let address = Address::parse(&pooler.url()).unwrap();
    let mut other = block_on(Postgres::<Blocking>::open(&address, "other", &[])).unwrap();
    block_on(other.run("BEGIN; CREATE TABLE public.theirs(id INT)")).unwrap();
    let load = "closed = { concurrency = 3, tasks = 12 }";
    let bench = BenchDir::new();
    run(&bench, &pooler.url(), &scenario("", "", &steps(protocol), load)).exits(0);
    let stored = bench.stored("out");
    assert_complete(&stored);
    let all = measured(&stored);
    assert_eq!(all.len(), EXECUTORS.len());
    for (cell, measured) in all {
        let counts = &measured.trial.targets[0].counts;
        assert_eq!(
            (counts["rows log"], counts["sum log.value"], counts["rows items"]),
            (24, 60, 100),
            "{cell}"
        );
        assert!(
            measured.trial.facts["db: between"].contains(between),
            "{cell}: {:?}",
            measured.trial.facts
        );
    }
    block_on(other.run("COMMIT")).unwrap();
    let tables =
        "SELECT string_agg(relname, ',') FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(server.sql("mine", tables), "theirs");
    assert_eq!(
        server.sql("mine", "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'regatta%'"),
        "0"
    );
    assert_eq!(
        server.sql("mine", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
        "0"
    );
}

#[test]
fn texts_find_the_schema_behind_a_pooler_that_refuses_parameters() {
    runs_through(TRANSACTION, "simple", "transaction mode");
}

#[test]
fn texts_find_the_schema_behind_a_pooler_that_drops_parameters() {
    runs_through(DROPS, "simple", "transaction mode");
}

#[test]
fn prepared_statements_find_the_schema_behind_a_pooler_in_session_mode() {
    runs_through(SESSION, "prepared", "session mode");
}

#[test]
fn what_a_pooler_does_not_keep_is_refused_before_anything_is_written() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    // This user could write nothing: a trial that tried would say so instead.
    server.sql("postgres", "ALTER DATABASE mine OWNER TO boss");
    let refused = |settings: &str, said: &[&str]| {
        let Some(pooler) = OwnPgbouncer::start(&server, settings) else { return };
        let text = scenario("", THREADS, &steps("prepared"), "batch = { tasks = 2, repeat = 1 }");
        let seen = run(&BenchDir::new(), &pooler.url(), &text);
        assert!(seen.code != 0 && said.iter().all(|said| seen.err.contains(said)), "{seen:#?}");
    };
    let prepared =
        ["gives each transaction another session", "protocol = \"simple\"", "Nothing was written"];
    refused(TRANSACTION, &prepared);
    refused(DROPS, &prepared);
    refused("pool_mode = statement", &["pool_mode = statement", "has no transactions"]);
}

#[test]
fn another_run_that_uses_the_schema_is_seen_through_a_pooler() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    let Some(pooler) = OwnPgbouncer::start(&server, TRANSACTION) else { return };
    let address = Address::parse(&server.url("")).unwrap();
    let mut other = block_on(Postgres::<Blocking>::open(&address, "regatta keeper", &[])).unwrap();
    block_on(other.run("SELECT pg_advisory_lock(hashtext('regatta:regatta_bench'))")).unwrap();
    let step = "{ sql = { target = \"db\", query = \"SELECT 1\", protocol = \"simple\" } }";
    let text = scenario("", THREADS, step, "batch = { tasks = 1, repeat = 1 }");
    let seen = run(&BenchDir::new(), &pooler.url(), &text);
    assert!(
        seen.code != 0 && seen.err.contains("another run uses the schema `regatta_bench`"),
        "{seen:#?}"
    );
    drop(other);
    run(&BenchDir::new(), &pooler.url(), &text).exits(0);
}
