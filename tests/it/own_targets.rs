//! A user's own server that is not there, keeps silent, closes, or talks nonsense: the trial fails,
//! the url and a remedy are named, and the run ends with 5.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use regatta::store::FailureKind;

use crate::{
    bench_dir::{BenchDir, failures},
    exit_codes::batch,
    own_port::OwnPort,
    own_server::{OwnServer, Reply},
};

/// Two trials, under a blocking and an asynchronous executor, of calls to `url`.
fn scenario(url: &str, step: &str) -> String {
    let calls = format!("steps = [{{ http = {{ target = \"own\", path = \"/item\" }}{step} }}]");
    batch(&format!("[targets.own]\nhttp = {{ url = \"{url}\" }}"))
        .replace("steps = [{ sleep = { time = \"1ms\" } }]", &calls)
}

/// Runs against a server; both trials must fail in this way.
fn fails(url: &str, step: &str, kind: FailureKind, said: &[&str]) {
    let bench = BenchDir::with(&scenario(url, step));
    bench.run("run s.toml --out run").exits(5).says(&["FAILED"]);
    let run = bench.stored("run");
    let found = failures(&run);
    assert_eq!(found.len(), 2, "{found:#?}");
    for (_, failure) in found {
        assert_eq!(failure.kind, kind, "{failure:?}");
        for part in said {
            assert!(failure.reason.contains(part), "`{part}` is not said: {failure:?}");
        }
    }
    bench.wait_until_empty();
}

#[test]
fn one_that_answers_is_raced() {
    let own = OwnServer::start(|_| Reply::Fine);
    let bench = BenchDir::with(&scenario(own.url(), ", expect = { status = 200, bytes = 5 }"));
    bench.run("run s.toml --out run").exits(0);
}

/// An HTTPS server of Python's, which ends with the test.
struct Encrypted(Child);

impl Drop for Encrypted {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Encrypted {
    /// A server with a certificate for `localhost`, and its port; the authority that has signed it
    /// is in `ca.pem`.
    fn start(folder: &Path) -> (Self, u16) {
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        fs::write(folder.join("ca.pem"), root.self_signed(&root_key).unwrap().pem()).unwrap();
        let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let own = own.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
        fs::write(folder.join("own.pem"), own.pem()).unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls_server.py");
        let mut server = Command::new("python3")
            .arg(script)
            .args([folder.join("own.pem"), folder.join("key.pem")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Self(server), line.trim().parse().unwrap())
    }
}

#[test]
fn one_that_is_encrypted_is_raced_where_its_authority_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, port) = Encrypted::start(folder.path());
    let ca = folder.path().join("ca.pem");
    for connection in ["keep", "per-call"] {
        let url = format!("https://localhost:{port}");
        let known = format!("\"{url}\", tls = {{ ca = {ca:?} }}");
        let text = scenario(&url, ", expect = { status = 200, bytes = 5 }")
            .replace(&format!("\"{url}\""), &known)
            .replace(
                "path = \"/item\"",
                &format!("path = \"/item\", connection = \"{connection}\""),
            );
        let bench = BenchDir::with(&text);
        bench.run("run s.toml --out run").exits(0);
    }
    // Nobody here trusts that authority, and the certificate is for a name.
    let url = format!("https://localhost:{port}");
    fails(&url, "", FailureKind::Target, &[&url, "tls = { ca = \"ca.pem\" }"]);
}

#[test]
fn one_that_is_not_there() {
    let silent = OwnPort::new();
    let url = format!("http://127.0.0.1:{}", silent.number());
    fails(
        &url,
        "",
        FailureKind::Target,
        &["target `own`", &url, "start the server, or correct the url"],
    );
}

#[test]
fn one_whose_name_nobody_knows() {
    let url = "http://no-such-host.invalid:80";
    fails(url, "", FailureKind::Target, &["target `own`", url, "the host's name has no address"]);
}

#[test]
fn one_that_closes_the_connection() {
    let own = OwnServer::start(|request| if request < 3 { Reply::Fine } else { Reply::Close });
    let said = [
        own.url(),
        "/item",
        "the server closed the connection and did not answer; if that may happen: `allow",
    ];
    fails(own.url(), "", FailureKind::Target, &said);
}

#[test]
fn one_that_talks_nonsense() {
    let own = OwnServer::start(|_| Reply::Nonsense);
    let said = [own.url(), "/item", "invalid HTTP: the answer begins with `SSH-2.0-nonsense"];
    fails(own.url(), "", FailureKind::WrongResult, &said);
}

#[test]
fn one_that_answers_with_another_status_or_body() {
    let own = OwnServer::start(|request| Reply::Status(if request % 2 == 0 { 200 } else { 500 }));
    fails(own.url(), "", FailureKind::WrongResult, &[own.url(), "500", "allow"]);
    let own = OwnServer::start(|_| Reply::Fine);
    fails(own.url(), ", expect = { bytes = 6 }", FailureKind::WrongResult, &[own.url(), "5", "6"]);
}

#[test]
fn one_that_keeps_silent() {
    let own = OwnServer::start(|_| Reply::Hold);
    fails(
        own.url(),
        ", timeout = \"300ms\"",
        FailureKind::WrongResult,
        &["`http` on target `own`", "300ms", "on_timeout"],
    );
}

#[test]
fn one_that_keeps_silent_for_ever_is_left_to_the_watchdog() {
    let own = OwnServer::start(|_| Reply::Hold);
    let bench = BenchDir::with(&scenario(own.url(), ""));
    bench
        .run("run s.toml --timeout 1s --out run")
        .exits(5)
        .says(&["no answer came from target `own`", "in 1s"]);
    let run = bench.stored("run");
    assert!(
        failures(&run).iter().all(|(_, failure)| failure.kind == FailureKind::Target)
            && run.finished
    );
}

#[test]
fn one_that_answers_and_then_keeps_silent_is_slow() {
    let own = OwnServer::gated(1);
    let both = "use = [\"threads\", \"tokio\"]\nbaseline = \"threads\"";
    let only = scenario(own.url(), "").replace(both, "use = [\"tokio\"]");
    let bench = BenchDir::with(&only);
    // Long enough for the first answer on a machine that is busy otherwise.
    bench.run("run s.toml --timeout 5s --out run").exits(5).says(&["took longer than 5s"]);
    let run = bench.stored("run");
    assert!(
        failures(&run).iter().all(|(_, failure)| failure.kind == FailureKind::TimedOut)
            && run.finished
    );
}
