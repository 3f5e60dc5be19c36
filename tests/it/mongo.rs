//! Document targets against a server of MongoDB's protocol that is not ours: MockupDB, MongoDB's
//! own library for such servers (`mongo_server.py`). It reads and writes every byte with pymongo's
//! code.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use regatta::store::{FailureKind, Outcome, Run};
use rustix::process::Signal;

use crate::{
    bench_dir::{BenchDir, Live, Seen, failures},
    exit_codes::batch,
    own_port::OwnPort,
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mongo_server.py");

/// Whether there is a Python with the package; where CI runs, there must be.
fn has_package() -> bool {
    let found = Command::new("python3").args(["-c", "import mockupdb"]).output();
    let found = found.is_ok_and(|done| done.status.success());
    if !found {
        let remedy = "pip install mockupdb==1.8.1 pymongo==3.13.0";
        crate::skip::skipped(&format!(
            "no python3 with the package mockupdb on this machine: {remedy}"
        ));
    }
    found
}

/// The server, until the test ends.
struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    url: String,
}

impl Server {
    fn start(arguments: &str) -> Self {
        let mut command = Command::new("python3");
        command
            .arg(SCRIPT)
            .args(arguments.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        out.read_line(&mut url).unwrap();
        Self { child, out, url: url.trim().to_owned() }
    }

    /// Waits for its next line.
    fn wait_to_say(&mut self, wanted: &str) {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), wanted);
    }

    /// Ends it, and tells what was left behind.
    fn left(mut self) -> String {
        drop(self.child.stdin.take());
        let mut left = String::new();
        self.out.read_to_string(&mut left).unwrap();
        left.trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(bench: &BenchDir, arguments: &str, url: &str) -> Seen {
    start(bench, arguments, url).end()
}

fn start(bench: &BenchDir, arguments: &str, url: &str) -> Live {
    let mut command = bench.command(arguments);
    command.env("MONGODB_URL", url);
    Live::new(command)
}

/// Two trials, under a blocking and an asynchronous executor, of one step.
fn scenario(step: &str) -> String {
    let targets = "[targets.docs]\ndocument = { url = \"${env:MONGODB_URL}\", documents = 20 }";
    batch(targets).replace("steps = [{ sleep = { time = \"1ms\" } }]", &format!("steps = [{step}]"))
}

const FIND: &str = "document = { target = \"docs\", find = { filter = {}, batch = 7 } }";
const INSERT: &str = "document = { target = \"docs\", insert = { documents = [{ a = \"${i}\" }, { b = 2 }], copies = 3 } }";

/// The sum of a target's count over all trials that were not run again.
fn counted(run: &Run, what: &str) -> u64 {
    let measured = run.trials.iter().filter(|trial| trial.attempt == 0).filter_map(|trial| {
        match &trial.outcome {
            Outcome::Measured(measured) => Some(measured),
            Outcome::Failed(_) => None,
        }
    });
    measured
        .flat_map(|measured| &measured.trial.targets)
        .filter_map(|target| target.counts.get(what))
        .sum()
}

/// Both trials fail in this way, and nothing but the run's end is waited for.
fn fails(url: &str, step: &str, kind: FailureKind, said: &[&str]) {
    let bench = BenchDir::with(&scenario(step));
    run(&bench, "run s.toml --out run", url).exits(5).says(&["FAILED"]);
    let stored = bench.stored("run");
    let found = failures(&stored);
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
fn the_shipped_scenario_is_valid_under_every_executor() {
    if !has_package() {
        return;
    }
    let server = Server::start("");
    let bench = BenchDir::new();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/documents/documents.toml");
    bench.write("s.toml", std::fs::read_to_string(shipped).unwrap());
    run(&bench, "run s.toml --quick --out run", &server.url).exits(0);
    let stored = bench.stored("run");
    assert!(
        failures(&stored).is_empty()
            && stored.header.cells.len() == regatta::runtime::EXECUTORS.len()
    );
    let proven = stored.trials.iter().all(|trial| match &trial.outcome {
        Outcome::Measured(measured) => {
            // The server is on this host, so that its CPU time is seen.
            assert!(measured.trial.targets.iter().all(|target| target.cpu_ns.is_some()));
            assert_eq!(measured.trial.facts["docs: server"], "MongoDB's protocol, MockupDB 1.8.1");
            measured.trial.proof.iter().any(|line| line.what.contains("after all inserts"))
        }
        Outcome::Failed(_) => false,
    });
    assert!(proven);
    assert_eq!(server.left(), "left behind: nothing; open cursors: 0");
}

#[test]
fn documents_are_inserted_read_and_left_early() {
    if !has_package() {
        return;
    }
    let server = Server::start("");
    let take = "{ document = { target = \"docs\", connection = \"per-call\", find = { filter = {}, batch = 7, take = 8 } }, expect = { documents = 8 } }";
    let one = "{ document = { target = \"docs\", find = { filter = { _id = \"${uniform(1,20)}\" } } }, expect = { documents = 1 } }";
    let bench = BenchDir::with(&scenario(&format!("{{ {INSERT} }}, {take}, {one}")));
    run(&bench, "run s.toml --out run", &server.url).exits(0);
    let stored = bench.stored("run");
    // 12 tasks and six documents each, in two trials that begin with 20; the warm-up is none.
    assert_eq!(counted(&stored, "documents"), 2 * (20 + 12 * 6));
    assert_eq!(counted(&stored, "connections opened"), counted(&stored, "connections closed"));
    assert_eq!(server.left(), "left behind: nothing; open cursors: 0");
}

#[test]
fn a_run_is_not_taken_up_on_another_server() {
    if !has_package() {
        return;
    }
    let (server, other) = (Server::start(""), Server::start(""));
    let bench = BenchDir::with(&scenario(&format!("{{ {FIND} }}")));
    run(&bench, "run s.toml --out run", &server.url).exits(0);
    let before = bench.cut_off("run");
    let said = format!("was measured with `docs: address` {}", server.url);
    run(&bench, "run --resume run", &other.url).exits(65).says(&[
        &said,
        &other.url,
        "another `--out`",
    ]);
    assert_eq!(
        std::fs::read_to_string(bench.path("run/run.jsonl")).unwrap(),
        before,
        "nothing was measured"
    );
    run(&bench, "run --resume run", &server.url).exits(0).says(&["1 of 2 trials are there"]);
}

#[test]
fn what_is_learned_in_preparation_must_stay() {
    if !has_package() {
        return;
    }
    let server = Server::start("");
    let bench = BenchDir::with(&scenario(&format!("{{ {FIND} }}")));
    run(&bench, "run s.toml --out run", &server.url).exits(0);
    let proven = |what: &str| {
        bench.stored("run").trials.iter().all(|trial| match &trial.outcome {
            Outcome::Measured(measured) => {
                measured.trial.proof.iter().any(|line| line.what.contains(what))
            }
            Outcome::Failed(_) => false,
        })
    };
    assert!(proven("sum of prices"));
    fails(
        &server.url,
        &format!("{{ {FIND}, expect = {{ documents = 19 }} }}"),
        FailureKind::WrongResult,
        &["task wait, step document: find: documents returned: expected 19, found 20"],
    );
}

#[test]
fn every_fault_has_its_name() {
    if !has_package() {
        return;
    }
    for (fault, name) in [
        ("lost", "lost: the connection was lost"),
        ("garbage", "protocol: wrong answer"),
        ("oversized", "oversized: the answer has 2000000000 bytes"),
        ("stranger", "protocol: wrong answer: an answer to request"),
        ("error", "timeout: the server refused `find`: operation exceeded time limit (code 50)"),
    ] {
        // Two slots of `tokio` prepare, and then some calls go well.
        let server = Server::start(&format!("--fault {fault} --after 3"));
        let said = [name, "task wait, step document: find", "allow = { errors = true }"];
        let of_trial = if fault == "lost" { FailureKind::Target } else { FailureKind::WrongResult };
        fails(&server.url, &format!("{{ {FIND} }}"), of_trial, &said);
        let kind = name.split(':').next().unwrap();
        let server = Server::start(&format!("--fault {fault} --after 8"));
        let allowed =
            format!("{{ {FIND}, expect = {{ documents = 20 }}, allow = {{ errors = true }} }}");
        let bench = BenchDir::with(&scenario(&allowed));
        run(&bench, "run s.toml --out run", &server.url);
        let stored = bench.stored("run");
        assert!(failures(&stored).is_empty(), "{:#?}", failures(&stored));
        assert!(counted(&stored, &format!("errors: {kind}")) > 0, "{fault}");
        assert_eq!(
            counted(&stored, "connections opened"),
            counted(&stored, "connections closed"),
            "{fault}"
        );
    }
}

#[test]
fn inserts_that_fail_are_not_counted_as_done() {
    if !has_package() {
        return;
    }
    for (fault, name) in [("duplicate", "constraint"), ("lost", "lost")] {
        let server = Server::start(&format!("--fault {fault} --after 8 --command insert"));
        let bench =
            BenchDir::with(&scenario(&format!("{{ {INSERT}, allow = {{ errors = true }} }}")));
        run(&bench, "run s.toml --out run", &server.url);
        let stored = bench.stored("run");
        assert!(failures(&stored).is_empty(), "{:#?}", failures(&stored));
        let errors = counted(&stored, &format!("errors: {name}"));
        assert!(
            errors > 0 && counted(&stored, "documents") == 2 * 20 + (24 - errors) * 6,
            "{fault}: {errors}"
        );
    }
}

#[test]
fn a_server_that_keeps_silent_is_left_at_the_time_limit() {
    if !has_package() {
        return;
    }
    let server = Server::start("--fault silent --after 8");
    let step = format!(
        "{{ {FIND}, expect = {{ documents = 20 }}, timeout = \"300ms\", on_timeout = \"ignore\" }}"
    );
    let bench = BenchDir::with(&scenario(&step));
    run(&bench, "run s.toml --out run", &server.url);
    let stored = bench.stored("run");
    assert!(failures(&stored).is_empty(), "{:#?}", failures(&stored));
    // Each call that was given up took its connection with it.
    assert!(counted(&stored, "connections opened") > 5);
    assert_eq!(counted(&stored, "connections opened"), counted(&stored, "connections closed"));
}

#[test]
fn a_server_that_is_not_there_or_goes_fails_the_trial() {
    let silent = OwnPort::new();
    let url = format!("mongodb://me:topsecret@127.0.0.1:{}/db", silent.number());
    let find = format!("{{ {FIND} }}");
    fails(
        &url,
        &find,
        FailureKind::Target,
        &["target `docs`: refused: mongodb://me@127.0.0.1:", "start the server, or"],
    );
    if !has_package() {
        return;
    }
    let mut server = Server::start("--tell 40");
    let endless = scenario(&find).replace("tasks = 4, repeat = 3", "tasks = 4, repeat = 1000000");
    let bench = BenchDir::with(&endless);
    let live = start(&bench, "run s.toml --timeout 60s --out run", &server.url);
    server.wait_to_say("40 of find");
    server.child.kill().unwrap();
    live.end().exits(5);
    assert_eq!(failures(&bench.stored("run")).len(), 2);
}

#[test]
fn what_is_somebody_elses_stays() {
    if !has_package() {
        return;
    }
    let server = Server::start("--foreign regatta_bench");
    fails(
        &server.url,
        &format!("{{ {FIND} }}"),
        FailureKind::Target,
        &["Regatta has not made it", "collection = \"…\""],
    );
    assert_eq!(server.left(), "left behind: regatta_bench; open cursors: 0");
}

#[test]
fn a_collection_that_another_run_uses_is_left_alone() {
    if !has_package() {
        return;
    }
    let mut server = Server::start("--tell 40");
    let find = format!("{{ {FIND} }}");
    let endless = scenario(&find).replace("tasks = 4, repeat = 3", "tasks = 4, repeat = 1000000");
    let first = BenchDir::with(&endless);
    let live = start(&first, "run s.toml --timeout 60s --out run", &server.url);
    server.wait_to_say("40 of find");
    let said =
        ["another run uses the collection `regatta_bench`", "of this host", "collection = \"…\""];
    fails(&server.url, &find, FailureKind::Target, &said);
    live.signal(Signal::INT);
    assert_eq!(live.end().code, 130);
    // What it has left behind is nobody's any more.
    let again = BenchDir::with(&scenario(&find));
    run(&again, "run s.toml --out run", &server.url).exits(0);
    // The trial that was killed may have been in the middle of a cursor.
    let left = server.left();
    assert!(left.starts_with("left behind: nothing"), "{left}");
}

/// The server's url with a user and a password.
fn as_user(server: &Server, login: &str) -> String {
    server.url.replace("mongodb://", &format!("mongodb://{login}@"))
}

#[test]
fn a_user_logs_in_by_scram_and_nobody_else_does() {
    if !has_package() {
        return;
    }
    for more in ["", " --long"] {
        let server = Server::start(&format!("--login me:topsecret{more}"));
        let step = format!("{{ {FIND}, expect = {{ documents = 20 }} }}");
        let bench = BenchDir::with(&scenario(&step));
        run(&bench, "run s.toml --out run", &as_user(&server, "me:topsecret")).exits(0);
        for login in ["me:wrong", "you:topsecret"] {
            let said = ["target `docs`: login: mongodb://", "Authentication failed. (code 18)"];
            fails(&as_user(&server, login), &step, FailureKind::Target, &said);
        }
        fails(
            &server.url,
            &step,
            FailureKind::Target,
            &["login", "requires authentication (code 13)"],
        );
        assert_eq!(server.left(), "left behind: nothing; open cursors: 0");
    }
}

#[test]
fn a_connection_is_encrypted_if_the_url_says_so() {
    if !has_package() {
        return;
    }
    let server = Server::start("--tls");
    let step = format!("{{ {FIND}, expect = {{ documents = 20 }} }}");
    let bench = BenchDir::with(&scenario(&step));
    run(&bench, "run s.toml --out run", &format!("{}?tls=true", server.url)).exits(0);
    assert_eq!(server.left(), "left behind: nothing; open cursors: 0");
}

#[test]
fn without_its_variable_a_cell_is_refused() {
    let bench = BenchDir::with(&scenario(&format!("{{ {FIND} }}")));
    let unset = |arguments: &str| {
        let mut command = bench.command(arguments);
        command.env_remove("MONGODB_URL");
        Live::new(command).end()
    };
    unset("check s.toml").exits(0);
    let out = unset("run s.toml --out run").exits(5).out;
    assert!(
        out.contains(
            "refused: s.toml:17: target `docs`: the environment variable `MONGODB_URL` is not set"
        ),
        "{out}"
    );
    assert!(out.contains("MONGODB_URL=mongodb://USER:PASSWORD@HOST/DATABASE"), "{out}");
}

#[test]
fn a_password_is_nowhere() {
    if !has_package() {
        return;
    }
    let server = Server::start("--login me:other");
    // The server refuses it; everything that is said about that must not name it.
    let url = as_user(&server, "me:topsecret");
    let bench = BenchDir::with(&scenario(&format!("{{ {FIND} }}")));
    let seen = run(&bench, "run s.toml -v --out run", &url).exits(5);
    let stored = std::fs::read_to_string(bench.path("run/run.jsonl")).unwrap();
    assert!(
        stored.contains("mongodb://me@127.0.0.1") && stored.contains("${env:MONGODB_URL}"),
        "{stored}"
    );
    assert!(![seen.out, seen.err, stored].concat().contains("topsecret"));
}
