//! Verdicts through the real program: a trial that is disturbed is run again and says so; what is
//! not valid is shown, not ranked, and told to scripts that ask.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use regatta::{
    analysis::{self, Validity},
    measure::{Arrivals, TargetReport},
    scenario::{Comparison, Slo, SloMetric},
    store::{Line, Outcome, Run, Writer, fixture::Fixture},
    trial::allowed_cpus,
};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::bench_dir::BenchDir;

/// Clients that mostly sleep, on one executor, for longer than the second below which ticks are
/// allowed for.
const NAPS: &str = r#"
schema = 1
name = "naps"
[run]
rounds = 1
warmup = "0s"
duration = "1100ms"
[executors]
use = ["tokio-current-thread"]
baseline = "tokio-current-thread"
[tasks.nap]
steps = [{ sleep = { time = "5ms" } }]
[load.clients]
task = "nap"
closed = { concurrency = 2 }
"#;

/// Runs `work` while a thread keeps a CPU busy.
fn beside_a_busy_loop<T>(cpu: usize, work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut set = CpuSet::new();
            set.set(cpu);
            sched_setaffinity(None, &set).unwrap();
            while !stop.load(Relaxed) {
                std::hint::spin_loop();
            }
        });
        let done = work();
        stop.store(true, Relaxed);
        done
    })
}

#[test]
fn a_busy_loop_on_the_executor_s_cpu_disturbs_a_trial_which_is_run_again() {
    let bench = BenchDir::with(NAPS);
    let cpu = allowed_cpus()[0];
    let seen = beside_a_busy_loop(cpu, || {
        bench.run(&format!("run s.toml --cpus executor={cpu} --out run"))
    });
    // What else the machine does decides whether the loop gets its share in every attempt. It does
    // in the first one, or somebody else has it.
    let seen =
        seen.exits(0).says(&["again: 1 disturbed trial", "round 1: 1 of 1 trial DISTURBED ("]);
    assert_eq!(seen.err.matches("DISTURBED").count(), 1, "one summary a round: {seen:#?}");
    let run = bench.stored("run");
    assert!(run.finished);
    let attempts: Vec<(u32, u32, u32)> =
        run.trials.iter().map(|t| (t.round, t.sequence, t.attempt)).collect();
    assert!((2..=3).contains(&attempts.len()), "{attempts:?}");
    assert_eq!(attempts, [(1, 1, 0), (1, 1, 1), (1, 1, 2)][..attempts.len()]);
    // The verdict is of the counters: the loop's time is nobody's that we know.
    let disturbed = run.trials.iter().map(|trial| {
        let Outcome::Measured(measured) = &trial.outcome else { panic!("{trial:?}") };
        let set = measured.trial.host.executor.as_ref().unwrap();
        assert_eq!(set.cpus, 1);
        let taken = set.external().unwrap() + set.share(set.steal_ns).unwrap();
        assert!(trial.attempt > 0 || taken > 0.05, "{set:?}");
        taken > 0.05 || measured.trial.host.throttled_ns > 0
    });
    let disturbed: Vec<bool> = disturbed.collect();
    // Only what is disturbed is run again, and it is run again at most twice.
    let (last, before) = disturbed.split_last().unwrap();
    assert!(
        before.iter().all(|disturbed| *disturbed) && (!last || disturbed.len() == 3),
        "{disturbed:?}"
    );
    assert_eq!(seen.err.contains("it stays so in naps::tokio-current-thread"), *last, "{seen:#?}");
    bench.run("report run --format human").exits(0);
    if *last {
        assert!(seen.out.contains("! DISTURBED") && seen.out.contains("not ranked"), "{seen:#?}");
        let report = bench.run("report run --format human --strict").exits(3);
        assert!(report.out.contains("! DISTURBED"), "{report:#?}");
    }
}

#[test]
fn the_server_s_counters_are_there_and_windows_that_are_too_short_are_said_to_be_unseen() {
    let scenario = NAPS
        .replace("1100ms", "20ms")
        .replace("[tasks.nap]", "[targets.api]\nhttp = { body = \"1KiB\" }\n[tasks.nap]")
        .replace("sleep = { time = \"5ms\" }", "http = { target = \"api\", path = \"/\" }");
    let bench = BenchDir::with(&scenario);
    let cpu = allowed_cpus()[0];
    beside_a_busy_loop(cpu, || bench.run("run s.toml --out run")).exits(0);
    let run = bench.stored("run");
    let (_, trial) = run.rounds().of("naps::tokio-current-thread").next().unwrap();
    let Outcome::Measured(measured) = &trial.outcome else { panic!("{trial:?}") };
    let target = &measured.trial.targets[0];
    assert!(
        target.cpu_ns.is_some() && target.busy.is_some() && target.run_delay_ns.is_some(),
        "{target:?}"
    );
    let sets = [&measured.trial.host.executor, &measured.trial.host.target];
    let known = sets.into_iter().flatten().count();
    assert_eq!(known, if allowed_cpus().len() > 1 { 2 } else { 1 });
    assert!(sets.into_iter().flatten().all(|set| set.own_ns > 0), "{sets:?}");
    // A host that stands still for a while makes a window longer, and then it is judged.
    let is_short = sets[0].as_ref().unwrap().wall_ns < 100_000_000;
    assert!(!is_short || run.trials.len() == 1, "{run:?}");
    let said = bench
        .run("report run --format human")
        .exits(0)
        .out
        .contains("too short to tell whether others");
    assert_eq!(said, is_short);
    let in_window = measured.loads[0].slices.iter().filter(|slice| slice.from_ns >= 0);
    assert!(in_window.clone().count() >= 10);
    assert!(
        in_window.map(regatta::measure::Slice::completed).sum::<u64>()
            <= measured.loads[0].completed
    );
}

#[test]
fn little_s_law_holds_on_every_executor() {
    let every = NAPS
        .lines()
        .filter(|line| !line.contains("tokio-current-thread"))
        .collect::<Vec<_>>()
        .join("\n");
    let bench = BenchDir::with(&every.replace("1100ms", "400ms"));
    bench.run("run s.toml --out run").exits(0);
    let analysis = analysis::analyse(&bench.stored("run"));
    for cell in analysis.cells() {
        assert_ne!(
            cell.judgement.validity,
            Validity::Invalid,
            "{}: {:?}",
            cell.name,
            cell.judgement
        );
    }
}

/// Six rounds of two executors, changed as a verdict needs it.
fn recorded(change: impl FnMut(u32, &mut regatta::measure::Measurements)) -> Run {
    let both = Fixture::closed("threads", 6).cell("threads", &[], &[100.0; 6]).cell(
        "tokio",
        &[],
        &[200.0; 6],
    );
    both.measured("demo::tokio", change).build()
}

fn stored(run: &Run) -> BenchDir {
    let bench = BenchDir::new();
    let mut writer = Writer::create(&bench.path("run"), &run.header).unwrap();
    for trial in &run.trials {
        writer.append(&Line::Trial(Box::new(trial.clone()))).unwrap();
    }
    bench
}

#[test]
fn three_for_what_is_not_valid_where_that_was_asked_for() {
    let saturated =
        TargetReport { name: "api".into(), busy: Some(0.97), ..TargetReport::default() };
    let runs = [
        ("VALID", 0, recorded(|_, _| {})),
        (
            "TARGET-BOUND",
            3,
            recorded(|_, measured| measured.trial_mut().targets = vec![saturated.clone()]),
        ),
        (
            "DISTURBED",
            3,
            recorded(|_, measured| measured.trial_mut().host.throttled_ns = 1_000_000),
        ),
        ("ERRORS", 3, recorded(|_, measured| measured.task.errors = measured.task.count)),
        ("INVALID", 3, recorded(|_, measured| measured.completed *= 2)),
        (
            "OVERLOADED",
            3,
            recorded(|_, measured| {
                let arrivals = Arrivals {
                    scheduled: measured.task.count + 50,
                    dropped: 50,
                    ..Arrivals::default()
                };
                measured.arrivals = Some(arrivals);
            }),
        ),
    ];
    for (word, code, run) in runs {
        let bench = stored(&run);
        bench.run("report run --format csv").exits(0);
        let seen = bench.run("report run --format csv --strict").exits(code);
        let tokio = seen.out.lines().find(|line| line.contains(",tokio,tokio,")).unwrap();
        assert!(tokio.contains(&format!(",complete,,{word},6,")), "{word}: {tokio}");
        let ratio = if word == "VALID" { ",faster," } else { ",,,,,," };
        assert!(tokio.contains(ratio), "{word}: {tokio}");
        for format in ["human", "markdown", "json"] {
            let seen = bench.run(&format!("report run --format {format}")).exits(0);
            assert!(word == "VALID" || seen.out.contains(word), "{format}: {seen:#?}");
        }
    }
}

/// A dead server is fast: an SLO that holds there must not let a script pass, asked or not.
#[test]
fn three_for_an_slo_that_holds_among_errors() {
    let limit = Slo {
        assert: "request.latency.p50 < 1h".into(),
        subject: "request".into(),
        metric: SloMetric::Latency(0.5),
        comparison: Comparison::Below,
        limit: 3.6e12,
        only: Vec::new(),
        line: 7,
    };
    for (share, code) in [(1000, 0), (1, 3)] {
        let mut run = recorded(|_, measured| measured.task.errors = measured.task.count / share);
        run.header.scenarios[0].slos.push(limit.clone());
        let bench = stored(&run);
        for format in ["human", "markdown", "json", "html"] {
            let seen = bench.run(&format!("report run --format {format}")).exits(code);
            assert!(
                format == "json" || seen.out.contains("of the tasks ended in errors"),
                "{format}: {seen:#?}"
            );
            assert_eq!(seen.out.contains("ERRORS"), code == 3, "{format}");
        }
    }
}
