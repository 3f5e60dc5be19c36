//! `put`: puts an item into a shared queue, and waits while that is full.

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Cost, Done, Lookup, Operation, SharedUse, Site, Step, StepKind, StepOutcome,
    Touch,
};
use crate::{
    config::{Fields, Name},
    runtime::{Coordination, Runtime},
    shared::{Putter, QueueOf},
    targets::TargetSpec,
};

/// An item for a queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Put {
    queue: Name,
}

impl StepKind for Put {
    const KEY: &'static str = "put";
    const DOC: &'static str = "Puts an item into a shared queue, and waits while that is full.";
    const PROOF: &'static str = "items put are items taken or left, by their number and by a draw that each is keyed \
         with";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        Some(Self { queue: op.required("queue", "The queue that it is put into.")? })
    }

    fn shared(&self) -> Option<SharedUse<'_>> {
        Some(SharedUse { name: &self.queue, kind: "queue", touch: Touch::Gives })
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let queue = site.shared::<QueueOf<R::Native>>(&self.queue.text)?;
        Ok(site.operation(move || Putting(queue.putter())))
    }
}

struct Putting<N: Coordination>(Putter<N>);

impl<N: Coordination> Operation for Putting<N> {
    async fn call(&mut self, call: Call) -> StepOutcome {
        self.0.put(call.key).await;
        Ok(Done::default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        runtime::EXECUTORS,
        step::{
            OnTimeout,
            testing::{Rig, errors_of},
        },
    };

    const SOON: Duration = Duration::from_millis(2);

    #[test]
    fn what_is_put_is_taken_once_under_every_executor() {
        for queue in [
            "{ queue = { capacity = 2 } }",
            "{ queue = { capacity = 'unbounded' } }",
            "{ queue = { capacity = 2, order = 'priority' } }",
            "{ queue = { capacity = 'unbounded', order = 'priority' } }",
        ] {
            let rig = Rig::new(&["{ put = { queue = 'q' } }", "{ take = { queue = 'q' } }"])
                .shared("q", queue)
                .slots(4);
            for executor in EXECUTORS {
                let ran = rig.run(executor.name, 200);
                assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
                assert!(ran.tallies.iter().all(|tally| tally.ended == 800), "{}", executor.name);
            }
        }
    }

    #[test]
    fn a_put_that_is_given_up_has_put_nothing() {
        // The third of them finds no room, nor do those after it.
        let rig = Rig::new(&["{ put = { queue = 'q' } }"])
            .limited(SOON, OnTimeout::Ignore)
            .shared("q", "{ queue = { capacity = 2 } }")
            .slots(3);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 5);
            let tally = ran.tallies[0];
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            assert_eq!((tally.ended, tally.cancelled), (2, 13), "{}", executor.name);
        }
    }

    #[test]
    fn the_queue_must_be_named() {
        assert!(errors_of("{ put = {} }")[0].contains("missing key `queue`"));
    }
}
