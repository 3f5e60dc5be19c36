//! Runs that are cut short: by a signal, by a kill, or because a process of theirs is killed. What
//! was measured is kept, nothing is left running, and the run can be resumed.
//!
//! Trials are stopped at a known place by a server that holds its answers, never by timing.

use std::{
    fs,
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use regatta::store::{FailureKind, Run};
use rustix::process::{Pid, Signal, getpgid, kill_process, test_kill_process};

use crate::{
    bench_dir::{BenchDir, Live, assert_complete, failures, only_failure, wait_for},
    own_server::{OwnServer, Reply},
};

/// Calls to the own server in one trial.
const CALLS: u64 = 8;
/// Enough for the first trial, and for the beginning of the second one.
const INTO_THE_SECOND_TRIAL: u64 = CALLS + 3;

/// Four trials, each of which needs the embedded server and a server of the test's own.
fn scenario(own: &OwnServer) -> String {
    format!(
        r#"
schema = 1
name = "gated"
[run]
rounds = 2
warmup = "0s"
timeout = "60s"
[executors]
use = ["threads", "tokio"]
baseline = "threads"
[targets.embedded]
http = {{ }}
[targets.own]
http = {{ url = "{}" }}
[tasks.request]
steps = [{{ http = {{ target = "embedded", path = "/" }} }}, {{ http = {{ target = "own", path = "/" }} }}]
[load.clients]
task = "request"
closed = {{ concurrency = 2, tasks = {CALLS} }}
"#,
        own.url()
    )
}

/// A run that stands still in the middle of its second trial.
struct Halted {
    bench: BenchDir,
    own: OwnServer,
    live: Live,
}

impl Halted {
    fn new() -> Self {
        let own = OwnServer::gated(INTO_THE_SECOND_TRIAL);
        let bench = BenchDir::with(&scenario(&own));
        // Whoever runs the tests with `nohup` ignores a hang-up, and what they start would, too.
        let live = Live::new(
            bench.shell("exec env --default-signal=HUP \"$REGATTA\" run s.toml --out run"),
        );
        own.wait_until_held();
        Self { bench, own, live }
    }

    /// The run's folder after the gate has been opened and the run has been resumed.
    fn resumed(&self) -> Run {
        self.own.open();
        let seen = self.bench.run("run --resume run").exits(0).says(&["1 of 4 trials are there"]);
        assert!(seen.out.contains("4 of 4 trials measured"), "{seen:#?}");
        let run = self.bench.stored("run");
        assert_complete(&run);
        run
    }
}

#[test]
fn a_signal_keeps_what_was_measured_and_the_run_can_be_taken_up() {
    for (signal, name, code, to_group) in [
        (Signal::INT, "SIGINT", 130, false),
        (Signal::INT, "SIGINT", 130, true),
        (Signal::HUP, "SIGHUP", 129, false),
        (Signal::TERM, "SIGTERM", 143, false),
        (Signal::TERM, "SIGTERM", 143, true),
    ] {
        let halted = Halted::new();
        // Otherwise a terminal's signal would end the trial as well, and it could be taken for a
        // crash.
        let group = |pid| getpgid(Some(pid)).unwrap();
        assert_ne!(group(halted.bench.process(" trial ")), group(halted.live.pid()));
        if to_group {
            halted.live.signal_group(signal);
        } else {
            halted.live.signal(signal);
        }
        let Halted { bench, own, live } = halted;
        let seen = live.end().exits(code);
        let said =
            format!("{name}: what was measured is kept; go on with `regatta run --resume run`");
        let seen = seen.says(&[&said]);
        assert!(seen.out.contains("1 of 4 trials measured"), "{seen:#?}");
        bench.wait_until_empty();
        let stopped = bench.stored("run");
        assert_eq!(
            (stopped.trials.len(), stopped.interruptions.as_slice()),
            (1, [name.to_owned()].as_slice())
        );
        assert!(bench.scratch().is_empty(), "{:?}", bench.scratch());
        let live = bench.start("--version");
        assert_eq!(Halted { bench, own, live }.resumed().interruptions, [name]);
    }
}

#[test]
fn a_run_that_began_with_nohup_outlives_its_terminal() {
    let own = OwnServer::gated(INTO_THE_SECOND_TRIAL);
    let bench = BenchDir::with(&scenario(&own));
    let live = Live::new(bench.shell("exec nohup \"$REGATTA\" run s.toml --out run"));
    own.wait_until_held();
    live.signal(Signal::HUP);
    own.open();
    live.end().exits(0);
    let run = bench.stored("run");
    assert_complete(&run);
    assert!(run.interruptions.is_empty());
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let own = OwnServer::gated(INTO_THE_SECOND_TRIAL);
    let bench = BenchDir::with(&scenario(&own));
    // Writing the report blocks for ever: nobody reads this pipe.
    fs::create_dir(bench.path("run")).unwrap();
    let page = bench.path("run/index.html");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &page, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let live = bench.start("run s.toml --out run");
    own.wait_until_held();
    live.signal(Signal::INT);
    wait_for("the line of the first signal", || {
        let text = fs::read_to_string(bench.path("run/run.jsonl")).unwrap();
        text.contains("interrupted").then_some(())
    });
    live.signal(Signal::INT);
    live.end().exits(130);
    bench.wait_until_empty();
}

#[test]
fn nothing_outlives_a_killed_run_which_can_be_taken_up() {
    let halted = Halted::new();
    for part in [" trial ", " target"] {
        halted.bench.process(part);
    }
    halted.live.signal(Signal::KILL);
    halted.bench.wait_until_empty();
    let stopped = halted.bench.stored("run");
    assert!(stopped.trials.len() == 1 && !stopped.finished);
    // The killed trial could not clean up; the next run does it.
    assert_eq!(halted.bench.scratch().len(), 1);
    halted.resumed();
    assert!(halted.bench.scratch().is_empty(), "{:?}", halted.bench.scratch());
}

/// How many trials were run, those that were run again counted once.
fn trials(run: &Run) -> usize {
    run.trials.iter().filter(|trial| trial.attempt == 0).count()
}

/// Kills one process in the middle of the second trial; the other trials are run.
fn run_without(part: &str) -> (BenchDir, Run, Pid) {
    let halted = Halted::new();
    let victim = halted.bench.process(part);
    kill_process(victim, Signal::KILL).unwrap();
    wait_for("the victim's end", || is_gone(victim).then_some(()));
    halted.own.open();
    halted.live.end().exits(5).says(&["FAILED", "trial 4/4"]);
    halted.bench.wait_until_empty();
    let run = halted.bench.stored("run");
    assert!(trials(&run) == 4 && run.finished);
    halted.bench.run("report run").exits(0);
    let seen = halted.bench.run("run --resume run").exits(0).says(&["3 of 4 trials are there"]);
    assert!(seen.out.contains("4 of 4 trials measured"), "{seen:#?}");
    // What has failed is not forgotten.
    assert!(seen.out.contains("0 failed, 1 failed before and run again"), "{seen:#?}");
    let page = fs::read_to_string(halted.bench.path("run/index.html")).unwrap();
    assert!(page.contains("1 trial of ") && page.contains(" failed: "));
    assert!(halted.bench.scratch().is_empty(), "{:?}", halted.bench.scratch());
    (halted.bench, run, victim)
}

/// Ended, even if nobody has asked for its exit status yet.
fn is_gone(pid: Pid) -> bool {
    let mut line = String::new();
    let opened = fs::File::open(format!("/proc/{pid}/cmdline"));
    test_kill_process(pid).is_err()
        || opened.and_then(|mut file| file.read_to_string(&mut line)).is_err()
        || line.is_empty()
}

#[test]
fn a_killed_trial_is_recorded_and_the_run_goes_on() {
    let (_bench, run, _) = run_without(" trial ");
    let (kind, reason) = only_failure(&run);
    assert_eq!(kind, FailureKind::Crashed);
    assert!(reason.contains("signal 9") && reason.contains("memory"), "{reason}");
}

#[test]
fn a_killed_server_is_named_and_the_run_goes_on() {
    let (_bench, run, _) = run_without(" target");
    let (kind, reason) = only_failure(&run);
    assert_eq!(kind, FailureKind::Target);
    assert!(reason.contains("target `embedded`") && reason.contains("SIGKILL"), "{reason}");
}

#[test]
fn the_watchdog_ends_a_trial_that_takes_too_long_and_the_run_goes_on() {
    let own = OwnServer::gated(INTO_THE_SECOND_TRIAL);
    let bench = BenchDir::with(&scenario(&own));
    let live = bench.start("run s.toml --out run --timeout 5s");
    own.wait_until_held();
    let processes = [bench.process(" trial "), bench.process(" target")];
    live.wait_to_say("took longer than 5s and was killed");
    own.open();
    for process in processes {
        wait_for("the end of the trial's processes", || is_gone(process).then_some(()));
    }
    live.end().exits(5).says(&["trial 4/4"]);
    let run = bench.stored("run");
    let (kind, reason) = only_failure(&run);
    assert_eq!((kind, trials(&run)), (FailureKind::TimedOut, 4));
    assert!(reason.contains("raise `timeout` under [run]"), "{reason}");
    bench.wait_until_empty();
    assert!(bench.scratch().is_empty(), "{:?}", bench.scratch());
}

/// Two scenarios on servers of their own, of two executors and three rounds each.
fn two_servers(first: &OwnServer, second: &OwnServer) -> BenchDir {
    let text = |name: &str, own: &OwnServer| {
        let embedded = "[targets.embedded]\nhttp = { }\n";
        let both = "{ http = { target = \"embedded\", path = \"/\" } }, ";
        let text = scenario(own)
            .replace("rounds = 2", "rounds = 3")
            .replace(embedded, "")
            .replace(both, "");
        text.replace("name = \"gated\"", &format!("name = \"{name}\""))
    };
    let bench = BenchDir::new();
    bench.write("first.toml", text("first", first));
    bench.write("second.toml", text("second", second));
    bench
}

/// A server that goes away fails every trial of it. The cells of another one are measured
/// meanwhile.
#[test]
fn a_server_that_is_not_there_is_given_up_and_the_run_goes_on_when_it_is() {
    let is_up = Arc::new(AtomicBool::new(false));
    let shown = is_up.clone();
    let flaky =
        OwnServer::start(move |_| if shown.load(SeqCst) { Reply::Fine } else { Reply::Close });
    let bench = two_servers(&flaky, &OwnServer::start(|_| Reply::Fine));
    let given_up = format!(
        "warning: target `own` ({}) is given up: 2 trials of this round failed for one reason",
        flaky.url()
    );
    let said = [
        &*given_up,
        "none was measured, and 4 other trials not run",
        "go on with `regatta run --resume run`",
    ];
    bench.run("run first.toml second.toml --out run").exits(5).says(&said);
    let run = bench.stored("run");
    let failed: Vec<&str> = failures(&run).iter().map(|(trial, _)| trial.cell.as_str()).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed.iter().all(|cell| cell.starts_with("first::")), "{failed:?}");
    assert!(
        failures(&run).iter().all(|(_, failure)| failure.kind == FailureKind::Target),
        "{run:#?}"
    );
    assert_eq!((trials(&run), run.finished, run.given_up.len()), (8, false, 1));
    assert_eq!(run.given_up[0].cells, ["first::threads", "first::tokio"]);
    // It is as it was: one round more says so.
    bench.run("run --resume run").exits(5).says(&["6 of 12 trials are there", &given_up]);
    is_up.store(true, SeqCst);
    let seen = bench.run("run --resume run").exits(0).says(&["6 of 12 trials are there"]);
    assert!(seen.out.contains("12 of 12 trials measured"), "{seen:#?}");
    assert!(seen.out.contains("0 failed, 4 failed before and run again"), "{seen:#?}");
    let run = bench.stored("run");
    assert!(run.finished && run.missing().is_empty());
    bench.run("run --resume run").exits(0).says(&["the run is finished"]);
}

/// What has failed in one trial may be mended in the next one, and a run that has it can be
/// completed.
#[test]
fn a_server_that_dies_in_mid_trial_costs_that_trial_until_the_run_is_resumed() {
    let own = OwnServer::start(|request| {
        if request == INTO_THE_SECOND_TRIAL { Reply::CutOff } else { Reply::Fine }
    });
    let bench = BenchDir::with(&scenario(&own));
    bench.run("run s.toml --out run").exits(5).says(&["FAILED", "trial 4/4"]);
    assert_eq!(only_failure(&bench.stored("run")).0, FailureKind::Target);
    let seen = bench.run("run --resume run").exits(0).says(&["3 of 4 trials are there"]);
    assert!(seen.out.contains("0 failed, 1 failed before and run again"), "{seen:#?}");
}

#[test]
fn a_run_is_not_taken_up_by_another_build() {
    let halted = Halted::new();
    halted.live.signal(Signal::INT);
    halted.live.end().exits(130);
    halted.own.open();
    let path = halted.bench.path("run/run.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let of_another = text.replace("[\"profile\",\"", "[\"profile\",\"handmade ");
    assert_ne!(text, of_another);
    fs::write(&path, &of_another).unwrap();
    halted
        .bench
        .run("run --resume run")
        .exits(65)
        .says(&["was begun with `profile` handmade ", "start anew"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), of_another);
    fs::write(&path, &text).unwrap();
    halted.bench.write("s.toml", "# edited");
    halted.bench.run("run --resume run").exits(0).says(&["s.toml has changed since"]);
    // Of a finished run nothing is measured, wherever it is from.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[\"profile\",\"", "[\"profile\",\"handmade ")).unwrap();
    halted.bench.run("run --resume run").exits(0).says(&["the run is finished"]);
}

#[test]
fn two_runs_cannot_share_a_folder() {
    let halted = Halted::new();
    let refused = ["another regatta is writing this run"];
    halted.bench.run("run s.toml --out run --allow-other-runs").exits(2).says(&refused);
    halted.bench.run("run --resume run --allow-other-runs").exits(2).says(&refused);
    halted.own.open();
    halted.live.end().exits(0);
    assert_complete(&halted.bench.stored("run"));
}
