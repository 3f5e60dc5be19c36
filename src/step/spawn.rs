//! `spawn`: starts a task in the background, and goes on at once. A later step of the same task joins
//! or cancels it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Child, Cost, Done, Ends, Failure, HandleTouch, HandleUse, Lookup, Opening,
    Operation, Site, Step, StepKind, StepOutcome, Times,
    background::{Handle, Leaves, Origin},
};
use crate::{
    config::{Fields, Name},
    runtime::Runtime,
    targets::TargetSpec,
};

/// Starting a background task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spawn {
    task: Name,
    handle: Name,
}

impl StepKind for Spawn {
    const KEY: &'static str = "spawn";
    const DOC: &'static str =
        "Starts a task in the background, which a later step joins or cancels.";
    const PROOF: &'static str =
        "each task that was started was joined or cancelled once, or is in flight at the end";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let task = op.required("task", "The task that is started.");
        let handle = op.required(
            "handle",
            "The name by which a `join` or a `cancel` of the same task knows it.",
        );
        Some(Self { task: task?, handle: handle? })
    }

    fn handle(&self) -> Option<HandleUse<'_>> {
        Some(HandleUse { name: &self.handle, touch: HandleTouch::Starts })
    }

    fn children(&self) -> Vec<Child<'_>> {
        vec![Child { task: &self.task, times: Times::InBackground, ends: Ends::Never }]
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let child = site.child(&self.task.text)?;
        let handle = site.commons.shared(&self.handle.text, Handle::<R>::default);
        let (runtime, of_step) = (site.trial.runtime.clone(), handle.clone());
        let origin = (site.number, child);
        let step = site.operation(move || Spawning {
            origin: origin.clone(),
            handle: of_step.clone(),
            runtime: runtime.clone(),
        });
        Ok(Box::new(Leaves { step, handle }))
    }
}

struct Spawning<R: Runtime> {
    origin: Origin,
    handle: Arc<Handle<R>>,
    runtime: R,
}

impl<R: Runtime> Operation for Spawning<R> {
    async fn prepare(&mut self) -> StepOutcome {
        let mut steps = self.handle.steps(&self.origin);
        steps.prepare().await?;
        self.handle.keep(self.origin.0, steps);
        Ok(Done::default())
    }

    /// As in a fan-out: the task opens what it keeps when it first runs.
    async fn open(&mut self, when: Opening) -> StepOutcome {
        match when {
            Opening::Preparation => self.origin.1.try_out().await,
            Opening::FirstUse => Ok(Done::default()),
        }
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let started = self.handle.start(&self.origin, call, &self.runtime);
        started.map(|()| Done::default()).map_err(|why| {
            Failure::Refused(format!(
                "the system refused a thread for a background task: {why}; lower the concurrency"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        runtime::EXECUTORS,
        step::{OnTimeout, testing::Rig},
    };

    const SPAWN: &str = "{ spawn = { task = 'child', handle = 'h' } }";
    const JOIN: &str = "{ join = { handle = 'h' } }";

    #[test]
    fn what_was_started_goes_on_beside_the_next_steps_and_is_joined_once() {
        for executor in EXECUTORS.iter().map(|executor| executor.name) {
            let ran = Rig::new(&[SPAWN, "{ sleep = { time = '1ms' } }", JOIN])
                .task("child", &["{ sleep = { time = '2ms' } }"])
                .slots(3)
                .run(executor, 4);
            let edge = ran.edges[0][0];
            assert_eq!(ran.wrong(), None, "{executor}");
            assert_eq!((edge.asked, edge.returned, edge.pending), (12, 12, 0), "{executor}");
            let ended = ran.tallies.iter().map(|tally| tally.ended);
            assert_eq!(ended.collect::<Vec<_>>(), [12; 4], "{executor}");
        }
    }

    #[test]
    fn a_handle_that_is_used_again_starts_what_its_own_step_says() {
        let other = SPAWN.replace("child", "other");
        for executor in EXECUTORS.iter().map(|executor| executor.name) {
            let ran = Rig::new(&[SPAWN, JOIN, &other, JOIN])
                .task("child", &["{ noop = {} }"])
                .task("other", &["{ yield = {} }"])
                .run(executor, 3);
            let ended = ran.tallies.iter().map(|tally| tally.ended);
            assert_eq!((ran.wrong(), ended.collect::<Vec<_>>()), (None, vec![3; 6]), "{executor}");
        }
    }

    /// The other task waits for what the first one holds: were it not given up, it would never end.
    #[test]
    fn what_is_left_behind_by_a_task_that_ends_early_is_given_up() {
        for executor in ["tokio", "tokio-current-thread", "async-std", "smol", "compio"] {
            let ran = Rig::new(&[SPAWN, "{ sleep = { time = '1h' } }"])
                .limited(Duration::from_millis(2), OnTimeout::Skip)
                .task("child", &["{ acquire = { semaphore = 's', task = 'long' } }"])
                .task("long", &["{ sleep = { time = '1h' } }"])
                .shared("s", "{ semaphore = { permits = 1 } }")
                .run(executor, 3);
            let edge = ran.edges[0][0];
            assert_eq!((edge.asked, edge.returned), (3, 0), "{executor}");
            assert_eq!(
                (ran.timeouts(), ran.unproven.len()),
                (0, 0),
                "{executor}: {:?}",
                ran.unproven
            );
        }
    }

    /// Under `sequential` and, in the worker that waits for it, under `thread-pool` it runs to its
    /// end.
    #[test]
    fn a_join_that_is_given_up_gives_up_the_task() {
        for executor in ["threads", "tokio", "tokio-current-thread", "async-std", "smol", "compio"]
        {
            let ran = Rig::new(&[SPAWN, JOIN])
                .limited(Duration::from_millis(2), OnTimeout::Ignore)
                .task("child", &["{ sleep = { time = '1h' } }"])
                .run(executor, 2);
            let edge = ran.edges[0][0];
            assert_eq!((ran.wrong(), ran.timeouts()), (None, 2), "{executor}");
            assert_eq!((edge.asked, edge.returned), (2, 0), "{executor}");
        }
    }
}
