//! A fixed plan, measured: `run` and `selftest` share it.

use std::path::PathBuf;

use super::{
    CliError, Terminal, folder::RunFolder, header, input::Selection, progress::Progress,
    replay::Plans,
};
use crate::{
    plan::{Plan, Planned},
    report::plural,
    run::{self, FixedAgenda, Notice, Remaining, RunEnd, RunEvent, TrialRunner},
    scenario::Scenario,
    store::{Run, Writer},
};

/// A run that is ready to go on.
pub(super) struct Prepared {
    pub folder: PathBuf,
    pub plan: Plan,
    pub run: Run,
    pub writer: Writer,
    /// Nothing is left to run.
    pub finished: bool,
}

/// Plans a run, warns of what may disturb it, and writes its header into its folder.
pub(super) fn start(
    selection: &Selection,
    scenarios: &[Scenario],
    folder: &RunFolder,
    allow_other_runs: bool,
    terminal: &Terminal,
) -> Result<Prepared, CliError> {
    let (plan, mut header) = header::open(selection, scenarios, allow_other_runs, terminal)?;
    let (folder, writer) = folder.create(&mut header)?;
    Ok(Prepared { folder, plan, run: Run::new(header), writer, finished: false })
}

/// Runs what is left, and shows how far it is.
pub(super) fn measure(
    prepared: &mut Prepared,
    trials: &impl TrialRunner,
    terminal: &Terminal,
) -> Result<RunEnd, CliError> {
    let Prepared { folder, plan, run, writer, .. } = prepared;
    let left = run::left(run);
    announce(plan, &left, terminal);
    let mut progress = Progress::new(terminal, plan, &left);
    let mut plans = Plans::new(folder, terminal);
    let agenda = FixedAgenda::new(plan, run);
    let end = run::execute(&agenda, run, trials, writer, |event| match event {
        RunEvent::Begins { sequence, plan } => {
            plans.begins(sequence, plan);
            progress.begins(&plan.cell, plan.round);
        }
        RunEvent::Ended { record, .. } => progress.ended(record),
        RunEvent::Noticed(Notice::Again(trials)) => progress.again(*trials),
        RunEvent::Noticed(Notice::Disturbed { round, trials, disturbed }) => {
            progress.disturbed(*round, *trials, disturbed);
        }
        RunEvent::GaveUp { given_up, saved } => progress.gave_up(given_up, saved),
        RunEvent::LeftBehind(left) => progress.left_behind(left),
    })?;
    progress.finish();
    plans.end()?;
    Ok(end)
}

/// Says what will be run, and for how long.
fn announce(plan: &Plan, left: &Remaining, terminal: &Terminal) {
    let is_left = |trial: &&Planned| left.contains_key(&plan.name_of(trial));
    let time = plan.time_of(plan.trials.iter().filter(is_left)).words();
    terminal.note(&format!("{}, one process each: {time}", plural(left.len(), "trial")));
}
