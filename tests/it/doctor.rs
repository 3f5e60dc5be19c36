//! `regatta doctor` and its short form before a run: exit codes, shapes, limits that anybody can
//! set, two runs at once, and the facts that trials report.

use std::{collections::BTreeSet, fs};

use regatta::{
    runtime,
    store::{Fitness, Outcome, Run},
};
use serde_json::Value as Json;

use crate::{
    bench_dir::{BenchDir, Live, wait_for},
    exit_codes::batch,
};

/// What the doctor says of a folder's `s.toml`, as JSON, with its exit code.
fn examined(bench: &BenchDir, line: &str) -> (i32, Json) {
    let seen = Live::new(bench.shell(line)).end();
    assert!(!seen.err.contains("panicked"), "{seen:#?}");
    (seen.code, serde_json::from_str(&seen.out).unwrap_or_else(|why| panic!("{why}: {seen:#?}")))
}

fn check<'a>(report: &'a Json, name: &str) -> &'a Json {
    let all = report["checks"].as_array().unwrap();
    all.iter()
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("no check `{name}`: {report:#}"))
}

/// Cells that need 500 threads, and 500 connections.
const MANY: &str = "schema = 1\nname = 'many'\n[targets.api]\nhttp = {}\n[tasks.get]\nsteps = [{ http = { target = 'api', \
                    path = '/' } }]\n[load.b]\ntask = 'get'\nbatch = { tasks = 500, repeat = 1 }\n[executors]\nuse = \
                    ['threads']\n[run]\nrounds = 1\nwarmup = '0s'\n";

#[test]
fn it_exits_with_69_exactly_where_something_refuses() {
    let bench = BenchDir::with(MANY);
    let (code, report) = examined(&bench, "exec $REGATTA doctor --format json");
    let refused =
        report["checks"].as_array().unwrap().iter().any(|check| check["fitness"] == "refuse");
    assert_eq!(code, if refused { 69 } else { 0 }, "{report:#}");
    assert_eq!((&report["regatta_doctor"], &report["fit"]), (&1.into(), &(!refused).into()));
    for check in report["checks"].as_array().unwrap() {
        let told = |key: &str| check[key].as_str().is_some_and(|text| !text.is_empty());
        let needs_remedy = ["warn", "refuse"].contains(&check["fitness"].as_str().unwrap());
        assert!(told("name") && told("value") && (told("remedy") || !needs_remedy), "{check:#}");
    }
    let recorded: BTreeSet<&str> =
        report["record"].as_array().unwrap().iter().filter_map(|pair| pair[0].as_str()).collect();
    for label in [
        "CPU",
        "kernel",
        "compiler",
        "profile",
        "allocator",
        "crates",
        "tcp_congestion_control",
        "somaxconn",
    ] {
        assert!(recorded.contains(label), "{label} is not among {recorded:?}");
    }
    let people = bench.run("doctor").exits(code);
    assert!(
        people.out.contains("clock source") && people.out.contains("fit for measuring"),
        "{people:#?}"
    );
    bench.run("doctor absent.toml").exits(65);
    bench.run("doctor --format csv").exits(2);
}

/// Whether this is root, and not only that of a container: the kernel holds no limit on processes
/// against him.
fn exceeds_the_limit_on_processes() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    rustix::process::getuid().is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[test]
fn limits_are_held_against_the_plan() {
    let bench = BenchDir::with(MANY);
    let limited = |limit: &str| {
        examined(&bench, &format!("{limit}; exec $REGATTA doctor s.toml --format json"))
    };
    let (code, report) = limited("ulimit -n 100");
    let plan = check(&report, "plan");
    assert_eq!((code, &plan["fitness"]), (69, &"refuse".into()), "{plan:#}");
    assert!(
        plan["value"].as_str().unwrap().contains("many::threads needs 564 open files"),
        "{plan:#}"
    );
    assert!(check(&report, "open files")["value"].as_str().unwrap().contains("room for 100"));
    // The letter is `p` in dash.
    let (code, report) = limited("ulimit -u 200 2> /dev/null || ulimit -p 200");
    let plan = check(&report, "plan");
    if exceeds_the_limit_on_processes() {
        assert_eq!(plan["fitness"], "fine", "{plan:#}");
    } else {
        assert_eq!((code, &plan["fitness"]), (69, &"refuse".into()), "{plan:#}");
        assert!(plan["value"].as_str().unwrap().contains("RLIMIT_NPROC"), "{plan:#}");
    }
    let (_, report) = limited("true");
    assert_eq!(check(&report, "plan")["fitness"], "fine");
}

#[test]
fn what_was_checked_before_a_run_is_stored_with_it() {
    let bench = BenchDir::with(&batch(""));
    let seen = bench.run("run s.toml -e sequential --out run").exits(0);
    let header = bench.stored("run").header;
    let named = |name: &str| header.checks.iter().find(|check| check.name == name).unwrap();
    // The tests' build is not for measuring, which is said and does not stop a run.
    assert_eq!(named("build").fitness, Fitness::Warn);
    assert!(seen.err.contains("warning: build: this is a debug build"), "{seen:#?}");
    assert_eq!(
        (named("another run").fitness, named("plan").fitness),
        (Fitness::Fine, Fitness::Fine)
    );
    let warned = header.checks.iter().filter(|check| check.fitness >= Fitness::Warn).count();
    assert_eq!(header.warnings.len(), warned, "{:#?}", header.warnings);
    let json: Json =
        serde_json::from_str(&bench.run("report run --format json").exits(0).out).unwrap();
    assert_eq!(json["checks"].as_array().unwrap().len(), header.checks.len());
}

/// Doctor and run judge alike: what one refuses so does the other, and what one warns of the other
/// goes on with.
#[test]
fn the_doctor_refuses_what_a_run_refuses() {
    let bench = BenchDir::with(
        &batch("")
            .replace(
                "[executors]",
                "[targets.db]\nsql = { url = \"${env:NO_SUCH_URL}\" }\n[executors]",
            )
            .replace(
                "sleep = { time = \"1ms\" }",
                "sql = { target = \"db\", query = \"SELECT 1\" }",
            ),
    );
    let (code, report) = examined(&bench, "exec $REGATTA doctor s.toml --format json");
    let plan = check(&report, "plan");
    assert_eq!((code, &plan["fitness"]), (69, &"refuse".into()), "{plan:#}");
    assert!(plan["value"].as_str().unwrap().contains("NO_SUCH_URL"), "{plan:#}");
    bench.run("run s.toml --out run").exits(5);
    // The tests' build, and whatever this machine does besides.
    bench.write("s.toml", batch(""));
    let (code, report) = examined(&bench, "exec $REGATTA doctor s.toml --format json");
    assert_eq!((code, &check(&report, "build")["fitness"]), (0, &"warn".into()), "{report:#}");
    bench.run("run s.toml --out fine").exits(0);
}

/// A run that goes on until it is ended.
const LONG: &str = "schema = 1\nname = 'long'\n[tasks.nap]\nsteps = [{ sleep = { time = '1ms' } }]\n[load.c]\ntask = 'nap'\n\
                    closed = { concurrency = 1 }\n[executors]\nuse = ['sequential']\n[run]\nduration = '10m'\ntimeout = \
                    '20m'\nrounds = 1\n";

#[test]
fn two_runs_at_once_are_refused_unless_allowed() {
    let bench = BenchDir::with(&batch(""));
    bench.write("long.toml", LONG);
    let first = bench.start("run long.toml --out first");
    let pid = first.pid().as_raw_nonzero().get().to_string();
    wait_for("the first run's lock", || {
        std::fs::read_to_string(bench.path("lock")).ok().filter(|text| *text == pid)
    });
    bench.run("run s.toml --out second").exits(69).says(&[
        "another run is in progress",
        &pid,
        "--allow-other-runs",
    ]);
    assert!(!bench.path("second").exists());
    let (code, report) = examined(&bench, "exec $REGATTA doctor --format json");
    let other = check(&report, "another run");
    assert_eq!((code, &other["fitness"]), (69, &"refuse".into()), "{other:#}");
    assert!(other["value"].as_str().unwrap().contains(&pid), "{other:#}");
    // Allowed, it is only warned of, and the warning is kept.
    bench
        .run("run s.toml -e sequential --out third --allow-other-runs")
        .exits(0)
        .says(&["another run: process"]);
    assert!(bench.stored("third").header.warnings.iter().any(|warning| warning.contains(&pid)));
    // With a lock file of its own it does not see the other.
    Live::new(
        bench.shell("REGATTA_LOCK=$PWD/other exec $REGATTA run s.toml -e sequential --out fourth"),
    )
    .end()
    .exits(0);
    // A killed run leaves no lock behind.
    first.signal_group(rustix::process::Signal::KILL);
    first.end();
    bench.run("run s.toml -e sequential --out fifth").exits(0);
}

/// The facts of each executor of a run, from its first trial.
fn facts(run: &Run) -> Vec<(&str, &std::collections::BTreeMap<String, String>)> {
    let measured = run.trials.iter().filter_map(|trial| match &trial.outcome {
        Outcome::Measured(measured) => {
            Some((trial.cell.split("::").nth(1)?, &measured.trial.facts))
        }
        Outcome::Failed(failure) => panic!("{failure:?}"),
    });
    measured.collect()
}

#[test]
fn trials_report_what_the_kernel_says_of_them() {
    let scenario = "schema = 1\nname = 'facts'\n[targets.api]\nhttp = {}\n[tasks.get]\nsteps = [{ http = { target = 'api', \
                    path = '/' } }]\n[load.b]\ntask = 'get'\nbatch = { tasks = 4, repeat = 2 }\n[executors]\nworkers = 3\n\
                    stack_size = '512KiB'\n[executors.thread-pool]\nsize = 4\n[run]\nrounds = 1\nwarmup = '0s'\n";
    let bench = BenchDir::with(scenario);
    bench.run("run s.toml --out run --cpus executor=0").exits(0);
    let run = bench.stored("run");
    let all = facts(&run);
    assert_eq!(all.len(), runtime::EXECUTORS.len());
    for (executor, facts) in &all {
        let fact = |name: &str| facts.get(name).map_or("-", String::as_str);
        let is = |name: &str, expected: &str| {
            assert_eq!(fact(name), expected, "{name} of {executor}: {facts:#?}");
        };
        is("CPUs of that thread", "[0]");
        if fact("open connections") != "cannot be read here" {
            match *executor {
                "sequential" => is("open connections", "1"),
                // A worker that came too late for a task of either batch has opened nothing.
                "thread-pool" | "rayon" => {
                    assert!(["1", "2", "3", "4"].contains(&fact("open connections")), "{facts:#?}");
                }
                _ => is("open connections", "4"),
            }
            is("TCP_NODELAY", "on");
            assert!(
                facts.contains_key("TCP congestion control") && facts.contains_key("SO_RCVBUF"),
                "{facts:#?}"
            );
        }
        assert!(fact("threads after the load").contains("regatta"), "{executor}: {facts:#?}");
        match *executor {
            "threads" => is("stack of that thread", "512KiB"),
            "thread-pool" => {
                is("stack of that thread", "512KiB");
                assert!(fact("threads after the load").contains("4 pool"), "{facts:#?}");
            }
            "rayon" => {
                is("stack of that thread", "512KiB");
                assert!(fact("threads after the load").contains("4 rayon"), "{facts:#?}");
            }
            "tokio" | "async-std" | "smol" | "compio" => {
                is("scheduler threads", "3");
                is("cap of the blocking pool", "4");
            }
            _ => assert!(
                fact("stack of that thread").starts_with("the main thread's"),
                "{executor}: {facts:#?}"
            ),
        }
    }
    // Equal conditions are no finding, and the table is in every output.
    let json: Json =
        serde_json::from_str(&bench.run("report run --format json").exits(0).out).unwrap();
    let manifest = &json["scenarios"][0]["manifest"];
    assert_eq!(manifest["executors"].as_array().unwrap().len(), all.len());
    assert!(
        manifest["facts"].as_array().unwrap().iter().all(|fact| fact["agreement"] != "unequal"),
        "{manifest:#}"
    );
    let markdown = bench.run("report run --format markdown").exits(0).out;
    assert!(
        markdown.contains("The same for every executor?")
            && markdown.contains("The same for all: "),
        "{markdown}"
    );
    let page = std::fs::read_to_string(bench.path("run/index.html")).unwrap();
    assert!(page.contains("The same for all: ") && page.contains("The host before the run"));
}
