//! What is seen while a run goes on: a bar on a terminal, one line per trial elsewhere. Nothing is
//! drawn while a trial runs.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    Terminal,
    bar::{self, BarState},
    forecast::Forecast,
};
use crate::{
    plan::Plan,
    report::plural,
    run::{Disturbance, Remaining},
    store::{GivenUp, Outcome, TrialRecord},
    units::short_duration,
};

/// The width of a terminal that does not say it.
const COLUMNS: usize = 80;
/// Cells that are named in a line; more are counted.
const MOST_NAMED: usize = 3;

/// Shows how far a run is.
pub(super) struct Progress<'a> {
    terminal: &'a Terminal,
    bar: ProgressBar,
    total: usize,
    forecast: Forecast,
    /// Trials of the round that are run again: the number of the one that runs, and how many there
    /// are.
    again: Option<(usize, usize)>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(terminal: &'a Terminal, plan: &Plan, left: &Remaining) -> Self {
        let bar = ProgressBar::with_draw_target(
            Some(plan.trials.len() as u64),
            ProgressDrawTarget::stderr(),
        );
        if !terminal.interactive {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        // A constant template either parses always or never. The line is made here, so that it
        // fits.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self {
            terminal,
            bar,
            total: plan.trials.len(),
            forecast: Forecast::new(plan, left),
            again: None,
        }
    }

    pub(super) fn begins(&mut self, cell: &str, round: u32) {
        self.again =
            self.again.map(|(number, all)| (number + 1, all)).filter(|(number, all)| number <= all);
        let done = self.total.saturating_sub(self.forecast.trials());
        let left = short_duration(self.forecast.left());
        let state = BarState { done, of: self.total, cell, round, again: self.again, left: &left };
        self.bar.set_message(bar::line(&state, Terminal::error_columns().unwrap_or(COLUMNS)));
    }

    pub(super) fn ended(&mut self, record: &TrialRecord) {
        self.forecast.saw(&record.cell, record.round, Duration::from_nanos(record.wall_ns));
        let line = line(record, self.total);
        if !self.terminal.interactive || matches!(record.outcome, Outcome::Failed(_)) {
            self.note(&line);
        }
    }

    /// So many trials of this round are run again now.
    pub(super) fn again(&mut self, trials: usize) {
        self.again = Some((0, trials));
        if !self.terminal.interactive {
            self.note(&format!("again: {}", plural(trials, "disturbed trial")));
        }
    }

    /// What disturbed trials of a round, which has ended.
    pub(super) fn disturbed(&self, round: u32, trials: usize, disturbed: &[Disturbance]) {
        self.note(&disturbances(round, trials, disturbed));
    }

    /// Something is not run any more, which saves so many trials.
    pub(super) fn gave_up(&mut self, given_up: &GivenUp, saved: Option<usize>) {
        self.forecast.give_up(&given_up.cells);
        self.bar.suspend(|| self.terminal.warn(&gave_up(given_up, saved)));
    }

    pub(super) fn left_behind(&self, left: &str) {
        self.bar.suspend(|| self.terminal.alert(left));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn note(&self, text: &str) {
        self.bar.suspend(|| self.terminal.note(text));
    }
}

fn line(record: &TrialRecord, total: usize) -> String {
    let wall = short_duration(Duration::from_nanos(record.wall_ns));
    let again = if record.attempt > 0 { " again" } else { "" };
    let head =
        format!("trial {}/{total} {} #{}{again}", record.sequence, record.cell, record.round);
    match &record.outcome {
        Outcome::Measured(measured) => {
            let medians = measured.loads.iter().map(|load| load.task.latency.median());
            let p50: Vec<String> =
                medians.map(|p50| p50.map(crate::units::format_ns).unwrap_or_default()).collect();
            format!("{head} ok p50={} {wall}", p50.join(","))
        }
        Outcome::Failed(failure) => format!("{head} FAILED: {}", failure.reason),
    }
}

/// One line for all disturbances of a round.
fn disturbances(round: u32, trials: usize, disturbed: &[Disturbance]) -> String {
    let stay: Vec<&str> =
        disturbed.iter().filter(|one| one.stays).map(|one| one.cell.as_str()).collect();
    // What stays is what the figures are marked with.
    let told = disturbed.iter().find(|one| one.stays).or(disturbed.first());
    let reason = told.map(|one| one.reason.as_str()).unwrap_or_default();
    let such_as = if disturbed.len() > 1 { "such as: " } else { "" };
    let after = match stay.len() {
        0 => "none stays so".to_owned(),
        1..=MOST_NAMED => format!("it stays so in {}", stay.join(", ")),
        all => format!(
            "it stays so in {} and {} more",
            stay[..MOST_NAMED].join(", "),
            all - MOST_NAMED
        ),
    };
    let all = plural(trials, "trial");
    format!(
        "round {round}: {} of {all} DISTURBED ({such_as}{reason}) and run again; {after}",
        disturbed.len()
    )
}

/// What is given up, and why; and how many trials are not run for it, where that is known.
pub(super) fn gave_up(given_up: &GivenUp, saved: Option<usize>) -> String {
    let GivenUp { what, failed, failure, .. } = given_up;
    let trials = plural(usize::try_from(*failed).unwrap_or(usize::MAX), "trial");
    let how = if *failed == 1 { "failed" } else { "failed for one reason" };
    let saved = saved.map_or_else(String::new, |saved| {
        format!(", and {} not run", plural(saved, "other trial"))
    });
    format!(
        "{what} is given up: {trials} of this round {how}, none was measured{saved}: {}",
        failure.reason
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{FailureKind, TrialFailure};

    fn disturbed(cell: &str, stays: bool) -> Disturbance {
        Disturbance {
            cell: cell.into(),
            reason: format!("other processes used the CPU of {cell}"),
            stays,
        }
    }

    #[test]
    fn a_round_s_disturbances_are_one_line() {
        let one = disturbances(2, 7, &[disturbed("a", false)]);
        assert_eq!(
            one,
            "round 2: 1 of 7 trials DISTURBED (other processes used the CPU of a) and run again; none stays so"
        );
        let some = disturbances(1, 7, &[disturbed("a", false), disturbed("b", true)]);
        let expected = "round 1: 2 of 7 trials DISTURBED (such as: other processes used the CPU of b) and run again; it stays \
                        so in b";
        assert_eq!(some, expected);
        let all: Vec<Disturbance> =
            ["a", "b", "c", "d", "e"].iter().map(|cell| disturbed(cell, true)).collect();
        assert!(disturbances(1, 7, &all).ends_with("it stays so in a, b, c and 2 more"));
    }

    #[test]
    fn what_is_given_up_is_told_with_its_reason() {
        let failure = TrialFailure {
            kind: FailureKind::Target,
            reason: "connection refused; start it".into(),
        };
        let given_up = GivenUp {
            what: "target `api` (http://a:1)".into(),
            failed: 7,
            cells: Vec::new(),
            failure,
        };
        let expected = "target `api` (http://a:1) is given up: 7 trials of this round failed for one reason, none was \
                        measured, and 42 other trials not run: connection refused; start it";
        assert_eq!(gave_up(&given_up, Some(42)), expected);
    }
}
