//! `await`: waits on a shared condition until there is a ticket, and takes it.

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Cost, Done, Lookup, Operation, SharedUse, Site, Step, StepKind, StepOutcome,
    Touch,
};
use crate::{
    config::{Fields, Name},
    runtime::{Coordination, Runtime},
    shared::{ConditionOf, Ticketer},
    targets::TargetSpec,
};

/// A wait for a ticket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Await {
    condition: Name,
}

impl StepKind for Await {
    const KEY: &'static str = "await";
    const DOC: &'static str = "Waits on a shared condition until there is a ticket, and takes it.";
    const PROOF: &'static str = "tickets taken are tickets supplied, less those that are left, while nobody waits \
         beside a ticket; wake-ups in vain are counted";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        Some(Self { condition: op.required("condition", "The condition that is waited on.")? })
    }

    fn shared(&self) -> Option<SharedUse<'_>> {
        Some(SharedUse { name: &self.condition, kind: "condition", touch: Touch::Takes })
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let condition = site.shared::<ConditionOf<R::Native>>(&self.condition.text)?;
        Ok(site.operation(move || AwaitingTicket(condition.ticketer())))
    }
}

struct AwaitingTicket<N: Coordination>(Ticketer<N>);

impl<N: Coordination> Operation for AwaitingTicket<N> {
    async fn call(&mut self, _: Call) -> StepOutcome {
        self.0.take().await;
        Ok(Done::default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        runtime::EXECUTORS,
        step::{OnTimeout, testing::Rig},
    };

    /// Two wait, and the third one supplies a ticket for each.
    #[test]
    fn each_has_one_in_every_round_whoever_is_woken() {
        for supply in ["count = 2", "count = 2, notify = 'all'"] {
            let supply = format!("{{ supply = {{ condition = 'c', {supply} }} }}");
            let rig = Rig::new(&[
                "{ parallel = { groups = [{ task = 'taker', count = 2 }, { task = 'giver' }] } }",
            ])
            .task("taker", &["{ await = { condition = 'c' } }"])
            .task("giver", &["{ yield = {} }", &supply])
            .shared("c", "{ condition = {} }");
            // Those who run one at a time would wait for ever.
            for executor in EXECUTORS.iter().filter(|executor| executor.name != "sequential") {
                let ran = rig.run(executor.name, 50);
                assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
                assert_eq!(ran.tallies[1].ended, 100, "{}", executor.name);
            }
        }
    }

    /// Takes that are given up while tickets are supplied: each goes to one of those who stay, or
    /// is left.
    #[test]
    fn no_ticket_goes_with_who_gives_up() {
        let rig =
            Rig::new(&["{ supply = { condition = 'c' } }", "{ await = { condition = 'c' } }"])
                .limited(Duration::from_micros(20), OnTimeout::Ignore)
                .step(crate::step::testing::read_step("{ await = { condition = 'c' } }").unwrap())
                .limited(Duration::from_micros(20), OnTimeout::Ignore)
                .shared("c", "{ condition = {} }")
                .slots(4);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 50);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            let takes = ran.tallies[1].ended + ran.tallies[2].ended;
            assert!(takes <= 200 && ran.tallies[0].ended == 200, "{}", executor.name);
        }
    }
}
