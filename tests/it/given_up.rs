//! Statements whose calls have timed out: the server ends them, and a call's place is taken again
//! only then, so that the server never has more of them than the scenario allows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use regatta::{
    client::{Address, mysql::Mysql, postgres::Postgres},
    runtime::{Blocking, EXECUTORS, block_on},
};

use crate::{
    bench_dir::{BenchDir, Live, assert_complete},
    own_mariadb::{self, OwnMariadb},
    own_postgres::OwnPostgres,
    postgres::{measured, scenario},
};

/// Calls of each trial, every one of which times out.
const CALLS: u64 = 24;
/// A pool; and the connections that its tasks share, or the clients where each has its own.
const PLACES: [(&str, &str, i64); 3] =
    [("pool = { max = 4 }", "pool", 4), ("", "keep", 3), ("", "per-call", 3)];

/// Runs calls that time out under every executor, and looks meanwhile how many of them `count` sees
/// on the server: the most.
fn most_at_once(
    url: &str,
    query: &str,
    place: (&str, &str, i64),
    mut count: impl FnMut() -> i64 + Send + 'static,
) -> i64 {
    let (target, connection, limit) = place;
    let step = format!(
        "{{ sql = {{ target = \"db\", query = \"{query}\", args = [\"${{i}}\"], connection = \"{connection}\" }}, name = \"slow\", \
         timeout = \"50ms\", on_timeout = \"ignore\" }}"
    );
    let clients = if target.is_empty() { limit } else { 2 * limit };
    let load = format!("closed = {{ concurrency = {clients}, tasks = {CALLS} }}");
    let bench = BenchDir::with(&scenario(target, "", &step, &load));
    let mut command = bench.command("run --out out s.toml");
    command.env("DATABASE_URL", url);
    let ended = Arc::new(AtomicBool::new(false));
    let has_ended = ended.clone();
    let looking = thread::spawn(move || {
        let mut most = 0;
        while !has_ended.load(SeqCst) {
            most = most.max(count());
        }
        most.max(100 * count())
    });
    let seen = Live::new(command).end();
    ended.store(true, SeqCst);
    let most = looking.join().unwrap();
    seen.exits(0);
    let stored = bench.stored("out");
    assert_complete(&stored);
    let all = measured(&stored);
    assert_eq!(all.len(), EXECUTORS.len());
    for (cell, measured) in all {
        let counts = &measured.trial.targets[0].counts;
        assert_eq!(measured.steps[0].stream.timeouts, CALLS, "{cell}");
        assert_eq!(counts["connections opened"], counts["connections closed"], "{cell}");
        // On a busy machine some time out before they have sent anything.
        assert!((1..=CALLS).contains(&counts["statements cancelled"]), "{cell}: {counts:?}");
    }
    most
}

#[test]
fn postgresql_has_no_more_statements_than_places_and_none_in_the_end() {
    let Some(server) = OwnPostgres::start(&["max_connections=60"]) else { return };
    let query = "SELECT pg_sleep(100) WHERE ?::int > -1";
    for place in PLACES {
        let address = Address::parse(&server.url("")).unwrap();
        let mut looker = block_on(Postgres::<Blocking>::open(&address, "looker", &[])).unwrap();
        let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'";
        let count = move || block_on(looker.text(running)).unwrap().unwrap().parse().unwrap();
        let most = most_at_once(&server.url(""), query, place, count);
        assert!((1..=place.2).contains(&most), "{place:?}: {most}");
    }
}

#[test]
fn mariadb_has_no_more_statements_than_places_and_none_in_the_end() {
    if !own_mariadb::is_installed() {
        return;
    }
    let mut server = OwnMariadb::new();
    server.start(&[]);
    for place in PLACES {
        let mut looker: Mysql<Blocking> = server.open("").unwrap();
        let running = "SELECT count(*) FROM information_schema.processlist WHERE db = 'regatta_bench' AND state = 'User sleep'";
        let count = move || {
            let mut found = None;
            block_on(looker.query(running, |_, cell| found = cell.number())).unwrap();
            found.unwrap()
        };
        let most = most_at_once(&server.url(""), "SELECT SLEEP(100) + ?", place, count);
        assert!((1..=place.2).contains(&most), "{place:?}: {most}");
    }
}
