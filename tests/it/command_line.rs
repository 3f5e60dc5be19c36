//! What people type: arguments of any bytes and length, `-` for standard input, colours in pipes,
//! help, and two runs that have nothing in common.

use std::{ffi::OsStr, fs, io::Write, os::unix::ffi::OsStrExt, process::Stdio};

use regatta::{
    measure::TrialMeasured,
    store::{Line, Run, Writer, fixture::Fixture},
};

use crate::{
    bench_dir::{BenchDir, Seen},
    exit_codes::batch,
};

/// Runs the program in the bench's folder with any bytes as arguments, and a text on standard
/// input.
fn run(bench: &BenchDir, arguments: &[&OsStr], input: &[u8], environment: &[(&str, &str)]) -> Seen {
    let mut command = bench.command("");
    command.args(arguments).envs(environment.iter().copied());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read it has its reasons.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Seen {
        code: output.status.code().unwrap_or(101),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

fn words(line: &str) -> Vec<&OsStr> {
    line.split_whitespace().map(OsStr::new).collect()
}

/// The options of a command that take a value, as its help says.
fn options(bench: &BenchDir, command: &str) -> Vec<String> {
    let help = bench.run(&format!("{command} --help")).exits(0).out;
    let names = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix('-').map(|_| line.trim_start()));
    let long = names.filter_map(|line| {
        line.split([' ', ',']).find(|word| word.starts_with("--")).map(|w| (w, line))
    });
    long.filter(|(_, line)| line.contains('<')).map(|(word, _)| word.to_owned()).collect()
}

/// All commands that help names.
pub const COMMANDS: [&str; 12] = [
    "run",
    "find-rate",
    "list",
    "check",
    "doctor",
    "compare",
    "report",
    "selftest",
    "init",
    "schema",
    "completions",
    "trial",
];

#[test]
fn no_argument_makes_the_program_panic() {
    let bench = BenchDir::with(&batch(""));
    let long = "x".repeat(5000);
    let odd: [&[u8]; 6] =
        [b"x\xff\xfe", b"", long.as_bytes(), b"a/b/../c", b"two\nlines", b"-\xff"];
    for command in COMMANDS {
        for value in odd.map(OsStr::from_bytes) {
            let seen = run(&bench, &[OsStr::new(command), value], b"", &[]);
            assert!(
                seen.code != 101 && !seen.err.contains("panicked"),
                "{command} {value:?}: {seen:#?}"
            );
            // `doctor ""` may be 65, and `selftest ""` is 2; nobody takes any of them for what is
            // there.
            assert!(
                [2, 65, 74].contains(&seen.code) || command == "init",
                "{command} {value:?}: {seen:#?}"
            );
            // A self-test would begin with any folder.
            let tried = |option: &String| command != "selftest" || option != "--out";
            for option in options(&bench, command).into_iter().filter(tried) {
                let seen =
                    run(&bench, &[OsStr::new(command), OsStr::new(&option), value], b"", &[]);
                let what = format!("{command} {option} {value:?}: {seen:#?}");
                assert!(seen.code != 101 && !seen.err.contains("panicked"), "{what}");
            }
        }
    }
}

#[test]
fn an_argument_that_must_be_text_is_named() {
    let bench = BenchDir::with(&batch(""));
    let seen = run(
        &bench,
        &[OsStr::new("list"), OsStr::new("--filter"), OsStr::from_bytes(b"x\xff")],
        b"",
        &[],
    );
    seen.exits(2).says(&["x\\xff", "not UTF-8"]);
}

#[test]
fn a_path_may_have_any_bytes() {
    let bench = BenchDir::new();
    let name = OsStr::from_bytes(b"x\xff'.toml");
    fs::write(bench.path("").join(name), batch("")).unwrap();
    let out = OsStr::from_bytes(b"run\xfe");
    for command in ["check", "list"] {
        run(&bench, &[OsStr::new(command), name], b"", &[]).exits(0);
    }
    let arguments: Vec<&OsStr> =
        [&[OsStr::new("run"), name][..], &words("--quick -v --out"), &[out]].concat();
    let seen = run(&bench, &arguments, b"", &[]).exits(0);
    // The command that replays a trial can be typed.
    assert!(seen.err.contains("$'") && seen.err.contains("run\\xfe/plans/0001.json"), "{seen:#?}");
    run(&bench, &[OsStr::new("report"), out], b"", &[]).exits(0);
    run(&bench, &[OsStr::new("run"), OsStr::new("--resume"), out], b"", &[])
        .exits(0)
        .says(&["finished"]);
}

#[test]
fn long_names_make_files_all_the_same() {
    let name = "n".repeat(250);
    let text = batch(&format!(
        "[targets.{name}]\ndirectory = {{ files = 1, bytes = \"1KiB\", lines = 0 }}\n"
    ))
    .replace("name = \"batch\"", &format!("name = \"{name}\""))
    .replace(
        "{ sleep = { time = \"1ms\" } }",
        &format!("{{ file = {{ target = \"{name}\", op = \"read\", path = \"file-0\" }} }}"),
    );
    let bench = BenchDir::with(&text);
    bench.run("run s.toml --quick").exits(0);
    let folder = fs::read_dir(bench.path("reports")).unwrap().next().unwrap().unwrap().file_name();
    let stored = bench.stored(&format!("reports/{}", folder.to_str().unwrap()));
    assert_eq!(stored.header.scenarios[0].name, name);
    assert!(stored.header.cells[0].name.starts_with(&name));
}

#[test]
fn a_dash_is_standard_input() {
    let bench = BenchDir::new();
    let text = batch("");
    for line in ["check -", "list -", "run - --quick --out run"] {
        run(&bench, &words(line), text.as_bytes(), &[]).exits(0);
    }
    let wrong = text.replace("tasks = 4", "tasks = \"four\"");
    run(&bench, &words("check -"), wrong.as_bytes(), &[]).exits(65).says(&["<stdin>"]);
    run(&bench, &words("check - -"), text.as_bytes(), &[]).exits(2).says(&["`-` stands twice"]);
    // What `init` prints is a scenario.
    let printed = bench.run("init -").exits(0).out;
    run(&bench, &words("check -"), printed.as_bytes(), &[]).exits(0);
    assert!(!bench.path("-").exists());
    let stored = fs::read(bench.path("run/run.jsonl")).unwrap();
    let csv = run(&bench, &words("report - --format csv"), &stored, &[]).exits(0).out;
    assert_eq!(csv, bench.run("report run --format csv").exits(0).out);
    run(&bench, &words("report -"), &stored, &[]).exits(2).says(&["--format"]);
    run(&bench, &words("compare run -"), &stored, &[]).exits(0);
    run(&bench, &words("compare - -"), &stored, &[]).exits(2);
    // The run that was read from there can be resumed without it.
    bench.run("run --resume run").exits(0);
}

fn stored(bench: &BenchDir, name: &str, run: &Run) {
    let mut writer = Writer::create(&bench.path(name), &run.header).unwrap();
    for trial in &run.trials {
        writer.append(&Line::Trial(Box::new(trial.clone()))).unwrap();
    }
}

fn fixture(executor: &str, rates: [f64; 6]) -> Run {
    Fixture::closed(executor, 6).cell(executor, &[], &rates).build()
}

#[test]
fn colours_are_printed_where_they_are_asked_for() {
    let bench = BenchDir::new();
    let both = Fixture::closed("threads", 6).cell("threads", &[], &[100.0; 6]).cell(
        "tokio",
        &[],
        &[200.0; 6],
    );
    stored(&bench, "one", &both.build());
    let colored = |line: &str, environment: &[(&str, &str)]| {
        let seen = run(&bench, &words(line), b"", environment);
        assert!([0, 69].contains(&seen.code), "{line}: {seen:#?}");
        seen.out.contains("\x1b[")
    };
    for line in ["report one --format human", "compare one one", "doctor", "help run"] {
        let with = |wish: &str| {
            if line == "help run" {
                format!("--color {wish} {line}")
            } else {
                format!("{line} --color {wish}")
            }
        };
        let force = [("CLICOLOR_FORCE", "1")];
        assert!(!colored(line, &[]), "{line}");
        assert!(colored(&with("always"), &[]), "{line} always");
        assert!(colored(line, &force), "{line} forced");
        assert!(!colored(line, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), "{line} NO_COLOR");
        assert!(!colored(&with("never"), &force), "{line} never");
    }
}

#[test]
fn runs_with_nothing_in_common_are_an_error_that_says_what_they_have() {
    let bench = BenchDir::new();
    stored(&bench, "one", &fixture("threads", [100.0; 6]));
    stored(&bench, "two", &fixture("tokio", [100.0; 6]));
    let said = [
        "no cell in common",
        "one has 1 cell, such as demo::threads",
        "two has 1 cell, such as demo::tokio",
    ];
    bench.run("compare one two").exits(65).says(&said);
    let mut disturbed = fixture("threads", [100.0; 6]);
    for trial in &mut disturbed.trials {
        if let regatta::store::Outcome::Measured(measured) = &mut trial.outcome {
            let throttled = |trial: &mut TrialMeasured| trial.host.throttled_ns = 1;
            **measured = measured.as_ref().clone().with_trial(throttled);
        }
    }
    stored(&bench, "three", &disturbed);
    assert!(bench.run("compare one three").exits(3).out.contains("not compared: demo::threads"));
}

#[test]
fn a_difference_that_rarely_matters_is_not_worse() {
    let bench = BenchDir::new();
    stored(&bench, "one", &fixture("threads", [100.0, 100.01, 100.02, 100.03, 100.04, 100.05]));
    stored(&bench, "two", &fixture("threads", [99.9, 99.89, 99.88, 99.87, 99.86, 99.85]));
    stored(&bench, "slow", &fixture("threads", [80.0, 80.1, 80.2, 80.3, 80.4, 80.5]));
    for format in ["human", "markdown", "json", "csv"] {
        let said =
            |other: &str| bench.run(&format!("compare one {other} --format {format}")).exits(0).out;
        let (equal, slow) = (said("two"), said("slow"));
        let (within, worse) =
            if format == "json" { ("\"within\"", "\"worse\"") } else { ("within 5 %", ", worse") };
        let worse = if format == "csv" { ",worse\n" } else { worse };
        assert!(equal.contains(within) && !equal.contains(worse), "{format}: {equal}");
        assert!(slow.contains(worse), "{format}: {slow}");
    }
}

#[test]
fn without_a_trial_there_is_no_page() {
    let bench = BenchDir::new();
    let mut empty = fixture("threads", [100.0; 6]);
    empty.trials.clear();
    stored(&bench, "one", &empty);
    bench.run("report one").exits(65).says(&["no trial has ended", "--resume"]);
    assert!(!bench.path("one/index.html").exists());
    // A cell that this host refuses has no trial either.
    let refused = batch("").replace(
        "[tasks.wait]",
        "[targets.db]\nsql = { url = \"${env:NOT_THERE}\" }\n[tasks.wait]",
    );
    let refused = refused.replace(
        "{ sleep = { time = \"1ms\" } }",
        "{ sql = { target = \"db\", query = \"SELECT 1\" } }",
    );
    bench.write("s.toml", refused);
    bench.run("run s.toml --out two").exits(5).says(&["there is no page"]);
    assert!(bench.path("two/run.jsonl").exists() && !bench.path("two/index.html").exists());
}

#[test]
fn runs_that_begin_within_a_second_have_folders_of_their_own() {
    let bench = BenchDir::with(&batch(""));
    let start = || {
        bench
            .command("run s.toml --quick --allow-other-runs")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    };
    let children: Vec<_> = (0..3).map(|_| start().unwrap()).collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    assert_eq!(fs::read_dir(bench.path("reports")).unwrap().count(), 3);
}

#[test]
fn help_names_every_command_and_where_more_is_said() {
    let bench = BenchDir::new();
    let said = bench.run("help").exits(0).out;
    for command in COMMANDS {
        assert!(
            said.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))),
            "{command}: {said}"
        );
        assert_eq!(
            bench.run(&format!("help {command}")).exits(0).out,
            bench.run(&format!("{command} --help")).out
        );
    }
    bench.run("").exits(2).says(&["Measure:", "regatta help run"]);
}
