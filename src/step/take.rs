//! `take`: takes an item out of a shared queue, and waits while that is empty.

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Cost, Done, Lookup, Operation, SharedUse, Site, Step, StepKind, StepOutcome,
    Touch,
};
use crate::{
    config::{Fields, Name},
    runtime::{Coordination, Runtime},
    shared::{QueueOf, Taker},
    targets::TargetSpec,
};

/// An item from a queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Take {
    queue: Name,
}

impl StepKind for Take {
    const KEY: &'static str = "take";
    const DOC: &'static str = "Takes an item out of a shared queue, and waits while that is empty.";
    const PROOF: &'static str = "items taken are items put, less those that are left, by their number and by a draw \
         that each is keyed with; none of a higher priority is left behind";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        Some(Self { queue: op.required("queue", "The queue that it is taken from.")? })
    }

    fn shared(&self) -> Option<SharedUse<'_>> {
        Some(SharedUse { name: &self.queue, kind: "queue", touch: Touch::Takes })
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let queue = site.shared::<QueueOf<R::Native>>(&self.queue.text)?;
        Ok(site.operation(move || Taking(queue.taker())))
    }
}

struct Taking<N: Coordination>(Taker<N>);

impl<N: Coordination> Operation for Taking<N> {
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

    #[test]
    fn a_take_that_is_given_up_has_taken_nothing() {
        let rig = Rig::new(&["{ take = { queue = 'q' } }"])
            .limited(Duration::from_millis(2), OnTimeout::Ignore)
            .shared("q", "{ queue = { capacity = 2 } }")
            .slots(3);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 5);
            let tally = ran.tallies[0];
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            assert_eq!((tally.ended, tally.cancelled), (0, 15), "{}", executor.name);
        }
    }

    /// Takes that are given up while items arrive: each item goes to one of those who stay, or is
    /// left.
    #[test]
    fn no_item_goes_with_who_gives_up() {
        let rig = Rig::new(&["{ put = { queue = 'q' } }", "{ take = { queue = 'q' } }"])
            .limited(Duration::from_micros(20), OnTimeout::Ignore)
            .step(crate::step::testing::read_step("{ take = { queue = 'q' } }").unwrap())
            .limited(Duration::from_micros(20), OnTimeout::Ignore)
            .shared("q", "{ queue = { capacity = 10000 } }")
            .slots(4);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 50);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            let takes = ran.tallies[1].ended + ran.tallies[2].ended;
            assert!(takes <= 200 && ran.tallies[0].ended == 200, "{}", executor.name);
        }
    }
}
