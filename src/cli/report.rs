//! `regatta report`: renders a stored run again.

use std::{io::IsTerminal, path::PathBuf};

use super::{CliError, Terminal, run::undecided};
use crate::{
    analysis,
    exit::Exit,
    report,
    store::{self, Run},
};

/// Renders a run.
#[derive(Debug, clap::Args)]
pub(super) struct Report {
    /// The run's folder or its run.jsonl.
    run: PathBuf,
    /// What to print; without it the HTML page is written into the run's folder.
    #[arg(long, value_parser = format)]
    format: Option<String>,
    /// Exit code 3 where a cell is not valid, or an SLO could not be judged for that.
    #[arg(long)]
    strict: bool,
}

/// The name of an output, or which ones there are.
pub(super) fn format(name: &str) -> Result<String, String> {
    let names: Vec<&str> = report::OUTPUTS.iter().map(|output| output.name).collect();
    if names.contains(&name) { Ok(name.into()) } else { Err(format!("expected one of {}", names.join(", "))) }
}

/// What a search for the highest rate has found, above the figures of the rates that it tried; nothing of other runs.
fn searched(run: &Run, output: &str) -> String {
    let Some(found) = analysis::rate_search(run) else { return String::new() };
    match output {
        "human" => format!("{}\n", report::rates(&run.header, &found, Terminal::columns())),
        "markdown" => format!("{}\n", report::rates_markdown(&run.header, &found)),
        _ => String::new(),
    }
}

impl Report {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let run = store::read(&self.run)?;
        let analysis = analysis::analyse(&run);
        if let Some(output) = self.format.as_deref().and_then(report::output) {
            // A terminal has a width of its own; what goes into a file or a pipe keeps the one that is documented.
            let text = if output.name == "human" && std::io::stdout().is_terminal() {
                report::text_in(&run.header, &analysis, terminal.color, Terminal::columns())
            } else {
                output.render(&run, &analysis)
            };
            terminal.result(&format!("{}{text}", searched(&run, output.name)))?;
            return Ok(undecided(&run.header, &analysis, self.strict));
        }
        let folder = if self.run.is_dir() { self.run.clone() } else { self.run.with_file_name("") };
        let path = folder.join("index.html");
        let page = report::html(&run.header, &analysis);
        std::fs::write(&path, page).map_err(|source| CliError::Output { path: path.clone(), source })?;
        terminal.result(&path.display().to_string())?;
        Ok(undecided(&run.header, &analysis, self.strict))
    }
}
