//! What a trial says when its watchdog is about to end it: whether a target has answered at all,
//! and where tasks wait.
//!
//! The parent asks with a line on the child's standard input, for which a thread waits that is
//! there anyway. So nothing is counted that the proof does not count, and nothing runs beside the
//! load.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{
    proof, waits,
    wire::{Answer, Ended, TrialPlan},
};
use crate::{
    load::Lookout,
    step::{Ledger, StepPlan, Tally},
    store::{FailureKind, TrialFailure},
    units::format_duration,
};

/// Says why the load that runs has no end, if a target is the reason.
type Told = Box<dyn Fn() -> Option<TrialFailure> + Send>;

/// The load of this process, while it runs.
static RUNNING: Mutex<Option<Told>> = Mutex::new(None);

/// The load runs until this is dropped.
pub(super) struct Running(Arc<OnceLock<Lookout>>);

impl Running {
    /// From now on the tasks in these slots can be seen.
    pub(super) fn look_over(&self, slots: Lookout) {
        // A load is begun once.
        let _ = self.0.set(slots);
    }
}

impl Drop for Running {
    /// Waits while the last words are said: after them nothing else may be.
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// From now on the trial can tell how far it has come.
pub(super) fn watch(plan: &TrialPlan, ledger: &Arc<Ledger>) -> Running {
    let (plan, ledger) = (plan.clone(), Arc::downgrade(ledger));
    let running = Running(Arc::default());
    let lookout = running.0.clone();
    let told = move || {
        let ledger = ledger.upgrade()?;
        let tallies = ledger.read(proof::steps(&plan));
        failure(&plan, &tallies).or_else(|| {
            let reason = waits::of_tasks(&plan, lookout.get()?, &ledger)?;
            Some(TrialFailure { kind: FailureKind::TimedOut, reason })
        })
    };
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(told));
    running
}

/// Says the last words, if there are any, and ends the process.
pub(super) fn say(mut say: impl FnMut(&Ended)) -> ! {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(failure) = running.as_ref().and_then(|told| told()) {
        say(&Ended { answer: Answer::Failed(failure), left_behind: Vec::new() });
    }
    // With the lock in hand: the load must not end in between and say something else.
    std::process::exit(super::error::FATHERLESS)
}

/// The failure of a target that has not answered once, though it was asked; or that was still to be
/// connected to.
fn failure(plan: &TrialPlan, tallies: &[Tally]) -> Option<TrialFailure> {
    let nothing_began = tallies.iter().all(|tally| tally.started == 0);
    let silent =
        plan.targets.iter().filter(|target| !target.spec.is_embedded()).find(|target| {
            let steps = plan.tasks.iter().flat_map(|task| &task.steps).zip(tallies);
            let is_on_it = |step: &StepPlan| {
                step.spec.targets().iter().any(|found| found.name.text == target.name)
            };
            let own: Vec<&Tally> =
                steps.filter(|(step, _)| is_on_it(step)).map(|(_, tally)| tally).collect();
            !own.is_empty()
                && own.iter().all(|tally| tally.ended == 0)
                && (nothing_began || own.iter().any(|tally| tally.started > tally.cancelled))
        })?;
    let limit = format_duration(plan.timeout);
    let place = silent.spec.address().map_or_else(String::new, |address| format!(" ({address})"));
    let reason = format!(
        "no answer came from target `{}`{place} in {limit}, and the trial was killed; find out why the server accepts \
         connections and does not answer",
        silent.name
    );
    Some(TrialFailure { kind: FailureKind::Target, reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        step::{
            OnTimeout, Task,
            testing::{read_step, read_target},
        },
        targets::NamedTarget,
        trial::proof::tests::plan,
    };

    fn calls(name: &str) -> StepPlan {
        let spec =
            read_step(&format!("{{ http = {{ target = \"{name}\", path = \"/\" }} }}")).unwrap();
        StepPlan { name: None, timeout: None, on_timeout: OnTimeout::Fail, spec }
    }

    fn silent(tallies: [(u64, u64); 2]) -> Option<String> {
        let named = |name: &str| NamedTarget {
            name: name.into(),
            spec: read_target("{ http = {} }").unwrap(),
        };
        let tasks = vec![Task { name: "task".into(), steps: vec![calls("a"), calls("b")] }];
        let plan = TrialPlan { targets: vec![named("a"), named("b")], tasks, ..plan() };
        let tallies = tallies.map(|(started, ended)| Tally { started, ended, ..Tally::default() });
        failure(&plan, &tallies).map(|failure| failure.reason)
    }

    #[test]
    fn a_target_that_has_not_answered_once_is_named() {
        assert!(
            silent([(4, 0), (0, 0)]).unwrap().starts_with("no answer came from target `a` in 1s")
        );
        assert!(silent([(4, 4), (4, 0)]).unwrap().contains("target `b`"));
        // In preparation it is the first that is connected to.
        assert!(silent([(0, 0), (0, 0)]).unwrap().contains("target `a`"));
        // One answer, and it is slow; or it was not asked, and the step before has no end.
        assert_eq!(silent([(4, 1), (1, 1)]), None);
        assert_eq!(silent([(4, 3), (0, 0)]), None);
    }
}
