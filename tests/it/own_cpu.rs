//! The CPU time of a user's own HTTP server is the target's, whatever it is made of, and nobody
//! else's is.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use regatta::{
    measure::Measurements,
    store::{Outcome, Run},
};

use crate::{
    bench_dir::BenchDir,
    own_server::{OwnServer, Reply},
};

/// Requests of a trial.
const TASKS: u64 = 20;
/// CPU time that a child of the server uses for each.
const BURN_NS: u64 = 20_000_000;

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that forks for each request, and its port.
fn forking() -> (Running, u16) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/forking_server.py");
    let burn = format!("{}", BURN_NS as f64 / 1e9);
    let mut child =
        Command::new("python3").args([script, &burn]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Running(child), line.trim().parse().unwrap())
}

/// What the server says that it and its children have used so far.
fn used_ns(port: u16) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /used HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().last().unwrap().parse().unwrap()
}

fn scenario(url: &str) -> String {
    format!(
        r#"
schema = 1
name = "own"
[run]
rounds = 1
warmup = "0s"
[executors]
use = ["threads", "tokio"]
baseline = "threads"
[targets.own]
http = {{ url = "{url}" }}
[tasks.call]
steps = [{{ http = {{ target = "own", path = "/", connection = "per-call" }} }}]
[load.calls]
task = "call"
batch = {{ tasks = {TASKS} }}
"#
    )
}

/// What the trials measured, in order; of attempts that others have disturbed, too.
fn measured(run: &Run) -> Vec<&Measurements> {
    let outcomes = run.trials.iter().map(|trial| match &trial.outcome {
        Outcome::Measured(measured) => &measured.loads[0],
        Outcome::Failed(why) => panic!("{why:?}"),
    });
    outcomes.collect()
}

#[test]
fn children_that_come_and_go_are_the_server_s_and_a_stranger_is_not() {
    let (server, port) = forking();
    // Whoever else is busy must be nobody's.
    let stranger = Running(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap());
    let bench = BenchDir::with(&scenario(&format!("http://127.0.0.1:{port}")));
    bench.run("run s.toml --out run").exits(0);
    drop(stranger);
    let run = bench.stored("run");
    let trials = measured(&run);
    assert!(trials.len() >= 2);
    for measured in &trials {
        let report = &measured.trial.targets[0];
        let cpu_ns = report.cpu_ns.unwrap();
        // Ticks of 10 ms are rounded down once for each counter.
        assert!(cpu_ns >= TASKS * BURN_NS * 9 / 10, "{report:?}");
        assert!(
            measured.trial.host.executor.as_ref().unwrap().own_ns >= cpu_ns,
            "{:?}",
            measured.trial.host
        );
        assert!(report.busy.unwrap() > 0.0 && !report.cpus.is_empty(), "{report:?}");
        let said = &measured.trial.facts["own: processes"];
        let expected = format!("python3 ({}) and all below it", server.0.id());
        assert_eq!(said, &expected);
    }
    let all: u64 = trials.iter().filter_map(|measured| measured.trial.targets[0].cpu_ns).sum();
    let used = used_ns(port);
    assert!(all <= used, "{all} ns are said to be the server's, which has used {used}");
}

#[test]
fn a_shared_cpu_is_said_with_what_keeps_server_and_executor_apart() {
    let (_server, port) = forking();
    let bench = BenchDir::with(&scenario(&format!("http://127.0.0.1:{port}")));
    let said = bench
        .run("run s.toml --out run")
        .exits(0)
        .out
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(said.contains("The server of target own shares CPU"), "{said}");
    let cpus = measured(&bench.stored("run"))[0].trial.targets[0].cpus.clone();
    assert!(
        cpus.len() < 2 || said.contains("`--cpus executor=") && said.contains("`taskset -c "),
        "{said}"
    );
}

#[test]
fn a_server_that_has_started_this_run_counts_without_it() {
    let own = OwnServer::start(|_| Reply::Fine);
    let bench = BenchDir::with(&scenario(own.url()));
    bench.run("run s.toml --out run").exits(0);
    let run = bench.stored("run");
    let said = &measured(&run)[0].trial.facts["own: processes"];
    assert!(
        said.contains(&format!("({}) without what it has started", std::process::id())),
        "{said}"
    );
}
