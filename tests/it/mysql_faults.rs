//! What happens to a MariaDB of the test's own: encryption, no connection left, and its death in
//! the middle of a run.

use std::process::Command;

use regatta::{
    client::{FaultKind, mysql::Mysql},
    runtime::{Blocking, block_on},
};

use crate::{
    bench_dir::{BenchDir, Live, failures, wait_for},
    own_mariadb::{OwnMariadb, PASSWORD, is_installed},
    postgres::measured,
};

/// The schema of the runs here.
const SCHEMA: &str = "regatta_faults";

/// Runs openssl in the server's folder.
fn openssl(server: &OwnMariadb, arguments: &str) {
    let done = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(server.path(""))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The cipher of a connection; empty: none.
fn cipher(client: &mut Mysql<Blocking>) -> String {
    let mut found = String::new();
    let query = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
    block_on(client.query(query, |column, cell| {
        if let (1, regatta::client::mysql::ColumnValue::Bytes(text)) = (column, cell) {
            found = String::from_utf8_lossy(text).into_owned();
        }
    }))
    .unwrap();
    found
}

#[test]
fn a_connection_is_encrypted_and_checked_as_the_url_says() {
    if !is_installed() {
        return;
    }
    if Command::new("openssl").arg("version").output().is_err() {
        crate::skip::skipped("no openssl on this machine");
        return;
    }
    let mut server = OwnMariadb::new();
    server.start(&["--ssl=0".into()]);
    assert_eq!(server.open("?ssl-mode=REQUIRED").err().unwrap().kind, FaultKind::Tls);
    assert_eq!(cipher(&mut server.open("").unwrap()), "");
    server.kill();

    let new = "req -x509 -newkey rsa:2048 -nodes -days 2";
    openssl(&server, &format!("{new} -subj /CN=regatta-ca -keyout ca.key -out ca.pem"));
    openssl(&server, &format!("{new} -subj /CN=other-ca -keyout other.key -out other.pem"));
    openssl(
        &server,
        "req -newkey rsa:2048 -nodes -subj /CN=elsewhere -keyout server.key -out server.csr",
    );
    std::fs::write(server.path("names"), "subjectAltName=DNS:elsewhere\n").unwrap();
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt";
    openssl(&server, sign);
    let file = |name: &str| server.path(name).display().to_string();
    let options =
        [format!("--ssl-cert={}", file("server.crt")), format!("--ssl-key={}", file("server.key"))];
    let (ca, other) = (file("ca.pem"), file("other.pem"));
    server.start(&options);
    for good in ["?ssl-mode=REQUIRED".to_owned(), format!("?ssl-mode=VERIFY_CA&ssl-ca={ca}")] {
        let mut client = server.open(&good).unwrap();
        assert_ne!(cipher(&mut client), "", "{good}");
        let many = block_on(client.run("SELECT REPEAT('x', 1000000)")).unwrap();
        assert_eq!((many.received, client.is_open()), (1_000_000, true));
    }
    assert_eq!(cipher(&mut server.open("").unwrap()), "", "not asked for");
    for bad in [
        format!("?ssl-mode=VERIFY_CA&ssl-ca={other}"),
        format!("?ssl-mode=VERIFY_IDENTITY&ssl-ca={ca}"),
    ] {
        let fault = server.open(&bad).err().unwrap();
        assert_eq!(fault.kind, FaultKind::Tls, "{bad}: {fault}");
    }
}

#[test]
fn a_server_without_a_free_connection_says_so() {
    if !is_installed() {
        return;
    }
    let mut server = OwnMariadb::new();
    server.start(&["--max-connections=10".into()]);
    let mut held = Vec::new();
    let fault = loop {
        match server.open("") {
            Ok(client) => held.push(client),
            Err(fault) => break fault,
        }
        assert!(held.len() < 20);
    };
    assert_eq!(fault.kind, FaultKind::TooManyConnections, "{fault}");
    assert!(held.len() >= 9 && !fault.message.contains(PASSWORD));
    assert!(fault.message.contains("raise the limit: the server's (`max_connections`)"), "{fault}");
}

#[test]
fn a_server_that_dies_in_the_middle_fails_the_trial_with_its_reason() {
    if !is_installed() {
        return;
    }
    let mut server = OwnMariadb::new();
    server.start(&[]);
    let scenario = "schema = 1\nname = \"death\"\n[run]\nrounds = 1\nwarmup = \"0s\"\nduration = \"30s\"\ntimeout = \"60s\"\n\
        [targets.db]\nsql = { url = \"${env:DATABASE_URL}\", schema = \"regatta_death\", rows = 100 }\n\
        [tasks.work]\nsteps = [{ sql = { target = \"db\", query = \"SELECT name FROM items WHERE id = ?\", args = [7] }, expect = { rows = 1 } }]\n\
        [load.l]\ntask = \"work\"\nclosed = { concurrency = 4 }\n";
    let bench = BenchDir::with(scenario);
    let mut command = bench.command("run s.toml -e tokio -e threads --out out");
    command.env("DATABASE_URL", server.url(""));
    let live = Live::new(command);
    wait_for("the steps' connections", || {
        let mut open = None;
        let query = "SELECT count(*) FROM information_schema.processlist WHERE db = 'regatta_death' AND command = 'Execute'";
        block_on(server.open("").ok()?.query(query, |_, cell| open = cell.number())).ok()?;
        (open? > 0).then_some(())
    });
    server.kill();
    let seen = live.end().exits(5);
    assert!(!format!("{seen:?}").contains(PASSWORD));
    let run = bench.stored("out");
    let reasons: Vec<&str> =
        failures(&run).iter().map(|(_, failure)| failure.reason.as_str()).collect();
    // The second trial finds nobody.
    assert_eq!(reasons.len(), 2);
    // It was in a query, or was connecting again, and says to where.
    for said in ["task work, step sql: ", "lost: ", "the connection was lost"] {
        assert!(reasons[0].contains(said), "{reasons:?}");
    }
    assert!(reasons[1].contains("refused: mysql://me@127.0.0.1"), "{reasons:?}");
}

/// A run of one task under one executor. Before its steps and behind them it waits for locks that
/// the test may hold.
fn gated(server: &OwnMariadb, executor: &str, steps: &str) -> (BenchDir, Live) {
    let gate = |name: &str| {
        format!(
            "{{ sql = {{ target = \"db\", query = \"SET STATEMENT max_statement_time = 0 FOR SELECT GET_LOCK('{name}', 100)\", \
             protocol = \"simple\" }}, expect = {{ rows = 1 }} }}"
        )
    };
    let bench = BenchDir::with(&scenario(&[&gate("begin"), steps, &gate("end")].join(", ")));
    let mut command = bench.command(&format!("run s.toml -e {executor} --out out"));
    command.env("DATABASE_URL", server.url(""));
    let live = Live::new(command);
    (bench, live)
}

/// One task with these steps.
fn scenario(steps: &str) -> String {
    format!(
        "schema = 1\nname = \"faults\"\n[run]\nrounds = 1\nwarmup = \"0s\"\ntimeout = \"60s\"\n\
         [targets.db]\nsql = {{ url = \"${{env:DATABASE_URL}}\", schema = \"{SCHEMA}\", rows = 100 }}\n\
         [tasks.work]\nsteps = [{steps}]\n\
         [load.l]\ntask = \"work\"\nclosed = {{ concurrency = 1, tasks = 1 }}\n"
    )
}

/// Takes both of the locks.
fn close_gates(client: &mut Mysql<Blocking>) {
    for gate in ["begin", "end"] {
        assert_eq!(number(client, &format!("SELECT GET_LOCK('{gate}', 0)")), 1);
    }
}

/// Waits for the task.
fn wait_at(client: &mut Mysql<Blocking>, gate: &str) {
    let query = format!(
        "SELECT count(*) FROM information_schema.processlist
         WHERE db = '{SCHEMA}' AND state = 'User lock' AND info LIKE '%{gate}%'"
    );
    wait_for(gate, || (number(client, &query) == 1).then_some(()));
}

/// Runs statements that must be understood.
fn run(client: &mut Mysql<Blocking>, text: &str) {
    block_on(client.run(text)).unwrap();
}

fn number(client: &mut Mysql<Blocking>, query: &str) -> i64 {
    let mut found = None;
    block_on(client.query(query, |_, cell| found = cell.number())).unwrap();
    found.unwrap()
}

/// Ends with nothing but so many faults of one name.
fn ends_with(bench: &BenchDir, live: Live, fault: &str, how_often: u64) {
    live.end().exits(0);
    let stored = bench.stored("out");
    for (cell, measured) in measured(&stored) {
        let errors = measured.trial.targets[0]
            .counts
            .iter()
            .filter(|(name, _)| name.starts_with("errors: "));
        let errors: Vec<(&str, u64)> =
            errors.map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(errors, [(format!("errors: {fault}").as_str(), how_often)], "{cell}");
        assert_eq!(
            measured.steps.iter().map(|step| step.stream.errors).sum::<u64>(),
            how_often,
            "{cell}"
        );
    }
}

#[test]
fn locks_that_are_not_to_be_had_are_counted_by_name() {
    if !is_installed() {
        return;
    }
    let mut server = OwnMariadb::new();
    server.start(&["--innodb-lock-wait-timeout=1".into()]);
    let update = |id: u32| format!("UPDATE {SCHEMA}.items SET price = price + 1 WHERE id = {id}");
    for executor in ["threads", "tokio", "smol"] {
        // The test has the row that is wanted, for as long as it likes.
        let step = "{ sql = { target = \"db\", query = \"UPDATE items SET price = 0 WHERE id = 1\" }, \
            name = \"late\", allow = { errors = true } }";
        let mut other = server.open("").unwrap();
        close_gates(&mut other);
        let (bench, live) =
            gated(&server, executor, &[step; 2].join(", ").replacen("late", "later", 1));
        wait_at(&mut other, "begin");
        run(&mut other, &format!("BEGIN; {}; DO RELEASE_LOCK('begin')", update(1)));
        wait_at(&mut other, "end");
        run(&mut other, "ROLLBACK; DO RELEASE_LOCK('end')");
        ends_with(&bench, live, "lock timeout", 2);
    }
    server.kill();

    // Whoever has changed less is the victim.
    server.start(&[]);
    let mut other = server.open("").unwrap();
    run(
        &mut other,
        "CREATE DATABASE heavy; CREATE TABLE heavy.t(i INT PRIMARY KEY) ENGINE = InnoDB",
    );
    for executor in ["threads", "tokio", "smol"] {
        let step = "{ sql = { target = \"db\", transaction = [{ query = \"UPDATE items SET price = 0 WHERE id = 1\" }, \
            { query = \"INSERT INTO log(task, value) VALUES (1, 1)\" }, { query = \"UPDATE items SET price = 0 WHERE id = 2\" }] }, \
            name = \"victim\", allow = { errors = true } }";
        close_gates(&mut other);
        let (bench, live) = gated(&server, executor, step);
        wait_at(&mut other, "begin");
        run(
            &mut other,
            &format!(
                "BEGIN; INSERT INTO heavy.t SELECT seq FROM heavy.seq_1_to_1000; {}",
                update(2)
            ),
        );
        run(&mut other, "DO RELEASE_LOCK('begin')");
        let second = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE items % WHERE id = 2'";
        wait_for("the task's second row", || (number(&mut other, second) == 1).then_some(()));
        // The circle is closed; the server gives this session what the victim held.
        run(&mut other, &format!("{}; ROLLBACK; DO RELEASE_LOCK('end')", update(1)));
        ends_with(&bench, live, "deadlock", 1);
        let stored = bench.stored("out");
        let counts = &measured(&stored)[0].1.trial.targets[0].counts;
        assert_eq!(
            (counts["rows items"], counts["rows log"]),
            (100, 0),
            "nothing of the victim stays"
        );
    }
}

#[test]
fn statements_that_take_too_long_are_counted() {
    if !is_installed() {
        return;
    }
    let mut server = OwnMariadb::new();
    server.start(&["--max-statement-time=0.5".into()]);
    let step = |query: &str, name: &str| {
        format!(
            "{{ sql = {{ target = \"db\", query = \"{query}\", protocol = \"simple\" }}, expect = {{ rows = 1 }}, \
             name = \"{name}\", allow = {{ errors = true }} }}"
        )
    };
    let own = step("SET STATEMENT max_statement_time = 0.4 FOR SELECT SLEEP(60)", "by-statement");
    let steps = [step("SELECT SLEEP(60)", "by-server"), own].join(", ");
    let mut other = server.open("").unwrap();
    run(&mut other, "SET SESSION max_statement_time = 0");
    for executor in ["threads", "tokio", "smol"] {
        close_gates(&mut other);
        let (bench, live) = gated(&server, executor, &steps);
        wait_at(&mut other, "begin");
        run(&mut other, "DO RELEASE_LOCK('begin')");
        wait_at(&mut other, "end");
        // What the target does takes longer than a step may: somebody reads what it is to drop.
        run(&mut other, &format!("BEGIN; SELECT * FROM {SCHEMA}.items; DO RELEASE_LOCK('end')"));
        let dropping = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'DROP TABLE%' AND time_ms > 1000";
        wait_for("the end of the trial", || (number(&mut other, dropping) == 1).then_some(()));
        run(&mut other, "ROLLBACK");
        ends_with(&bench, live, "timeout", 2);
        let left = format!(
            "SELECT count(*) FROM information_schema.schemata WHERE schema_name = '{SCHEMA}'"
        );
        assert_eq!(number(&mut other, &left), 0);
    }
}

#[test]
fn an_empty_database_of_which_the_user_may_not_see_all_is_refused() {
    if !is_installed() {
        return;
    }
    let mut server = OwnMariadb::new();
    server.start(&[]);
    let mut boss = server.open("").unwrap();
    run(
        &mut boss,
        &format!(
            "CREATE DATABASE {SCHEMA}; CREATE USER few@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'"
        ),
    );
    // An event may be there that this user is not shown.
    let grant = format!(
        "GRANT SELECT, INSERT, CREATE, DROP, ALTER, INDEX, EXECUTE ON {SCHEMA}.* TO few@'127.0.0.1'"
    );
    run(&mut boss, &grant);
    run(
        &mut boss,
        &format!("CREATE EVENT {SCHEMA}.e ON SCHEDULE AT '2037-01-01 00:00:00' DO DO 0"),
    );
    let bench = BenchDir::with(&scenario("{ sql = { target = \"db\", query = \"SELECT 1\" } }"));
    let run_with = |url: String, out: &str| {
        let mut command = bench.command(&format!("run s.toml -e threads --out {out}"));
        command.env("DATABASE_URL", url);
        Live::new(command).end()
    };
    let run_as_few = |out: &str| run_with(server.url("").replace("me:", "few:"), out);
    run_as_few("first").exits(5).says(&["exists, and Regatta has not made it"]);
    let events =
        format!("SELECT count(*) FROM information_schema.events WHERE event_schema = '{SCHEMA}'");
    assert_eq!(number(&mut boss, &events), 1);
    // Once it may see that there is nothing else, it takes the database.
    run(&mut boss, &format!("GRANT EVENT ON {SCHEMA}.* TO few@'127.0.0.1'"));
    run_as_few("second").exits(5).says(&["exists, and Regatta has not made it"]);
    run(&mut boss, &format!("DROP EVENT {SCHEMA}.e"));
    run_as_few("third").exits(0);
    // The one that the url names is the user's, empty or not.
    run(&mut boss, &format!("CREATE DATABASE {SCHEMA}"));
    run_with(server.url(SCHEMA), "fourth").exits(5).says(&["exists, and Regatta has not made it"]);
    let databases =
        format!("SELECT count(*) FROM information_schema.schemata WHERE schema_name = '{SCHEMA}'");
    assert_eq!(number(&mut boss, &databases), 1);
}
