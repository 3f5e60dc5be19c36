//! The idiomatic lane: the blocking clients that users have, under every executor, against real servers.

use std::collections::BTreeSet;

use regatta::{runtime::EXECUTORS, store::Run};

use super::{
    bench_dir::{BenchDir, Live, assert_complete, only_failure, wait_for},
    own_postgres::{self, OwnPostgres, PASSWORD},
    postgres::{measured, run, scenario},
};

/// The MariaDB that tests share; none, said so, where there is none.
fn mariadb() -> Option<String> {
    const NAME: &str = "REGATTA_TEST_MYSQL_URL";
    let url = std::env::var(NAME).ok();
    if url.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI must have a MariaDB at {NAME}");
        eprintln!("skipped: no MariaDB at ${NAME}");
    }
    url
}

/// The servers that there are.
fn servers() -> Vec<String> {
    [own_postgres::shared(), mariadb()].into_iter().flatten().collect()
}

/// Runs a scenario that must go well.
fn stored(url: &str, text: &str) -> Run {
    let bench = BenchDir::new();
    run(&bench, url, text).exits(0);
    let stored = bench.stored("out");
    assert_complete(&stored);
    stored
}

#[test]
fn every_policy_does_the_same_work_on_every_executor() {
    let query = "query = \"SELECT name, price FROM items WHERE id = ?\", args = [\"${uniform(1,100)}\"]";
    let insert = "query = \"INSERT INTO log(task, value) VALUES (?, ?)\", args = [\"${i}\", 2]";
    let step = |what: &str, more: &str, name: &str| {
        format!(
            "{{ sql = {{ target = \"db\", driver = \"customary\", {what}{more} }}, expect = {{ rows = 1 }}, name = \"{name}\" }}"
        )
    };
    let steps = [
        step(query, "", "pooled"),
        step(query, ", connection = \"keep\"", "kept"),
        step(query, ", connection = \"keep\", protocol = \"simple\"", "simple"),
        step(insert, ", connection = \"per-call\"", "fresh"),
        step(query, ", connection = \"per-task\"", "first"),
        step(query, ", connection = \"per-task\"", "last"),
    ];
    let target = "schema = \"regatta_it_idiomatic\", pool = { max = 2 }";
    let text = scenario(target, "", &steps.join(", "), "closed = { concurrency = 6, tasks = 30 }");
    for url in servers() {
        let stored = stored(&url, &text);
        let all = measured(&stored);
        assert_eq!(all.len(), EXECUTORS.len());
        for (cell, measured) in all {
            let counts = &measured.targets[0].counts;
            assert_eq!((counts["rows log"], counts["sum log.value"], counts["rows items"]), (30, 60, 100), "{cell}");
            assert_eq!(counts["connections opened"], counts["connections closed"], "{cell}");
            let slots: u64 = measured.facts["slots"].parse().unwrap();
            // Those of preparation, one in each call, one in each task, and at most two in the pool.
            let fixed = slots * 3 + 30 * 2;
            assert!((fixed + 1..=fixed + 2).contains(&counts["connections opened"]), "{cell}: {counts:?}");
            let pool = measured.steps.iter().find(|step| step.name == "db.pool-wait").unwrap();
            assert_eq!(pool.stream.count, 30, "{cell}");
            let open = measured.proof.iter().find(|line| line.what.contains("that are open")).unwrap();
            assert_eq!((open.expected.as_str(), open.found.as_str()), ("0", "0"), "{cell}");
            assert!(measured.facts["db: driver"].starts_with("the customary one"), "{:?}", measured.facts);
        }
    }
}

/// Transactions, texts and rows come to the same, whoever sends and reads them.
#[test]
fn both_lanes_do_the_same_work() {
    let steps = "{ sql = { target = \"db\", driver = \"${driver}\", transaction = [\
        { query = \"UPDATE items SET price = price - 1 WHERE id = ?\", args = [\"${uniform(1,50)}\"] }, \
        { query = \"UPDATE items SET price = price WHERE id = ?\", args = [\"${uniform(51,100)}\"] }, \
        { query = \"INSERT INTO log(task, value) VALUES (?, 1)\", args = [\"${i}\"] }, \
        { query = \"SELECT name FROM items WHERE id < 0\" }] }, expect = { rows = [1, 1, 1, 0] }, name = \"transfer\" }, \
        { sql = { target = \"db\", driver = \"${driver}\", query = \"SELECT name FROM items WHERE 'it''s ' = ? OR name = ? OR price + ? < 0\", \
        args = [\"it's \", \"\\\\${i}\", 0.5], protocol = \"simple\" }, expect = { rows = 100 }, name = \"text\" }, \
        { sql = { target = \"db\", driver = \"${driver}\", query = \"SELECT * FROM items WHERE id <= ? ORDER BY id\", \
        args = [70] }, expect = { rows = 70 }, name = \"all\" }";
    let executors = "[sweep]\ndriver = [\"same\", \"customary\"]";
    let text = scenario("schema = \"regatta_it_lanes\"", executors, steps, "closed = { concurrency = 4, tasks = 40 }");
    for url in servers() {
        let stored = stored(&url, &text);
        let all = measured(&stored);
        assert_eq!(all.len(), 2 * EXECUTORS.len());
        let sums = |of: &dyn Fn(&regatta::measure::Measurements) -> u64| {
            all.iter().map(|(_, measured)| of(measured)).collect::<BTreeSet<_>>()
        };
        assert_eq!(sums(&|measured| measured.targets[0].counts["rows log"]), BTreeSet::from([40]));
        assert_eq!(sums(&|measured| measured.targets[0].counts["sum items.price"]).len(), 1);
    }
}
