//! Help: the commands by what they are for, examples of each, and lines that fit a terminal.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::Arguments;

/// The columns of a line of help.
const WIDTH: usize = 90;
/// How far clap indents the words about an option.
const INDENT: usize = 10;

/// The commands by what they are for.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Write a scenario", &["init", "check", "schema"]),
    ("Look before you measure", &["list", "doctor", "selftest"]),
    ("Measure", &["run", "find-rate"]),
    ("Look at results", &["report", "compare"]),
    ("Other", &["trial", "completions", "help"]),
];

pub(super) const RUN: &str = "\
Examples:
  regatta run my-race.toml
  regatta run scenarios/headline --quick
  regatta run my-race.toml --executor tokio,threads -P concurrency=1,16,64
  regatta run my-race.toml --cpus executor=0 --out reports/apart --format markdown
  regatta run --resume reports/apart

Exit codes: 0 fine, 1 a limit is violated, 3 not decided, 5 incomplete. See also:
regatta help list, regatta help report.";

pub(super) const FIND_RATE: &str = "\
Examples:
  regatta find-rate scenarios/questions/open-load.toml --limit 'request.latency.p99<25ms'
  regatta find-rate scenarios/questions/open-load.toml --start 1k/s --precision 2%
  regatta find-rate --resume reports/my-search

See also: regatta help run.";

pub(super) const LIST: &str = "\
Examples:
  regatta list scenarios/headline
  regatta list my-race.toml --filter tokio --rounds 3
  regatta list my-race.toml -P concurrency=1,16,64

See also: regatta help run, which takes the same options.";

pub(super) const CHECK: &str = "\
Examples:
  regatta check my-race.toml
  regatta check scenarios
  regatta check my-race.toml -p concurrency=4

See also: regatta help init, regatta help schema.";

pub(super) const DOCTOR: &str = "\
Examples:
  regatta doctor
  regatta doctor scenarios/headline
  regatta doctor my-race.toml --cpus executor=0 --format json

Exit codes: 0 fit for measuring, 69 not fit. See also: regatta help selftest.";

pub(super) const COMPARE: &str = "\
Examples:
  regatta compare reports/before reports/after
  regatta compare reports/before reports/after --format markdown

Better and worse is only what is beyond 5 % either way. Exit codes: 0 compared, 3 nothing
could be compared, 65 nothing in common. See also: regatta help report.";

pub(super) const REPORT: &str = "\
Examples:
  regatta report reports/my-run
  regatta report reports/my-run --format human --color always
  regatta report reports/my-run/run.jsonl --format csv
  regatta report reports/my-run --format json --strict

See also: regatta help compare.";

pub(super) const SELFTEST: &str = "\
Examples:
  regatta selftest
  regatta selftest --quick
  regatta selftest --rounds 20 --format json

Exit codes: 0 passed, 1 failed, 3 the host is too noisy to tell. See also: regatta help
doctor.";

pub(super) const INIT: &str = "\
Examples:
  regatta init
  regatta init my-race.toml --url http://127.0.0.1:3000
  regatta init -

See also: regatta help check, regatta help run.";

pub(super) const SCHEMA: &str = "\
Examples:
  regatta schema

An editor that knows the schema completes keys and marks errors. See also: regatta help
check.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  regatta completions bash
  regatta completions zsh";

pub(super) const TRIAL: &str = "\
Examples:
  regatta trial --plan reports/my-run/plans/0001.json

`regatta run --verbose` writes the plans. See also: regatta help run.";

/// The whole command line, as it is parsed and as it is shown.
pub(super) fn command() -> Command {
    let command = Arguments::command();
    let listed = commands(&command);
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{listed}Options:\n{{options}}\n\nExamples:\n  \
         regatta init my-race.toml\n  regatta run my-race.toml\n  regatta help run\n"
    );
    let about = command.get_about().map(|about| wrap(&about.to_string(), WIDTH)).unwrap_or_default();
    command.about(about).help_template(template).mut_args(wrapped).mut_subcommands(|command| command.mut_args(wrapped))
}

/// Each group and its commands, with a line each and where more is said.
fn commands(command: &Command) -> String {
    // clap adds the command `help` when it parses.
    let about = |name: &str| match command.find_subcommand(name).and_then(Command::get_about) {
        Some(about) => about.to_string(),
        None => "Say all about a command: `regatta help run`".to_owned(),
    };
    let mut text = String::new();
    for (title, names) in GROUPS {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "{title}:");
        for name in names {
            let _ = writeln!(text, "  {name:<13}{}", about(name));
        }
        text.push('\n');
    }
    text
}

/// An option whose words fit the width.
fn wrapped(arg: Arg) -> Arg {
    let text = arg.get_help().map(ToString::to_string);
    match text {
        Some(text) => arg.help(wrap(&text, WIDTH - INDENT)),
        None => arg,
    }
}

fn wrap(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        // There is always a line.
        if let Some(line) = lines.last_mut().filter(|line| line.is_empty() || fits(line, word, width)) {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

fn fits(line: &str, word: &str, width: usize) -> bool {
    line.chars().count() + 1 + word.chars().count() <= width
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn visible() -> impl Iterator<Item = Command> {
        let command = command();
        command.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect::<Vec<_>>().into_iter()
    }

    fn help(command: &Command) -> String {
        command.clone().render_long_help().to_string()
    }

    #[test]
    fn every_command_is_in_one_group_with_a_line() {
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let there: BTreeSet<String> = visible().map(|command| command.get_name().to_owned()).collect();
        let listed: BTreeSet<String> = grouped.iter().map(|name| (*name).to_owned()).filter(|n| n != "help").collect();
        assert_eq!(listed, there);
        assert_eq!(grouped.len(), there.len() + 1, "none twice");
        let text = help(&command());
        for name in grouped {
            let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{name} "))).unwrap();
            assert!(line.trim().len() > name.len() + 15, "{line}");
        }
        assert!(text.contains("regatta help run"), "{text}");
    }

    #[test]
    fn every_option_says_what_it_is_and_what_holds_without_it() {
        for command in visible() {
            let arguments = command.get_arguments().filter(|arg| !arg.is_hide_set());
            for arg in arguments.filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
                let said = arg.get_help().map(ToString::to_string).unwrap_or_default();
                let name = format!("{} {}", command.get_name(), arg.get_id());
                assert!(said.len() >= 10, "{name}: {said}");
                let is_flag = !arg.get_action().takes_values();
                let has_default = !arg.get_default_values().is_empty() || said.to_lowercase().contains("default");
                assert!(is_flag || arg.is_required_set() || has_default, "{name} does not say its default: {said}");
            }
        }
    }

    #[test]
    fn lines_fit_and_examples_parse() {
        for command in visible().chain([super::command()]) {
            let text = help(&command);
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{}: {line}", command.get_name());
            }
            let examples: Vec<&str> = text.lines().filter(|line| line.starts_with("  regatta ")).collect();
            let enough = ["schema", "trial"].contains(&command.get_name()) || examples.len() >= 2;
            assert!(enough && !examples.is_empty(), "{}: {examples:?}", command.get_name());
            for example in examples {
                let words = example.split_whitespace().map(|word| word.trim_matches('\''));
                if let Err(error) = super::command().try_get_matches_from(words) {
                    // `help` ends with the help that it shows.
                    assert!(!error.use_stderr(), "{example}: {error}");
                }
            }
        }
    }

    #[test]
    fn words_are_not_broken() {
        assert_eq!(wrap("one two three", 7), "one two\nthree");
        assert_eq!(wrap("  one   longer-than-that x ", 7), "one\nlonger-than-that\nx");
        assert_eq!(wrap("", 7), "");
    }
}
