//! `regatta conformance`: whether a program races as PROTOCOL.md says.
//!
//! Each check of what a racer does is a trial of its own, planned and judged as any other: a racer
//! that cheats fails it as it would fail in a race.

use std::path::Path;

use super::{CliError, Terminal, signals};
use crate::{
    exit::Exit,
    limits::Limits,
    plan::{Machine, Plan},
    protocol::Program,
    report::plural,
    scenario::{self, Overrides},
    store::{Absent, FailureKind, Outcome},
    trial::{self, allowed_cpus, conformance, parent::Runner},
};

/// Plays small races with a program, and says which rules of the protocol it keeps.
#[derive(Debug, clap::Args)]
pub(super) struct ConformanceFlags {
    /// The program that races, such as `python3`.
    #[arg(value_name = "PROGRAM")]
    program: String,
    /// Its arguments. Default: none.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// How a trial of a check must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlayedEnd {
    /// Measured and proven.
    Proven,
    /// Failed, for one of these reasons.
    Fails(&'static [FailureKind]),
}

/// A race that a racer must do right.
struct PlayedRace {
    name: &'static str,
    /// What to do about it.
    remedy: &'static str,
    /// The scenario, but for its head and its contender.
    scenario: &'static str,
    end: PlayedEnd,
}

/// A way of speaking that a racer must keep.
type Manner = fn(&Program) -> Result<(), String>;

/// Manners, each with what to do about it.
const MANNERS: [(&str, &str, Manner); 3] = [
    (
        "a brief of another version is refused",
        "compare `protocol` of the brief, and answer `failed` with the remedy",
        conformance::refuses_another_version,
    ),
    (
        "what is new in a brief is ignored",
        "ignore keys that you do not know",
        conformance::ignores_what_is_new,
    ),
    (
        "it ends when its input ends",
        "end when a line was to come and none comes: nothing may outlive the referee",
        conformance::ends_with_its_input,
    ),
];

/// All races, the simplest first.
const CHECKS: &[PlayedRace] = &[
    PlayedRace {
        name: "a batch of naps",
        remedy: "begin all tasks of a batch at once, and measure from its beginning to its last end",
        scenario: include_str!("conformance/naps.toml"),
        end: PlayedEnd::Proven,
    },
    PlayedRace {
        name: "naps whose length is drawn",
        remedy: "draw as section `Draws` says; its vectors show each step of it",
        scenario: include_str!("conformance/drawn.toml"),
        end: PlayedEnd::Proven,
    },
    PlayedRace {
        name: "steps one after another, twice",
        remedy: "do the steps of a task in order, and count each call once",
        scenario: include_str!("conformance/repeat.toml"),
        end: PlayedEnd::Proven,
    },
    PlayedRace {
        name: "children at once",
        remedy: "begin all children of `parallel` before you wait for one, and end when the last one has",
        scenario: include_str!("conformance/parallel.toml"),
        end: PlayedEnd::Proven,
    },
    PlayedRace {
        name: "requests with identifiers",
        remedy: "send `x-regatta-id`, drawn as section `Draws` says, and count answers that are allowed errors",
        scenario: include_str!("conformance/http.toml"),
        end: PlayedEnd::Proven,
    },
    PlayedRace {
        name: "requests by children",
        remedy: "the key of a child is drawn from its parent's key and its number",
        scenario: include_str!("conformance/http_parallel.toml"),
        end: PlayedEnd::Proven,
    },
    PlayedRace {
        name: "requests with a body",
        remedy: "send `content-length` and as many bytes as the brief says",
        scenario: include_str!("conformance/http_body.toml"),
        end: PlayedEnd::Proven,
    },
    PlayedRace {
        name: "clients until their tasks are done",
        remedy: "client c of n does the tasks c, c + n, c + 2n, … and nothing between warm-up and window",
        scenario: include_str!("conformance/closed_tasks.toml"),
        end: PlayedEnd::Proven,
    },
    PlayedRace {
        name: "clients until time is over",
        remedy: "record tasks whose intended start lies in the window, and count those that end in it",
        scenario: include_str!("conformance/closed_time.toml"),
        end: PlayedEnd::Proven,
    },
    PlayedRace {
        name: "arrivals at a rate",
        remedy: "begin each arrival when it is due, whatever has become of those before",
        scenario: include_str!("conformance/open.toml"),
        end: PlayedEnd::Proven,
    },
    PlayedRace {
        name: "an answer that is wrong",
        remedy: "compare the status with what the brief expects, and say `failed` when it is another",
        scenario: include_str!("conformance/wrong_answer.toml"),
        end: PlayedEnd::Fails(&[FailureKind::WrongResult, FailureKind::Target]),
    },
    PlayedRace {
        name: "a window in which no task ends",
        remedy: "let tasks that began in the window end, and do not count them as completed in it",
        scenario: include_str!("conformance/too_short.toml"),
        end: PlayedEnd::Fails(&[FailureKind::TooShort]),
    },
];

/// How a check went.
enum PlayedVerdict {
    Pass,
    NotApplicable(String),
    Fail(String),
}

impl ConformanceFlags {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let (runner, events) = Runner::new().map_err(|source| CliError::System {
            what: "cannot find this program's file",
            source,
        })?;
        signals::forward(events)?;
        let command = [self.program.clone()].into_iter().chain(self.arguments.iter().cloned());
        let command: Vec<String> = command.collect();
        let program = Program::of(command, Path::new("conformance.toml"));
        match trial::hello(&program) {
            Ok(hello) => {
                terminal.note(&format!("{} {} {}", hello.name, hello.version, hello.runtime));
            }
            Err(why) => {
                let remedy = "the first line of a racer is `hello` (PROTOCOL.md)";
                return shown(terminal, &[("it says who it is", remedy, PlayedVerdict::Fail(why))]);
            }
        }
        let mut verdicts = vec![("it says who it is", "", PlayedVerdict::Pass)];
        for (name, remedy, manner) in MANNERS {
            let verdict =
                manner(&program).map_or_else(PlayedVerdict::Fail, |()| PlayedVerdict::Pass);
            verdicts.push((name, remedy, verdict));
        }
        for check in CHECKS {
            verdicts.push((check.name, check.remedy, check.run(&program, &runner)?));
        }
        shown(terminal, &verdicts)
    }
}

impl PlayedRace {
    fn run(&self, program: &Program, runner: &Runner) -> Result<PlayedVerdict, CliError> {
        // What JSON quotes TOML reads.
        let words = serde_json::to_string(&program.command).unwrap_or_default();
        let text = format!(
            "schema = 1\nname = \"conformance\"\n{}\n[executors]\nuse = [\"racer\"]\n[executors.racer]\nprogram = {words}\n",
            self.scenario
        );
        let path = Path::new("conformance.toml");
        let scenario = scenario::from_text(path, &text, &Overrides::default())?;
        let machine = Machine {
            cpus: allowed_cpus(),
            executor_cpus: None,
            target_cpus: None,
            limits: Limits::read(),
        };
        let mut plan = Plan::new(&[scenario], &machine, 1, |_| true);
        plan.introduce(trial::hello);
        match plan.cells.first().and_then(|cell| cell.stored.absent.clone()) {
            Some(Absent::NotApplicable(why)) => return Ok(PlayedVerdict::NotApplicable(why)),
            Some(Absent::Refused(why)) => return Ok(PlayedVerdict::Fail(why)),
            None => {}
        }
        let Some(first) = plan.trials.first() else { return Ok(PlayedVerdict::Pass) };
        let record = runner.run(&plan.trial(*first), 1, |_| {});
        let record = record.map_err(|signal| CliError::Usage(format!("{}: given up", signal.0)))?;
        Ok(self.verdict(&record.outcome))
    }

    fn verdict(&self, outcome: &Outcome) -> PlayedVerdict {
        match (outcome, self.end) {
            (Outcome::Measured(_), PlayedEnd::Proven) => PlayedVerdict::Pass,
            (Outcome::Failed(failure), PlayedEnd::Fails(kinds))
                if kinds.contains(&failure.kind) =>
            {
                PlayedVerdict::Pass
            }
            (Outcome::Failed(failure), _) => PlayedVerdict::Fail(failure.reason.clone()),
            (Outcome::Measured(_), PlayedEnd::Fails(_)) => {
                PlayedVerdict::Fail("it measured what cannot be measured".to_owned())
            }
        }
    }
}

/// Prints the list of checks; some that failed are an exit code.
fn shown(terminal: &Terminal, verdicts: &[(&str, &str, PlayedVerdict)]) -> Result<Exit, CliError> {
    let lines = verdicts.iter().map(|(name, remedy, verdict)| match verdict {
        PlayedVerdict::Pass => format!("pass            {name}"),
        PlayedVerdict::NotApplicable(why) => format!("not applicable  {name}: {why}"),
        PlayedVerdict::Fail(why) => {
            format!("FAIL            {name}: {why}\n                {remedy}")
        }
    });
    let failed =
        verdicts.iter().filter(|(.., verdict)| matches!(verdict, PlayedVerdict::Fail(_))).count();
    let end = match failed {
        0 => "the racer conforms".to_owned(),
        some => format!("the racer does not conform: {} failed", plural(some, "check")),
    };
    terminal.result(&lines.chain([end]).collect::<Vec<_>>().join("\n"))?;
    Ok(if failed == 0 { Exit::Fine } else { Exit::Bad })
}
