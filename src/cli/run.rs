//! `regatta run`: measure, store, print, report.

use std::path::{Path, PathBuf};

use super::{
    CliError, Terminal,
    folder::RunFolder,
    input::{Selection, format},
    lock::Leave,
    measure::{self, Prepared},
    page, plan, resume, unchanged,
    verdict::{Strictness, exit, undecided},
};
use crate::{
    analysis::{self, Analysis},
    exit::Exit,
    plan::Plan,
    report,
    run::{self, RunEnd},
    store::{self, StoredCell},
};

/// What an interrupted run has settled already; named one by one, so that an error names the one
/// that was given.
const FIXED: [&str; 13] = [
    "paths", "filter", "executor", "param", "sweep", "rounds", "duration", "warmup", "timeout",
    "seed", "quick", "cpus", "out",
];

/// Measures scenarios.
#[derive(Debug, Clone, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch of the command line"
)]
pub(super) struct RunFlags {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// The folder for this run. Default: a new one under `reports/`.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The folder of a run to resume: what is missing is run, and what has failed is run again,
    /// unless its work was wrong. Default: a new run.
    #[arg(long, value_name = "RUN", conflicts_with_all = FIXED)]
    resume: Option<PathBuf>,
    /// What to print at the end: human, html, markdown, json, csv or hlog.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = format)]
    format: String,
    /// Cells that a limit of this host forbids are no reason for exit code 5.
    #[arg(long)]
    skip_refused: bool,
    /// Run although another run is in progress on this host: each disturbs the other.
    #[arg(long)]
    allow_other_runs: bool,
    /// Exit code 3 where a cell is not valid.
    #[arg(long)]
    strict: bool,
    /// Limits that could not be judged are no reason for exit code 3.
    #[arg(long)]
    allow_unjudged: bool,
}

impl RunFlags {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let leave = Leave::take(self.allow_other_runs)?;
        let mut prepared = match &self.resume {
            Some(folder) => resume(folder, self.allow_other_runs, terminal)?,
            None => self.prepare(terminal)?,
        };
        let end = if prepared.finished {
            RunEnd::Finished
        } else {
            measure::measure(&mut prepared, &leave.runner, terminal)?
        };
        self.show(&prepared, end, terminal)
    }

    fn prepare(&self, terminal: &Terminal) -> Result<Prepared, CliError> {
        let scenarios = self.selection.scenarios(terminal)?;
        let folder = RunFolder::of_scenarios(self.out.as_deref(), &scenarios);
        measure::start(&self.selection, &scenarios, &folder, self.allow_other_runs, terminal)
    }

    /// Prints and writes what the run has found; says how the program ends.
    fn show(
        &self,
        prepared: &Prepared,
        end: RunEnd,
        terminal: &Terminal,
    ) -> Result<Exit, CliError> {
        // From the file, so that it shows what any later report does.
        let run = store::read(&prepared.folder)?;
        let analysis = analysis::analyse(&run);
        terminal.result(&self.text(&run, &analysis, terminal))?;
        terminal.note(&format!("wrote {}", prepared.writer.path().display()));
        page::write_new(&prepared.folder, &run, &analysis, "", terminal)?;
        let go_on = format!("go on with `regatta run --resume {}`", prepared.folder.display());
        match end {
            RunEnd::Interrupted(signal) => {
                terminal.note(&format!("{signal}: what was measured is kept; {go_on}"));
            }
            _ if run.missing().is_empty() => {}
            _ => terminal.note(&format!(
                "trials failed, or were not run: when the cause is mended, {go_on}"
            )),
        }
        let &Self { strict, allow_unjudged, skip_refused, .. } = self;
        let demand = Strictness { strict, allow_unjudged, skip_refused };
        Ok(exit(&analysis, end, skip_refused).or(undecided(
            &run.header,
            &analysis,
            demand,
            terminal,
        )))
    }

    fn text(&self, run: &store::Run, analysis: &Analysis, terminal: &Terminal) -> String {
        match (self.format.as_str(), report::output(&self.format)) {
            ("human", _) | (_, None) => {
                report::text_in(&run.header, analysis, terminal.color, Terminal::columns())
            }
            (_, Some(output)) => output.render(run, analysis),
        }
    }
}

/// Plans a stored run again, from the scenarios and the command line in its header.
fn resume(
    folder: &Path,
    allow_other_runs: bool,
    terminal: &Terminal,
) -> Result<Prepared, CliError> {
    let mut taken: resume::ResumedRun<RunFlags> =
        resume::open(folder, "run", |other| match other {
            "find-rate" => "is a search: resume it with `regatta find-rate --resume`",
            _ => "was not made by `regatta run`; a self-test cannot be resumed, so start it again",
        })?;
    let stored = &taken.run;
    let scenarios = plan::scenarios_of(&stored.header, &taken.original.selection)?;
    let plan = plan::again(&stored.header, &taken.original.selection, &scenarios)?;
    let now = plan.stored();
    let cells = unchanged::possible_now(&stored.header.cells, &now);
    let finished = stored.finished && cells.is_empty() && stored.missing().is_empty();
    if finished {
        terminal.note("the run is finished; only its report is written again");
    } else {
        taken.ensure_unchanged(&stored.header.cells, &now, plan.cells.iter())?;
        go_on(&mut taken, &plan, cells, allow_other_runs, terminal)?;
    }
    let folder = taken.folder();
    Ok(Prepared { folder, plan, run: taken.run, writer: taken.writer, finished })
}

/// Says how much is left, and stores that the run goes on with these cells, too.
fn go_on(
    taken: &mut resume::ResumedRun<RunFlags>,
    plan: &Plan,
    cells: Vec<StoredCell>,
    allow_other_runs: bool,
    terminal: &Terminal,
) -> Result<(), CliError> {
    for cell in &cells {
        taken.run.replace(cell.clone());
    }
    let (all, left) = (plan.trials.len(), run::left(&taken.run).len());
    terminal.note(&format!("{} of {all} trials are there; running the others", all - left));
    unchanged::warn_of_edits(&taken.run.header, terminal);
    Ok(taken.goes_on(plan, cells, allow_other_runs, terminal)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::arguments::Arguments;

    #[test]
    fn a_run_is_taken_up_with_the_flags_it_began_with() {
        let command = Arguments::command();
        let run = command.find_subcommand("run").unwrap();
        let free = [
            "resume",
            "format",
            "skip_refused",
            "allow_other_runs",
            "strict",
            "allow_unjudged",
            "color",
            "quiet",
            "verbose",
            "help",
        ];
        let all = run.get_arguments().map(|argument| argument.get_id().as_str());
        let settled: BTreeSet<&str> = all.filter(|id| !free.contains(id)).collect();
        assert_eq!(settled, FIXED.into_iter().collect());
        for flag in ["--rounds=3", "--quick", "--cpus=executor=0", "s.toml"] {
            assert!(
                Arguments::try_parse_from(["regatta", "run", "--resume", "run", flag]).is_err(),
                "{flag}"
            );
        }
        assert!(
            Arguments::try_parse_from(["regatta", "run", "--resume", "run", "--skip-refused"])
                .is_ok()
        );
    }
}
