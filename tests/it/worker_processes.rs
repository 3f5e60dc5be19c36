//! Steps that compute in worker processes, under every executor: what these do is proven and
//! accounted for, and one that ends fails its trial.

use regatta::{
    runtime::EXECUTORS,
    store::{FailureKind, Run},
};
use rustix::process::{Signal, kill_process};

use crate::{
    bench_dir::{BenchDir, assert_complete, failures},
    race::measured,
};

const TASKS: u64 = 12;
const WORKERS: u64 = 3;

/// A scenario whose task `t` is this, and whose task `c` computes.
fn scenario(run: &str, computes: &str, task: &str, load: &str) -> String {
    format!(
        "schema = 1\nname = \"w\"\n[run]\nrounds = 1\nwarmup = 0\n{run}\n[executors.thread-pool]\nsize = {WORKERS}\n\
         [tasks.c]\nsteps = [{{ cpu = {{ {computes} }}, name = \"compute\" }}]\n{task}\n[load.l]\n{load}\n"
    )
}

fn raced(bench: &BenchDir) -> Run {
    bench.run("run --out out s.toml --allow-unjudged").exits(0);
    let stored = bench.stored("out");
    assert_complete(&stored);
    bench.wait_until_empty();
    stored
}

#[test]
fn their_work_is_proven_and_their_time_and_memory_are_the_trial_s() {
    let computes = "kernel = \"sha256\", time = \"10ms\", blocking = \"${where}\"";
    let load = format!("task = \"c\"\nbatch = {{ tasks = {TASKS}, repeat = 1 }}");
    let places = "[sweep]\nwhere = [\"inline\", \"process-pool\"]";
    let bench = BenchDir::with(&scenario("", computes, places, &load));
    let stored = raced(&bench);
    let all = measured(&stored);
    assert_eq!(all.len(), 2 * EXECUTORS.len());
    for executor in EXECUTORS {
        let of = |place: &str| {
            let name = format!("w::{}::where={place}", executor.name);
            let (_, found) = all.iter().find(|(cell, _)| *cell == name).unwrap();
            &found.trial
        };
        let (inline, pooled) = (of("inline"), of("process-pool"));
        let found = |what: &str| {
            let line = pooled.proof.iter().find(|line| line.what == what);
            line.map(|line| line.found.clone())
        };
        let done = TASKS.to_string();
        assert_eq!(found("computations that worker processes did"), Some(done));
        let free = WORKERS.to_string();
        assert_eq!(found("worker processes that were free at the end"), Some(free));
        // A computation takes 10 ms of CPU time, whoever else is there; the fastest of thirty made
        // it so many iterations.
        let cpu_ns = pooled.cpu_user_ns + pooled.cpu_system_ns;
        assert!(cpu_ns >= TASKS * 5_000_000, "{}: {cpu_ns}", executor.name);
        // Each of the three is this program again.
        assert!(pooled.peak_memory_bytes > inline.peak_memory_bytes * 2, "{}", executor.name);
        assert!(pooled.prepared_memory_bytes > inline.prepared_memory_bytes * 2);
        assert!(pooled.facts["worker processes: number"].starts_with("3, on CPUs"));
        let turns = ["worker processes", "waiting for worker processes"];
        assert!(turns.iter().all(|fact| pooled.facts.contains_key(*fact)), "{:?}", pooled.facts);
        assert!(!inline.facts.keys().any(|fact| fact.contains("worker process")));
    }
}

#[test]
fn what_is_given_up_is_settled_before_a_worker_works_for_another() {
    let computes = "kernel = \"sum-squares\", time = \"1ms\", blocking = \"process-pool\"";
    let task = "[tasks.t]\nsteps = [{ parallel = { task = \"c\", count = 4, until = \"first\" } }]";
    let load = "task = \"t\"\nclosed = { concurrency = 2, tasks = 60 }";
    let bench = BenchDir::with(&scenario("", computes, task, load));
    let stored = raced(&bench);
    let all = measured(&stored);
    assert_eq!(all.len(), EXECUTORS.len());
    for (cell, found) in all {
        let mut lines = found.trial.proof.iter();
        assert!(lines.any(|line| line.what == "computations that worker processes did"), "{cell}");
    }
}

#[test]
fn a_worker_that_is_killed_fails_the_trial_and_the_others_end_with_it() {
    let computes = "kernel = \"sum-squares\", time = \"5ms\", blocking = \"process-pool\"";
    let load = "task = \"c\"\nclosed = { concurrency = 6 }";
    for executor in ["threads", "tokio"] {
        let only = format!("[executors]\nuse = [\"{executor}\"]");
        let bench = BenchDir::with(&scenario("duration = \"40s\"", computes, &only, load));
        let live = bench.start("run --out out s.toml --allow-unjudged");
        kill_process(bench.process(" worker "), Signal::KILL).unwrap();
        live.end().exits(5);
        bench.wait_until_empty();
        let stored = bench.stored("out");
        let found = failures(&stored);
        let (_, failure) = found[0];
        // It may not have been ready.
        let early = failure.kind == FailureKind::Refused
            && failure.reason.contains("a worker process could not be started");
        let late = failure.kind == FailureKind::Crashed
            && failure.reason.contains("of 3 has ended during the trial (signal: 9 (SIGKILL))")
            && failure.reason.contains("lower `size` under [executors.thread-pool]");
        assert!(early || late, "{failure:?}");
    }
}
