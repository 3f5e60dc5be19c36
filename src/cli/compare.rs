//! `regatta compare`: two stored runs, cell by cell.

use std::path::{Path, PathBuf};

use super::{CliError, Terminal, input};
use crate::{
    analysis::{self, RunComparison},
    exit::Exit,
    report::{COMPARISONS, plural},
    store::{self, Run},
};

/// Compares two runs.
#[derive(Debug, clap::Args)]
pub(super) struct Compare {
    /// The run that is compared with: its folder, its run.jsonl, or `-` for standard input.
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// The run that is compared: its folder, its run.jsonl, or `-` for standard input.
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = COMPARISONS.iter().map(|output| output.name).collect::<Vec<_>>())]
    format: String,
}

impl Compare {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        if [&self.before, &self.after].into_iter().all(|path| input::is_stdin(path)) {
            return Err(CliError::Usage(
                "`-` stands twice, and there is one standard input".into(),
            ));
        }
        let (before, after) = (store::read(&self.before)?, store::read(&self.after)?);
        let comparison = analysis::compare(&before, &after);
        if comparison.has_nothing_in_common() {
            return Err(CliError::NothingInCommon(self.nothing(&before, &after)));
        }
        let output =
            COMPARISONS.iter().find(|output| output.name == self.format).unwrap_or(&COMPARISONS[0]);
        terminal.result(&(output.render)(&comparison, terminal.color))?;
        Ok(exit(&comparison))
    }

    /// What each run has, where they have no cell in common.
    fn nothing(&self, before: &Run, after: &Run) -> String {
        let [before, after] =
            [(&self.before, before), (&self.after, after)].map(|(path, run)| has(path, run));
        format!("the runs have no cell in common: {before}; {after}; compare runs of one scenario")
    }
}

/// Figures that cannot be compared decide nothing.
fn exit(comparison: &RunComparison) -> Exit {
    if comparison.cells.is_empty() { Exit::Inconclusive } else { Exit::Fine }
}

/// The cells of a run, the first by name.
fn has(path: &Path, run: &Run) -> String {
    let cells = &run.header.cells;
    let first = cells.first().map_or_else(String::new, |cell| format!(", such as {}", cell.name));
    format!("{} has {}{first}", path.display(), plural(cells.len(), "cell"))
}
