//! Contenders that are other programs: a racer in Python, written against PROTOCOL.md alone, beside
//! `tokio`; with one fault each; and this program as its own racer.

use std::path::PathBuf;

use regatta::store::{self, FailureKind, Outcome, Run, TrialFailure};

use crate::bench_dir::BenchDir;

/// Naps, requests whose answers are drawn, and children.
const PAGES: &str = r#"
[targets.api]
http = { delay = "uniform(1ms,3ms)", status = [{ status = 200 }, { status = 404 }, { status = 500 }, { status = 503 }] }
[tasks.page]
steps = [{ sleep = { time = "5ms" }, name = "nap" }, { parallel = { task = "call", count = 4 } }]
[tasks.call]
steps = [{ http = { target = "api", path = "/x/${i}" }, name = "get", allow = { status = [404, 500, 503] } }]
[load.pages]
task = "page"
batch = { tasks = 5, repeat = 3 }
"#;

/// A folder with the racers, and a scenario in which tokio and a program race.
fn bench(program: &str, work: &str, warmup: &str) -> BenchDir {
    let bench = BenchDir::with(&format!(
        "schema = 1\nname = \"s\"\n[run]\nrounds = 1\nwarmup = \"{warmup}\"\ntimeout = \"60s\"\n\
         [executors]\nuse = [\"tokio\", \"other\"]\nbaseline = \"tokio\"\n[executors.other]\nprogram = {program}\n{work}"
    ));
    let racers = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/racers");
    for name in ["racer.py", "sabotaged.py"] {
        bench.write(name, std::fs::read(racers.join(name)).unwrap());
    }
    bench
}

fn run(bench: &BenchDir) -> Run {
    bench.run("run -q s.toml --allow-other-runs --out out");
    store::read(&bench.path("out")).unwrap()
}

/// What became of a contender's only trial.
fn outcome<'a>(run: &'a Run, name: &str) -> &'a Outcome {
    let cell = run.header.cells.iter().find(|cell| cell.executor == name).unwrap();
    let trial = run.trials.iter().find(|trial| trial.cell == cell.name);
    &trial.unwrap_or_else(|| panic!("{cell:?}")).outcome
}

fn failure(run: &Run) -> &TrialFailure {
    match outcome(run, "other") {
        Outcome::Failed(failure) => failure,
        Outcome::Measured(measured) => panic!("it was measured: {measured:?}"),
    }
}

/// The honest racer does the same work as tokio, by all accounts.
#[test]
fn a_racer_in_python_races_beside_tokio() {
    let bench = bench(r#"["python3", "racer.py"]"#, PAGES, "20ms");
    let run = run(&bench);
    let mut counts = Vec::new();
    for name in ["tokio", "other"] {
        let Outcome::Measured(measured) = outcome(&run, name) else {
            panic!("{:?}", outcome(&run, name))
        };
        let load = &measured.loads[0];
        let steps: Vec<(String, u64, u64)> = load
            .steps
            .iter()
            .map(|step| (step.name.clone(), step.stream.count, step.stream.errors))
            .collect();
        counts.push((load.completed, load.task.count, load.task.errors, steps));
        let trial = &measured.trial;
        assert!(
            trial.cpu_user_ns + trial.cpu_system_ns > 0 && trial.peak_memory_bytes > 0,
            "{name}"
        );
        assert!(measured.trial.proof.len() > 5, "{name}");
    }
    assert_eq!(counts[0].0, 15);
    // Names, counts and the errors that were drawn.
    counts[0].3.sort();
    counts[1].3.sort();
    assert_eq!(counts[0], counts[1]);
    let Outcome::Measured(measured) = outcome(&run, "other") else { unreachable!() };
    assert!(measured.trial.facts["racer"].starts_with("asyncio-racer"));
    assert!(measured.trial.facts["not seen from outside"].contains("sockets"));
    let program = run.header.cells.iter().find_map(|cell| cell.program.as_ref()).unwrap();
    assert!(program.name == "asyncio-racer" && program.command == ["python3", "racer.py"]);
    let shown = run.header.environment.iter().find(|(label, _)| label == "contender other");
    assert!(shown.is_some_and(|(_, words)| words.contains("`python3 racer.py`")), "{shown:?}");
}

/// Each fault is refused for what it is.
#[test]
fn a_racer_that_cheats_is_refused_for_the_right_reason() {
    for (fault, reason) in [
        ("loses", "wrong result: tasks run: expected"),
        ("skips", "wrong result: operations that target api served"),
        ("less", "wrong result: shortest task in ns: expected at least"),
        ("more", "wrong result: tasks run: expected"),
        ("fewer", "wrong result: task page, parallel (step 2): runs of call: expected"),
        (
            "late",
            "wrong result: ns from `opens` to `closes`, by the referee's clock: expected at least",
        ),
        ("draws", "wrong result: answers "),
    ] {
        // Nobody knows how long a task takes that ended in an error.
        let work = if fault == "less" {
            PAGES.replace("status = 200 }, ", "status = 200, weight = 1e8 }, ")
        } else {
            PAGES.to_owned()
        };
        let bench = bench(&format!("[\"python3\", \"sabotaged.py\", \"{fault}\"]"), &work, "0s");
        let run = run(&bench);
        let failure = failure(&run);
        assert_eq!(failure.kind, FailureKind::WrongResult, "{fault}: {}", failure.reason);
        assert!(failure.reason.starts_with(reason), "{fault}: {}", failure.reason);
        assert!(matches!(outcome(&run, "tokio"), Outcome::Measured(_)), "{fault}");
    }
}

#[test]
fn a_racer_that_dies_or_hangs_is_recorded_and_nothing_of_it_is_left() {
    for (fault, kind, reason) in [
        ("dies", FailureKind::Crashed, "ended early (exit status: 1): no more"),
        ("hangs", FailureKind::TimedOut, "did not say `opens` in time"),
    ] {
        let bench = bench(&format!("[\"python3\", \"sabotaged.py\", \"{fault}\"]"), PAGES, "0s");
        // Long enough for Python to begin, on a busy host.
        let timeout = if fault == "hangs" { "--timeout 12s" } else { "" };
        bench.run(&format!("run -q s.toml -e other --allow-other-runs --out out {timeout}"));
        let run = bench.stored("out");
        let failure = failure(&run);
        assert_eq!(failure.kind, kind, "{}", failure.reason);
        assert!(failure.reason.contains(reason), "{}", failure.reason);
        bench.wait_until_empty();
    }
}

/// Who cannot be spoken with is refused before anything is run, with what it said.
#[test]
fn a_program_that_is_no_racer_is_refused_with_what_it_said() {
    let hello = r#"["echo", '{"hello":{"protocol":7,"colour":"red"}}']"#;
    for (program, said) in [
        (hello, "speaks version 7 of the protocol, and this program version 1"),
        (r#"["sh", "-c", "echo oops >&2; exit 3"]"#, "ended early (exit status: 3): oops"),
        (r#"["echo", "hello"]"#, "no message of version 1 of the protocol"),
    ] {
        let seen = bench(program, PAGES, "0s").run("list s.toml");
        assert!(seen.out.contains(said), "{said}: {seen:#?}");
    }
}

#[test]
fn the_racer_in_python_conforms_and_one_with_a_fault_does_not() {
    let bench = bench(r#"["python3", "racer.py"]"#, PAGES, "0s");
    let seen = bench.run("conformance python3 racer.py").exits(0);
    assert!(seen.out.contains("the racer conforms"), "{seen:#?}");
    assert!(seen.out.contains("not applicable  arrivals at a rate: "), "{seen:#?}");
    let seen = bench.run("conformance python3 sabotaged.py draws").exits(1);
    assert!(seen.out.contains("FAIL            requests with identifiers: "), "{seen:#?}");
    let seen = bench.run("conformance no-such-program").exits(1);
    assert!(seen.out.contains("could not be started"), "{seen:#?}");
}

/// This program is a racer for any of its executors: what a gate starts for base and candidate.
#[test]
fn this_program_races_as_another_one() {
    let program = format!("[{:?}, \"race\", \"tokio\"]", env!("CARGO_BIN_EXE_regatta"));
    for load in [
        "batch = { tasks = 5, repeat = 3 }",
        "closed = { concurrency = 3, tasks = 30 }",
        "closed = { concurrency = 3 }",
        "open = { rate = \"100/s\" }",
    ] {
        let work = PAGES.replace("batch = { tasks = 5, repeat = 3 }", load);
        let by_time = !load.contains("tasks");
        let warmup = if by_time { "20ms\"\nduration = \"300ms" } else { "20ms" };
        let bench = bench(&program, &work, warmup);
        let run = run(&bench);
        assert!(
            matches!(outcome(&run, "other"), Outcome::Measured(_)),
            "{:?}",
            outcome(&run, "other")
        );
    }
}

#[test]
fn what_a_racer_cannot_do_is_not_applicable_and_one_that_is_not_there_is_refused() {
    let work = PAGES.replace("batch = { tasks = 5, repeat = 3 }", "open = { rate = \"100/s\" }");
    let seen = bench(r#"["python3", "racer.py"]"#, &work, "0s").run("list s.toml");
    let said = format!("{}{}", seen.out, seen.err);
    assert!(said.contains("the racer asyncio-racer cannot do the load `open`"), "{said}");
    let seen = bench(r#"["./gone"]"#, PAGES, "0s").run("list s.toml");
    let said = format!("{}{}", seen.out, seen.err);
    assert!(said.contains("could not be started"), "{said}");
}
