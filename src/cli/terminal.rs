//! Where everything is printed: data to standard output, progress and warnings to standard error.

use std::{
    env,
    error::Error,
    ffi::OsString,
    io::{self, IsTerminal, Write},
};

use clap::ColorChoice;

use super::{error::CliError, wrap::wrap};

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Color {
    /// Where the output is a terminal.
    #[default]
    Auto,
    /// Into files and pipes, too.
    Always,
    /// Nowhere.
    Never,
}

/// Flags of every command.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Global {
    /// When to print colours. Without it, `NO_COLOR` and then `CLICOLOR_FORCE` in the environment
    /// decide.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// Print only errors and results.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say and write more, such as how each trial can be replayed by hand.
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// The two streams and what may be printed on them.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch of the command line"
)]
pub(super) struct Terminal {
    /// Whether standard output is coloured.
    pub color: bool,
    /// Whether standard error is coloured.
    pub error_color: bool,
    /// Whether progress may be drawn.
    pub interactive: bool,
    /// Only errors and results.
    pub quiet: bool,
    /// More.
    pub verbose: bool,
}

/// Columns that tables have where nothing is known, and that they have at most.
const COLUMNS: usize = 100;

/// Columns below which no table can be read.
const FEWEST: usize = 40;

impl Terminal {
    /// The width of standard output in columns: the terminal's, else `COLUMNS`, else 100, which is
    /// also the most.
    pub(super) fn columns() -> usize {
        let terminal =
            rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
        let variable = || std::env::var("COLUMNS").ok()?.parse().ok();
        let known = terminal.filter(|&columns| columns > 0).or_else(variable);
        known.unwrap_or(COLUMNS).clamp(FEWEST, COLUMNS)
    }

    pub(super) fn new(global: &Global) -> Self {
        Self {
            color: colored(global.color, io::stdout().is_terminal()),
            error_color: colored(global.color, io::stderr().is_terminal()),
            interactive: io::stderr().is_terminal() && !global.quiet,
            quiet: global.quiet,
            verbose: global.verbose,
        }
    }

    /// Prints a result.
    #[expect(
        clippy::unused_self,
        reason = "whoever prints needs the terminal in hand, as with notes and warnings"
    )]
    pub(super) fn result(&self, text: &str) -> Result<(), CliError> {
        let text = text.trim_end_matches('\n');
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            // Whoever reads has seen enough, as in `regatta list | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written
                .map_err(|source| CliError::Output { path: "standard output".into(), source }),
        }
    }

    /// The width of standard error in columns, where it is a terminal; what goes into a file or a
    /// log is not wrapped.
    pub(super) fn error_columns() -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    }

    /// Says something on the way, unless quiet.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            said(text);
        }
    }

    /// Says on the way what one copies as a whole, unless quiet: a line that is never cut.
    pub(super) fn command(&self, text: &str) {
        if !self.quiet {
            to_stderr(text);
        }
    }

    /// Warns, unless quiet.
    pub(super) fn warn(&self, text: &str) {
        if !self.quiet {
            self.alert(text);
        }
    }

    /// Warns of what somebody has to put right, quiet or not.
    pub(super) fn alert(&self, text: &str) {
        let word = if self.error_color { "\x1b[33;1mwarning\x1b[0m" } else { "warning" };
        said(&format!("{word}: {text}"));
    }

    /// Prints an error and what caused it.
    pub(super) fn error(&self, error: &CliError) {
        if let CliError::Scenario(error) = error {
            to_stderr(error.render(self.error_color).trim_end());
            return;
        }
        let word = if self.error_color { "\x1b[31;1merror\x1b[0m" } else { "error" };
        let mut text = format!("{word}: {error}");
        let mut cause = error.source();
        while let Some(next) = cause {
            let next_text = next.to_string();
            if !text.contains(&next_text) {
                text.push_str(": ");
                text.push_str(&next_text);
            }
            cause = next.source();
        }
        said(&text);
    }
}

/// Says something in sentences: lines end between words.
fn said(text: &str) {
    match Terminal::error_columns() {
        Some(columns) => to_stderr(&wrap(text, columns)),
        None => to_stderr(text),
    }
}

fn to_stderr(text: &str) {
    // There is nobody left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// The same for help and for errors of the command line itself, which are printed before it is
/// understood.
pub(super) fn color_of_help(words: &[OsString]) -> ColorChoice {
    let after = |at: usize| words.get(at + 1).and_then(|word| word.to_str());
    let wish = words.iter().enumerate().find_map(|(at, word)| match word.to_str()? {
        "--color" => after(at),
        word => word.strip_prefix("--color="),
    });
    match wish {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// `--color`, then `NO_COLOR`, then `CLICOLOR_FORCE`, then whether it is a terminal.
fn colored(wish: Color, is_terminal: bool) -> bool {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    match wish {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR") => false,
        Color::Auto if set("CLICOLOR_FORCE") => true,
        Color::Auto => is_terminal && env::var_os("TERM").is_none_or(|term| term != "dumb"),
    }
}
