//! Real PostgreSQL under every executor: the same work, proven by the server's own counts.

use std::{path::Path, process::Command};

use regatta::{
    measure::Measurements,
    runtime::EXECUTORS,
    store::{FailureKind, Outcome, Run},
};

use super::{
    bench_dir::{BenchDir, Live, assert_complete, only_failure},
    own_postgres::{self, OwnPostgres, PASSWORD},
};

/// A scenario on the server at `${env:DATABASE_URL}`.
pub fn scenario(target: &str, executors: &str, steps: &str, load: &str) -> String {
    format!(
        "schema = 1\nname = \"pg\"\n[run]\nrounds = 1\nwarmup = \"0s\"\ntimeout = \"60s\"\n{executors}\n\
         [targets.db]\nsql = {{ url = \"${{env:DATABASE_URL}}\", rows = 100, {target} }}\n\
         [tasks.work]\nsteps = [{steps}]\n[load.l]\ntask = \"work\"\n{load}\n"
    )
}

/// Runs a scenario into `out`, with the url in its environment.
pub fn run(bench: &BenchDir, url: &str, scenario: &str) -> super::bench_dir::Seen {
    bench.write("s.toml", scenario);
    let mut command = bench.command("run --out out s.toml");
    command.env("DATABASE_URL", url);
    Live::new(command).end()
}

/// The measurements of all trials that were not run again.
pub fn measured(run: &Run) -> Vec<(&str, &Measurements)> {
    let each =
        run.trials.iter().filter(|trial| trial.attempt == 0).map(|trial| match &trial.outcome {
            Outcome::Measured(measured) => (trial.cell.as_str(), &measured.loads[0]),
            Outcome::Failed(failure) => panic!("{}: {}", trial.cell, failure.reason),
        });
    each.collect()
}

#[test]
fn question_marks_that_are_no_arguments_stay_what_they_are() {
    let Some(url) = own_postgres::shared() else { return };
    let step = |protocol: &str| {
        format!(
            r#"{{ sql = {{ target = "db", query = '''SELECT 1 WHERE '{{"a": 1}}'::jsonb ?? ?::text
             AND '{{"a": 1}}'::jsonb ??| array['b', ?::text] AND $q$ ? $$ $q$ = ' ? $$ ' ''', args = ["a", "a"], protocol = "{protocol}" }},
             expect = {{ rows = 1 }} }}"#
        )
    };
    let steps = [step("prepared"), step("simple")].join(", ");
    let text = scenario(
        // A word of SQL, which must be quoted wherever it stands.
        "schema = \"table\"",
        "[executors]\nuse = [\"threads\"]",
        &steps,
        "batch = { tasks = 1, repeat = 1 }",
    );
    let bench = BenchDir::new();
    run(&bench, &url, &text).exits(0);
}

/// Rows are what comes back, whatever the server says of the statement, and a text ends where the
/// session ends it.
#[test]
fn rows_and_texts_are_as_the_session_has_them() {
    const WAYS: [&str; 4] = [
        "protocol = \"prepared\"",
        "protocol = \"simple\"",
        "driver = \"customary\"",
        "driver = \"customary\", protocol = \"simple\"",
    ];
    let Some(url) = own_postgres::shared() else { return };
    let each = |query: &str| {
        let step = |how: &str| {
            format!("{{ sql = {{ target = \"db\", {query}, {how} }}, expect = {{ rows = 1 }} }}")
        };
        WAYS.map(step).join(", ")
    };
    let run_steps = |url: &str, steps: &str| {
        let executors = "[executors]\nuse = [\"threads\", \"tokio\"]";
        let text = scenario(
            "schema = \"regatta_it_rows\"",
            executors,
            steps,
            "batch = { tasks = 2, repeat = 1 }",
        );
        let bench = BenchDir::new();
        run(&bench, url, &text).exits(0);
    };
    let steps = [
        "query = \"SHOW server_version\"",
        "query = \"EXPLAIN SELECT * FROM items\"",
        r#"query = """SELECT E'it\\'s ?', ?::int;""", args = [3]"#,
        r#"query = """SELECT 1 WHERE 'a' || chr(39) || 'b' || chr(92) || 'c' = ?""", args = ["a'b\\c"]"#,
    ];
    let steps = steps.map(each).join(", ");
    let off = format!("{url}?options=-c%20standard_conforming_strings%3Doff");
    run_steps(&url, &steps);
    run_steps(&off, &steps);
    // Where a backslash means something, it keeps this quote open.
    run_steps(&off, &each(r#"query = """SELECT 'it\\'s ?', ?::int""", args = [3]"#));
}

/// A procedure's INOUT parameters come back as a row.
#[test]
fn what_a_call_gives_back_is_a_row() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    server.sql(
        "mine",
        "CREATE PROCEDURE public.pr(INOUT x int) LANGUAGE plpgsql AS $$ BEGIN x := x + 1; END $$",
    );
    let step = |protocol: &str| {
        let call = "query = \"CALL public.pr(?)\", args = [1]";
        format!(
            "{{ sql = {{ target = \"db\", {call}, protocol = \"{protocol}\" }}, expect = {{ rows = 1 }} }}"
        )
    };
    let steps = [step("prepared"), step("simple")].join(", ");
    let executors = "[executors]\nuse = [\"threads\"]";
    let text =
        scenario("schema = \"regatta_it\"", executors, &steps, "batch = { tasks = 2, repeat = 1 }");
    let bench = BenchDir::new();
    run(&bench, &server.url(""), &text).exits(0);
}

#[test]
fn a_socket_in_the_file_system_serves_every_executor_and_both_drivers() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    let step = |driver: &str| {
        let query = "query = \"SELECT name FROM items WHERE id = 7\"";
        format!(
            "{{ sql = {{ target = \"db\", {query}, driver = \"{driver}\" }}, expect = {{ rows = 1 }} }}"
        )
    };
    let steps = [step("same"), step("customary")].join(", ");
    let text =
        scenario("schema = \"regatta_it\"", "", &steps, "closed = { concurrency = 2, tasks = 10 }");
    let bench = BenchDir::new();
    run(&bench, &server.socket_url(), &text).exits(0);
    let stored = bench.stored("out");
    let all = measured(&stored);
    assert_eq!(all.len(), EXECUTORS.len());
    for (cell, measured) in all {
        assert!(
            measured.trial.facts["db: address"].contains("/.s.PGSQL."),
            "{cell}: {:?}",
            measured.trial.facts
        );
    }
}

/// What a user's url usually has: a name of the program's own, a limit on connecting, and
/// encryption where the server offers it.
#[test]
fn usual_options_of_a_url_are_heeded() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    let named = "SELECT 1 FROM pg_stat_activity WHERE pid = pg_backend_pid() AND application_name LIKE 'regatta steps %";
    let step = format!(
        "{{ sql = {{ target = \"db\", query = \"{named} shop'\" }}, expect = {{ rows = 1 }} }}"
    );
    let executors = "[executors]\nuse = [\"tokio\"]";
    let text =
        scenario("schema = \"regatta_it\"", executors, &step, "batch = { tasks = 2, repeat = 1 }");
    let bench = BenchDir::new();
    run(&bench, &server.url("?application_name=shop&connect_timeout=5&sslmode=prefer"), &text)
        .exits(0);
    for (cell, measured) in measured(&bench.stored("out")) {
        // This server offers none.
        assert!(
            !measured.trial.facts["db: address"].contains("encrypted"),
            "{cell}: {:?}",
            measured.trial.facts
        );
    }
}

#[test]
fn every_policy_does_the_same_work_on_every_executor() {
    let Some(url) = own_postgres::shared() else { return };
    let query =
        "query = \"SELECT name, price FROM items WHERE id = ?\", args = [\"${uniform(1,100)}\"]";
    let insert = "query = \"INSERT INTO log(task, value) VALUES (?, ?)\", args = [\"${i}\", 2]";
    let step = |what: &str, more: &str, name: &str| {
        format!(
            "{{ sql = {{ target = \"db\", {what}{more} }}, expect = {{ rows = 1 }}, name = \"{name}\" }}"
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
    let target = "schema = \"regatta_it_policies\", pool = { max = 2 }";
    let text = scenario(target, "", &steps.join(", "), "closed = { concurrency = 6, tasks = 30 }");
    let bench = BenchDir::new();
    run(&bench, &url, &text).exits(0);
    let stored = bench.stored("out");
    assert_complete(&stored);
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
        // One in each call, one in each task, both once more in preparation; one of each slot that
        // was used, and at most two in the pool.
        let fixed = 30 * 2 + 2;
        let bounds = fixed + 1 + 1..=fixed + slots + 2;
        assert!(bounds.contains(&counts["connections opened"]), "{cell}: {counts:?}");
        let pool = measured.steps.iter().find(|step| step.name == "db.pool-wait").unwrap();
        assert_eq!(pool.stream.count, 30, "{cell}");
        let open =
            measured.trial.proof.iter().find(|line| line.what.contains("that are open")).unwrap();
        assert_eq!((open.expected.as_str(), open.found.as_str()), ("0", "0"), "{cell}");
        assert!(
            measured.trial.facts["db: server"].starts_with("PostgreSQL"),
            "{:?}",
            measured.trial.facts
        );
        let is_fair = measured.trial.facts["waiting for a pool"] == "first come, first served";
        assert_eq!(is_fair, cell.contains("tokio"), "{cell}: {:?}", measured.trial.facts);
    }
}

#[test]
fn transactions_and_text_are_right_on_every_executor() {
    let Some(url) = own_postgres::shared() else { return };
    let steps = "{ sql = { target = \"db\", transaction = [\
        { query = \"UPDATE items SET price = price - 1 WHERE id = ?\", args = [\"${uniform(1,50)}\"] }, \
        { query = \"UPDATE items SET price = price + 1 WHERE id = ?\", args = [\"${uniform(51,100)}\"] }, \
        { query = \"INSERT INTO log(task, value) VALUES (?, 1)\", args = [\"${i}\"] }] }, expect = { rows = [1, 1, 1] } }, \
        { sql = { target = \"db\", query = \"SELECT '?' || ? WHERE ? = 'it''s ' || ?\", \
        args = [\"x\", \"it's ${i}\", \"${i}\"], protocol = \"simple\" }, expect = { rows = 1 } }, \
        { sql = { target = \"db\", query = \"SELECT * FROM items ORDER BY id\" }, expect = { rows = 100 }, name = \"all\" }";
    let text = scenario(
        "schema = \"regatta_it_transactions\"",
        "",
        steps,
        "closed = { concurrency = 4, tasks = 40 }",
    );
    let bench = BenchDir::new();
    run(&bench, &url, &text).exits(0);
    let stored = bench.stored("out");
    let all = measured(&stored);
    let sum = all[0].1.trial.targets[0].counts["sum items.price"];
    for (cell, measured) in all {
        let counts = &measured.trial.targets[0].counts;
        assert_eq!((counts["rows log"], counts["sum items.price"]), (40, sum), "{cell}");
    }
}

#[test]
fn a_pipeline_and_a_copy_do_what_single_statements_do() {
    let Some(url) = own_postgres::shared() else { return };
    let steps = "{ sql = { target = \"db\", pipeline = true, transaction = [\
        { query = \"INSERT INTO log(task, value) VALUES (?, 1)\", args = [\"${i}\"] }, \
        { query = \"SELECT name FROM items WHERE id <= ?\", args = [7] }, \
        { query = \"UPDATE items SET price = price + 1 WHERE id = ?\", args = [\"${uniform(1,100)}\"] }] }, \
        expect = { rows = [1, 7, 1] } }, \
        { sql = { target = \"db\", copy = { into = \"log(task, value)\", rows = 50, args = [\"${i}\", \"${j}\"] } }, \
        expect = { rows = 50 }, name = \"copy\" }";
    let text = scenario(
        "schema = \"regatta_it_copy\"",
        "",
        steps,
        "closed = { concurrency = 4, tasks = 20 }",
    );
    let bench = BenchDir::new();
    run(&bench, &url, &text).exits(0);
    let stored = bench.stored("out");
    let all = measured(&stored);
    let sum = all[0].1.trial.targets[0].counts["sum items.price"];
    for (cell, measured) in all {
        let counts = &measured.trial.targets[0].counts;
        // Twenty single rows, and twenty times the numbers from 0 to 49.
        assert_eq!(
            (counts["rows log"], counts["sum log.value"]),
            (20 * 51, 20 + 20 * 1225),
            "{cell}"
        );
        assert_eq!(counts["sum items.price"], sum, "{cell}");
        assert_eq!(
            measured
                .trial
                .proof
                .iter()
                .filter(|line| line.what.starts_with("rows in target"))
                .count(),
            1,
            "{cell}"
        );
    }
    // What one statement does wrong undoes all of them, and is named.
    let bench = BenchDir::new();
    let wrong =
        steps.replace("SELECT name FROM items WHERE id <= ?", "SELECT 1 / (id - ?) FROM items");
    let text = scenario(
        "schema = \"regatta_it_copy\"",
        "[executors]\nuse = [\"tokio\"]",
        &wrong,
        "batch = { tasks = 1 }",
    );
    run(&bench, &url, &text).exits(5).says(&["division by zero", "SELECT 1 / (id - ?)"]);
}

#[test]
fn a_query_that_reads_and_yet_writes_is_a_wrong_result() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    let body = "BEGIN UPDATE regatta_bench.items SET price = price + 1 WHERE id = 1; RETURN 1; END";
    server.sql(
        "mine",
        &format!("CREATE FUNCTION public.peek() RETURNS INT LANGUAGE plpgsql AS $${body}$$"),
    );
    let steps = "{ sql = { target = \"db\", query = \"SELECT public.peek()\" } }";
    let text =
        scenario("", "[executors]\nuse = [\"tokio\"]", steps, "batch = { tasks = 2, repeat = 1 }");
    let bench = BenchDir::new();
    run(&bench, &server.url(""), &text).exits(5);
    let stored = bench.stored("out");
    let (kind, reason) = only_failure(&stored);
    assert_eq!(kind, FailureKind::WrongResult, "{reason}");
    let said =
        "wrong result: sum items.price in target db, to which nothing was written: expected ";
    assert!(reason.starts_with(said), "{reason}");
}

#[test]
fn a_run_is_not_taken_up_on_another_server() {
    let (Some(url), Some(other)) = (own_postgres::shared(), OwnPostgres::start(&[])) else {
        return;
    };
    let steps = "{ sql = { target = \"db\", query = \"SELECT 1\" } }";
    let executors = "[executors]\nuse = [\"threads\", \"tokio\"]";
    let text = scenario(
        "schema = \"regatta_it_moved\"",
        executors,
        steps,
        "batch = { tasks = 2, repeat = 1 }",
    );
    let bench = BenchDir::new();
    run(&bench, &url, &text).exits(0);
    let before = bench.cut_off("out");
    let file = bench.path("out/run.jsonl");
    let resume = |url: &str| {
        let mut command = bench.command("run --resume out");
        command.env("DATABASE_URL", url);
        Live::new(command).end()
    };
    let seen = resume(&other.url(""))
        .exits(65)
        .says(&["was measured with `db: address` postgres://", "another `--out`"]);
    assert!(seen.err.contains(&other.url("").replace(&format!(":{PASSWORD}"), "")), "{seen:#?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before, "nothing was measured");
    // The same address, behind which there is another server by now.
    let replaced = before.replace("\"db: server\":\"PostgreSQL ", "\"db: server\":\"PostgreSQL 1.");
    assert_ne!(replaced, before);
    std::fs::write(&file, &replaced).unwrap();
    resume(&url)
        .exits(65)
        .says(&["was measured with `db: server` PostgreSQL 1.", "and here it is PostgreSQL "]);
    std::fs::write(&file, &before).unwrap();
    resume(&url).exits(0);
    assert_complete(&bench.stored("out"));
}

#[test]
fn the_server_s_cpu_time_is_the_target_s() {
    let Some(url) = own_postgres::shared() else { return };
    let steps = "{ sql = { target = \"db\", query = \"SELECT sum(a * b) FROM generate_series(1, 300) a, \
        generate_series(1, 1000) b\" }, expect = { rows = 1 } }";
    let text = scenario(
        "schema = \"regatta_it_cpu\"",
        "[executors]\nuse = [\"tokio\"]",
        steps,
        "closed = { concurrency = 2, tasks = 20 }",
    );
    let bench = BenchDir::new();
    run(&bench, &url, &text).exits(0);
    let stored = bench.stored("out");
    let report = &measured(&stored)[0].1.trial.targets[0];
    let (server, client) = (report.cpu_ns.unwrap(), measured(&stored)[0].1.trial.cpu_user_ns);
    // The server adds up six million products; the client waits.
    assert!(server > 5 * client && server > 50_000_000, "server {server}, client {client}");
}

#[test]
fn somebody_else_s_schema_is_left_alone() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    server.sql("mine", "CREATE SCHEMA regatta_bench AUTHORIZATION me");
    server.sql("mine", "CREATE TABLE regatta_bench.items(id INT)");
    let steps = "{ sql = { target = \"db\", query = \"SELECT 1\" } }";
    let text = scenario(
        "",
        "[executors]\nuse = [\"threads\"]",
        steps,
        "batch = { tasks = 2, repeat = 1 }",
    );
    let bench = BenchDir::new();
    run(&bench, &server.url(""), &text).exits(5).says(&["Regatta has not made it", "schema = "]);
    assert_eq!(server.sql("mine", "SELECT count(*) FROM regatta_bench.items"), "0");
    // What a killed trial left behind is dropped.
    server.sql(
        "mine",
        "COMMENT ON SCHEMA regatta_bench IS 'made by Regatta, dropped after each trial'",
    );
    server.sql("mine", "ALTER TABLE regatta_bench.items OWNER TO me");
    let again = BenchDir::new();
    run(&again, &server.url(""), &text).exits(0);
    assert_eq!(
        server.sql("mine", "SELECT count(*) FROM pg_namespace WHERE nspname = 'regatta_bench'"),
        "0"
    );
}

/// Everything that was written below a folder.
fn written(folder: &Path, found: &mut Vec<u8>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            written(&entry, found);
        } else {
            found.extend(std::fs::read(entry).unwrap());
        }
    }
}

#[test]
fn a_password_is_neither_written_nor_printed() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    let steps = "{ sql = { target = \"db\", query = \"SELECT 1\", protocol = \"simple\" } }";
    let good = scenario("", "", steps, "batch = { tasks = 4, repeat = 2 }");
    let bad = good.replace("SELECT 1", "SELECT nothing FROM nowhere");
    let urls = [
        server.url(""),
        server.url("?sslmode=require"),
        server.url("?sslmode=maybe"),
        server.url("?unknown=1"),
        server.url("").replace("/mine", "/missing"),
        server.url("").replace("postgres://", "oracle://"),
        server.url("").replace("127.0.0.1", ""),
        server.url("").replace(PASSWORD, &format!("{PASSWORD}x")),
        server.url("").replace("127.0.0.1", "no-such-host.invalid"),
    ];
    for (at, (url, text)) in
        urls.iter().map(|url| (url, &good)).chain([(&urls[0], &bad)]).enumerate()
    {
        let bench = BenchDir::new();
        bench.write("s.toml", text);
        let mut all = Vec::new();
        for arguments in ["run -v --out out s.toml", "list s.toml", "check s.toml", "report out"] {
            let mut command = bench.command(arguments);
            command.env("DATABASE_URL", url).env("RUST_BACKTRACE", "1");
            let seen = Live::new(command).end();
            assert!(!seen.err.contains("panicked"), "{}", seen.err);
            all.extend(seen.out.into_bytes());
            all.extend(seen.err.into_bytes());
        }
        written(&bench.path(""), &mut all);
        let text = String::from_utf8_lossy(&all);
        assert!(!text.contains(PASSWORD), "url {at}: {text}");
        assert!(text.contains("${env:DATABASE_URL}"));
    }
}

/// Runs openssl in a folder.
fn openssl(server: &OwnPostgres, arguments: &str) {
    let done = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(server.path(""))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn encryption_is_as_the_url_says() {
    let Some(server) = OwnPostgres::start(&[]) else { return };
    if Command::new("openssl").arg("version").output().is_err() {
        crate::skip::skipped("no openssl on this machine");
        return;
    }
    let new = "req -x509 -newkey rsa:2048 -nodes -days 2 -addext basicConstraints=critical,CA:TRUE";
    openssl(&server, &format!("{new} -subj /CN=regatta-ca -keyout ca.key -out ca.pem"));
    openssl(&server, &format!("{new} -subj /CN=other-ca -keyout other.key -out other.pem"));
    openssl(
        &server,
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
    );
    std::fs::write(server.path("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        &server,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
    );
    server.owns(&["server.key", "server.crt"]);
    server.kill();
    let file = |name: &str| server.path(name).display().to_string();
    server.up(&[
        "ssl=on",
        &format!("ssl_cert_file={}", file("server.crt")),
        &format!("ssl_key_file={}", file("server.key")),
    ]);
    let by_name = |more: &str| server.url(more).replace("127.0.0.1", "localhost");
    let step = "{ sql = { target = \"db\", query = \"SELECT 1 FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl\", \
        connection = \"per-call\" }, expect = { rows = 1 } }";
    let fine = [
        by_name(&format!("?sslmode=verify-full&sslrootcert={}", file("ca.pem"))),
        server.url(&format!("?sslmode=verify-ca&sslrootcert={}", file("ca.pem"))),
        server.url("?sslmode=require"),
    ];
    for url in fine {
        let bench = BenchDir::new();
        run(&bench, &url, &scenario("", "", step, "batch = { tasks = 2, repeat = 1 }")).exits(0);
    }
    let wrong = [
        server.url(&format!("?sslmode=verify-full&sslrootcert={}", file("ca.pem"))),
        by_name(&format!("?sslmode=verify-full&sslrootcert={}", file("other.pem"))),
        server.url(&format!("?sslmode=verify-ca&sslrootcert={}", file("other.pem"))),
    ];
    for url in wrong {
        let bench = BenchDir::new();
        let text = scenario(
            "",
            "[executors]\nuse = [\"threads\"]",
            step,
            "batch = { tasks = 2, repeat = 1 }",
        );
        run(&bench, &url, &text).exits(5).says(&["tls: ", "no encrypted connection"]);
    }
}

/// System calls by thread, from a trace: `PID call(…)`.
fn calls(trace: &str, thread: &str, names: &[&str]) -> usize {
    let of_thread = trace.lines().filter(|line| line.split_whitespace().next() == Some(thread));
    of_thread.filter(|line| names.iter().any(|name| line.contains(&format!(" {name}(")))).count()
}

#[test]
fn a_query_under_threads_is_one_send_and_one_receive() {
    let Some(url) = own_postgres::shared() else { return };
    if Command::new("strace").arg("-V").output().is_err() {
        crate::skip::skipped("no strace on this machine");
        return;
    }
    // The difference between two lengths of one load is what its calls did, and nothing else.
    let [short, long] = [100, 600].map(|tasks| traced(&url, tasks));
    let (sends, receives) = (long.0 - short.0, long.1 - short.1);
    assert_eq!((sends, receives), (500, 500), "{short:?} {long:?}");
}

/// Sends and receives of the client's thread in a trial of so many queries.
fn traced(url: &str, tasks: usize) -> (usize, usize) {
    let steps = "{ sql = { target = \"db\", query = \"SELECT name, price FROM items WHERE id = ?\", \
        args = [\"${uniform(1,100)}\"] }, expect = { rows = 1 }, timeout = \"30s\" }";
    let load = format!("closed = {{ concurrency = 1, tasks = {tasks} }}");
    let text =
        scenario("schema = \"regatta_it_calls\"", "[executors]\nuse = [\"threads\"]", steps, &load);
    let bench = BenchDir::new();
    bench.write("s.toml", text);
    let mut command = bench.command("run -v --out out s.toml");
    command.env("DATABASE_URL", url);
    Live::new(command).end().exits(0);
    let trace = bench.path("trace");
    let traced = Command::new("strace")
        .args(["-f", "-e", "trace=sendto,recvfrom,write,writev,read,sendmsg,recvmsg", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_regatta"))
        .args(["trial", "--plan"])
        .arg(bench.path("out/plans/0001.json"))
        .env("DATABASE_URL", url)
        .output()
        .unwrap();
    assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stdout));
    let trace = std::fs::read_to_string(trace).unwrap();
    let threads: std::collections::BTreeSet<&str> =
        trace.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let (sends, receives) =
        (["sendto", "write", "writev", "sendmsg"], ["recvfrom", "read", "recvmsg"]);
    // The first thread is the target's; of the others, the client's asks most.
    let first = trace.lines().next().and_then(|line| line.split_whitespace().next());
    let others = threads.into_iter().filter(|thread| Some(*thread) != first);
    let client = others.max_by_key(|thread| calls(&trace, thread, &["sendto"])).unwrap();
    (calls(&trace, client, &sends), calls(&trace, client, &receives))
}
