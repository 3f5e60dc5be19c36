//! What can go wrong with a database server: each fault has its name, is counted where the scenario allows it, and no
//! trial hangs.

use regatta::store::{FailureKind, Outcome};
use rustix::process::Signal;

use super::{
    bench_dir::{BenchDir, Live, assert_complete, only_failure, wait_for},
    own_postgres::OwnPostgres,
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
        (server.url("").replace("127.0.0.1", "no-such-host.invalid"), ["refused", "name has no address"]),
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
    run(&bench, &server.url(""), &text).exits(5).says(&["refused", "is the server running?"]);
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
    assert!(said.contains("`DATABASE_URL` is not set; export DATABASE_URL=postgres://USER"), "{said}");
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
    assert_eq!(server.sql("mine", "SELECT count(*) FROM pg_namespace WHERE nspname = 'regatta_bench'"), "0");
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
    assert!(reason.contains("error serializing parameter 0") && !reason.contains("lost"), "{reason}");
    assert!(!reason.contains("allow ="), "{reason}");
}

#[test]
fn what_goes_wrong_in_preparation_is_not_said_to_be_allowable() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    // Learned in preparation.
    let step = "{ sql = { target = \"db\", query = \"SELECT pg_sleep(20)\" }, allow = { errors = true } }";
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
    run(&bench, &server.url(""), &scenario("", THREADS, ONE, load)).exits(5).says(&["too many connections"]);
    server.wait_until_left();
    // A transaction that no session belongs to keeps the first four calls waiting, each on a connection of its own.
    let gated = "{ sql = { target = \"db\", query = \"SELECT pg_advisory_xact_lock_shared(7) WHERE ?::int >= 0\", \
        args = [\"${i}\"], connection = \"per-call\" }, expect = { rows = 1 }, allow = { errors = true }, name = \"gated\" }";
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    for executor in ["threads", "tokio"] {
        server.sql("postgres", "ALTER ROLE me CONNECTION LIMIT 20");
        server.sql("mine", "BEGIN; SELECT pg_advisory_xact_lock(7); PREPARE TRANSACTION 'gate'");
        let use_it = format!("[executors]\nuse = [\"{executor}\"]");
        let bench = BenchDir::with(&scenario("", &use_it, gated, "closed = { concurrency = 4, tasks = 20 }"));
        let mut command = bench.command("run --out out s.toml");
        command.env("DATABASE_URL", server.url(""));
        let live = Live::new(command);
        wait_for("four calls at the gate", || (server.sql("mine", waiting) == "4").then_some(()));
        // The target has the one connection that is left.
        server.sql("postgres", "ALTER ROLE me CONNECTION LIMIT 1");
        server.sql("mine", "ROLLBACK PREPARED 'gate'");
        live.end().exits(0);
        for (cell, measured) in measured(&bench.stored("out")) {
            assert_eq!(measured.targets[0].counts["errors: too many connections"], 16, "{cell}");
            assert_eq!(measured.steps[0].stream.errors, 16, "{cell}");
        }
        server.wait_until_left();
    }
}

#[test]
fn preparation_outlasts_the_limit_on_waiting_for_the_pool() {
    let Some(server) = OwnPostgres::start(&["max_prepared_transactions=1"]) else { return };
    // Learned in preparation: the first slot stands at the gate with the pool's only connection, and the others wait.
    let gated = "{ sql = { target = \"db\", query = \"SELECT pg_advisory_xact_lock_shared(7)\" }, \
        allow = { errors = true }, name = \"gated\" }";
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    let target = "pool = { max = 1, acquire_timeout = \"1ms\" }";
    for executor in ["threads", "tokio", "smol"] {
        server.sql("mine", "BEGIN; SELECT pg_advisory_xact_lock(7); PREPARE TRANSACTION 'gate'");
        let use_it = format!("[executors]\nuse = [\"{executor}\"]");
        let bench = BenchDir::with(&scenario(target, &use_it, gated, "closed = { concurrency = 4, tasks = 8 }"));
        let mut command = bench.command("run --out out s.toml");
        command.env("DATABASE_URL", server.url(""));
        let live = Live::new(command);
        wait_for("a slot at the gate", || (server.sql("mine", waiting) == "1").then_some(()));
        server.sql("mine", "ROLLBACK PREPARED 'gate'");
        live.end().exits(0);
        for (cell, measured) in measured(&bench.stored("out")) {
            // Calls of the load do mind the limit.
            let late = measured.targets[0].counts.get("errors: pool timeout").copied().unwrap_or(0);
            assert_eq!(measured.steps.iter().find(|step| step.name == "gated").unwrap().stream.errors, late, "{cell}");
        }
        server.wait_until_left();
    }
}

#[test]
fn statements_that_take_too_long_are_counted() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    let slow = |allow: &str| {
        format!("{{ sql = {{ target = \"db\", query = \"SELECT pg_sleep(20)\" }}, name = \"slow\"{allow} }}")
    };
    let url = server.url("?options=-c%20statement_timeout%3D400");
    let bench = BenchDir::new();
    let allowed = slow(", allow = { errors = true }");
    // What is learned in preparation would take as long.
    let allowed =
        allowed.replace("\"SELECT pg_sleep(20)\"", "\"SELECT pg_sleep(20) WHERE ? = ?\", args = [1, \"${j}\"]");
    let allowed = allowed.replace("WHERE ? = ?", "WHERE ?::int > ?::int");
    run(&bench, &url, &scenario("", TWO, &allowed, BATCH)).exits(0);
    for (cell, measured) in measured(&bench.stored("out")) {
        assert_eq!(measured.targets[0].counts["errors: timeout"], 4, "{cell}");
        assert_eq!(measured.steps[0].stream.errors, 4, "{cell}");
    }
    let bench = BenchDir::new();
    run(&bench, &url, &scenario("", THREADS, &slow(""), BATCH)).exits(5).says(&["timeout", "SQLSTATE 57014"]);
}

#[test]
fn a_time_out_of_the_scenario_closes_the_connection() {
    let Some(server) = OwnPostgres::start(&["client_connection_check_interval=20ms"]) else { return };
    let slow = "{ sql = { target = \"db\", query = \"SELECT pg_sleep(5) WHERE ?::int > -1\", args = [\"${i}\"] }, \
        name = \"slow\", timeout = \"40ms\", on_timeout = \"ignore\" }";
    let bench = BenchDir::new();
    run(&bench, &server.url(""), &scenario("", "", slow, BATCH)).exits(0);
    for (cell, measured) in measured(&bench.stored("out")) {
        assert_eq!(measured.steps[0].stream.timeouts, 4, "{cell}");
        let counts = &measured.targets[0].counts;
        // One in preparation of each slot; each call that timed out closed its own, and the next one opened another.
        assert!(counts["connections opened"] >= 4, "{cell}: {counts:?}");
        assert_eq!(counts["connections opened"], counts["connections closed"], "{cell}");
    }
    server.wait_until_left();
}

#[test]
fn the_victim_of_a_deadlock_is_counted_and_nothing_of_it_stays() {
    let Some(server) = OwnPostgres::start(&["deadlock_timeout=10ms"]) else { return };
    let step = |first: u32, second: u32, name: &str| {
        format!(
            "{{ sql = {{ target = \"db\", transaction = [{{ query = \"UPDATE items SET price = price + 1 WHERE id = {first}\" }}, \
             {{ query = \"SELECT pg_sleep(0.02)\" }}, {{ query = \"UPDATE items SET price = price - 1 WHERE id = {second}\" }}] }}, \
             name = \"{name}\", allow = {{ errors = true }} }}"
        )
    };
    let text = format!(
        "schema = 1\nname = \"pg\"\n[run]\nrounds = 1\nwarmup = \"0s\"\ntimeout = \"60s\"\n{TWO}\n\
         [targets.db]\nsql = {{ url = \"${{env:DATABASE_URL}}\", rows = 100 }}\n\
         [tasks.pair]\nsteps = [{{ parallel = {{ task = \"one\", count = 2 }} }}]\n\
         [tasks.one]\nsteps = [{{ choice = {{ of = [{{ task = \"up\", weight = 1 }}, {{ task = \"down\", weight = 1 }}] }} }}]\n\
         [tasks.up]\nsteps = [{}]\n[tasks.down]\nsteps = [{}]\n\
         [load.l]\ntask = \"pair\"\nclosed = {{ concurrency = 4, tasks = 30 }}\n",
        step(1, 2, "forth"),
        step(2, 1, "back"),
    );
    let bench = BenchDir::new();
    run(&bench, &server.url(""), &text).exits(0);
    for (cell, measured) in measured(&bench.stored("out")) {
        let counts = &measured.targets[0].counts;
        assert!(counts["errors: deadlock"] > 0, "{cell}: {counts:?}");
        let errors: u64 = measured.steps.iter().map(|step| step.stream.errors).sum();
        assert_eq!(errors, counts["errors: deadlock"], "{cell}");
    }
}

#[test]
fn a_server_that_is_killed_hangs_nobody() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    let insert = "{ sql = { target = \"db\", query = \"INSERT INTO log(task, value) VALUES (?, 1)\", args = [\"${i}\"] }, \
        expect = { rows = 1 }, name = \"insert\"ALLOW }";
    for allow in ["", ", allow = { errors = true }"] {
        let bench = BenchDir::new();
        let load = "closed = { concurrency = 4 }";
        let text = scenario("", THREADS, &insert.replace("ALLOW", allow), load)
            .replace("rounds = 1", "rounds = 1\nduration = \"2s\"");
        bench.write("s.toml", text);
        let mut command = bench.command("run --out out s.toml");
        command.env("DATABASE_URL", server.url(""));
        let live = Live::new(command);
        let count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'me' AND query LIKE 'INSERT%'";
        wait_for("the load", || (server.sql("mine", count) == "4").then_some(()));
        server.kill();
        server.up(&[]);
        let seen = live.end();
        assert!(!seen.err.contains("panicked"), "{seen:#?}");
        let stored = bench.stored("out");
        assert_complete(&stored);
        // The trial has ended with its reason, or has counted what it lost.
        let lost = stored.trials.iter().filter(|trial| match &trial.outcome {
            Outcome::Failed(failure) => {
                assert!(failure.reason.contains("lost") || failure.reason.contains("refused"), "{}", failure.reason);
                true
            }
            Outcome::Measured(measured) => {
                let counts = &measured.targets[0].counts;
                counts.contains_key("errors: lost") || counts.contains_key("errors: refused")
            }
        });
        assert_eq!(lost.count(), 1, "{seen:#?}");
        assert_eq!(allow.is_empty(), seen.code != 0, "{seen:#?}");
        server.wait_until_left();
    }
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
