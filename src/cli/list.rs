//! `regatta list`: the resolved matrix and the estimated time; executes nothing.

use std::fmt::Write as _;

use super::{CliError, Terminal, input::Selection};
pub(super) use crate::units::short_duration as short;
use crate::{exit::Exit, plan::Plan, report::plural, store::Absent};

/// Lists the cells of a run.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    selection: Selection,
}

impl List {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let scenarios = self.selection.scenarios(terminal)?;
        let (plan, _) = self.selection.plan(&scenarios)?;
        terminal.result(&table(&plan))?;
        Ok(Exit::Fine)
    }
}

fn table(plan: &Plan) -> String {
    let width = plan.cells.iter().map(|cell| cell.stored.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for cell in &plan.cells {
        let stored = &cell.stored;
        // Writing to a String cannot fail.
        let _ = match &stored.absent {
            Some(Absent::NotApplicable(reason)) => writeln!(text, "{:width$}  not applicable: {reason}", stored.name),
            Some(Absent::Refused(reason)) => writeln!(text, "{:width$}  refused: {reason}", stored.name),
            None => writeln!(
                text,
                "{:width$}  {:>9} × {:>7}  {}, {}",
                stored.name,
                plural(stored.rounds as usize, "round"),
                short(cell.estimate.trial),
                stored.load_words,
                plural(usize::try_from(stored.slots).unwrap_or(usize::MAX), "slot")
            ),
        };
    }
    let cells = plan.cells.iter().filter(|cell| cell.stored.absent.is_none()).count();
    let (cells, trials) = (plural(cells, "cell"), plural(plan.trials.len(), "trial"));
    let _ = write!(text, "\n{cells}, {trials}: {}", plan.time().words());
    text
}
