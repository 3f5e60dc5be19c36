//! `regatta list`: the resolved matrix and the estimated time; executes nothing.

use std::{fmt::Write as _, time::Duration};

use super::{CliError, Terminal, input::Selection};
use crate::{exit::Exit, plan::Plan, store::Absent};

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
                "{:width$}  {:>2} rounds × {:>7}  {}, {} slots",
                stored.name,
                stored.rounds,
                short(cell.estimate.trial),
                stored.load_words,
                stored.slots
            ),
        };
    }
    let cells = plan.cells.iter().filter(|cell| cell.stored.absent.is_none()).count();
    let _ = write!(text, "\n{cells} cells, {} trials, about {}", plan.trials.len(), short(plan.estimate()));
    text
}

/// A time for people: `850 ms`, `2.1 s`, `3 min 20 s`.
pub(super) fn short(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.1} s"),
        s => format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0),
    }
}
