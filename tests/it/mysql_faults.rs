//! What happens to a MariaDB of the test's own: encryption, no connection left, and its death in the middle of a run.

use std::process::Command;

use regatta::{
    client::{FaultKind, mysql::Mysql},
    runtime::{Blocking, block_on},
};

use crate::{
    bench_dir::{BenchDir, Live, failures, wait_for},
    own_mariadb::{OwnMariadb, PASSWORD, is_installed},
};

/// Runs openssl in the server's folder.
fn openssl(server: &OwnMariadb, arguments: &str) {
    let done = Command::new("openssl").args(arguments.split(' ')).current_dir(server.path("")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The cipher of a connection; empty: none.
fn cipher(client: &mut Mysql<Blocking>) -> String {
    let mut found = String::new();
    let query = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
    block_on(client.query(query, |column, cell| {
        if let (1, regatta::client::mysql::Cell::Bytes(text)) = (column, cell) {
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
        assert!(std::env::var_os("CI").is_none(), "CI must have openssl");
        eprintln!("skipped: no openssl on this machine");
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
    openssl(&server, "req -newkey rsa:2048 -nodes -subj /CN=elsewhere -keyout server.key -out server.csr");
    std::fs::write(server.path("names"), "subjectAltName=DNS:elsewhere\n").unwrap();
    let sign =
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt";
    openssl(&server, sign);
    let file = |name: &str| server.path(name).display().to_string();
    let options = [format!("--ssl-cert={}", file("server.crt")), format!("--ssl-key={}", file("server.key"))];
    let (ca, other) = (file("ca.pem"), file("other.pem"));
    server.start(&options);
    for good in ["?ssl-mode=REQUIRED".to_owned(), format!("?ssl-mode=VERIFY_CA&ssl-ca={ca}")] {
        let mut client = server.open(&good).unwrap();
        assert_ne!(cipher(&mut client), "", "{good}");
        let many = block_on(client.run("SELECT REPEAT('x', 1000000)")).unwrap();
        assert_eq!((many.received, client.is_open()), (1_000_000, true));
    }
    assert_eq!(cipher(&mut server.open("").unwrap()), "", "not asked for");
    for bad in [format!("?ssl-mode=VERIFY_CA&ssl-ca={other}"), format!("?ssl-mode=VERIFY_IDENTITY&ssl-ca={ca}")] {
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
        let query =
            "SELECT count(*) FROM information_schema.processlist WHERE db = 'regatta_death' AND command = 'Execute'";
        block_on(server.open("").ok()?.query(query, |_, cell| open = cell.number())).ok()?;
        (open? > 0).then_some(())
    });
    server.kill();
    let seen = live.end().exits(5);
    assert!(!format!("{seen:?}").contains(PASSWORD));
    let run = bench.stored("out");
    let reasons: Vec<&str> = failures(&run).iter().map(|(_, failure)| failure.reason.as_str()).collect();
    // The second trial finds nobody.
    assert_eq!(reasons.len(), 2);
    assert!(reasons[0].contains("lost: the connection was lost"), "{reasons:?}");
    assert!(reasons[1].contains("refused: mysql://me@127.0.0.1"), "{reasons:?}");
}
