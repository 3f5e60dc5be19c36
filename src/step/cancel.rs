//! `cancel`: ends a task that a `spawn` of the same task has started, waits until it is gone, and
//! cleans up after it.
//!
//! The time of the step is that from the request until the task is gone and cleaned up after: with a
//! name it has a histogram. A task that has ended by itself is joined, and nothing is cleaned up.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Child, Cost, Done, Ends, HandleTouch, HandleUse, Lookup, Opening, Operation,
    Sequence, Site, Step, StepKind, StepOutcome, Times, background::Handle, join::ended,
    site::ChildTask,
};
use crate::{
    config::{Fields, Name},
    runtime::Runtime,
    targets::TargetSpec,
};

/// Cancelling a background task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cancel {
    handle: Name,
    #[serde(default)]
    cleanup: Option<Name>,
}

impl StepKind for Cancel {
    const KEY: &'static str = "cancel";
    const DOC: &'static str =
        "Ends a task that was started in the background, and waits until it is gone.";
    const PROOF: &'static str = "a cancelled task says itself that its steps are gone; clean-ups are as many as \
         cancelled tasks";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let handle = op.required("handle", "The name that its `spawn` gave it.");
        let cleanup = op.optional("cleanup", "The task that is run when one was cancelled.");
        Some(Self { handle: handle?, cleanup })
    }

    fn handle(&self) -> Option<HandleUse<'_>> {
        Some(HandleUse { name: &self.handle, touch: HandleTouch::Cancels })
    }

    fn children(&self) -> Vec<Child<'_>> {
        let of = |task| Child { task, times: Times::AtMostOnce, ends: Ends::BySkip };
        self.cleanup.iter().map(of).collect()
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let handle = site.commons.shared(&self.handle.text, Handle::<R>::default);
        let cleanup = self.cleanup.iter().map(|task| task.text.as_str());
        let cleanup = site.children(cleanup)?.pop();
        Ok(site.operation(move || Cancelling {
            handle: handle.clone(),
            cleanup: cleanup.clone().map(|task| (task.build(), task)),
        }))
    }
}

struct Cancelling<R: Runtime> {
    handle: Arc<Handle<R>>,
    cleanup: Option<(Sequence, ChildTask)>,
}

impl<R: Runtime> Operation for Cancelling<R> {
    async fn prepare(&mut self) -> StepOutcome {
        match &mut self.cleanup {
            Some((steps, _)) => steps.prepare().await,
            None => Ok(Done::default()),
        }
    }

    async fn open(&mut self, when: Opening) -> StepOutcome {
        match &mut self.cleanup {
            Some((steps, _)) => steps.open(when).await,
            None => Ok(Done::default()),
        }
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        if let Some(running) = self.handle.cancel(self.handle.take()?).await {
            return ended::<R>(self.handle.join(running).await).await;
        }
        let Some((steps, task)) = &mut self.cleanup else { return Ok(Done::default()) };
        task.asked();
        let outcome = steps.run(call.of_child(0)).await;
        task.returned();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use crate::step::testing::{Ran, Rig};

    const ASYNCHRONOUS: [&str; 5] =
        ["tokio", "tokio-current-thread", "async-std", "smol", "compio"];

    /// Tasks that start a task, wait a little and cancel it.
    fn ran(executor: &str, child: &str) -> Ran {
        Rig::new(&[
            "{ spawn = { task = 'child', handle = 'h' } }",
            "{ sleep = { time = 'uniform(0ms, 1ms)' } }",
            "{ cancel = { handle = 'h', cleanup = 'undo' } }",
        ])
        .task("child", &["{ acquire = { semaphore = 's', task = 'long' } }"])
        .task("long", &[child])
        .task("undo", &["{ noop = {} }"])
        .shared("s", "{ semaphore = { permits = 2 } }")
        .slots(8)
        .run(executor, 25)
    }

    #[test]
    fn what_was_cancelled_is_gone_and_cleaned_up_after() {
        for executor in ASYNCHRONOUS {
            let ran = ran(executor, "{ sleep = { time = '1h' } }");
            let (child, cleanup) = (ran.edges[0][0], ran.edges[2][0]);
            assert_eq!((ran.wrong(), ran.unproven.len()), (None, 0), "{executor}");
            assert_eq!((child.asked, child.returned), (200, 0), "{executor}");
            assert_eq!((child.pending, child.gone), (200, 200), "{executor}");
            assert_eq!((cleanup.asked, cleanup.returned), (200, 200), "{executor}");
        }
    }

    #[test]
    fn what_has_ended_before_is_not_cleaned_up_after() {
        for executor in ASYNCHRONOUS {
            let ran = ran(executor, "{ sleep = { time = 'uniform(0ms, 1ms)' } }");
            let (child, cleanup) = (ran.edges[0][0], ran.edges[2][0]);
            assert_eq!((ran.wrong(), ran.unproven.len()), (None, 0), "{executor}");
            assert_eq!(child.returned + child.pending, 200, "{executor}");
            assert_eq!((child.gone, cleanup.asked), (child.pending, child.pending), "{executor}");
        }
    }
}
