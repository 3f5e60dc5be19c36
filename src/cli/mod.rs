//! The command line: one file per subcommand, and the only place that prints.

mod bar;
mod check;
mod compare;
mod completions;
mod doctor;
mod error;
mod find_rate;
mod forecast;
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

use std::sync::Arc;

use clap::{Parser, Subcommand};

use self::{error::CliError, terminal::Terminal};
use crate::exit::Exit;

/// Races threads, pools, tokio, async-std and smol on the same workload, proves that it was the same work, and says
/// by how much they differ.
#[derive(Debug, Parser)]
#[command(name = "regatta", version, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// Flags of every command.
#[derive(Debug, Clone, clap::Args)]
struct Global {
    /// Colour: by default where the output is a terminal (`NO_COLOR` and `CLICOLOR_FORCE` are heeded).
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: terminal::Color,
    /// Only errors and results.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// More: how each trial can be replayed by hand.
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure scenarios: write the run, print the table, write the HTML report.
    Run(run::Run),
    /// Find the highest rate of an open load at which its limits hold, for each executor.
    FindRate(find_rate::FindRate),
    /// Show the cells that a run would have, and how long it would take; executes nothing.
    List(list::List),
    /// Check scenario files; executes nothing.
    Check(check::Check),
    /// Say whether this host is fit for measuring, and what can be done about it; executes no scenario.
    Doctor(doctor::Doctor),
    /// Compare two runs, cell by cell.
    Compare(compare::Compare),
    /// Render a stored run again, without executing anything.
    Report(report::Report),
    /// Test the harness on this machine: does it find what is there, and nothing else? A few minutes.
    Selftest(selftest::Selftest),
    /// Write a commented first scenario against your own server.
    Init(init::Init),
    /// Print the JSON Schema of scenario files, for editors.
    Schema,
    /// Print shell completions.
    Completions(completions::Completions),
    /// Run one trial by hand, from a plan that `run -v` has written.
    Trial(trial::Trial),
    /// The process of an embedded target; started by a trial.
    #[command(hide = true)]
    Target,
}

/// Reads the arguments and does what they say.
pub fn main() -> Exit {
    let arguments = match Arguments::try_parse() {
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

fn usage(error: &clap::Error) -> Exit {
    // Help and version go to standard output and are no error; where printing fails there is nobody to tell.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Fine }
}
