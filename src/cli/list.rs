//! `regatta list`: the resolved matrix and the estimated time; executes nothing.

use std::fmt::Write as _;

use super::{CliError, Terminal, input::Selection};
use crate::{
    exit::Exit,
    plan::Plan,
    report::{load_words, plural},
    store::{Absent, StoredCell, StoredLoad},
    units::short_duration,
};

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
            Some(Absent::NotApplicable(reason)) => {
                writeln!(text, "{:width$}  not applicable: {reason}", stored.name)
            }
            Some(Absent::Refused(reason)) => {
                writeln!(text, "{:width$}  refused: {reason}", stored.name)
            }
            None => writeln!(
                text,
                "{:width$}  {:>9} × {:>7}  {}",
                stored.name,
                plural(stored.rounds as usize, "round"),
                short_duration(cell.estimate.trial),
                loads(stored)
            ),
        };
    }
    let cells = plan.cells.iter().filter(|cell| cell.stored.absent.is_none()).count();
    let (cells, trials) = (plural(cells, "cell"), plural(plan.trials.len(), "trial"));
    let _ = write!(text, "\n{cells}, {trials}: {}", plan.time().words());
    text
}

/// Each load in words, with its slots.
fn loads(cell: &StoredCell) -> String {
    let of = |load: &StoredLoad| {
        let slots = plural(usize::try_from(load.slots).unwrap_or(usize::MAX), "slot");
        format!("{}, {slots}", load_words(&load.kind))
    };
    let named = |load: &StoredLoad| format!("{}: {}", load.name, of(load));
    match cell.loads.as_slice() {
        [only] => of(only),
        several => several.iter().map(named).collect::<Vec<_>>().join("; "),
    }
}
