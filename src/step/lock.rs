//! `lock`: runs a task while it holds a shared mutex.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Child, Cost, Ends, Lookup, Opening, Operation, Sequence, SharedUse, Site,
    Step, StepKind, StepOutcome, Times, Touch, inside::Inside, site::ChildTask,
};
use crate::{
    config::{Fields, Name},
    runtime::{Coordination, Runtime},
    shared::{MutexHold, MutexOf},
    targets::TargetSpec,
};

/// A task under a mutex.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lock {
    mutex: Name,
    task: Name,
}

impl StepKind for Lock {
    const KEY: &'static str = "lock";
    const DOC: &'static str = "Waits for a shared mutex, and runs a task while it holds it.";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let mutex = op.required("mutex", "The mutex that is held.");
        let task = op.required("task", "The task that is run while it is held.");
        Some(Self { mutex: mutex?, task: task? })
    }

    fn shared(&self) -> Option<SharedUse<'_>> {
        Some(SharedUse { name: &self.mutex, kind: "mutex", touch: Touch::Holds })
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
        let mutex = site.shared::<MutexOf<R::Native>>(&self.mutex.text)?;
        let child = site.child(&self.task.text)?;
        Ok(site.operation(move || Locked {
            mutex: mutex.clone(),
            body: child.build(),
            child: child.clone(),
        }))
    }
}

struct Locked<N: Coordination> {
    mutex: Arc<MutexOf<N>>,
    body: Sequence,
    child: ChildTask,
}

impl<N: Coordination> Operation for Locked<N> {
    async fn prepare(&mut self) -> StepOutcome {
        self.body.prepare().await
    }

    /// Before the mutex is taken, so that nobody waits for what is opened once.
    async fn open(&mut self, when: Opening) -> StepOutcome {
        self.body.open(when).await
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let held = self.mutex.lock().await;
        Inside::of(held, &mut self.body, &self.child).run(call, MutexHold::ends).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        runtime::EXECUTORS,
        step::{OnTimeout, testing::Rig},
    };

    const LOCK: &str = "{ lock = { mutex = 'm', task = 'inside' } }";
    const SOON: Duration = Duration::from_millis(2);

    fn rig(inside: &[&str]) -> Rig {
        Rig::new(&[LOCK]).task("inside", inside).shared("m", "{ mutex = {} }").slots(4)
    }

    #[test]
    fn one_is_in_at_a_time_under_every_executor() {
        for executor in EXECUTORS {
            let ran = rig(&["{ yield = {} }", "{ noop = {} }"]).run(executor.name, 100);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            assert!(ran.tallies.iter().all(|tally| tally.ended == 400), "{}", executor.name);
        }
    }

    /// Nobody gets to the end: whoever is in is given up there, and all others while they wait or
    /// when they are in.
    #[test]
    fn who_is_given_up_lets_go_and_what_it_did_inside_is_accounted_for() {
        for executor in EXECUTORS {
            let rig = Rig::new(&[LOCK])
                .limited(SOON, OnTimeout::Ignore)
                .task("inside", &["{ noop = {} }", "{ sleep = { time = '1m' } }", "{ noop = {} }"])
                .shared("m", "{ mutex = {} }")
                .slots(4);
            let ran = rig.run(executor.name, 5);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            let [lock, before, sleep, after] = ran.tallies[..] else { panic!("four steps") };
            assert_eq!(
                (lock.ended, lock.cancelled, after.started),
                (0, 20, 0),
                "{}",
                executor.name
            );
            // Some were in, each of them stopped in its sleep, and the task says so.
            let inside = sleep.cancelled;
            assert!(inside > 0 && before.ended == inside && sleep.stopped == inside, "{lock:?}");
        }
    }

    #[test]
    fn a_task_inside_that_is_skipped_counts_as_one_that_was_in() {
        let rig = Rig::new(&[LOCK, "{ noop = {} }"])
            .task("inside", &["{ sleep = { time = '1m' } }"])
            .limited(SOON, OnTimeout::Skip)
            .shared("m", "{ mutex = {} }");
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 3);
            assert_eq!(ran.unproven, [""; 0], "{}", executor.name);
            assert_eq!((ran.tallies[0].ended, ran.tallies[1].started), (3, 0), "{}", executor.name);
        }
    }
}
