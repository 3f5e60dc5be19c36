//! The same work under every executor, through the real binary: what holds for all of them.

use std::{path::Path, process::Command};

use regatta::{
    measure::Measurements,
    runtime::EXECUTORS,
    store::{self, Outcome, Run},
};

/// Runs a scenario into a temporary folder and reads the run back.
pub fn race(scenario: &str, extra: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("race.toml");
    std::fs::write(&file, format!("schema = 1\nname = \"race\"\n{scenario}")).unwrap();
    let out = folder.path().join("out");
    let done = Command::new(env!("CARGO_BIN_EXE_regatta"))
        .args(["run", "--quiet", "--out"])
        .arg(&out)
        .arg(&file)
        .args(extra)
        // Tests run beside each other, and each is a run of its own.
        .env("REGATTA_LOCK", folder.path().join("lock"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    store::read(&out).unwrap_or_else(|why| panic!("{why}\n{said}"))
}

/// The measurements of every trial, with its cell's name; a failed trial fails the test. One that
/// is run again, because other processes disturbed it, did the same work.
pub fn measured(run: &Run) -> Vec<(&str, &Measurements)> {
    let each =
        run.trials.iter().filter(|trial| trial.attempt == 0).map(|trial| match &trial.outcome {
            Outcome::Measured(measured) => (trial.cell.as_str(), &measured.loads[0]),
            Outcome::Failed(failure) => panic!("{}: {}", trial.cell, failure.reason),
        });
    each.collect()
}

/// Least and most tasks of any client.
fn per_client(measured: &Measurements) -> (u64, u64) {
    let (least, most) = measured.trial.facts["tasks per client"].split_once(" to ").unwrap();
    (least.parse().unwrap(), most.parse().unwrap())
}

const ONCE: &str = "[run]\nrounds = 1\nwarmup = \"0s\"\ntimeout = \"60s\"\n";

#[test]
fn no_client_of_work_that_never_waits_starves() {
    let run = race(
        "[run]\nrounds = 1\nwarmup = \"0s\"\nduration = \"300ms\"\n[executors]\nworkers = 1\n\
         [executors.thread-pool]\nsize = 1\n\
         [tasks.think]\nsteps = [{ cpu = { kernel = \"sum-squares\", iterations = 1000 } }]\n\
         [load.l]\ntask = \"think\"\nclosed = { concurrency = 4 }\n",
        &[],
    );
    let all = measured(&run);
    assert_eq!(all.len(), EXECUTORS.len());
    for (cell, measured) in all {
        assert!(per_client(measured).0 > 0, "{cell}: {:?}", per_client(measured));
        // Who sees to it: the executor's tasks by themselves, or the kernel.
        let preempted = ["::sequential", "::threads", "::thread-pool", "::rayon"]
            .iter()
            .any(|name| cell.contains(name));
        assert_eq!(
            measured.trial.facts["a client steps back"].starts_with("never"),
            preempted,
            "{cell}"
        );
    }
}

#[test]
fn nested_parallel_work_ends_in_a_pool_of_any_size() {
    for size in [1, 2, 64] {
        let run = race(
            &format!(
                "{ONCE}[executors.thread-pool]\nsize = {size}\n\
                 [tasks.root]\nsteps = [{{ parallel = {{ task = \"branch\", count = 3 }} }}]\n\
                 [tasks.branch]\nsteps = [{{ parallel = {{ task = \"leaf\", count = 3 }}, name = \"inner\" }}]\n\
                 [tasks.leaf]\nsteps = [{{ sleep = {{ time = \"1ms\" }}, name = \"wait\" }}]\n\
                 [load.l]\ntask = \"root\"\nbatch = {{ tasks = 5, repeat = 2 }}\n"
            ),
            &[],
        );
        for (cell, measured) in measured(&run) {
            let counts: Vec<u64> = measured.steps.iter().map(|step| step.stream.count).collect();
            assert_eq!(counts, [5 * 2 * 3, 5 * 2 * 9], "{cell}");
        }
    }
}

/// Children whose time is over while they still connect have not begun, and came back all the same.
#[test]
fn children_may_be_cancelled_before_they_begin() {
    let run = race(
        &format!(
            "{ONCE}[targets.api]\nhttp = {{ delay = \"20ms\" }}\n\
             [tasks.page]\nsteps = [{{ parallel = {{ task = \"call\", count = 16 }}, timeout = \"50ms\", on_timeout = \"skip\" }}]\n\
             [tasks.call]\nsteps = [{{ http = {{ target = \"api\", path = \"/\" }} }}]\n\
             [load.l]\ntask = \"page\"\nclosed = {{ concurrency = 2, tasks = 6 }}\n"
        ),
        &[],
    );
    for (cell, measured) in measured(&run) {
        assert_eq!(measured.completed, 6, "{cell}");
    }
}

/// Children that another thread runs, and then a call on a connection that is kept: who waited for
/// the children must not wait for an answer before it has asked.
#[test]
fn a_call_after_children_is_written_before_its_answer_is_waited_for() {
    let run = race(
        &format!(
            "{ONCE}[executors]\nuse = [\"sequential\", \"threads\", \"thread-pool\", \"tokio\", \"smol\"]\n\
             [executors.thread-pool]\nsize = 20\n[targets.api]\nhttp = {{}}\n\
             [tasks.call]\nsteps = [{{ parallel = {{ task = \"child\", count = 16 }} }}, \
             {{ http = {{ target = \"api\", path = \"/\" }} }}]\n\
             [tasks.child]\nsteps = [{{ noop = {{}} }}, {{ yield = {{}} }}]\n\
             [load.l]\ntask = \"call\"\nclosed = {{ concurrency = 1, tasks = 60 }}\n"
        ),
        &[],
    );
    for (cell, measured) in measured(&run) {
        assert_eq!(measured.completed, 60, "{cell}");
    }
}

#[test]
fn equal_work_is_equal_on_every_executor() {
    let run = race(
        &format!(
            "{ONCE}[targets.api]\nhttp = {{ delay = \"uniform(0ms,2ms)\", status = [{{ status = 200, weight = 8 }}, {{ status = 503, weight = 2 }}] }}\n\
             [tasks.call]\nsteps = [{{ http = {{ target = \"api\", path = \"/x/${{i}}\", method = \"POST\", body_size = \"2KiB\" }}, name = \"post\", allow = {{ status = 503 }} }}]\n\
             [load.l]\ntask = \"call\"\nclosed = {{ concurrency = 7, tasks = 100 }}\n"
        ),
        &[],
    );
    let all = measured(&run);
    let (_, first) = all[0];
    assert!(first.steps[0].stream.errors > 0, "the mix has errors");
    for (cell, measured) in &all {
        assert_eq!(measured.completed, 100, "{cell}");
        // The same requests got the same answers, whatever the order in which they arrived.
        assert_eq!(measured.steps[0].stream.errors, first.steps[0].stream.errors, "{cell}");
        assert_eq!(measured.trial.targets[0].counts["requests"], 100, "{cell}");
        assert_eq!(measured.trial.targets[0].counts["bytes received"], 100 * 2048, "{cell}");
        assert_eq!(
            measured.trial.targets[0].counts["status 503"],
            first.trial.targets[0].counts["status 503"],
            "{cell}"
        );
    }
}

#[test]
fn a_time_out_ends_the_call_and_its_connection() {
    let run = race(
        &format!(
            "{ONCE}[targets.api]\nhttp = {{ delay = \"20s\" }}\n\
             [tasks.call]\nsteps = [{{ http = {{ target = \"api\", path = \"/\" }}, name = \"get\", timeout = \"30ms\", on_timeout = \"ignore\" }}]\n\
             [load.l]\ntask = \"call\"\nbatch = {{ tasks = 3, repeat = 2 }}\n"
        ),
        &[],
    );
    for (cell, measured) in measured(&run) {
        let step = &measured.steps[0].stream;
        assert_eq!((step.count, step.timeouts), (6, 6), "{cell}");
        // It fired, not early, and the twenty seconds were not waited for.
        assert!(step.latency.0.min() >= 29_900_000, "{cell}: {}", step.latency.0.min());
        assert!(step.latency.0.max() < 10_000_000_000, "{cell}: {}", step.latency.0.max());
        let counts = &measured.trial.targets[0].counts;
        // A connection that timed out is never used again.
        assert!(counts["connections"] >= 6, "{cell}: {counts:?}");
    }
}

#[test]
fn deadlines_reach_children_and_sleeps() {
    let run = race(
        &format!(
            "{ONCE}[tasks.root]\nsteps = [{{ parallel = {{ task = \"nap\", count = 3 }}, name = \"fan-out\", timeout = \"30ms\", on_timeout = \"ignore\" }}]\n\
             [tasks.nap]\nsteps = [{{ sleep = {{ time = \"20s\" }} }}]\n\
             [load.l]\ntask = \"root\"\nbatch = {{ tasks = 2, repeat = 1 }}\n"
        ),
        &[],
    );
    for (cell, measured) in measured(&run) {
        assert_eq!(measured.steps[0].stream.timeouts, 2, "{cell}");
        assert!(measured.makespans_ns[0] < 10_000_000_000, "{cell}: {}", measured.makespans_ns[0]);
    }
}

#[test]
fn think_time_is_between_tasks() {
    let run = race(
        &format!(
            "{ONCE}[tasks.quick]\nsteps = [{{ noop = {{}} }}]\n\
             [load.l]\ntask = \"quick\"\nclosed = {{ concurrency = 3, think = \"10ms\", tasks = 30 }}\n"
        ),
        &[],
    );
    for (cell, measured) in measured(&run) {
        // Ten tasks of each client have nine pauses between them.
        assert!(measured.window_ns >= 90_000_000, "{cell}: {}", measured.window_ns);
        assert_eq!(per_client(measured), (10, 10), "{cell}");
    }
}

/// System calls by thread, from a trace: `PID call(…)`.
pub fn calls(trace: &str, thread: &str, names: &[&str]) -> usize {
    let of_thread = trace.lines().filter(|line| line.split_whitespace().next() == Some(thread));
    of_thread.filter(|line| names.iter().any(|name| line.contains(&format!(" {name}(")))).count()
}

#[test]
fn a_get_under_threads_is_one_write_and_one_read() {
    if Command::new("strace").arg("-V").output().is_err() {
        crate::skip::skipped("no strace on this machine");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_of_gets(folder.path());
    let trace = folder.path().join("trace");
    let traced = Command::new("strace")
        .args(["-f", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_regatta"))
        .args(["trial", "--plan"])
        .arg(plan)
        .output()
        .unwrap();
    assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stdout));
    let trace = std::fs::read_to_string(trace).unwrap();
    let client = trace
        .lines()
        .find(|line| line.contains(" writev("))
        .and_then(|line| line.split_whitespace().next());
    let client = client.expect("the client writes with writev");
    assert_eq!(calls(&trace, client, &["writev", "write", "sendto", "sendmsg"]), 1000);
    assert_eq!(calls(&trace, client, &["recvfrom", "read", "readv", "recvmsg"]), 1000);
    // The limits on reading and writing are set once.
    assert!(
        calls(&trace, client, &["setsockopt"]) <= 3,
        "{}",
        calls(&trace, client, &["setsockopt"])
    );
}

/// A thread of a programmer's own does not ask the kernel to run another: it is preempted.
#[test]
fn threads_never_step_back() {
    if Command::new("strace").arg("-V").output().is_err() {
        crate::skip::skipped("no strace on this machine");
        return;
    }
    for executor in ["threads", "thread-pool", "sequential"] {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan_of(
            folder.path(),
            &format!(
                "[run]\nrounds = 1\nwarmup = 0\nduration = \"300ms\"\n[executors]\nuse = [\"{executor}\"]\n\
                 [tasks.think]\nsteps = [{{ cpu = {{ kernel = \"sum-squares\", iterations = 1000 }} }}]\n\
                 [load.l]\ntask = \"think\"\nclosed = {{ concurrency = 3 }}\n"
            ),
        );
        let trace = folder.path().join("trace");
        let traced = Command::new("strace")
            .args(["-f", "-e", "trace=sched_yield,exit_group", "-o"])
            .arg(&trace)
            .arg(env!("CARGO_BIN_EXE_regatta"))
            .args(["trial", "--plan"])
            .arg(plan)
            .output()
            .unwrap();
        assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stdout));
        let trace = std::fs::read_to_string(trace).unwrap();
        assert!(trace.contains("exit_group("), "{executor}: nothing was traced");
        assert_eq!(trace.matches("sched_yield(").count(), 0, "{executor}");
    }
}

/// A plan of 1000 GETs by one client under `threads`.
fn plan_of_gets(folder: &Path) -> std::path::PathBuf {
    let scenario = format!(
        "{ONCE}[executors]\nuse = [\"threads\"]\n[targets.api]\nhttp = {{}}\n\
         [tasks.call]\nsteps = [{{ http = {{ target = \"api\", path = \"/\" }}, timeout = \"30s\" }}]\n\
         [load.l]\ntask = \"call\"\nclosed = {{ concurrency = 1, tasks = 1000 }}\n"
    );
    plan_of(folder, &scenario)
}

/// The plan of a scenario's only trial.
fn plan_of(folder: &Path, scenario: &str) -> std::path::PathBuf {
    let file = folder.join("traced.toml");
    std::fs::write(&file, format!("schema = 1\nname = \"traced\"\n{scenario}")).unwrap();
    let out = folder.join("out");
    let run = Command::new(env!("CARGO_BIN_EXE_regatta"))
        .args(["run", "-v", "--out"])
        .arg(&out)
        .arg(&file)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    out.join("plans/0001.json")
}
