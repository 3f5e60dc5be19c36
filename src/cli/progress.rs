//! What is seen while a run goes on: a bar on a terminal, one line per trial elsewhere. Nothing is drawn while a
//! trial runs.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Terminal, list::short};
use crate::{
    plan::{self, Plan},
    run::Left,
    store::{Outcome, TrialRecord},
};

/// Shows how far a run is.
pub(super) struct Progress<'a> {
    terminal: &'a Terminal,
    bar: ProgressBar,
    total: usize,
    estimates: HashMap<String, Duration>,
    /// What was not run yet, and was expected to be.
    waiting: BTreeSet<(String, u32)>,
    left: Duration,
}

impl<'a> Progress<'a> {
    pub(super) fn new(terminal: &'a Terminal, plan: &Plan, left: &Left) -> Self {
        let bar = ProgressBar::with_draw_target(Some(plan.trials.len() as u64), ProgressDrawTarget::stderr());
        if !terminal.interactive {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        // A constant template either parses always or never; the tests see it parse.
        if let Ok(style) = ProgressStyle::with_template("[{bar:24}] {pos}/{len}  {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        let estimates = plan.cells.iter().map(|cell| (cell.stored.name.clone(), cell.estimate.trial)).collect();
        let waiting: BTreeSet<_> = left.keys().cloned().collect();
        let trials = plan.trials.iter().filter(|trial| waiting.contains(&plan.name_of(trial)));
        let left = plan::total(trials.map(|trial| plan.cells[trial.cell].estimate.trial));
        Self { terminal, bar, total: plan.trials.len(), estimates, waiting, left }
    }

    /// How long what is left takes, about.
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    pub(super) fn begins(&self, sequence: usize, attempt: u32, cell: &str, round: u32) {
        self.bar.set_position(sequence as u64 - 1);
        let again = if attempt > 0 { " again" } else { "" };
        self.bar.set_message(format!("{cell} #{round}{again}  about {} left", short(self.left)));
    }

    pub(super) fn ended(&mut self, record: &TrialRecord) {
        // Trials that were disturbed and are run again were not expected.
        let expected = self.waiting.remove(&(record.cell.clone(), record.round));
        let estimate = self.estimates.get(&record.cell).copied().filter(|_| expected).unwrap_or_default();
        self.left = self.left.saturating_sub(estimate);
        let line = line(record, self.total);
        if matches!(record.outcome, Outcome::Failed(_)) && !self.terminal.quiet {
            self.bar.suspend(|| self.terminal.note(&line));
        } else if !self.terminal.interactive {
            self.terminal.note(&line);
        }
    }

    pub(super) fn disturbed(&self, record: &TrialRecord, reason: &str, again: bool) {
        let then = if again { "it is run again at the end of the round" } else { "it stays so" };
        let line = format!("{} #{} DISTURBED: {reason}; {then}", record.cell, record.round);
        self.bar.suspend(|| self.terminal.note(&line));
    }

    pub(super) fn left_behind(&self, left: &str) {
        self.bar.suspend(|| self.terminal.alert(left));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn line(record: &TrialRecord, total: usize) -> String {
    let wall = short(Duration::from_nanos(record.wall_ns));
    let again = if record.attempt > 0 { " again" } else { "" };
    let head = format!("trial {}/{total} {} #{}{again}", record.sequence, record.cell, record.round);
    match &record.outcome {
        Outcome::Measured(measured) => {
            let p50 = measured.task.latency.median().map(crate::units::format_ns).unwrap_or_default();
            format!("{head} ok p50={p50} {wall}")
        }
        Outcome::Failed(failure) => format!("{head} FAILED: {}", failure.reason),
    }
}
