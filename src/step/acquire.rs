//! `acquire`: runs a task while it holds a permit of a shared semaphore.

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Child, Cost, Ends, Lookup, Opening, Operation, Sequence, SharedUse, Site,
    Step, StepKind, StepOutcome, Times, Touch, inside::Inside, site::ChildTask,
};
use crate::{
    config::{Fields, Name},
    runtime::{Coordination, Runtime},
    shared::{Permit, SemaphoreOf, Sharer},
    targets::TargetSpec,
};

/// A task under a semaphore.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Acquire {
    semaphore: Name,
    task: Name,
}

impl StepKind for Acquire {
    const KEY: &'static str = "acquire";
    const DOC: &'static str =
        "Waits for a permit of a shared semaphore, and runs a task while it holds it.";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let semaphore = op.required("semaphore", "The semaphore of which a permit is held.");
        let task = op.required("task", "The task that is run while it is held.");
        Some(Self { semaphore: semaphore?, task: task? })
    }

    fn shared(&self) -> Option<SharedUse<'_>> {
        Some(SharedUse { name: &self.semaphore, kind: "semaphore", touch: Touch::Holds })
    }

    fn children(&self) -> Vec<Child<'_>> {
        vec![Child { task: &self.task, times: Times::InOrder(1), ends: Ends::BySkip }]
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let semaphore = site.shared::<SemaphoreOf<R::Native>>(&self.semaphore.text)?;
        let child = site.child(&self.task.text)?;
        Ok(site.operation(move || Acquired {
            body: child.build(),
            child: child.clone(),
            sharer: semaphore.sharer(),
        }))
    }
}

struct Acquired<N: Coordination> {
    body: Sequence,
    child: ChildTask,
    sharer: Sharer<N>,
}

impl<N: Coordination> Operation for Acquired<N> {
    async fn prepare(&mut self) -> StepOutcome {
        self.body.prepare().await
    }

    /// Before a permit is taken, so that nobody waits for what is opened once.
    async fn open(&mut self, when: Opening) -> StepOutcome {
        self.body.open(when).await
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let permit = self.sharer.acquire().await;
        Inside::of(permit, &mut self.body, &self.child).run(call, Permit::ends).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        runtime::EXECUTORS,
        step::{OnTimeout, testing::Rig},
    };

    const ACQUIRE: &str = "{ acquire = { semaphore = 's', task = 'inside' } }";

    #[test]
    fn so_many_are_in_at_once_under_every_executor() {
        let rig = Rig::new(&[ACQUIRE])
            .task("inside", &["{ yield = {} }"])
            .shared("s", "{ semaphore = { permits = 2 } }")
            .slots(4);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 100);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            assert!(ran.tallies.iter().all(|tally| tally.ended == 400), "{}", executor.name);
        }
    }

    #[test]
    fn who_is_given_up_gives_its_permit_back() {
        let rig = Rig::new(&[ACQUIRE])
            .limited(Duration::from_millis(2), OnTimeout::Ignore)
            .task("inside", &["{ sleep = { time = '1m' } }"])
            .shared("s", "{ semaphore = { permits = 2 } }")
            .slots(4);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 5);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            let [acquire, sleep] = ran.tallies[..] else { panic!("two steps") };
            assert_eq!((acquire.ended, acquire.cancelled), (0, 20), "{}", executor.name);
            assert!(sleep.cancelled > 0, "{}", executor.name);
        }
    }

    /// Children that are cancelled by a sibling, while they wait for a permit or have one.
    #[test]
    fn cancelled_siblings_give_theirs_back() {
        let either = "{ choice = { of = [{ task = 'through', weight = 3 }, { task = 'late' }] } }";
        let rig =
            Rig::new(&["{ parallel = { task = 'either', count = 8, errors = 'fail-fast' } }"])
                .task("either", &[either])
                .task("through", &[ACQUIRE])
                .task("late", &["{ sleep = { time = '1m' } }"])
                .limited(Duration::from_millis(1), OnTimeout::Skip)
                .task("inside", &["{ yield = {} }", "{ sleep = { time = '1ms' } }"])
                .shared("s", "{ semaphore = { permits = 2 } }");
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 20);
            assert_eq!(ran.unproven, [""; 0], "{}", executor.name);
        }
    }
}
