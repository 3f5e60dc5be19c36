//! `regatta completions`: completions for a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Arguments, CliError, Terminal};
use crate::exit::Exit;

/// Prints completions.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "regatta", &mut script);
        terminal.result(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Fine)
    }
}
