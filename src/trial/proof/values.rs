//! The values that steps take from answers, beside the calls that took them: each task that went on
//! had them, taken or by default.

use super::{Evidence, Place, Proof, numbered_steps};
use crate::{
    scenario::{OnTimeout, StepPlan},
    step::{Tally, TaskRuns, ValueTally},
};

/// What a step's calls and its values may differ by.
#[derive(Clone, Copy)]
struct Slack {
    /// Instances of the task that were given up.
    lost: u64,
    /// Calls that may have moved while they were counted.
    moved: u64,
}

impl Proof {
    /// After each call that a task went on from, the values of the step were there.
    pub(super) fn values(&mut self, evidence: &Evidence<'_>, runs: &[TaskRuns]) {
        let (plan, ledger) = (evidence.plan, evidence.ledger);
        let of_step = plan.tasks.iter().zip(runs).flat_map(|(task, run)| {
            let moved = if ledger.moves { run.lost() } else { 0 };
            task.steps.iter().map(move |_| Slack { lost: run.lost(), moved })
        });
        let counted = ledger.steps.iter().zip(&ledger.values);
        for (((name, step), (tally, values)), slack) in
            numbered_steps(plan).zip(counted).zip(of_step)
        {
            if !step.spec.takes().is_empty() {
                self.values_of(&name, step, (tally, *values), slack);
            }
        }
    }

    fn values_of(
        &mut self,
        name: &Place<'_>,
        step: &StepPlan,
        (tally, values): (&Tally, ValueTally),
        Slack { lost, moved }: Slack,
    ) {
        let went_on = tally.started.saturating_sub(tally.stopped);
        let bounds = (went_on.saturating_sub(lost), went_on + moved);
        self.within(
            format!("{name}: calls after which its values are there"),
            bounds,
            values.there(),
        );
        if step.spec.defaults().is_empty() {
            return;
        }
        let most = went_on + moved;
        let of_default = format!("{name}: of them, calls after which one is its default");
        self.within(of_default, (0, most), values.by_default());
        // A call that was given up, and after which the task went on, had a time-out.
        if step.timeout.is_some() && step.on_timeout == OnTimeout::Ignore {
            let least = tally.cancelled.saturating_sub(tally.stopped + lost);
            let timed_out = format!("{name}: time-outs after which its values are their defaults");
            self.within(timed_out, (least, tally.cancelled), values.timed_out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with this account of a step that takes a value with a default.
    fn wrong(tally: Tally, values: ValueTally, lost: u64) -> Option<String> {
        let spec = crate::step::testing::read_step(
            "{ http = { target = 'api', path = '/', take = { a = { header = 'a', default = '0' } } } }",
        );
        let step = StepPlan {
            name: None,
            timeout: Some(std::time::Duration::from_millis(1)),
            on_timeout: OnTimeout::Ignore,
            spec: spec.unwrap(),
        };
        let place = Place { task: "main", step: &step, at: 1 };
        let mut proof = Proof::default();
        proof.values_of(&place, &step, (&tally, values), Slack { lost, moved: 0 });
        proof.verdict().err()
    }

    #[test]
    fn each_task_that_went_on_had_its_values_taken_or_by_default() {
        let tally = Tally {
            started: 10,
            ended: 7,
            failed: 1,
            cancelled: 3,
            stopped: 2,
            ..Tally::default()
        };
        let right = ValueTally { taken: 4, defaulted: 2, timed_out: 2 };
        assert_eq!(wrong(tally, right, 0), None);
        let finds = |values: ValueTally, said: &str| {
            let why = wrong(tally, values, 0).unwrap_or_default();
            assert!(why.contains(said), "{why}");
        };
        finds(ValueTally { taken: 3, ..right }, "its values are there: expected 8, found 7");
        finds(ValueTally { taken: 5, ..right }, "its values are there: expected 8, found 9");
        finds(
            ValueTally { taken: 6, timed_out: 0, ..right },
            "are their defaults: expected 1 to 3, found 0",
        );
        finds(
            ValueTally { taken: 2, timed_out: 4, ..right },
            "are their defaults: expected 1 to 3, found 4",
        );
        // One that was given up may have had them or not.
        assert_eq!(wrong(tally, ValueTally { taken: 3, ..right }, 1), None);
    }
}
