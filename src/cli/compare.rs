//! `regatta compare`: two stored runs, cell by cell.

use std::path::PathBuf;

use super::{CliError, Terminal};
use crate::{analysis, exit::Exit, report, store};

/// Compares two runs.
#[derive(Debug, clap::Args)]
pub(super) struct Compare {
    /// The run that is compared with.
    before: PathBuf,
    /// The run that is compared.
    after: PathBuf,
}

impl Compare {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let (before, after) = (store::read(&self.before)?, store::read(&self.after)?);
        let comparison = analysis::compare(&before, &after);
        terminal.result(&report::comparison(&comparison, terminal.color))?;
        Ok(Exit::Fine)
    }
}
