//! The command line: one file per subcommand, and the only place that prints.

mod arguments;
mod bar;
mod check;
mod compare;
mod completions;
mod conformance;
mod doctor;
mod error;
mod examples;
mod find_rate;
mod folder;
mod forecast;
mod header;
mod help;
mod init;
mod input;
mod list;
mod lock;
mod measure;
mod page;
mod plan;
mod progress;
mod race;
mod replay;
mod report;
mod resume;
mod run;
mod scenarios;
mod schema;
mod selftest;
mod signals;
mod terminal;
mod trial;
mod unchanged;
mod verdict;
mod wrap;

use std::{ffi::OsString, os::unix::ffi::OsStrExt as _};

use clap::{FromArgMatches as _, error::ErrorKind};

use self::{
    arguments::{Arguments, Command},
    error::CliError,
    terminal::Terminal,
};
use crate::exit::Exit;

/// Reads the arguments and does what they say.
pub fn main() -> Exit {
    let arguments = match parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let terminal = Terminal::new(&arguments.global);
    signals::survive_file_limit();
    let outcome = match arguments.command {
        Command::Run(command) => command.run(&terminal),
        Command::FindRate(command) => command.run(&terminal),
        Command::List(command) => command.run(&terminal),
        Command::Check(command) => command.run(&terminal),
        Command::Doctor(command) => command.run(&terminal),
        Command::Compare(command) => command.run(&terminal),
        Command::Report(command) => command.run(&terminal),
        Command::Selftest(command) => command.run(&terminal),
        Command::Init(command) => command.run(&terminal),
        Command::Schema(command) => command.run(&terminal),
        Command::Completions(command) => command.run(help::command(), &terminal),
        Command::Conformance(command) => command.run(&terminal),
        Command::Race(command) => command.run(),
        Command::Trial(command) => command.run(&terminal),
        Command::Target => trial::target(),
        Command::Worker => trial::worker(),
    };
    outcome.unwrap_or_else(|error| {
        terminal.error(&error);
        error.exit()
    })
}

/// Reads a command line as it is typed.
fn parse<W: Into<OsString> + Clone>(
    words: impl IntoIterator<Item = W>,
) -> Result<Arguments, clap::Error> {
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let mut command = help::command().color(terminal::color_of_help(&words));
    let matches =
        command.try_get_matches_from_mut(words.clone()).map_err(|error| named(error, &words))?;
    Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The error about an argument that is not UTF-8 with the argument in it.
fn named(error: clap::Error, words: &[OsString]) -> clap::Error {
    let wrong =
        words.iter().find(|word| error.kind() == ErrorKind::InvalidUtf8 && word.to_str().is_none());
    let Some(wrong) = wrong else { return error };
    let shown = wrong.as_bytes().escape_ascii();
    let message = format!("the argument `{shown}` is not UTF-8; only paths may be anything else\n");
    clap::Error::raw(ErrorKind::InvalidUtf8, message)
}

fn usage(error: &clap::Error) -> Exit {
    // Help and version go to standard output and are no error; where printing fails there is nobody
    // to tell.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Fine }
}
