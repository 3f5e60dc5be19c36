//! The steps' connections to each target, for the fairness manifest.

use super::wire::TrialPlan;
use crate::targets::{Connections, Started};

/// The accounts of all targets that are reached over connections, by name.
pub(super) struct Connected(Vec<(String, Connections)>);

impl Connected {
    /// Those of a trial's targets.
    pub(super) fn of(plan: &TrialPlan, targets: &[Box<dyn Started>]) -> Self {
        let accounts = plan.targets.iter().zip(targets);
        Self(
            accounts
                .filter_map(|(named, target)| Some((named.name.clone(), target.connections()?)))
                .collect(),
        )
    }

    /// How many connections were opened to each so far.
    pub(super) fn opened(&self) -> Vec<u64> {
        self.0.iter().map(|(_, connections)| connections.opened()).collect()
    }

    /// How many were opened, by target. `before` and `after` are [`Self::opened`] at the edges of
    /// the window.
    pub(super) fn facts(&self, before: &[u64], after: &[u64]) -> Vec<(String, String)> {
        let windows = before.iter().zip(after).map(|(before, after)| after - before);
        let each = self.0.iter().zip(windows).map(|((name, connections), in_window)| {
            let (opened, reopened) = (connections.opened(), connections.reopened());
            let words = format!("{opened} opened, {in_window} of them in the window; {reopened} in place of lost ones");
            (format!("{name}: connections"), words)
        });
        each.collect()
    }
}
