//! Limits of the host: a cell that cannot run is refused before it starts, naming the limit and the
//! remedy; what can run does.

use std::fs;

use regatta::store::{Absent, Run};

use crate::{
    bench_dir::{BenchDir, Live, assert_complete},
    exit_codes::batch,
};

/// Why the cells of a run were refused, by executor.
fn refusals(run: &Run) -> Vec<(&str, &str)> {
    let refusal = |absent: &Absent| matches!(absent, Absent::Refused(_));
    let cells = run.header.cells.iter().filter(|cell| cell.absent.as_ref().is_some_and(refusal));
    cells
        .map(|cell| match &cell.absent {
            Some(Absent::Refused(reason) | Absent::NotApplicable(reason)) => {
                (cell.executor.as_str(), reason.as_str())
            }
            None => unreachable!("it is absent"),
        })
        .collect()
}

#[test]
fn more_connections_than_open_files_are_refused() {
    let calls =
        "steps = [{ http = { target = \"api\", path = \"/\" } }]\n[targets.api]\nhttp = { }";
    let scenario = batch("")
        .replace("steps = [{ sleep = { time = \"1ms\" } }]", calls)
        .replace("tasks = 4", "tasks = 500")
        .replace(
            "use = [\"threads\", \"tokio\"]",
            "use = [\"sequential\", \"threads\", \"tokio\"]",
        );
    let bench = BenchDir::with(&scenario);
    let limited = |arguments: &str| {
        Live::new(bench.shell(&format!("ulimit -n 200; exec $REGATTA {arguments}"))).end()
    };
    let seen = limited("run s.toml --out run").exits(5).says(&[]);
    assert!(seen.out.contains("RLIMIT_NOFILE") && seen.out.contains("ulimit -Hn"), "{seen:#?}");
    let run = bench.stored("run");
    let refused = refusals(&run);
    assert_eq!(
        refused.iter().map(|(executor, _)| *executor).collect::<Vec<_>>(),
        ["threads", "tokio"]
    );
    for (_, reason) in refused {
        assert!(
            reason.contains("open files, and RLIMIT_NOFILE (hard) leaves room for 200"),
            "{reason}"
        );
    }
    // One connection at a time is possible.
    assert!(
        run.trials.iter().all(|trial| trial.cell == "batch::sequential")
            && run.rounds().of("batch::sequential").count() == 1
    );
    // Whoever has raised the limit goes on with the same run.
    bench.run("run --resume run").exits(0).says(&["1 of 3 trials are there"]);
    let run = bench.stored("run");
    assert_complete(&run);
    assert!(refusals(&run).is_empty() && run.header.cells.len() == 3);
    bench.run("run --resume run").exits(0).says(&["the run is finished"]);
    limited("run s.toml --out skipped --skip-refused").exits(0);
    // With so few files nothing can run, which is no crash either.
    let seen =
        Live::new(bench.shell("ulimit -n 64; exec $REGATTA run s.toml --out none")).end().exits(5);
    assert!(seen.out.contains("RLIMIT_NOFILE"), "{seen:#?}");
    assert!(bench.stored("none").trials.is_empty());
}

#[test]
fn more_threads_than_the_host_has_are_refused() {
    // The kernel has never more than this many, so that the limits bind wherever this runs.
    let wanted = 100_000_000;
    for load in [
        format!("batch = {{ tasks = {wanted}, repeat = 1 }}"),
        format!("closed = {{ concurrency = {wanted}, tasks = {wanted} }}"),
    ] {
        let bench = BenchDir::with(&batch("").replace("batch = { tasks = 4, repeat = 3 }", &load));
        let seen = bench.run("list s.toml -e threads").exits(0);
        let named = ["kernel.", "vm.max_map_count", "RLIMIT_NPROC", "cgroup pids.max"];
        let refused = |text: &str| {
            text.contains("needs 100000000 threads") && named.iter().any(|name| text.contains(name))
        };
        assert!(refused(&seen.out), "{seen:#?}");
        bench.run("run s.toml -e threads --out run").exits(5).says(&[]);
        let run = bench.stored("run");
        let found = refusals(&run);
        assert!(found.len() == 1 && refused(found[0].1), "{found:?}");
        bench.run("run s.toml -e threads --out skipped --skip-refused").exits(0);
    }
}

#[test]
fn a_hundred_thousand_sleeping_tasks_are_nothing_to_an_asynchronous_executor() {
    let scenario = batch("")
        .replace("time = \"1ms\"", "time = \"200ms\"")
        .replace("tasks = 4, repeat = 3", "tasks = 100000, repeat = 1");
    let bench = BenchDir::with(&scenario);
    bench.run("run s.toml -e tokio,smol,threads --out run");
    let run = bench.stored("run");
    for trial in &run.trials {
        let regatta::store::Outcome::Measured(measured) = &trial.outcome else {
            panic!("{:?}", trial.outcome)
        };
        assert_eq!(measured.loads[0].task.count, 100_000);
        assert!(measured.loads[0].makespans_ns.iter().all(|&makespan| makespan >= 200_000_000));
    }
    let limit =
        fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse::<u64>().unwrap()
            / 4;
    if limit < 100_000 {
        // As many threads are too many for most hosts, which is said instead of tried.
        assert_eq!(
            refusals(&run).iter().map(|(executor, _)| *executor).collect::<Vec<_>>(),
            ["threads"]
        );
        // A disturbed trial may be there again.
        assert_eq!(run.trials.iter().filter(|trial| trial.attempt == 0).count(), 2);
    } else {
        assert_complete(&run);
    }
}

#[test]
fn more_memory_than_the_host_has_is_refused_with_the_key_that_asks_for_less() {
    let fan_out =
        "[tasks.all]\nsteps = [{ parallel = { task = \"wait\", count = 1000000000000 } }]\n";
    let many = "closed = { concurrency = 20000000000, tasks = 20000000000 }";
    for (load, more, executors, remedy) in [
        (many, "", "sequential,thread-pool,tokio", "lower `concurrency`"),
        ("batch = { tasks = 300000000000, repeat = 1 }", "", "thread-pool,tokio", "lower `tasks`"),
        (
            "batch = { tasks = 1, repeat = 1 }",
            fan_out,
            "sequential,thread-pool,tokio",
            "lower `count` of `parallel`",
        ),
    ] {
        let task = if more.is_empty() { "task = \"wait\"" } else { "task = \"all\"" };
        let scenario = batch("")
            .replace(
                "use = [\"threads\", \"tokio\"]",
                "use = [\"threads\", \"sequential\", \"thread-pool\", \"tokio\"]",
            )
            .replace("task = \"wait\"", task)
            .replace("batch = { tasks = 4, repeat = 3 }", load)
            .replace("[load", &format!("{more}[load"));
        let bench = BenchDir::with(&scenario);
        bench.run(&format!("run s.toml -e {executors} --out run")).exits(5).says(&[]);
        let run = bench.stored("run");
        let refused = refusals(&run);
        assert_eq!(refused.len(), executors.split(',').count(), "{refused:?}");
        let says = |reason: &str| reason.contains("MiB of memory") && reason.ends_with(remedy);
        assert!(
            refused.iter().all(|(_, reason)| says(reason)) && run.trials.is_empty(),
            "{refused:?}"
        );
    }
}

#[test]
fn a_parameter_cannot_have_a_value_and_a_sweep() {
    let bench =
        BenchDir::with(&batch("").replace("[executors]", "[params]\nnap = \"1ms\"\n[executors]"));
    let seen = bench.run("list s.toml -p nap=4ms -P nap=1ms,2ms").exits(2);
    assert!(seen.err.contains("-p nap=4ms") && seen.err.contains("-P nap=1ms,2ms"), "{seen:#?}");
}
