//! `regatta completions`: completions for a shell.

use clap_complete::Shell;

use super::{CliError, Terminal};
use crate::exit::Exit;

/// Prints completions.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell whose completions are printed.
    shell: Shell,
}

impl Completions {
    /// Prints those of `command`, the whole command line.
    pub(super) fn run(
        &self,
        mut command: clap::Command,
        terminal: &Terminal,
    ) -> Result<Exit, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "regatta", &mut script);
        terminal.result(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Fine)
    }
}
