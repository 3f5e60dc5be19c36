//! `regatta report`: renders a stored run again.

use std::{io::IsTerminal, path::PathBuf};

use super::{
    CliError, Terminal,
    input::{format, is_stdin},
    page,
    verdict::{self, Strictness, undecided, when},
};
use crate::{
    analysis::{self, Analysis},
    exit::Exit,
    report,
    store::{self, Run},
};

/// Renders a run.
#[derive(Debug, clap::Args)]
pub(super) struct Report {
    /// The run's folder, its run.jsonl, or `-` for standard input.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// What to print: human, html, markdown, json, csv or hlog. Default: nothing, and the page is
    /// written into the run's folder.
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<String>,
    /// Exit code 3 where a cell is not valid.
    #[arg(long)]
    strict: bool,
    /// Limits that could not be judged are no reason for exit code 3.
    #[arg(long)]
    allow_unjudged: bool,
}

/// What a search for the highest rate has found, above the figures of the rates that it tried;
/// nothing of other runs.
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
            // A terminal has a width of its own; what goes into a file or a pipe keeps the one that
            // is documented.
            let text = match output.name {
                "human" if std::io::stdout().is_terminal() => {
                    report::text_in(&run.header, &analysis, terminal.color, Terminal::columns())
                }
                "human" => report::text(&run.header, &analysis, terminal.color),
                _ => output.render(&run, &analysis),
            };
            terminal.result(&format!("{}{text}", searched(&run, output.name)))?;
            return Ok(self.exit(&run, &analysis, terminal));
        }
        self.has_page(&run)?;
        let folder = if self.run.is_dir() { self.run.clone() } else { self.run.with_file_name("") };
        let path = folder.join("index.html");
        page::write(&path, &report::html(&run.header, &analysis))?;
        terminal.result(&path.display().to_string())?;
        Ok(self.exit(&run, &analysis, terminal))
    }

    /// Whether there is a page to write, and a folder for it.
    fn has_page(&self, run: &Run) -> Result<(), CliError> {
        if is_stdin(&self.run) {
            return Err(CliError::Usage(
                "a run from standard input has no folder for its page; name a `--format`".into(),
            ));
        }
        if run.trials.is_empty() {
            let reason =
                "no trial has ended, so there is no page; `regatta run --resume` measures what is missing".into();
            return Err(CliError::BadData { path: self.run.clone(), reason });
        }
        Ok(())
    }

    /// What the figures come to, as the command that measured them said: a violated SLO is violated
    /// in a report, too. Of a search only its answer counts, for rates that violate its limits are
    /// what it looks for.
    fn exit(&self, run: &Run, analysis: &Analysis, terminal: &Terminal) -> Exit {
        // A report speaks of figures: what was refused has none, and no exit code of its own.
        let &Self { strict, allow_unjudged, .. } = self;
        let demand = Strictness { strict, allow_unjudged, skip_refused: true };
        match &analysis.search {
            Some(found) => verdict::search(found),
            None => when(analysis.has_failed_slo(), Exit::Bad).or(undecided(
                &run.header,
                analysis,
                demand,
                terminal,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::analyse,
        cli::terminal::{Color, Global},
        scenario::{Comparison, Slo, SloMetric},
        store::{Search, fixture::Fixture},
    };

    fn exit(limit: f64, change: impl FnOnce(&mut Run)) -> Exit {
        let slo = Slo {
            assert: "as written".into(),
            subject: "request".into(),
            metric: SloMetric::Throughput,
            comparison: Comparison::Above,
            limit,
            only: Vec::new(),
            line: 7,
        };
        let run = Fixture::closed("threads", 1)
            .cell("threads", &[], &[100.0])
            .slo(slo)
            .with(change)
            .build();
        let report =
            Report { run: PathBuf::new(), format: None, strict: false, allow_unjudged: false };
        let terminal = Terminal::new(&Global { color: Color::Never, quiet: true, verbose: false });
        report.exit(&run, &analyse(&run), &terminal)
    }

    #[test]
    fn a_violated_limit_is_violated_in_a_report_too() {
        assert_eq!(exit(50.0, |_| {}), Exit::Fine);
        assert_eq!(exit(150.0, |_| {}), Exit::Bad);
        let search = Search { cells: Vec::new(), precision: 0.05, most_trials: 5, highest: 1e6 };
        assert_eq!(exit(150.0, |run| run.header.search = Some(search)), Exit::Fine);
    }
}
