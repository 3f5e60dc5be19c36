//! Help: the commands by what they are for, examples of each, and lines that fit a terminal.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::arguments::Arguments;

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
    ("Other", &["conformance", "trial", "completions", "help"]),
];

/// The whole command line, as it is parsed and as it is shown.
pub(super) fn command() -> Command {
    let command = Arguments::command();
    let listed = commands(&command);
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{listed}Options:\n{{options}}\n\nExamples:\n  \
         regatta init my-race.toml\n  regatta run my-race.toml\n  regatta help run\n"
    );
    let about =
        command.get_about().map(|about| wrap(&about.to_string(), WIDTH)).unwrap_or_default();
    command
        .about(about)
        .help_template(template)
        .mut_args(wrapped)
        .mut_subcommands(|command| command.mut_args(wrapped))
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
        if let Some(line) =
            lines.last_mut().filter(|line| line.is_empty() || fits(line, word, width))
        {
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
        command
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .cloned()
            .collect::<Vec<_>>()
            .into_iter()
    }

    fn help(command: &Command) -> String {
        command.clone().render_long_help().to_string()
    }

    #[test]
    fn every_command_is_in_one_group_with_a_line() {
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let there: BTreeSet<String> =
            visible().map(|command| command.get_name().to_owned()).collect();
        let listed: BTreeSet<String> =
            grouped.iter().map(|name| (*name).to_owned()).filter(|n| n != "help").collect();
        assert_eq!(listed, there);
        assert_eq!(grouped.len(), there.len() + 1, "none twice");
        let text = help(&command());
        for name in grouped {
            let line = text
                .lines()
                .find(|line| line.trim_start().starts_with(&format!("{name} ")))
                .unwrap();
            assert!(line.trim().len() > name.len() + 15, "{line}");
        }
        assert!(text.contains("regatta help run"), "{text}");
    }

    #[test]
    fn every_option_says_what_it_is_and_what_holds_without_it() {
        for command in visible() {
            let arguments = command.get_arguments().filter(|arg| !arg.is_hide_set());
            for arg in arguments.filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()))
            {
                let said = arg.get_help().map(ToString::to_string).unwrap_or_default();
                let name = format!("{} {}", command.get_name(), arg.get_id());
                assert!(said.len() >= 10, "{name}: {said}");
                let is_flag = !arg.get_action().takes_values();
                let has_default =
                    !arg.get_default_values().is_empty() || said.to_lowercase().contains("default");
                assert!(
                    is_flag || arg.is_required_set() || has_default,
                    "{name} does not say its default: {said}"
                );
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
            let examples: Vec<&str> =
                text.lines().filter(|line| line.starts_with("  regatta ")).collect();
            let enough = command.get_name() == "trial" || examples.len() >= 2;
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
