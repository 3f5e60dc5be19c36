//! The idiomatic lane: the blocking clients that users have, under every executor, against real
//! servers.

use std::{collections::BTreeSet, process::Command};

use regatta::{
    client::{Address, Scheme, mysql},
    runtime::{Blocking, EXECUTORS, block_on},
    store::{Lane, Outcome, Run},
};

use super::{
    bench_dir::{BenchDir, Live, assert_complete, only_failure, wait_for},
    own_mariadb::{self, OwnMariadb},
    own_postgres::{self, OwnPostgres, PASSWORD},
    postgres::{measured, run, scenario},
    postgres_faults::deadlocked,
};

/// The MariaDB that tests share; none, said so, where there is none.
fn mariadb() -> Option<String> {
    const NAME: &str = "REGATTA_TEST_MYSQL_URL";
    let url = std::env::var(NAME).ok();
    if url.is_none() {
        crate::skip::skipped(&format!(
            "no MariaDB at {NAME} (scripts/services up, source target/services/env)"
        ));
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
    let query =
        "query = \"SELECT name, price FROM items WHERE id = ?\", args = [\"${uniform(1,100)}\"]";
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
            let counts = &measured.trial.targets[0].counts;
            assert_eq!(
                (counts["rows log"], counts["sum log.value"], counts["rows items"]),
                (30, 60, 100),
                "{cell}"
            );
            assert_eq!(counts["connections opened"], counts["connections closed"], "{cell}");
            let slots: u64 = measured.trial.facts["slots"].parse().unwrap();
            // One in each call, one in each task, both once more in preparation; one of each slot
            // that was used, and at most two in the pool.
            let fixed = 30 * 2 + 2;
            let bounds = fixed + 1 + 1..=fixed + slots + 2;
            assert!(bounds.contains(&counts["connections opened"]), "{cell}: {counts:?}");
            let pool = measured.steps.iter().find(|step| step.name == "db.pool-wait").unwrap();
            assert_eq!(pool.stream.count, 30, "{cell}");
            let open = measured
                .trial
                .proof
                .iter()
                .find(|line| line.what.contains("that are open"))
                .unwrap();
            assert_eq!((open.expected.as_str(), open.found.as_str()), ("0", "0"), "{cell}");
            assert!(
                measured.trial.facts["db: driver"].starts_with("the customary one"),
                "{:?}",
                measured.trial.facts
            );
        }
    }
}

/// Each driver has its own of everything: slots' connections, tasks' connections, pool.
#[test]
fn steps_with_different_drivers_share_no_connection() {
    let step = |driver: &str, connection: &str| {
        format!(
            "{{ sql = {{ target = \"db\", driver = \"{driver}\", connection = \"{connection}\", query = \"SELECT 1\" }}, expect = {{ rows = 1 }} }}"
        )
    };
    let each = ["pool", "keep", "per-task", "per-task"];
    let steps: Vec<String> = each
        .iter()
        .flat_map(|connection| ["same", "customary"].map(|driver| step(driver, connection)))
        .collect();
    let target = "schema = \"regatta_it_mixed\", pool = { max = 1 }";
    let text = scenario(target, "", &steps.join(", "), "closed = { concurrency = 4, tasks = 30 }");
    for url in servers() {
        for (cell, measured) in measured(&stored(&url, &text)) {
            let counts = &measured.trial.targets[0].counts;
            let slots: u64 = measured.trial.facts["slots"].parse().unwrap();
            // Two in each task and once more in preparation, one in each pool, and two in each slot
            // that was used.
            let fixed = 2 * (30 + 1) + 2;
            let bounds = fixed + 2..=fixed + slots * 2;
            assert!(bounds.contains(&counts["connections opened"]), "{cell}: {counts:?}");
            assert_eq!(counts["connections closed"], counts["connections opened"], "{cell}");
            assert!(
                measured.trial.facts["db: driver"].contains("; "),
                "{:?}",
                measured.trial.facts
            );
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
    let text = scenario(
        "schema = \"regatta_it_lanes\"",
        executors,
        steps,
        "closed = { concurrency = 4, tasks = 40 }",
    );
    for url in servers() {
        let stored = stored(&url, &text);
        let all = measured(&stored);
        assert_eq!(all.len(), 2 * EXECUTORS.len());
        let sums = |of: &dyn Fn(&regatta::measure::Measurements) -> u64| {
            all.iter().map(|(_, measured)| of(measured)).collect::<BTreeSet<_>>()
        };
        assert_eq!(
            sums(&|measured| measured.trial.targets[0].counts["rows log"]),
            BTreeSet::from([40])
        );
        assert_eq!(sums(&|measured| measured.trial.targets[0].counts["sum items.price"]).len(), 1);
    }
}

/// Statement by statement the only thread would wait for a lock whose holder waits for the thread.
#[test]
fn one_thread_for_blocking_work_serves_transactions_that_wait_for_each_other() {
    let step = "{ sql = { target = \"db\", driver = \"customary\", transaction = [\
        { query = \"UPDATE items SET price = price + 1 WHERE id = 1\" }, \
        { query = \"SELECT price FROM items WHERE id = 1\" }] }, expect = { rows = [1, 1] } }";
    let executors = "[executors]\nuse = [\"tokio\", \"tokio-current-thread\", \"smol\"]\n[executors.thread-pool]\nsize = 1";
    let text = scenario(
        "schema = \"regatta_it_row\"",
        executors,
        step,
        "closed = { concurrency = 4, tasks = 40 }",
    );
    for url in servers() {
        assert_eq!(measured(&stored(&url, &text)).len(), 3);
    }
}

#[test]
fn lanes_are_named_and_ranked_apart() {
    let Some(url) = servers().pop() else { return };
    let step = "{ sql = { target = \"db\", driver = \"${driver}\", query = \"SELECT 1\" }, expect = { rows = 1 } }";
    let executors =
        "[sweep]\ndriver = [\"same\", \"customary\"]\n[executors]\nuse = [\"threads\", \"tokio\"]";
    let text = scenario("schema = \"regatta_it_named\"", executors, step, "batch = { tasks = 4 }");
    let bench = BenchDir::new();
    let seen = run(&bench, &url, &text).exits(0);
    for words in [
        "pg (same-code lane)",
        "pg (idiomatic lane)",
        "driver=customary (batch of 4, idiomatic lane)",
    ] {
        assert!(seen.out.contains(words), "{words}: {seen:#?}");
    }
    let lanes = |run: &Run| run.header.cells.iter().map(|cell| cell.lane).collect::<Vec<_>>();
    assert_eq!(
        lanes(&bench.stored("out")),
        [Lane::SameCode, Lane::SameCode, Lane::Idiomatic, Lane::Idiomatic]
    );
    // What a stored run shows is what the run showed; each lane has its own ratios to its own
    // baseline, and no mean.
    let json = bench.run("report out --format json").exits(0).out;
    let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
    let scenarios = shown["scenarios"].as_array().unwrap();
    let told: Vec<_> =
        scenarios.iter().map(|shown| (shown["name"].as_str(), shown["lane"].as_str())).collect();
    assert_eq!(told, [(Some("pg"), Some("same-code")), (Some("pg"), Some("idiomatic"))]);
    for shown in scenarios {
        assert_eq!(
            (shown["groups"].as_array().unwrap().len(), shown["means"].as_array().unwrap().len()),
            (1, 0)
        );
    }
    let driver =
        |at: usize| scenarios[at]["groups"][0]["cells"][0]["facts"]["db: driver"].as_str().unwrap();
    assert!(
        driver(0).starts_with("Regatta's") && driver(1).starts_with("the customary one"),
        "{}",
        driver(1)
    );
}

/// The faults of a name in each trial, which has no others.
fn all_errors(run: &Run, name: &str) -> Vec<u64> {
    let counts = |(cell, measured): (&str, &regatta::measure::Measurements)| {
        let counted = measured.trial.targets[0].counts.get(name).copied().unwrap_or(0);
        let errors: u64 = measured.steps.iter().map(|step| step.stream.errors).sum();
        assert_eq!(counted, errors, "{cell}: {:?}", measured.trial.targets[0].counts);
        counted
    };
    measured(run).into_iter().map(counts).collect()
}

#[test]
fn faults_are_counted_by_the_same_names() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    let counted = |url: &str, executors: &str, steps: &str, load: &str, name: &str| {
        let bench = BenchDir::new();
        run(&bench, url, &scenario("", executors, steps, load)).exits(0);
        all_errors(&bench.stored("out"), name)
    };
    // A statement that the server ends, after which the connection is as good as before. The limit
    // is the transaction's own: it does not count for what preparation and the server need.
    let slow = "{ sql = { target = \"db\", driver = \"customary\", transaction = [{ query = \"SET LOCAL statement_timeout = 50\" }, \
        { query = \"SELECT pg_sleep(60) WHERE ?::int > -1\", args = [\"${i}\"] }] }, expect = { rows = [0, 1] }, \
        name = \"slow\", allow = { errors = true } }";
    let all =
        counted(&server.url(""), "", slow, "batch = { tasks = 2, repeat = 1 }", "errors: timeout");
    assert_eq!(all, vec![2; EXECUTORS.len()]);
    // The same without a transaction; the limit of the session leaves preparation room.
    let slow = "{ sql = { target = \"db\", driver = \"customary\", query = \"SELECT pg_sleep(60) WHERE ?::int > -1\", \
        args = [\"${i}\"] }, name = \"slow\", allow = { errors = true } }";
    let url = server.url("?options=-c%20statement_timeout%3D3000");
    let one = "[executors]\nuse = [\"tokio\"]";
    assert_eq!(
        counted(&url, one, slow, "batch = { tasks = 2, repeat = 1 }", "errors: timeout"),
        [2]
    );
    server.wait_until_left();
}

#[test]
fn the_victim_of_a_deadlock_is_counted() {
    let Some(server) =
        OwnPostgres::start(&["max_prepared_transactions=1", "deadlock_timeout=10ms"])
    else {
        return;
    };
    for executor in ["threads", "tokio"] {
        let stored = deadlocked(&server, executor, "customary");
        let all = all_errors(&stored, "errors: deadlock");
        assert!(all.len() == 1 && all[0] > 0, "{all:?}");
        server.wait_until_left();
    }
}

#[test]
fn a_connection_that_is_refused_is_counted() {
    let Some(server) = OwnPostgres::start(&["max_prepared_transactions=1"]) else { return };
    // The gate keeps the first four calls waiting, each on a connection of its own.
    let gated = "{ sql = { target = \"db\", driver = \"customary\", query = \"SELECT pg_advisory_xact_lock_shared(7) WHERE ?::int >= 0\", \
        args = [\"${i}\"], connection = \"per-call\" }, expect = { rows = 1 }, allow = { errors = true }, name = \"gated\" }";
    for executor in ["threads", "tokio"] {
        server.sql("postgres", "ALTER ROLE me CONNECTION LIMIT 20");
        server.close_gate();
        let use_it = format!("[executors]\nuse = [\"{executor}\"]");
        let bench = BenchDir::with(&scenario(
            "",
            &use_it,
            gated,
            "closed = { concurrency = 4, tasks = 20 }",
        ));
        let mut command = bench.command("run --out out s.toml");
        command.env("DATABASE_URL", server.url(""));
        let live = Live::new(command);
        server.wait_at_gate(4);
        // The target has the one connection that is left.
        server.sql("postgres", "ALTER ROLE me CONNECTION LIMIT 1");
        server.open_gate();
        live.end().exits(0);
        for (cell, measured) in measured(&bench.stored("out")) {
            assert_eq!(
                measured.trial.targets[0].counts["errors: too many connections"], 16,
                "{cell}"
            );
            assert_eq!(measured.steps[0].stream.errors, 16, "{cell}");
        }
        server.wait_until_left();
    }
}

#[test]
fn a_mistake_of_the_scenario_is_no_lost_connection() {
    for url in servers() {
        let text = |step: &str| {
            let step = format!(
                "{{ sql = {{ target = \"db\", driver = \"customary\", {step} }}, allow = {{ errors = true }} }}"
            );
            scenario(
                "schema = \"regatta_it_mistake\"",
                "[executors]\nuse = [\"tokio\"]",
                &step,
                "batch = { tasks = 2 }",
            )
        };
        let is_postgres = Address::parse(&url).unwrap().scheme == Scheme::Postgres;
        let in_client = "query = \"SELECT name FROM items WHERE id = ?\", args = [\"abc${i}\"]";
        // MySQL takes any text for a number.
        let steps =
            [Some("query = \"SELECT nothing FROM items\""), is_postgres.then_some(in_client)];
        for step in steps.into_iter().flatten() {
            let bench = BenchDir::new();
            run(&bench, &url, &text(step)).exits(5);
            let stored = bench.stored("out");
            let (_, reason) = only_failure(&stored);
            assert!(reason.contains("statement: ") && !reason.contains("lost"), "{reason}");
            assert!(!reason.contains("allow ="), "{reason}");
        }
    }
}

/// What is inserted for as long as the server lives.
const INSERT: &str = "INSERT INTO log(task, value) VALUES (?, 1)";

/// Runs inserts with a customary client until `load` sees them, kills the server in the middle, and
/// reads what came of it.
fn killed(
    url: &str,
    (query, allow): (&str, &str),
    load: impl FnOnce(),
    kill: impl FnOnce(),
) -> Run {
    let insert = format!(
        "{{ sql = {{ target = \"db\", driver = \"customary\", query = \"{query}\", args = [\"${{i}}\"] }}, \
         expect = {{ rows = 1 }}, name = \"insert\"{allow} }}"
    );
    // Where nothing is allowed, the kill ends the load. Else it is so many tasks, which the caller
    // holds back.
    let (duration, tasks) = if allow.is_empty() {
        ("rounds = 1\nduration = \"50s\"", "")
    } else {
        ("rounds = 1", ", tasks = 20")
    };
    let text = scenario(
        "schema = \"regatta_killed\"",
        "[executors]\nuse = [\"tokio\"]",
        &insert,
        &format!("closed = {{ concurrency = 4{tasks} }}"),
    )
    .replace("rounds = 1", duration);
    let bench = BenchDir::with(&text);
    let mut command = bench.command("run --out out s.toml");
    command.env("DATABASE_URL", url);
    let live = Live::new(command);
    load();
    kill();
    let seen = live.end();
    assert!(!seen.err.contains("panicked"), "{seen:#?}");
    assert!(!format!("{seen:?}").contains(PASSWORD), "{seen:#?}");
    bench.stored("out")
}

/// Whether the only trial has ended with its reason, or has counted what it lost.
fn has_lost(run: &Run) -> bool {
    assert_complete(run);
    match &run.trials[0].outcome {
        Outcome::Failed(failure) => {
            assert!(
                failure.reason.contains("lost: ") || failure.reason.contains("refused: "),
                "{}",
                failure.reason
            );
            true
        }
        Outcome::Measured(measured) => {
            let counts = &measured.trial.targets[0].counts;
            counts.contains_key("errors: lost") || counts.contains_key("errors: refused")
        }
    }
}

#[test]
fn a_server_that_is_killed_hangs_nobody() {
    const SETTINGS: &[&str] = &["max_prepared_transactions=1"];
    let Some(server) = OwnPostgres::start(SETTINGS) else { return };
    let kill = || {
        server.kill();
        server.up(SETTINGS);
    };
    let count =
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'me' AND query LIKE 'INSERT%'";
    let load = || wait_for("the load", || (server.sql("mine", count) == "4").then_some(()));
    assert!(has_lost(&killed(&server.url(""), (INSERT, ""), load, kill)));
    server.wait_until_left();
    // The first four wait at a gate, which outlives the server.
    server.close_gate();
    let load = || server.wait_at_gate(4);
    let kill = || {
        kill();
        server.open_gate();
    };
    let gated = (own_postgres::GATED_INSERT, ", allow = { errors = true }");
    assert!(has_lost(&killed(&server.url(""), gated, load, kill)));
    server.wait_until_left();
}

#[test]
fn a_mariadb_that_is_killed_hangs_nobody() {
    if !own_mariadb::is_installed() {
        return;
    }
    let mut server = OwnMariadb::new();
    server.start(&[]);
    let url = server.url("");
    let sessions = "SELECT count(*) FROM information_schema.processlist WHERE db = 'regatta_killed' AND id <> connection_id()";
    let address = Address::parse(&url).unwrap();
    let load = || {
        wait_for("the load", || {
            let mut open = None;
            let mut client = block_on(mysql::open::<Blocking>(&address, None)).ok()?;
            block_on(client.query(sessions, |_, cell| open = cell.number())).ok()?;
            // The target's own session names its tables in full, and need not be in the database.
            (open? >= 4).then_some(())
        });
    };
    let run = killed(&url, (INSERT, ""), load, || server.kill());
    assert!(has_lost(&run));
}

#[test]
fn a_url_that_asks_for_encryption_is_told_what_to_change() {
    if !own_mariadb::is_installed() {
        return;
    }
    let mut server = OwnMariadb::new();
    let new = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=server -keyout server.key -out server.crt";
    let Ok(done) =
        Command::new("openssl").args(new.split(' ')).current_dir(server.path("")).output()
    else {
        crate::skip::skipped("no openssl on this machine");
        return;
    };
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let file = |name: &str| server.path(name).display().to_string();
    let options =
        [format!("--ssl-cert={}", file("server.crt")), format!("--ssl-key={}", file("server.key"))];
    server.start(&options);
    let text = |driver: &str| {
        let step = format!(
            "{{ sql = {{ target = \"db\", driver = \"{driver}\", query = \"SELECT 1\" }} }}"
        );
        scenario("", "[executors]\nuse = [\"threads\"]", &step, "batch = { tasks = 2 }")
    };
    let url = server.url("?ssl-mode=REQUIRED");
    run(&BenchDir::new(), &url, &text("same")).exits(0);
    let bench = BenchDir::new();
    let seen = run(&bench, &url, &text("customary")).exits(5);
    assert!(!format!("{seen:?}").contains(PASSWORD), "{seen:#?}");
    let stored = bench.stored("out");
    let (_, reason) = only_failure(&stored);
    assert!(reason.contains("does not encrypt") && reason.contains("remove `driver`"), "{reason}");
}
