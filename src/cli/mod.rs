//! The command line: one file per subcommand, and the only place that prints.

mod bar;
mod check;
mod compare;
mod completions;
mod doctor;
mod error;
mod find_rate;
mod folder;
mod forecast;
mod help;
mod init;
mod input;
mod list;
mod progress;
mod report;
mod resume;
mod run;
mod schema;
mod selftest;
mod terminal;
mod trial;
mod verdict;
mod wrap;

use std::{ffi::OsString, os::unix::ffi::OsStrExt as _, sync::Arc};

use clap::{FromArgMatches as _, Parser, Subcommand, error::ErrorKind};

use self::{error::CliError, terminal::Terminal};
use crate::exit::Exit;

/// Races threads, pools, tokio, async-std and smol on the same workload, proves that it was the same work, and says
/// by how much they differ.
#[derive(Debug, Parser)]
#[command(name = "regatta", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// Flags of every command.
#[derive(Debug, Clone, clap::Args)]
struct Global {
    /// When to print colours. Without it, `NO_COLOR` and then `CLICOLOR_FORCE` in the environment decide.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: terminal::Color,
    /// Print only errors and results.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say and write more, such as how each trial can be replayed by hand.
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure scenarios: store the run, print the table, write the report.
    #[command(after_help = help::RUN)]
    Run(run::Run),
    /// Find the highest rate at which an open load's limits hold.
    #[command(after_help = help::FIND_RATE)]
    FindRate(find_rate::FindRate),
    /// Show what a run would measure, and for how long; runs nothing.
    #[command(after_help = help::LIST)]
    List(list::List),
    /// Check scenario files; runs nothing.
    #[command(after_help = help::CHECK)]
    Check(check::Check),
    /// Say whether this host is fit for measuring, and what helps.
    #[command(after_help = help::DOCTOR)]
    Doctor(doctor::Doctor),
    /// Compare two runs, cell by cell.
    #[command(after_help = help::COMPARE)]
    Compare(compare::Compare),
    /// Show a stored run again, as a page, tables, JSON or CSV.
    #[command(after_help = help::REPORT)]
    Report(report::Report),
    /// Test the harness on this machine, in a few minutes.
    #[command(after_help = help::SELFTEST)]
    Selftest(selftest::Selftest),
    /// Write a first scenario against your own server, with comments.
    #[command(after_help = help::INIT)]
    Init(init::Init),
    /// Print the JSON Schema of scenario files, for editors.
    #[command(after_help = help::SCHEMA)]
    Schema,
    /// Print shell completions.
    #[command(after_help = help::COMPLETIONS)]
    Completions(completions::Completions),
    /// Run one trial by hand, from a plan that `run -v` has written.
    #[command(after_help = help::TRIAL)]
    Trial(trial::Trial),
    /// The process of an embedded target; started by a trial.
    #[command(hide = true)]
    Target,
}

/// Reads the arguments and does what they say.
pub fn main() -> Exit {
    let arguments = match parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let terminal = Terminal::new(&arguments.global);
    survive_file_limit();
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
        Command::Schema => schema::run(&terminal),
        Command::Completions(command) => command.run(&terminal),
        Command::Trial(command) => command.run(&terminal),
        Command::Target => trial::target(),
    };
    outcome.unwrap_or_else(|error| {
        terminal.error(&error);
        error.exit()
    })
}

/// Makes a write beyond `ulimit -f` an error like that of a full disk: unheard, its signal would end this process in
/// the middle of a run, without a word.
fn survive_file_limit() {
    // Where the signal cannot be heard, its default remains.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// Reads a command line as it is typed, or as a run file has stored it.
fn parse<W: Into<OsString> + Clone>(words: impl IntoIterator<Item = W>) -> Result<Arguments, clap::Error> {
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let mut command = help::command().color(terminal::color_of_help(&words));
    let matches = command.try_get_matches_from_mut(words.clone()).map_err(|error| named(error, &words))?;
    Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The error about an argument that is not UTF-8 with the argument in it.
fn named(error: clap::Error, words: &[OsString]) -> clap::Error {
    let wrong = words.iter().find(|word| error.kind() == ErrorKind::InvalidUtf8 && word.to_str().is_none());
    let Some(wrong) = wrong else { return error };
    let shown = wrong.as_bytes().escape_ascii();
    let message = format!("the argument `{shown}` is not UTF-8; only paths may be anything else\n");
    clap::Error::raw(ErrorKind::InvalidUtf8, message)
}

fn usage(error: &clap::Error) -> Exit {
    // Help and version go to standard output and are no error; where printing fails there is nobody to tell.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Fine }
}
