//! Calls that ended in errors which the scenario allows: how many of which step, and by what names
//! targets counted them.
//!
//! A call that fails at once is a short call. A dead server makes throughput higher and latencies
//! lower, so errors are said of every cell that has some, however few, and where they are many the
//! cell is not ranked (`validity::errors`).

use std::collections::BTreeMap;

use serde::Serialize;

use super::significant;
use crate::measure::{Measurements, Stream};

/// How a target's count of faults of one name begins.
const NAMED: &str = "errors: ";

/// The errors of a cell's measured trials, of those rounds too whose figures do not count.
/// Time-outs that the scenario asked for are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// Tasks in the windows.
    pub tasks: u64,
    /// Of them, those in which something ended in an error.
    pub failed_tasks: u64,
    /// The named steps that have errors.
    pub steps: Vec<StepErrors>,
    /// How many there were of each name, by the targets' own counts: over whole trials, warm-up
    /// included.
    pub by_name: BTreeMap<String, u64>,
}

/// The errors of one named step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepErrors {
    /// Its name.
    pub name: String,
    /// Its calls in the windows.
    pub calls: u64,
    /// Of them, those that ended in an error.
    pub failed: u64,
}

impl Errors {
    /// Those of some trials.
    pub(super) fn of(trials: &[&Measurements]) -> Self {
        let mut all = Self::default();
        for trial in trials {
            all.tasks += calls(&trial.task);
            all.failed_tasks += trial.task.errors;
            trial.steps.iter().for_each(|step| all.add_step(&step.name, &step.stream));
            for (name, count) in trial.trial.targets.iter().flat_map(|target| &target.counts) {
                if let Some(name) = name.strip_prefix(NAMED).filter(|_| *count > 0) {
                    *all.by_name.entry(name.to_owned()).or_default() += count;
                }
            }
        }
        all.steps.retain(|step| step.failed > 0);
        all
    }

    fn add_step(&mut self, name: &str, stream: &Stream) {
        if let Some(step) = self.steps.iter_mut().find(|step| step.name == name) {
            step.calls += calls(stream);
            step.failed += stream.errors;
        } else {
            self.steps.push(StepErrors {
                name: name.to_owned(),
                calls: calls(stream),
                failed: stream.errors,
            });
        }
    }

    /// Whether there are any in the windows.
    pub fn is_empty(&self) -> bool {
        self.failed_tasks == 0 && self.steps.is_empty()
    }

    /// The tasks with an error, as a share of all.
    pub fn share(&self) -> f64 {
        share(self.failed_tasks, self.tasks)
    }

    /// ``2.30 % of the tasks and 2.30 % of the calls of `insert` ended in errors (over whole
    /// trials: constraint 123, lost 4)``; nothing without errors.
    pub fn words(&self) -> Option<String> {
        let tasks =
            (self.failed_tasks > 0).then(|| format!("{} of the tasks", percent(self.share())));
        let step = |step: &StepErrors| {
            format!("{} of the calls of `{}`", percent(share(step.failed, step.calls)), step.name)
        };
        let parts: Vec<String> = tasks.into_iter().chain(self.steps.iter().map(step)).collect();
        (!parts.is_empty())
            .then(|| format!("{} ended in errors{}", parts.join(" and "), self.names()))
    }

    /// The names, the commonest first; nothing where no target gave any.
    fn names(&self) -> String {
        let mut names: Vec<(&String, &u64)> = self.by_name.iter().collect();
        names.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let names: Vec<String> =
            names.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
        if names.is_empty() {
            String::new()
        } else {
            format!(" (over whole trials: {})", names.join(", "))
        }
    }
}

/// All executions of a stream, which are not fewer than those that failed.
fn calls(stream: &Stream) -> u64 {
    stream.count.max(stream.errors)
}

fn share(some: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}

/// A small share is not rounded to nothing: `0.00857 %`.
fn percent(share: f64) -> String {
    format!("{} %", significant(100.0 * share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{CellResult, analyse},
        measure::TargetReport,
        store::fixture::Fixture,
    };

    /// Three rounds of 100 tasks with one step each.
    fn cell(change: impl FnMut(u32, &mut Measurements)) -> CellResult {
        let fixture = Fixture::batch("threads", 3)
            .cell("threads", &[], &[1e6; 3])
            .measured("demo::threads", change);
        analyse(&fixture.build()).scenarios[0].groups[0].cells[0].clone()
    }

    fn report(counts: &[(&str, u64)]) -> TargetReport {
        let counts = counts.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
        TargetReport { name: "db".into(), counts, ..TargetReport::default() }
    }

    #[test]
    fn they_are_counted_over_all_rounds_and_by_name() {
        let cell = cell(|round, measured| {
            // The last round is disturbed, so that its figures do not count.
            measured.trial_mut().host.throttled_ns = u64::from(round == 3);
            let failed = if round == 3 { 4 } else { 1 };
            (measured.task.errors, measured.steps[0].stream.errors) = (failed, failed);
            measured.trial_mut().targets = vec![report(&[
                ("connections opened", 9),
                ("errors: lost", 1),
                ("errors: constraint", 2),
            ])];
        });
        assert_eq!((cell.errors.tasks, cell.errors.failed_tasks), (300, 6));
        assert_eq!(cell.counts.errors, 2, "the figures are those of the rounds that count");
        let said = "2.00 % of the tasks and 2.00 % of the calls of `call` ended in errors (over whole trials: constraint 6, lost 3)";
        assert_eq!(cell.errors.words().as_deref(), Some(said));
    }

    #[test]
    fn time_outs_are_none() {
        let cell = cell(|_, measured| {
            (measured.task.timeouts, measured.steps[0].stream.timeouts) = (90, 90);
            measured.trial_mut().targets = vec![report(&[("connections opened", 9)])];
        });
        assert!(cell.errors.is_empty() && cell.is_ranked());
        assert_eq!(cell.errors.words(), None);
    }

    #[test]
    fn a_few_of_many_are_not_rounded_to_none() {
        let errors = Errors { tasks: 140_000, failed_tasks: 12, ..Errors::default() };
        assert_eq!(errors.words().as_deref(), Some("0.00857 % of the tasks ended in errors"));
    }
}
