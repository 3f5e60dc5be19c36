//! Pools of connections, and servers that restart while they are called, under every executor: the
//! server's own count says that the work was done as it should be.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use regatta::{measure::Measurements, runtime::EXECUTORS};
use rustix::process::{Pid, Signal, kill_process};

use crate::race::{measured, race};

const BRIEF: &str = "[run]\nrounds = 1\nwarmup = \"0s\"\nduration = \"300ms\"\ntimeout = \"60s\"\n";

/// A closed load of GETs on the embedded server, under every executor.
fn calls(target: &str, step: &str) -> regatta::store::Run {
    race(
        &format!(
            "{BRIEF}[executors.thread-pool]\nsize = 8\n[targets.api]\nhttp = {{ {target} }}\n\
             [tasks.call]\nsteps = [{{ http = {{ target = \"api\", path = \"/\"{step} }}, expect = {{ status = 200 }} }}]\n\
             [load.l]\ntask = \"call\"\nclosed = {{ concurrency = 8 }}\n"
        ),
        &[],
    )
}

/// What was proven of one thing: expected and found.
fn proven(measured: &Measurements, what: &str) -> (u64, u64) {
    let mut lines = measured.trial.proof.iter();
    let line = lines.find(|line| line.what.starts_with(what));
    let line = line.unwrap_or_else(|| panic!("nothing of {what}"));
    (line.expected.parse().unwrap(), line.found.parse().unwrap())
}

#[test]
fn a_pool_never_has_more_connections_than_it_may_and_its_waits_are_recorded() {
    for (pool, reuses) in [("max = 3", true), ("max = 3, force_close = true", false)] {
        let run = calls(&format!("delay = \"2ms\", pool = {{ {pool} }}"), "");
        let all = measured(&run);
        assert_eq!(all.len(), EXECUTORS.len());
        for (cell, measured) in all {
            let counts = &measured.trial.targets[0].counts;
            let (_, most) =
                proven(measured, "most connections to target api at once, by the steps");
            let alone = cell.contains("::sequential");
            assert_eq!(most, if alone { 1 } else { 3 }, "{cell}");
            let (expected, held) = proven(measured, "most connections at once to target api");
            assert!(expected == held && held <= 3, "{cell}: {held}");
            assert!(!reuses || counts["connections"] <= 3, "{cell}: {counts:?}");
            assert!(reuses || counts["connections"] >= counts["requests"], "{cell}: {counts:?}");
            assert_eq!(counts["connections"], counts["connections closed"], "{cell}");
            let waits = measured.steps.iter().find(|step| step.name == "api.pool-wait").unwrap();
            assert!(waits.stream.count >= measured.completed, "{cell}");
        }
    }
}

#[test]
fn a_server_that_restarts_loses_nothing_that_is_in_flight_under_any_executor() {
    let drain = "delay = \"2ms\", drain = { every = \"7ms\" }";
    for (target, step) in [
        (drain.to_owned(), ""),
        (drain.to_owned(), ", connection = \"per-call\""),
        (format!("{drain}, pool = {{ max = 3 }}"), ""),
        (format!("{drain}, tls = {{}}"), ""),
    ] {
        let run = calls(&target, step);
        let all = measured(&run);
        assert_eq!(all.len(), EXECUTORS.len());
        for (cell, measured) in all {
            let counts = &measured.trial.targets[0].counts;
            let (owed, answered) = proven(measured, "requests in flight when it drained");
            assert!(owed == answered && owed > 0, "{cell} {target}: {counts:?}");
            assert_eq!(measured.task.errors, 0, "{cell} {target}");
            assert_eq!(counts["connections"], counts["connections closed"], "{cell} {target}");
        }
    }
}

/// Calls that the load gives up are still owed by the server when it is asked.
#[test]
fn what_is_in_flight_at_the_end_is_nobodys_loss() {
    let run = race(
        "[run]\nrounds = 1\nwarmup = \"0s\"\nduration = \"300ms\"\ntimeout = \"60s\"\n\
         [targets.api]\nhttp = { delay = \"uniform(1ms,2s)\", drain = { every = \"20ms\" } }\n\
         [tasks.call]\nsteps = [{ http = { target = \"api\", path = \"/\" } }]\n\
         [load.l]\ntask = \"call\"\nopen = { rate = \"200/s\", drain = \"50ms\", max_in_flight = 100 }\n",
        &["--executor", "tokio,smol,threads"],
    );
    for (cell, measured) in measured(&run) {
        let (owed, answered) = proven(measured, "requests in flight when it drained");
        assert_eq!(owed, answered, "{cell}");
        let counts = &measured.trial.targets[0].counts;
        assert!(counts["drains, requests in flight that are still to be answered"] > 0, "{cell}");
    }
}

/// A server of ours in a process of its own, as a trial starts it.
struct ServerProcess {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl ServerProcess {
    fn start(target: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_regatta"))
            .arg("target")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let parent = std::process::id();
        let order = format!(
            "{{\"target\":{{\"http\":{target}}},\"seed\":1,\"cpus\":[],\"parent\":{parent}}}"
        );
        writeln!(input, "{order}").unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        output.read_line(&mut ready).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        let address = ready["ready"]["address"].as_str().unwrap().parse().unwrap();
        Self { child, input, output, address }
    }

    fn count(&mut self, name: &str) -> u64 {
        writeln!(self.input, "counts").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let counts: serde_json::Value = serde_json::from_str(&line).unwrap();
        counts["counts"][name].as_u64().unwrap()
    }
}

#[test]
fn a_server_of_ours_that_gets_sigterm_answers_what_is_in_flight_and_ends() {
    let target = serde_json::to_string(&regatta::targets::http::HttpTarget {
        delay: regatta::units::Distribution::Const(std::time::Duration::from_secs(2)),
        ..Default::default()
    });
    let mut server = ServerProcess::start(&target.unwrap());
    let mut streams: Vec<_> = (0..3).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    for stream in &mut streams {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    }
    while server.count("requests") < 3 {}
    kill_process(Pid::from_child(&server.child), Signal::TERM).unwrap();
    for stream in &mut streams {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let all = String::from_utf8_lossy(&all).into_owned();
        assert!(all.starts_with("HTTP/1.1 200 OK") && all.contains("connection: close"), "{all}");
        assert_eq!(all.len() - all.find("\r\n\r\n").unwrap() - 4, 1024);
    }
    assert!(server.child.wait().unwrap().success());
    assert!(TcpStream::connect(server.address).is_err());
}
