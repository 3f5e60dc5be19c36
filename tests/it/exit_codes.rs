//! Exit codes: what a script is told, and that every message names its remedy.

use std::{fs, path::Path};

use regatta::store::FailureKind;

use crate::bench_dir::{BenchDir, Live, assert_complete, only_failure, text};

/// Two trials of a batch that waits a millisecond; `more` is put at the end.
pub fn batch(more: &str) -> String {
    format!(
        r#"
schema = 1
name = "batch"
[run]
rounds = 1
warmup = "0s"
timeout = "20s"
[executors]
use = ["threads", "tokio"]
baseline = "threads"
[tasks.wait]
steps = [{{ sleep = {{ time = "1ms" }} }}]
[load.burst]
task = "wait"
batch = {{ tasks = 4, repeat = 3 }}
{more}"#
    )
}

/// One trial of calls to the embedded server, which answers with `server`; `step` is what the step
/// says besides.
fn calls(server: &str, step: &str) -> String {
    format!(
        r#"
schema = 1
name = "calls"
[run]
rounds = 1
warmup = "0s"
timeout = "20s"
[executors]
use = ["tokio"]
baseline = "tokio"
[targets.api]
http = {{ {server} }}
[tasks.request]
steps = [{{ http = {{ target = "api", path = "/" }}, {step} }}]
[load.clients]
task = "request"
closed = {{ concurrency = 2, tasks = 20 }}
"#
    )
}

#[test]
fn zero_for_what_went_well() {
    let bench = BenchDir::with(&batch(""));
    for command in [
        "check s.toml",
        "list s.toml",
        "run s.toml --out run",
        "report run",
        "compare run run",
        "schema",
    ] {
        bench.run(command).exits(0).says(&[]);
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let bench = BenchDir::new();
    for command in ["--help", "help", "run --help", "--version", "completions bash"] {
        let seen = bench.run(command).exits(0);
        assert!(seen.out.contains("regatta") && seen.err.is_empty(), "{seen:#?}");
    }
}

#[test]
fn two_for_a_wrong_command_line() {
    let bench = BenchDir::with(&batch(""));
    for (command, said) in [
        ("", "Usage:"),
        ("run --no-such-flag", "--no-such-flag"),
        ("no-such-command", "no-such-command"),
        ("run", "name a scenario file"),
        ("run s.toml -e fibre", "fibre"),
        ("run s.toml -p size=3", "size"),
        ("run s.toml -P size=3,4", "size"),
        ("run s.toml --cpus executor=999", "CPU 999"),
        ("run s.toml --cpus client=0", "client"),
        ("run s.toml --duration soon", "soon"),
        (
            "run s.toml --duration 9s",
            "`--duration` changes nothing about batch, which measures for as long as `tasks` and `repeat`",
        ),
        ("list s.toml --duration 9s", "under [load.burst] say"),
        ("list s.toml --cpus target=0", "`--cpus target=…` changes nothing"),
        ("run s.toml -f (", "regex"),
        ("report", "RUN"),
    ] {
        bench.run(command).exits(2).says(&[said]);
    }
    assert!(!bench.path("reports").exists());
}

/// What changes some scenarios and not others is no error, and nothing changes without a word.
#[test]
fn a_flag_without_effect_on_some_scenarios_is_warned_of() {
    let bench = BenchDir::with(&batch(""));
    let closed =
        batch("").replace("batch = { tasks = 4, repeat = 3 }", "closed = { concurrency = 2 }");
    bench.write("closed.toml", closed.replace("name = \"batch\"", "name = \"closed\""));
    let told = "warning: `--duration` changes nothing about batch, which";
    let seen = bench.run("list s.toml closed.toml --duration 9s").exits(0).says(&[told]);
    assert!(!seen.err.contains("closed"), "{seen:#?}");
    let quick = "--quick cuts batch short: 2 tasks instead of 4, repeat = 1 instead of 3";
    let slow = batch("").replace("time = \"1ms\"", "time = \"100ms\"");
    bench.write(
        "s.toml",
        slow.replace("use = [\"threads\", \"tokio\"]", "use = [\"sequential\", \"threads\"]"),
    );
    bench.run("list s.toml --quick --duration 250ms").exits(0).says(&[quick]);
}

#[test]
fn four_if_nothing_matches() {
    let bench = BenchDir::with(&batch(""));
    for command in ["run s.toml -f smol", "list s.toml -f smol", "run s.toml -f threads -f tokio"] {
        bench.run(command).exits(4).says(&["no cell matches", "regatta list"]);
    }
    assert!(!bench.path("reports").exists());
}

#[test]
fn sixty_five_for_every_broken_scenario_with_its_place() {
    let bench = BenchDir::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/broken");
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files {
        let seen = bench.run(&format!("check {}", text(file))).exits(65).says(&[]);
        let place = seen.err.split(text(file)).nth(1).unwrap_or_default();
        let numbers: Vec<_> =
            place.trim_start_matches(':').splitn(3, |c: char| !c.is_ascii_digit()).collect();
        assert!(
            numbers.len() == 3 && numbers[..2].iter().all(|n| n.parse::<u32>().is_ok()),
            "{seen:#?}"
        );
    }
    let seen = bench
        .run(&format!("check {}", text(&folder)))
        .exits(65)
        .says(&["scenario files cannot be used"]);
    for file in &files {
        assert!(seen.err.contains(text(file)), "{} is not named: {seen:#?}", file.display());
    }
}

#[test]
fn sixty_five_for_files_that_are_not_what_they_should_be() {
    let bench = BenchDir::with(&batch(""));
    bench.write("plan.json", "{\"regatta_trial\": 1}");
    bench.write("text", "nothing of the kind\n");
    bench.write("empty", "");
    fs::create_dir(bench.path("folder")).unwrap();
    for (command, said) in [
        ("check absent.toml", "absent.toml"),
        ("check folder", "no scenario files"),
        ("trial --plan absent.json", "absent.json"),
        ("trial --plan plan.json", "`regatta run -v` writes plans"),
        ("trial --plan text", "no plan of a trial"),
        ("report absent", "absent"),
        ("report text", "not a run file"),
        ("report empty", "no header"),
        ("compare text text", "not a run file"),
        ("run --resume absent", "absent"),
        ("run --resume text", "not a run file"),
    ] {
        bench.run(command).exits(65).says(&[said]);
    }
}

#[test]
fn sixty_five_for_other_versions_and_damaged_lines() {
    let bench = BenchDir::with(&batch(""));
    bench.run("run -v s.toml --out run").exits(0);
    let plan = fs::read_to_string(bench.path("run/plans/0001.json")).unwrap();
    bench.write("plan.json", plan.replace("\"regatta_trial\": 2", "\"regatta_trial\": 99"));
    bench
        .run("trial --plan plan.json")
        .exits(65)
        .says(&["a plan of version 99", "reads version 2"]);
    let run = fs::read_to_string(bench.path("run/run.jsonl")).unwrap();
    bench.write("newer", run.replacen("\"regatta_run\":2", "\"regatta_run\":99", 1));
    bench.run("report newer").exits(65).says(&["newer: format 99"]);
    let damaged: String = run
        .split_inclusive('\n')
        .map(|line| line.replacen("{\"trial\"", "{\"trail\"", 1))
        .collect();
    bench.write("damaged", damaged);
    bench
        .run("report damaged")
        .exits(65)
        .says(&["damaged:2: the line is damaged", "delete the line"]);
}

#[test]
fn five_for_a_trial_whose_answers_are_wrong() {
    let expect = |step| calls("body = \"1KiB\"", step);
    let statuses = "status = [{ status = 200, weight = 1 }, { status = 503, weight = 1 }]";
    for (scenario, said) in [
        (expect("expect = { bytes = 17 }"), "17"),
        (calls(statuses, "name = \"get\""), "503"),
        (calls(statuses, "allow = { status = [429] }"), "503"),
    ] {
        let bench = BenchDir::with(&scenario);
        bench.run("run s.toml --out run").exits(5).says(&["FAILED", said]);
        let run = bench.stored("run");
        let (kind, reason) = only_failure(&run);
        assert_eq!(kind, FailureKind::WrongResult);
        assert!(reason.contains(said), "{reason}");
        bench.run("report run").exits(0);
    }
    let allowed = BenchDir::with(&calls(statuses, "allow = { status = [503] }"));
    allowed.run("run s.toml --out run").exits(0);
}

/// What was done is right, and there is no figure in it: its reason is not that the work was wrong.
#[test]
fn five_for_a_window_that_is_shorter_than_a_task() {
    let text = batch("")
        .replace("warmup = \"0s\"", "warmup = \"0s\"\nduration = \"20ms\"")
        .replace("time = \"1ms\"", "time = \"500ms\"")
        .replace("batch = { tasks = 4, repeat = 3 }", "closed = { concurrency = 2 }");
    let bench = BenchDir::with(&text);
    let said = [
        "FAILED",
        "no task completed in the measured window of 20ms: those that began in it took 5",
        "raise `duration`",
    ];
    bench.run("run s.toml -e tokio --out run").exits(5).says(&said);
    assert_eq!(only_failure(&bench.stored("run")).0, FailureKind::TooShort);
    // There is nothing to go on with in a run that was not stopped, and no figure in the report.
    let report = bench.run("report run --format csv").exits(0);
    assert!(report.out.contains(",tokio,tokio,") && !report.out.contains("VALID"), "{report:#?}");
    bench.run("run s.toml -e tokio --duration 1200ms --out longer").exits(0);
}

#[test]
fn one_for_a_violated_slo_and_five_above_it() {
    let slo = "[[slo]]\nassert = \"wait.latency.mean < 1ns\"\n";
    let bench = BenchDir::with(&batch(slo));
    bench.run("run s.toml --out run").exits(1).says(&[]);
    for report in ["report run", "report run --format human", "report run --format json"] {
        bench.run(report).exits(1);
    }
    // One trial fails beside the violated limit: its batch takes longer than the watchdog allows.
    let more = "[tasks.late]\nsteps = [{ sleep = { time = \"${nap}\" } }]\n";
    let text = batch(&format!("{slo}{more}"))
        .replace("[executors]", "[sweep]\nnap = [\"1ms\", \"exp(30s)\"]\n[executors]")
        .replace("task = \"wait\"", "task = \"late\"")
        .replace("[tasks.wait]\nsteps = [{ sleep = { time = \"1ms\" } }]\n", "")
        .replace("wait.latency", "late.latency");
    let bench = BenchDir::with(&text);
    bench.run("run s.toml -e tokio --timeout 2s --out run").exits(5).says(&["took longer than 2s"]);
    assert_eq!(only_failure(&bench.stored("run")).0, FailureKind::TimedOut);
}

/// Two sizes of a batch on two executors: the limit is about the larger one.
fn limited(assert: &str) -> BenchDir {
    let slo = format!("[[slo]]\nassert = \"{assert}\"\nonly = {{ tasks = 8 }}\n");
    let text = batch(&slo).replace("[executors]", "[sweep]\ntasks = [4, 8]\n[executors]");
    BenchDir::with(&text.replace("tasks = 4, repeat", "tasks = \"${tasks}\", repeat"))
}

#[test]
fn three_for_a_limit_that_nobody_judged() {
    let bench = limited("wait.latency.p99 < 10s");
    let why = "the SLO `wait.latency.p99 < 10s` could not be judged";
    // In all of its cells, also where few samples were to be expected; the commands agree. What
    // else this machine does may be another cause.
    for (command, allowed) in
        [("run s.toml --out run", 0), ("report run", 0), ("run s.toml --quick --out quick", 0)]
    {
        bench.run(command).exits(3).says(&[why, "batch::threads::tasks=8", "`--allow-unjudged`"]);
        let command = command.replace("--out ", "--out allowed-");
        bench.run(&format!("{command} --allow-unjudged")).exits(allowed).says(&[why]);
    }
    bench.run("run --resume run").exits(3).says(&[why]);
    bench.run("run --resume run --allow-unjudged").exits(0).says(&[why]);
    let quiet = bench.run("--quiet report run --format json").exits(3).says(&[why]);
    assert!(quiet.out.contains("\"unjudged\": \""), "{quiet:#?}");
    // In none of none: the cells that it is about were left out.
    let none =
        "could not be judged of batch: no cell of this run is what it is about; run the cells";
    bench.run("run s.toml -p tasks=4 --out four").exits(3).says(&[none]);
    bench.run("run s.toml -p tasks=4 --out some --allow-unjudged").exits(0).says(&[none]);
    // In some.
    let bench = limited("wait.latency.p90 < 10s");
    bench.run("run s.toml -P tasks=4,8 --out enough --rounds 5").exits(0).says(&[]);
    // One that is violated goes before one that was not judged.
    let more = "[[slo]]\nassert = \"wait.latency.max < 1ns\"\n[[slo]]\nassert = \"wait.latency.p99 < 10s\"\n";
    let bench = BenchDir::with(&batch(more));
    bench.run("run s.toml --out run").exits(1).says(&[why]);
}

#[test]
fn seventy_four_where_nothing_can_be_written() {
    let bench = BenchDir::with(&batch(""));
    bench.write("file", "");
    bench.run("run s.toml --out file/run").exits(74).says(&["file/run", "--out"]);
    fs::create_dir_all(bench.path("run/index.html")).unwrap();
    bench.run("run s.toml --out run").exits(74).says(&["cannot write run/index.html"]);
    // The measurements are safe.
    assert!(bench.stored("run").finished);
    bench.run("report run").exits(74).says(&["index.html"]);
    bench.run("report run --format json").exits(0);
    Live::new(bench.shell("exec $REGATTA schema > /dev/full"))
        .end()
        .exits(74)
        .says(&["standard output"]);
}

#[test]
fn a_disk_that_fills_up_ends_the_run_and_keeps_what_was_measured() {
    let bench = BenchDir::with(&batch(""));
    // A limit on the size of files stands for a full disk: blocks of 512 bytes, enough for header
    // and a few trials.
    let line = "ulimit -f 40; exec $REGATTA run s.toml --rounds 15 --out run";
    Live::new(bench.shell(line))
        .end()
        .exits(74)
        .says(&["run/run.jsonl: cannot write", "regatta run --resume run"]);
    let kept = bench.stored("run");
    assert!(!kept.trials.is_empty() && !kept.finished);
    bench.wait_until_empty();
    bench.run("run --resume run").exits(0);
    assert_complete(&bench.stored("run"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let bench = BenchDir::with(&batch(""));
    bench.run("run s.toml --out run").exits(0);
    for command in [
        "list s.toml",
        "schema",
        "report run --format json",
        "--help",
        "completions bash",
        "-q run s.toml",
    ] {
        // Nobody reads any more when the program starts, the hardest case of `| head -1`.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = bench
            .command(command)
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{command}");
    }
}

#[test]
fn a_folder_belongs_to_one_run() {
    let bench = BenchDir::with(&batch(""));
    bench.run("run s.toml --out run").exits(0);
    let before = fs::read(bench.path("run/run.jsonl")).unwrap();
    bench.run("run s.toml --out run").exits(2).says(&[
        "there is a run already",
        "regatta run --resume run",
        "--out",
    ]);
    assert_eq!(fs::read(bench.path("run/run.jsonl")).unwrap(), before);
}
