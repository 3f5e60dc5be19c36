//! `regatta check`: are these files scenarios?

use std::path::PathBuf;

use super::{CliError, Terminal, input::Selection};
use crate::{exit::Exit, report::plural};

/// Checks scenario files.
#[derive(Debug, clap::Args)]
pub(super) struct CheckFlags {
    #[command(flatten)]
    selection: Selection,
}

impl CheckFlags {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let scenarios = self.selection.scenarios(terminal)?;
        for scenario in &scenarios {
            let path: &PathBuf = &scenario.path;
            let variants = match scenario.variants.len() {
                1 => String::new(),
                several => format!(", {several} combinations of parameters"),
            };
            let executors =
                scenario.variants.first().map_or(0, |variant| variant.executors.names.len());
            terminal.result(&format!(
                "{}: fine ({}{variants})",
                path.display(),
                plural(executors, "executor")
            ))?;
        }
        Ok(Exit::Fine)
    }
}
