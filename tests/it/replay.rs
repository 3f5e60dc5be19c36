//! A trial by hand: the command that `run -v` prints does the same trial again, from any folder and
//! any shell.

use std::{fs, process::Command};

use regatta::trial::Answer;

use crate::{
    bench_dir::{BenchDir, Live},
    exit_codes::batch,
};

/// The commands that a run has printed.
fn commands(bench: &BenchDir, arguments: &str) -> Vec<String> {
    let seen = bench.run(arguments).exits(0);
    seen.err.lines().filter_map(|line| line.strip_prefix("replay: ")).map(str::to_owned).collect()
}

/// Runs a command in another folder, with nothing in the environment but where programs are.
fn by_hand(command: &str) -> Answer {
    let elsewhere = BenchDir::new();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .current_dir(elsewhere.path("tmp"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    let seen = Live::new(shell).end().exits(0).says(&[]);
    serde_json::from_str(&seen.out).unwrap()
}

#[test]
fn the_printed_command_replays_every_executor() {
    let all = "use = [\"sequential\", \"threads\", \"thread-pool\", \"tokio\", \"tokio-current-thread\", \"async-std\", \"smol\"]";
    let calls = "steps = [{ http = { target = \"api\", path = \"/\" } }]\n[targets.api]\nhttp = { delay = \"1ms\" }";
    let scenario = batch("")
        .replace("use = [\"threads\", \"tokio\"]", all)
        .replace("steps = [{ sleep = { time = \"1ms\" } }]", calls);
    let bench = BenchDir::with(&scenario);
    // A folder whose name a shell would cut in two.
    fs::create_dir(bench.path("it's mine")).unwrap();
    fs::rename(bench.path("s.toml"), bench.path("it's mine/s.toml")).unwrap();
    let mut run = bench.command("run -v s.toml --out run");
    run.current_dir(bench.path("it's mine"));
    let seen = Live::new(run).end().exits(0);
    let commands: Vec<&str> =
        seen.err.lines().filter_map(|line| line.strip_prefix("replay: ")).collect();
    assert_eq!(commands.len(), 7, "{seen:#?}");
    for command in commands {
        match by_hand(command) {
            Answer::Measured(measured) => {
                assert_eq!(measured.loads[0].task.count, 12);
                assert!(measured.trial.proof.iter().any(|line| line.what == "tasks recorded"));
            }
            Answer::Failed(failure) => panic!("{command}: {failure:?}"),
        }
    }
}

#[test]
fn async_std_starts_itself_again_with_its_environment() {
    // Without the environment it would have as many workers as the host has CPUs.
    let bench = BenchDir::with(
        &batch("").replace("baseline = \"threads\"", "baseline = \"threads\"\nworkers = 5"),
    );
    let printed = commands(&bench, "run -v s.toml -e async-std,threads --out run");
    let plans = bench.path("run/plans");
    let command = printed.iter().find(|command| {
        let name = command.rsplit('/').next().unwrap();
        fs::read_to_string(plans.join(name)).unwrap().contains("\"executor\": \"async-std\"")
    });
    let Answer::Measured(measured) = by_hand(command.unwrap()) else { panic!("was not measured") };
    let facts: Vec<String> =
        measured.trial.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert!(facts.iter().any(|fact| fact.contains("5 workers")), "{facts:#?}");
}
