//! `regatta list`: the resolved matrix and the estimated time; executes nothing.

use std::{fmt::Write as _, time::Duration};

use super::{CliError, Terminal, input::Selection};
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
    let _ = write!(text, "\n{cells}, {trials}, about {}", short(plan.estimate()));
    text
}

/// A time for people: `850 ms`, `2.1 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn short(time: Duration) -> String {
    // Whole units are compared, so that rounding never shows 60 of one that has a larger one above it.
    let ms = time.as_nanos().saturating_add(500_000) / 1_000_000;
    let seconds = (ms + 500) / 1000;
    match (ms, seconds) {
        (..1_000, _) => format!("{ms} ms"),
        (..59_950, _) => format!("{:.1} s", ms as f64 / 1e3),
        (_, ..3_600) => format!("{} min {} s", seconds / 60, seconds % 60),
        (_, ..86_400) => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_units_at_most() {
        let shown = [850, 999, 2_100, 59_949, 59_999, 200_000, 3_599_900, 7_500_000, 273_600_000]
            .map(|ms| short(Duration::from_millis(ms)));
        let expected =
            ["850 ms", "999 ms", "2.1 s", "59.9 s", "1 min 0 s", "3 min 20 s", "1 h 0 min", "2 h 5 min", "3 d 4 h"];
        assert_eq!(shown, expected);
    }
}
