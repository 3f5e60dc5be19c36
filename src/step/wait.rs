//! `wait`: waits for a shared event until it is set.

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Cost, Done, Lookup, Operation, SharedUse, Site, Step, StepKind, StepOutcome,
    Touch,
};
use crate::{
    config::{Fields, Name},
    runtime::{Coordination, Runtime},
    shared::{EventOf, EventWaiter},
    targets::TargetSpec,
};

/// A wait for an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wait {
    event: Name,
}

impl StepKind for Wait {
    const KEY: &'static str = "wait";
    const DOC: &'static str = "Waits for a shared event until it is set.";
    const PROOF: &'static str = "nobody goes on before the event was set, by a word beside it, and nobody waits when it \
         is set at the end";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        Some(Self { event: op.required("event", "The event that is waited for.")? })
    }

    fn shared(&self) -> Option<SharedUse<'_>> {
        Some(SharedUse { name: &self.event, kind: "event", touch: Touch::Awaits })
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let event = site.shared::<EventOf<R::Native>>(&self.event.text)?;
        Ok(site.operation(move || AtEvent(event.waiter())))
    }
}

struct AtEvent<N: Coordination>(EventWaiter<N>);

impl<N: Coordination> Operation for AtEvent<N> {
    async fn call(&mut self, _: Call) -> StepOutcome {
        self.0.wait().await;
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

    /// Two wait and one sets it, in this order; the pool of the rig has four threads, and one of
    /// them waits for children.
    #[test]
    fn all_go_on_when_it_is_set_round_by_round() {
        let rig = Rig::new(&[
            "{ parallel = { groups = [{ task = 'follow', count = 2 }, { task = 'lead' }] } }",
            "{ clear = { event = 'e' } }",
        ])
        .task("follow", &["{ wait = { event = 'e' } }"])
        .task("lead", &["{ yield = {} }", "{ set = { event = 'e' } }"])
        .shared("e", "{ event = {} }");
        // Those who run one at a time would wait for ever.
        for executor in EXECUTORS.iter().filter(|executor| executor.name != "sequential") {
            let ran = rig.run(executor.name, 50);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            assert_eq!(ran.tallies[2].ended, 100, "{}", executor.name);
        }
    }

    #[test]
    fn who_comes_when_it_is_set_does_not_wait() {
        let rig = Rig::new(&["{ set = { event = 'e' } }", "{ wait = { event = 'e' } }"])
            .shared("e", "{ event = {} }")
            .slots(3);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 20);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
        }
    }

    #[test]
    fn who_is_given_up_is_accounted_for() {
        let rig = Rig::new(&["{ wait = { event = 'e' } }"])
            .limited(Duration::from_millis(2), OnTimeout::Ignore)
            .shared("e", "{ event = {} }")
            .slots(3);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 5);
            let tally = ran.tallies[0];
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            assert_eq!((tally.ended, tally.cancelled), (0, 15), "{}", executor.name);
        }
    }
}
