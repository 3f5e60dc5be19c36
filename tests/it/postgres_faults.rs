//! What can go wrong with a database server: each fault has its name, is counted where the scenario
//! allows it, and no trial hangs.

use std::collections::BTreeSet;

use regatta::store::{FailureKind, Run};
use rustix::process::Signal;

use super::{
    bench_dir::{BenchDir, Live, assert_complete, only_failure, wait_for},
    own_postgres::{GATED_INSERT, OwnPostgres},
    postgres::{measured, run, scenario},
};

const THREADS: &str = "[executors]\nuse = [\"threads\"]";
const TWO: &str = "[executors]\nuse = [\"threads\", \"tokio\"]";
const ONE: &str = "{ sql = { target = \"db\", query = \"SELECT 1\" }, expect = { rows = 1 } }";
const BATCH: &str = "batch = { tasks = 4, repeat = 1 }";

#[test]
fn what_is_wrong_with_the_url_is_named_before_anything_is_measured() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    let text = scenario("", THREADS, ONE, BATCH);
    for (url, parts) in [
        (server.url("").replace("me:", "me:x"), ["login", "password authentication failed"]),
        (server.url("").replace("/mine", "/missing"), ["missing database", "does not exist"]),
        (
            server.url("").replace("/mine", "/postgres"),
            ["may not make the schema", "GRANT CREATE ON DATABASE postgres TO me"],
        ),
        (
            server.url("").replace("127.0.0.1", "no-such-host.invalid"),
            ["name not resolved", "name has no address"],
        ),
        (server.url("?sslmode=require"), ["tls", "no TLS"]),
    ] {
        let bench = BenchDir::new();
        run(&bench, &url, &text).exits(5);
        let stored = bench.stored("out");
        let (kind, reason) = only_failure(&stored);
        assert_eq!(kind, FailureKind::Target, "{reason}");
        assert!(parts.iter().all(|part| reason.contains(part)), "{reason}");
    }
    server.kill();
    let bench = BenchDir::new();
    run(&bench, &server.url(""), &text).exits(5).says(&["refused", "start the server, or"]);
}

#[test]
fn a_variable_that_is_not_set_is_told_with_its_remedy() {
    let bench = BenchDir::with(&scenario("", THREADS, ONE, BATCH));
    let mut command = bench.command("run --out out s.toml");
    command.env_remove("DATABASE_URL");
    let seen = Live::new(command).end();
    assert_eq!(seen.code, 5, "{seen:#?}");
    // The terminal's lines may break between words.
    let said = seen.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("`DATABASE_URL` is not set; export DATABASE_URL=postgres://USER"),
        "{said}"
    );
    // Nobody needs it to look at a scenario.
    let mut command = bench.command("check s.toml");
    command.env_remove("DATABASE_URL");
    Live::new(command).end().exits(0);
}

#[test]
fn a_schema_that_another_run_uses_is_left_alone() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    let first = BenchDir::with(&scenario(
        "",
        THREADS,
        "{ sql = { target = \"db\", query = \"SELECT pg_sleep(50)\" } }",
        "batch = { tasks = 1 }",
    ));
    let mut command = first.command("run --out out s.toml");
    command.env("DATABASE_URL", server.url(""));
    let live = Live::new(command);
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'";
    wait_for("the first run's query", || (server.sql("mine", sleeping) == "1").then_some(()));

    let second = BenchDir::new();
    run(&second, &server.url(""), &scenario("", THREADS, ONE, BATCH)).exits(5);
    let stored = second.stored("out");
    let (kind, reason) = only_failure(&stored);
    assert_eq!(kind, FailureKind::Target, "{reason}");
    assert!(reason.contains("another run uses the schema `regatta_bench`"), "{reason}");
    assert_eq!(server.sql("mine", sleeping), "1", "the first run goes on");

    // A run that ends leaves nothing, also one that is interrupted.
    live.signal(Signal::INT);
    assert_eq!(live.end().code, 130);
    server.wait_until_left();
    assert_eq!(
        server.sql("mine", "SELECT count(*) FROM pg_namespace WHERE nspname = 'regatta_bench'"),
        "0"
    );
}

#[test]
fn a_mistake_of_the_scenario_is_no_lost_connection() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    // The client itself finds that this is no number.
    let step = "{ sql = { target = \"db\", query = \"SELECT name FROM items WHERE id = ?\", args = [\"abc${i}\"] }, \
        allow = { errors = true } }";
    let bench = BenchDir::new();
    run(&bench, &server.url(""), &scenario("", THREADS, step, BATCH)).exits(5);
    let stored = bench.stored("out");
    let (_, reason) = only_failure(&stored);
    assert!(
        reason.contains("error serializing parameter 0") && !reason.contains("lost"),
        "{reason}"
    );
    assert!(!reason.contains("allow ="), "{reason}");
}

#[test]
fn what_goes_wrong_in_preparation_is_not_said_to_be_allowable() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    // Learned in preparation.
    let step =
        "{ sql = { target = \"db\", query = \"SELECT pg_sleep(60)\" }, allow = { errors = true } }";
    let url = server.url("?options=-c%20statement_timeout%3D50");
    let bench = BenchDir::new();
    run(&bench, &url, &scenario("", THREADS, step, BATCH)).exits(5);
    let stored = bench.stored("out");
    let (_, reason) = only_failure(&stored);
    assert!(reason.contains("timeout: ") && !reason.contains("allow ="), "{reason}");
}

#[test]
fn the_limit_on_connections_is_an_error_with_a_name() {
    let Some(server) = OwnPostgres::start(&["max_prepared_transactions=1"]) else { return };
    // The user has twenty connections, and the target takes one.
    let load = "closed = { concurrency = 32, tasks = 200 }";
    let bench = BenchDir::new();
    run(&bench, &server.url(""), &scenario("", THREADS, ONE, load))
        .exits(5)
        .says(&["too many connections", "or lower `concurrency`"]);
    server.wait_until_left();
    // As many tasks at once as do not end meanwhile: far more than twenty.
    let slow = "{ sql = { target = \"db\", query = \"SELECT pg_sleep(2)\" } }";
    let load = "open = { rate = \"400/s\", stages = [{ rate = \"400/s\", for = \"500ms\" }] }";
    let bench = BenchDir::new();
    run(&bench, &server.url(""), &scenario("", THREADS, slow, load))
        .exits(5)
        .says(&["too many connections", "or lower `max_in_flight`"]);
    server.wait_until_left();
    // The gate keeps the first four calls waiting, each on a connection of its own.
    let gated = "{ sql = { target = \"db\", query = \"SELECT pg_advisory_xact_lock_shared(7) WHERE ?::int >= 0\", \
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
fn preparation_outlasts_the_limit_on_waiting_for_the_pool() {
    let Some(server) = OwnPostgres::start(&["max_prepared_transactions=1"]) else { return };
    // Learned in preparation: the first slot stands at the gate with the pool's only connection,
    // and the others wait.
    let gated = "{ sql = { target = \"db\", query = \"SELECT pg_advisory_xact_lock_shared(7)\" }, \
        allow = { errors = true }, name = \"gated\" }";
    let target = "pool = { max = 1, acquire_timeout = \"1ms\" }";
    for executor in ["threads", "tokio", "smol"] {
        server.close_gate();
        let use_it = format!("[executors]\nuse = [\"{executor}\"]");
        let bench = BenchDir::with(&scenario(
            target,
            &use_it,
            gated,
            "closed = { concurrency = 4, tasks = 8 }",
        ));
        let mut command = bench.command("run --out out s.toml");
        command.env("DATABASE_URL", server.url(""));
        let live = Live::new(command);
        server.wait_at_gate(1);
        server.open_gate();
        live.end().exits(0);
        for (cell, measured) in measured(&bench.stored("out")) {
            // Calls of the load do mind the limit.
            let late =
                measured.trial.targets[0].counts.get("errors: pool timeout").copied().unwrap_or(0);
            assert_eq!(
                measured.steps.iter().find(|step| step.name == "gated").unwrap().stream.errors,
                late,
                "{cell}"
            );
        }
        server.wait_until_left();
    }
}

#[test]
fn statements_that_take_too_long_are_counted() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    let slow = |allow: &str| {
        format!(
            "{{ sql = {{ target = \"db\", query = \"SELECT pg_sleep(60)\" }}, name = \"slow\"{allow} }}"
        )
    };
    // It leaves preparation room, where nothing is allowed.
    let url = server.url("?options=-c%20statement_timeout%3D3000");
    let bench = BenchDir::new();
    let allowed = slow(", allow = { errors = true }");
    // What is learned in preparation would take as long.
    let allowed = allowed.replace(
        "\"SELECT pg_sleep(60)\"",
        "\"SELECT pg_sleep(60) WHERE ? = ?\", args = [1, \"${j}\"]",
    );
    let allowed = allowed.replace("WHERE ? = ?", "WHERE ?::int > ?::int");
    run(&bench, &url, &scenario("", TWO, &allowed, BATCH)).exits(0);
    for (cell, measured) in measured(&bench.stored("out")) {
        assert_eq!(measured.trial.targets[0].counts["errors: timeout"], 4, "{cell}");
        assert_eq!(measured.steps[0].stream.errors, 4, "{cell}");
    }
    let bench = BenchDir::new();
    let url = server.url("?options=-c%20statement_timeout%3D400");
    run(&bench, &url, &scenario("", THREADS, &slow(""), BATCH))
        .exits(5)
        .says(&["timeout", "SQLSTATE 57014"]);
}

#[test]
fn a_time_out_of_the_scenario_closes_the_connection() {
    let Some(server) = OwnPostgres::start(&["client_connection_check_interval=20ms"]) else {
        return;
    };
    let slow = "{ sql = { target = \"db\", query = \"SELECT pg_sleep(60) WHERE ?::int > -1\", args = [\"${i}\"] }, \
        name = \"slow\", timeout = \"200ms\", on_timeout = \"ignore\" }";
    let bench = BenchDir::new();
    run(&bench, &server.url(""), &scenario("", "", slow, BATCH)).exits(0);
    for (cell, measured) in measured(&bench.stored("out")) {
        assert_eq!(measured.steps[0].stream.timeouts, 4, "{cell}");
        let counts = &measured.trial.targets[0].counts;
        // One in preparation of each slot; each call that timed out closed its own, and the next
        // one opened another. On a busy machine it may time out before it has: then the first
        // call's is all there is beside that of preparation.
        assert!(counts["connections opened"] >= 2, "{cell}: {counts:?}");
        assert_eq!(counts["connections opened"], counts["connections closed"], "{cell}");
    }
    server.wait_until_left();
}

/// A run with transactions that wait for each other. Those whose tasks have even numbers take the
/// first row first, the others the second one; a gate keeps one of each kind between its rows, so
/// that a circle is sure to be closed.
pub fn deadlocked(server: &OwnPostgres, executor: &str, driver: &str) -> Run {
    let take = |row: &str, by: &str| {
        format!(
            "{{ query = \"UPDATE items SET price = price {by} WHERE id = {row}\", args = [\"${{i}}\"] }}"
        )
    };
    let step = format!(
        "{{ sql = {{ target = \"db\", driver = \"{driver}\", transaction = [{}, \
         {{ query = \"SELECT pg_advisory_xact_lock_shared(7)\" }}, {}] }}, expect = {{ rows = [1, 1, 1] }}, \
         name = \"swap\", allow = {{ errors = true }} }}",
        take("1 + ?::int % 2", "+ 1"),
        take("2 - ?::int % 2", "- 1"),
    );
    let use_it = format!("[executors]\nuse = [\"{executor}\"]");
    let bench =
        BenchDir::with(&scenario("", &use_it, &step, "closed = { concurrency = 4, tasks = 30 }"));
    let mut command = bench.command("run --out out s.toml");
    command.env("DATABASE_URL", server.url(""));
    server.close_gate();
    let live = Live::new(command);
    server.wait_at_gate(2);
    server.open_gate();
    live.end().exits(0);
    bench.stored("out")
}

#[test]
fn the_victim_of_a_deadlock_is_counted_and_nothing_of_it_stays() {
    let Some(server) =
        OwnPostgres::start(&["max_prepared_transactions=1", "deadlock_timeout=10ms"])
    else {
        return;
    };
    let mut sums = BTreeSet::new();
    for executor in ["threads", "tokio"] {
        for (cell, measured) in measured(&deadlocked(&server, executor, "same")) {
            let counts = &measured.trial.targets[0].counts;
            assert!(counts["errors: deadlock"] > 0, "{cell}: {counts:?}");
            let errors: u64 = measured.steps.iter().map(|step| step.stream.errors).sum();
            assert_eq!(errors, counts["errors: deadlock"], "{cell}");
            sums.insert(counts["sum items.price"]);
        }
        server.wait_until_left();
    }
    // However many there were, each took as much from one row as it gave to the other, or did
    // nothing.
    assert_eq!(sums.len(), 1, "{sums:?}");
}

#[test]
fn a_server_that_is_killed_hangs_nobody() {
    const SETTINGS: &[&str] = &["max_prepared_transactions=1"];
    let Some(server) = OwnPostgres::start(SETTINGS) else { return };
    let step = |query: &str, allow: &str| {
        format!(
            "{{ sql = {{ target = \"db\", query = \"{query}\", args = [\"${{i}}\"] }}, expect = {{ rows = 1 }}, \
             name = \"insert\"{allow} }}"
        )
    };
    let start = |text: &str| {
        let bench = BenchDir::with(text);
        let mut command = bench.command("run --out out s.toml");
        command.env("DATABASE_URL", server.url(""));
        (Live::new(command), bench)
    };

    // Where nothing is allowed, the load lasts until the trial has failed.
    let insert = step("INSERT INTO log(task, value) VALUES (?, 1)", "");
    let text = scenario("", THREADS, &insert, "closed = { concurrency = 4 }");
    let (live, bench) = start(&text.replace("rounds = 1", "rounds = 1\nduration = \"50s\""));
    let count =
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'me' AND query LIKE 'INSERT%'";
    wait_for("the load", || (server.sql("mine", count) == "4").then_some(()));
    server.kill();
    server.up(SETTINGS);
    live.end().exits(5).says(&[]);
    let stored = bench.stored("out");
    assert_complete(&stored);
    let (_, reason) = only_failure(&stored);
    assert!(reason.contains("lost") || reason.contains("refused"), "{reason}");
    server.wait_until_left();

    // Else the first four calls are lost at a gate, which outlives the server, and the trial goes
    // on. Its tasks take their time, for the target waits only some seconds for a server that
    // starts again.
    server.close_gate();
    let gated =
        step(GATED_INSERT, ", allow = { errors = true }") + ", { sleep = { time = \"1s\" } }";
    let (live, bench) =
        start(&scenario("", THREADS, &gated, "closed = { concurrency = 4, tasks = 20 }"));
    server.wait_at_gate(4);
    server.kill();
    server.up(SETTINGS);
    server.open_gate();
    live.end().exits(0).says(&[]);
    let stored = bench.stored("out");
    assert_complete(&stored);
    for (cell, measured) in measured(&stored) {
        let counts = &measured.trial.targets[0].counts;
        assert!(counts["errors: lost"] >= 4, "{cell}: {counts:?}");
    }
    server.wait_until_left();
}

#[test]
fn a_trial_that_is_killed_leaves_neither_schema_nor_sessions() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    let slow = "{ sql = { target = \"db\", query = \"SELECT pg_sleep(300) WHERE ?::int >= 0\", args = [\"${i}\"] } }";
    let text = scenario("", THREADS, slow, BATCH);
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'regatta_bench'";
    let bench = BenchDir::new();
    run(&bench, &server.url(""), &text.replace("60s", "3s")).exits(5).says(&["was killed"]);
    assert_eq!(server.sql("mine", schemas), "0");
    server.wait_until_left();
    // Nor does one that is interrupted.
    let bench = BenchDir::with(&text);
    let mut command = bench.command("run --out out s.toml");
    command.env("DATABASE_URL", server.url(""));
    let live = Live::new(command);
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'me' AND query LIKE 'SELECT pg_sleep%'";
    wait_for("the load", || (server.sql("mine", sleeping) == "4").then_some(()));
    live.signal(rustix::process::Signal::INT);
    assert_eq!(live.end().code, 130);
    assert_eq!(server.sql("mine", schemas), "0");
    server.wait_until_left();
}

/// See `race::a_call_after_children_is_written_before_its_answer_is_waited_for`: this driver reads
/// before it writes, too.
#[test]
fn a_statement_after_children_is_sent_before_its_answer_is_waited_for() {
    let Some(url) = super::own_postgres::shared() else { return };
    let executors =
        "[executors]\nuse = [\"threads\", \"thread-pool\"]\n[executors.thread-pool]\nsize = 20";
    let steps = "{ parallel = { task = \"child\", count = 16 } }, { sql = { target = \"db\", query = \"SELECT 1\" } }";
    let load = "closed = { concurrency = 1, tasks = 60 }\n[tasks.child]\nsteps = [{ noop = {} }, { yield = {} }]";
    let bench = BenchDir::new();
    run(&bench, &url, &scenario("schema = \"regatta_it_children\"", executors, steps, load));
    for (cell, measured) in measured(&bench.stored("out")) {
        assert_eq!(measured.completed, 60, "{cell}");
    }
}
