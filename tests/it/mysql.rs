//! MySQL and MariaDB for real: the client over the streams of executors, and whole runs.
//!
//! `REGATTA_TEST_MYSQL_URL` names a server whose user may do anything with databases called
//! `regatta…`.

use std::{
    future::Future,
    path::Path,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use regatta::{
    client::{
        Address, Fault, FaultKind,
        mysql::{self, ColumnValue, Mysql, MysqlParam},
    },
    runtime::{Blocking, EXECUTORS, Native, Runtime, Setup, Visitor, block_on, dispatch},
    store::FailureKind,
};

use crate::{
    bench_dir::{BenchDir, Live, only_failure, wait_for},
    own_port::OwnPort,
    race::{calls, measured, race},
};

const VARIABLE: &str = "REGATTA_TEST_MYSQL_URL";
const ONCE: &str = "[run]\nrounds = 1\nwarmup = \"0s\"\ntimeout = \"60s\"\n";

/// The server, and the right to be the only test at it: its processes are counted.
struct Server {
    address: Address,
    url: String,
    _alone: MutexGuard<'static, ()>,
}

/// The server to test with; none, said so, where there is none.
fn server() -> Option<Server> {
    static ALONE: Mutex<()> = Mutex::new(());
    let Ok(url) = std::env::var(VARIABLE) else {
        crate::skip::skipped(&format!(
            "no MariaDB at {VARIABLE} (scripts/services up, source target/services/env)"
        ));
        return None;
    };
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Some(Server { address: Address::parse(&url).unwrap(), url, _alone: alone })
}

impl Server {
    fn open(&self) -> Mysql<Blocking> {
        block_on(mysql::open::<Blocking>(&self.address, None)).unwrap()
    }

    /// The same server as somebody else.
    fn with(&self, change: impl FnOnce(&mut Address)) -> Result<Mysql<Blocking>, Fault> {
        let mut address = self.address.clone();
        change(&mut address);
        block_on(mysql::open::<Blocking>(&address, None))
    }

    /// The password, which must be nowhere.
    fn password(&self) -> &str {
        self.address.password.as_ref().map_or("", |password| password.reveal())
    }
}

fn number(client: &mut Mysql<Blocking>, query: &str) -> i64 {
    let mut found = None;
    block_on(client.query(query, |_, cell| found = cell.number())).unwrap();
    found.unwrap()
}

/// Runs something on an executor, with the primitives that its steps would use.
struct On<W>(W);

/// What is run on an executor.
trait Work {
    type Output: Send + 'static;
    fn run<N: Native>(self) -> impl Future<Output = Self::Output> + Send;
}

impl<W: Work + Send> Visitor for On<W> {
    type Output = W::Output;

    fn visit<R: Runtime>(self) -> W::Output {
        let runtime = R::start(&Setup { workers: 2, pool_size: 2, stack_size: None }).unwrap();
        let output = runtime.block_on(self.0.run::<R::Native>());
        runtime.stop();
        output
    }
}

/// Everything that the client can do, as lines.
struct Tour(Address);

impl Work for Tour {
    type Output = Result<Vec<String>, Fault>;

    async fn run<N: Native>(self) -> Result<Vec<String>, Fault> {
        let mut lines = Vec::new();
        let mut client = mysql::open::<N>(&self.0, None).await?;
        client.ping().await?;
        let done = client
            .query("SELECT 1, NULL, 'ü'; DO 0; SELECT 2", |at, cell| lines.push(show(at, cell)))
            .await?;
        lines.push(format!("{done:?}"));
        let text = "SELECT CAST(? AS SIGNED), CAST(? AS UNSIGNED), CAST(? AS DOUBLE), CONCAT(?, ?), ? IS NULL, \
            CAST(1 AS DECIMAL(5, 2)), CAST('2024-02-29' AS DATE), REPEAT('x', 100000)";
        let statement = client.prepare(text).await?;
        lines.push(format!("{} {}", statement.params(), statement.columns()));
        let params = [
            MysqlParam::Integer(-7),
            MysqlParam::Integer(i64::MAX),
            MysqlParam::Real(0.5),
            MysqlParam::Text("it's"),
            MysqlParam::Text("\\ü"),
            MysqlParam::Null,
        ];
        for _ in 0..2 {
            client
                .execute(statement, params.into_iter(), |at, cell| lines.push(show(at, cell)))
                .await?;
        }
        client.close(statement).await?;
        // 10 000 rows in many packets and reads.
        let digits = "SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL \
            SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9";
        let tables =
            ["a", "b", "c", "e"].map(|name| format!("({digits}) AS {name}")).join(" CROSS JOIN ");
        let number = "1000 * a.d + 100 * b.d + 10 * c.d + e.d";
        let done = client.run(&format!("SELECT {number}, REPEAT('y', 50) FROM {tables}")).await?;
        lines.push(format!("{done:?}"));
        let fault: Fault = client.run("SELECT nothing").await.err().unwrap().into();
        lines.push(format!("{} {}", fault.kind.name(), client.is_open()));
        client.quit().await?;
        Ok(lines)
    }
}

fn show(at: usize, cell: ColumnValue<'_>) -> String {
    match cell {
        ColumnValue::Bytes(bytes) if bytes.len() > 100 => format!("{at} {} bytes", bytes.len()),
        ColumnValue::Bytes(bytes) => format!("{at} {:?}", String::from_utf8_lossy(bytes)),
        cell => format!("{at} {cell:?}"),
    }
}

#[test]
fn the_client_does_the_same_over_every_stream() {
    let Some(server) = server() else { return };
    for executor in EXECUTORS {
        let tour = On(Tour(server.address.clone()));
        let lines = dispatch(executor.name, tour).unwrap().unwrap();
        let row = [
            "0 Integer(-7)",
            "1 Unsigned(9223372036854775807)",
            "2 Real(0.5)",
            "3 \"it's\\\\ü\"",
            "4 Integer(1)",
            "5 \"1.00\"",
            "6 \"\u{fffd}\\u{7}\\u{2}\\u{1d}\"",
            "7 100000 bytes",
        ];
        let first = ["0 \"1\"", "1 Null", "2 \"ü\"", "0 \"2\""];
        let done = "Summary { rows: 2, affected: 0, received: 4, statements: 3, result_sets: 2 }";
        let many =
            "Summary { rows: 10000, affected: 0, received: 538890, statements: 1, result_sets: 1 }";
        let expected: Vec<&str> = first
            .into_iter()
            .chain([done, "6 8"])
            .chain(row)
            .chain(row)
            .chain([many, "statement true"])
            .collect();
        assert_eq!(lines, expected, "{}", executor.name);
    }
}

#[test]
fn faults_have_their_names() {
    let Some(server) = server() else { return };
    let kind = |opened: Result<Mysql<Blocking>, Fault>| {
        let fault = opened.err().unwrap();
        assert!(!fault.message.contains(server.password()), "{fault}");
        fault.kind
    };
    let silent = OwnPort::new();
    assert_eq!(kind(server.with(|address| address.port = silent.number())), FaultKind::Refused);
    assert_eq!(kind(server.with(|address| address.password = None)), FaultKind::Login);
    assert_eq!(
        kind(server.with(|address| address.user = "nobody_of_that_name".into())),
        FaultKind::Login
    );
    assert_eq!(
        kind(server.with(|address| address.database = Some("regatta_no_such_database".into()))),
        FaultKind::Database
    );

    let mut client = server.open();
    let mut run = |text: &str| client.run_blocking(text);
    assert_eq!(run("SELECT FROM"), Some(FaultKind::Statement));
    assert_eq!(
        run("SET STATEMENT max_statement_time = 0.05 FOR SELECT SLEEP(60)"),
        Some(FaultKind::Timeout)
    );
}

/// What a statement came to, in short.
trait RunBlocking {
    fn run_blocking(&mut self, text: &str) -> Option<FaultKind>;
}

impl RunBlocking for Mysql<Blocking> {
    fn run_blocking(&mut self, text: &str) -> Option<FaultKind> {
        block_on(self.run(text)).err().map(|error| error.kind())
    }
}

#[test]
fn a_killed_connection_is_lost_in_the_middle_and_between_calls() {
    let Some(server) = server() else { return };
    let (mut client, mut other) = (server.open(), server.open());
    let id = client.connection_id();
    let sleeping =
        thread::spawn(move || (client.run_blocking("SELECT SLEEP(600)"), client.is_open()));
    let asleep = format!(
        "SELECT count(*) FROM information_schema.processlist WHERE id = {id} AND state = 'User sleep'"
    );
    wait_for("the statement", || (number(&mut other, &asleep) == 1).then_some(()));
    assert_eq!(other.run_blocking(&format!("KILL CONNECTION {id}")), None);
    assert_eq!(sleeping.join().unwrap(), (Some(FaultKind::Lost), false));

    let mut idle = server.open();
    assert_eq!(other.run_blocking(&format!("KILL CONNECTION {}", idle.connection_id())), None);
    let gone = format!(
        "SELECT count(*) FROM information_schema.processlist WHERE id = {}",
        idle.connection_id()
    );
    wait_for("the end", || (number(&mut other, &gone) == 0).then_some(()));
    assert_eq!((idle.run_blocking("SELECT 1"), idle.is_open()), (Some(FaultKind::Lost), false));
}

#[test]
fn of_two_transactions_that_wait_for_each_other_one_is_the_victim() {
    let Some(server) = server() else { return };
    let (mut first, mut second, mut other) = (server.open(), server.open(), server.open());
    let set_up = "CREATE OR REPLACE DATABASE regatta_deadlock; USE regatta_deadlock; \
        CREATE TABLE t(id INT PRIMARY KEY, n INT) ENGINE = InnoDB; INSERT INTO t VALUES (1, 0), (2, 0)";
    assert_eq!(other.run_blocking(set_up), None);
    let take = |row: u8| format!("UPDATE regatta_deadlock.t SET n = n + 1 WHERE id = {row}");
    assert_eq!(first.run_blocking(&format!("BEGIN; {}", take(1))), None);
    assert_eq!(second.run_blocking(&format!("BEGIN; {}", take(2))), None);
    let second_row = take(2);
    // In whatever order they come, the second one to come closes the circle.
    let waiting = thread::spawn(move || (first.run_blocking(&second_row), first.is_open()));
    let told = [second.run_blocking(&take(1)), waiting.join().unwrap().0];
    assert!(told.contains(&Some(FaultKind::Deadlock)) && told.contains(&None), "{told:?}");
    assert_eq!(second.run_blocking("ROLLBACK"), None);
    let late = "SET SESSION innodb_lock_wait_timeout = 1; BEGIN";
    let mut third = server.open();
    assert_eq!((second.run_blocking("BEGIN"), third.run_blocking(late)), (None, None));
    assert_eq!(second.run_blocking(&take(1)), None);
    assert_eq!(
        (third.run_blocking(&take(1)), third.is_open()),
        (Some(FaultKind::LockTimeout), true)
    );
    drop((second, third));
    assert_eq!(other.run_blocking("DROP DATABASE regatta_deadlock"), None);
}

/// A scenario on the server; the url stands in the environment.
fn scenario(name: &str, target: &str, steps: &str, load: &str) -> String {
    format!(
        "{ONCE}[targets.db]\nsql = {{ url = \"${{env:{VARIABLE}}}\", schema = \"{name}\"{target} }}\n\
         [tasks.work]\nsteps = [{steps}]\n[load.l]\ntask = \"work\"\n{load}\n"
    )
}

#[test]
fn every_executor_does_the_same_work_on_the_server() {
    let Some(server) = server() else { return };
    let steps = "{ sql = { target = \"db\", query = \"SELECT name, price FROM items WHERE id = ?\", args = [\"${uniform(1,500)}\"] }, expect = { rows = 1 }, name = \"read\" }, \
        { sql = { target = \"db\", transaction = [{ query = \"UPDATE items SET price = price + 1 WHERE id = ?\", args = [\"${i}\"] }, { query = \"INSERT INTO log(task, value) VALUES (?, ?)\", args = [\"${i}\", 2] }] }, name = \"write\" }, \
        { sql = { target = \"db\", query = \"SELECT count(*) FROM items WHERE name <> ?\", args = [\"it's \\\\ ${i}\"], protocol = \"simple\" }, expect = { rows = 1 }, name = \"text\" }";
    let run = race(
        &scenario(
            "regatta_work",
            ", rows = 500",
            steps,
            "closed = { concurrency = 4, tasks = 100 }",
        ),
        &[],
    );
    let all = measured(&run);
    assert_eq!(all.len(), EXECUTORS.len());
    for (cell, measured) in &all {
        let counts = &measured.trial.targets[0].counts;
        assert_eq!(
            (counts["rows items"], counts["rows log"], counts["sum log.value"]),
            (500, 100, 200),
            "{cell}"
        );
        assert_eq!(
            counts["sum items.price"], all[0].1.trial.targets[0].counts["sum items.price"],
            "{cell}"
        );
        // One for each slot that was used; a worker of the pool may have come too late for a task.
        let slots: u64 = measured.trial.facts["slots"].parse().unwrap();
        let is_pool = ["thread-pool", "rayon"].iter().any(|pool| cell.contains(pool));
        let least = if is_pool { 1 } else { slots };
        assert!((least..=slots).contains(&counts["connections opened"]), "{cell}: {counts:?}");
    }
    let mut client = server.open();
    let left =
        "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'regatta_work'";
    assert_eq!(number(&mut client, left), 0);
}

/// The server says with every answer what a backslash means; and its socket serves as TCP does.
#[test]
fn texts_are_as_the_session_reads_them_also_by_the_server_s_socket() {
    let Some(server) = server() else { return };
    let mut socket = Vec::new();
    let shown = |_, cell: ColumnValue<'_>| {
        if let ColumnValue::Bytes(bytes) = cell {
            socket = bytes.to_vec();
        }
    };
    block_on(server.open().query("SELECT @@socket", shown)).unwrap();
    let by_socket = format!("?socket={}", String::from_utf8(socket).unwrap());
    let text = r#"query = "SELECT 1 WHERE CONCAT('a', CHAR(39), 'b', CHAR(92), 'c') = ?", args = ["a'b\\c"]"#;
    let step = |what: &str, rows: u64| {
        let each = ["same", "customary"].map(|driver| {
            format!("{{ sql = {{ target = \"db\", driver = \"{driver}\", {what} }}, expect = {{ rows = {rows} }} }}")
        });
        each.join(", ")
    };
    let simple = step(&format!("{text}, protocol = \"simple\""), 1);
    let mode = |mode: &str| step(&format!("query = \"SET SESSION sql_mode = '{mode}'\""), 0);
    let steps =
        [simple.clone(), mode("NO_BACKSLASH_ESCAPES"), simple, step(text, 1), mode("")].join(", ");
    for (name, more) in [("regatta_texts", ""), ("regatta_socket", by_socket.as_str())] {
        let bench = BenchDir::new();
        let text =
            scenario(name, ", rows = 10", &steps, "closed = { concurrency = 2, tasks = 10 }");
        bench.write("s.toml", format!("schema = 1\nname = \"my\"\n{text}"));
        let mut command = bench.command("run --out out s.toml");
        command.env(VARIABLE, format!("{}{more}", server.url));
        Live::new(command).end().exits(0);
        for (cell, measured) in measured(&bench.stored("out")) {
            assert_eq!(
                measured.trial.facts["db: address"].contains(" by /"),
                !more.is_empty(),
                "{cell}"
            );
        }
    }
}

#[test]
fn a_query_that_reads_and_yet_writes_is_a_wrong_result() {
    let Some(server) = server() else { return };
    let mut client = server.open();
    let body =
        "BEGIN UPDATE regatta_peeked.items SET price = price + 1 WHERE id = 1; RETURN 1; END";
    let made = format!("CREATE FUNCTION regatta_peek.peek() RETURNS INT MODIFIES SQL DATA {body}");
    assert_eq!(
        client.run_blocking(&format!("CREATE OR REPLACE DATABASE regatta_peek; {made}")),
        None
    );
    let steps = "{ sql = { target = \"db\", query = \"SELECT regatta_peek.peek()\" } }";
    let text = scenario("regatta_peeked", "", steps, "closed = { concurrency = 1, tasks = 2 }");
    let bench = BenchDir::with(&format!("schema = 1\nname = \"peek\"\n{text}"));
    bench.run("run s.toml -e threads --out out").exits(5);
    let stored = bench.stored("out");
    let (kind, reason) = only_failure(&stored);
    assert_eq!(kind, FailureKind::WrongResult, "{reason}");
    let said =
        "wrong result: sum items.price in target db, to which nothing was written: expected ";
    assert!(reason.starts_with(said), "{reason}");
    assert_eq!(client.run_blocking("DROP DATABASE regatta_peek"), None);
}

#[test]
fn a_database_of_somebody_else_is_refused_and_stays() {
    let Some(server) = server() else { return };
    let mut client = server.open();
    assert_eq!(
        client.run_blocking(
            "CREATE OR REPLACE DATABASE regatta_theirs; CREATE TABLE regatta_theirs.t(i INT)"
        ),
        None
    );
    let steps = "{ sql = { target = \"db\", query = \"SELECT 1\" } }";
    let text = scenario("regatta_theirs", "", steps, "closed = { concurrency = 1, tasks = 1 }");
    let bench = BenchDir::with(&format!("schema = 1\nname = \"theirs\"\n{text}"));
    let seen = bench.run("run s.toml -e threads --out out");
    assert_ne!(seen.code, 0, "{seen:#?}");
    seen.says(&["the schema `regatta_theirs` exists, and Regatta has not made it"]);
    assert_eq!(number(&mut client, "SELECT count(*) FROM regatta_theirs.t"), 0);
    assert_eq!(client.run_blocking("DROP DATABASE regatta_theirs"), None);
}

#[test]
fn a_database_in_which_there_is_nothing_is_taken_as_ours() {
    let Some(server) = server() else { return };
    let mut client = server.open();
    let steps = "{ sql = { target = \"db\", query = \"SELECT 1\" } }";
    let text = scenario("regatta_bare", "", steps, "closed = { concurrency = 1, tasks = 1 }");
    let bench = BenchDir::with(&format!("schema = 1\nname = \"bare\"\n{text}"));
    let mut runs = 0;
    let mut run = || {
        runs += 1;
        bench.run(&format!("run s.toml -e threads --out out{runs}"))
    };
    // Anything at all that is in it makes it somebody else's, and stays.
    for (what, query) in [
        ("TABLE regatta_bare.t(i INT)", "SELECT count(*) FROM regatta_bare.t"),
        ("VIEW regatta_bare.v AS SELECT 1 AS i", "SELECT count(*) - 1 FROM regatta_bare.v"),
        ("FUNCTION regatta_bare.f() RETURNS INT RETURN 0", "SELECT regatta_bare.f()"),
        (
            "EVENT regatta_bare.e ON SCHEDULE AT '2037-01-01 00:00:00' DO DO 0",
            "SELECT count(*) - 1 FROM information_schema.events WHERE event_schema = 'regatta_bare'",
        ),
    ] {
        assert_eq!(
            client.run_blocking(&format!("CREATE OR REPLACE DATABASE regatta_bare; CREATE {what}")),
            None
        );
        let seen = run();
        assert_eq!(seen.code, 5, "{what}: {seen:#?}");
        seen.says(&["the schema `regatta_bare` exists, and Regatta has not made it"]);
        assert_eq!(number(&mut client, query), 0, "{what}");
    }
    // And so does somebody who is about to put something into it.
    assert_eq!(
        client.run_blocking("CREATE OR REPLACE DATABASE regatta_bare; USE regatta_bare"),
        None
    );
    run().exits(5).says(&["the schema `regatta_bare` exists"]);
    assert_eq!(client.run_blocking("USE information_schema"), None);
    run().exits(0);
    let left =
        "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'regatta_bare'";
    assert_eq!(number(&mut client, left), 0);
}

#[test]
fn a_person_who_looks_into_the_database_is_not_counted_and_not_disturbed() {
    let Some(server) = server() else { return };
    let mut person = server.open();
    assert_eq!(number(&mut person, "SELECT GET_LOCK('regatta_person', 0)"), 1);
    let steps = "{ sql = { target = \"db\", query = \"SELECT GET_LOCK('regatta_person', 100)\" }, expect = { rows = 1 } }";
    let text = scenario("regatta_looked_at", "", steps, "closed = { concurrency = 1, tasks = 1 }");
    let bench = BenchDir::with(&format!("schema = 1\nname = \"person\"\n{text}"));
    let live = bench.start("run s.toml -e threads --out out");
    let waiting = "SELECT count(*) FROM information_schema.processlist WHERE db = 'regatta_looked_at' AND state = 'User lock'";
    wait_for("the step", || (number(&mut person, waiting) == 1).then_some(()));
    assert_eq!(
        person.run_blocking("USE regatta_looked_at; DO RELEASE_LOCK('regatta_person')"),
        None
    );
    live.end().exits(0);
    let run = bench.stored("out");
    let open = measured(&run)[0]
        .1
        .trial
        .proof
        .iter()
        .find(|line| line.what.contains("that are open"))
        .unwrap();
    assert_eq!((open.expected.as_str(), open.found.as_str()), ("0", "0"));
    assert_eq!((person.run_blocking("SELECT 1"), person.is_open()), (None, true));
}

#[test]
fn connections_that_are_killed_are_counted_and_the_run_goes_on() {
    const KILLS: u64 = 5;
    let Some(server) = server() else { return };
    let mut client = server.open();
    // All wait for a lock of the test's own. With `expect`, nothing does in preparation, where a
    // lost connection fails the trial.
    let steps = "{ sql = { target = \"db\", query = \"SELECT GET_LOCK('regatta_gate', 100) + RELEASE_LOCK('regatta_gate')\" }, \
        expect = { rows = 1 }, allow = { errors = true }, name = \"gated\" }";
    let text = scenario(
        "regatta_killed",
        ", rows = 10",
        steps,
        "closed = { concurrency = 2, tasks = 100 }",
    );
    let bench = BenchDir::with(&format!("schema = 1\nname = \"killed\"\n{text}"));
    let waiting = "SELECT id FROM information_schema.processlist WHERE db = 'regatta_killed' AND state = 'User lock'";
    for executor in ["threads", "tokio"] {
        assert_eq!(number(&mut client, "SELECT GET_LOCK('regatta_gate', 0)"), 1);
        let live = bench.start(&format!("run s.toml -e {executor} --out {executor}"));
        for _ in 0..KILLS {
            let id = wait_for("a session", || {
                let mut found = None;
                block_on(client.query(waiting, |_, cell| found = cell.number())).unwrap();
                found
            });
            assert_eq!(client.run_blocking(&format!("KILL CONNECTION {id}")), None);
            let gone =
                format!("SELECT count(*) FROM information_schema.processlist WHERE id = {id}");
            wait_for("its end", || (number(&mut client, &gone) == 0).then_some(()));
        }
        assert_eq!(number(&mut client, "SELECT RELEASE_LOCK('regatta_gate')"), 1);
        let seen = live.end().exits(0);
        assert!(!seen.out.contains(server.password()) && !seen.err.contains(server.password()));
        for (cell, measured) in measured(&bench.stored(executor)) {
            let counts = &measured.trial.targets[0].counts;
            assert_eq!(
                (counts["errors: lost"], measured.steps[0].stream.errors),
                (KILLS, KILLS),
                "{cell}"
            );
            // Each lost connection was replaced, but for one that was lost in its slot's last call.
            assert!(
                (KILLS..=2 + KILLS).contains(&counts["connections opened"]),
                "{cell}: {counts:?}"
            );
        }
    }
}

#[test]
fn a_prepared_query_under_threads_is_one_send_and_one_receive() {
    if Command::new("strace").arg("-V").output().is_err() {
        crate::skip::skipped("no strace on this machine");
        return;
    }
    let Some(server) = server() else { return };
    let folder = tempfile::tempdir().unwrap();
    let trace = traced(&server, folder.path());
    // The task's thread is the one that executes statements: 22 bytes, of which the first is the
    // command, 0x17.
    let is_execute =
        |line: &&str| line.contains("sendto(") && line.contains(r#""\x16\x00\x00\x00\x17"#);
    let client = trace.lines().find(is_execute).and_then(|line| line.split_whitespace().next());
    let client = client.expect("somebody executes statements");
    assert_eq!(calls(&trace, client, &["writev", "write", "sendto", "sendmsg"]), 1000);
    assert_eq!(calls(&trace, client, &["recvfrom", "read", "readv", "recvmsg"]), 1000);
    // The limits on reading and writing are set once, and nothing is waited for.
    assert!(
        calls(&trace, client, &["setsockopt"]) <= 3,
        "{}",
        calls(&trace, client, &["setsockopt"])
    );
    assert_eq!(calls(&trace, client, &["poll", "ppoll", "epoll_wait"]), 0);
}

/// The system calls of a trial with 1000 queries by one client under `threads`.
fn traced(server: &Server, folder: &Path) -> String {
    let steps = "{ sql = { target = \"db\", query = \"SELECT name, price FROM items WHERE id = ?\", args = [\"${uniform(1,100)}\"] }, timeout = \"30s\" }";
    let text = scenario(
        "regatta_traced",
        ", rows = 100",
        steps,
        "closed = { concurrency = 1, tasks = 1000 }",
    );
    let file = folder.join("s.toml");
    std::fs::write(&file, format!("schema = 1\nname = \"traced\"\n{text}")).unwrap();
    let (out, trace) = (folder.join("out"), folder.join("trace"));
    let run = Command::new(env!("CARGO_BIN_EXE_regatta"))
        .args(["run", "-v", "-e", "threads", "--out"])
        .args([&out, &file])
        .env("REGATTA_LOCK", folder.join("lock"))
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let traced = Command::new("strace")
        // All bytes in hexadecimal: an octal escape is as long as what follows it asks for (`\27`,
        // but `\0270`).
        .args(["-f", "-xx", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_regatta"))
        .args(["trial", "--plan"])
        .arg(out.join("plans/0001.json"))
        .env(VARIABLE, &server.url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&traced.stdout);
    assert!(traced.status.success() && said.contains("\"measured\""), "{said}");
    std::fs::read_to_string(trace).unwrap()
}

#[test]
fn a_server_that_is_down_fails_the_trial_with_its_reason_and_without_the_password() {
    let silent = OwnPort::new();
    let steps = "{ sql = { target = \"db\", query = \"SELECT 1\" } }";
    let text = scenario("regatta_down", "", steps, "closed = { concurrency = 1, tasks = 1 }");
    let bench = BenchDir::with(&format!("schema = 1\nname = \"down\"\n{text}"));
    let mut command = bench.command("run s.toml -e threads --out out");
    command.env(VARIABLE, format!("mysql://me:geheim@127.0.0.1:{}/db", silent.number()));
    let seen = Live::new(command).end().exits(5);
    assert!(!format!("{seen:?}").contains("geheim"));
    let run = bench.stored("out");
    let (_, reason) = only_failure(&run);
    let place = format!("mysql://me@127.0.0.1:{}/db", silent.number());
    assert!(reason.contains(&place) && reason.contains("refused"), "{reason}");
}
