//! A task that is run while something shared is held: what `lock`, `acquire`, `read` and `write`
//! have in common.

use std::{any::Any, fmt::Debug, future::Future, marker::PhantomData, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Child, Cost, Ends, Lookup, Opening, Operation, Sequence, SharedUse, Site,
    Step, StepKind, StepOutcome, Times, Touch, site::ChildTask,
};
use crate::{
    config::{Fields, Name},
    runtime::{Coordination, Runtime},
    targets::TargetSpec,
};

/// A way to hold something shared.
pub trait Hold: Debug + Clone + Send + Sync + 'static {
    /// The key that names the step in a scenario.
    const KEY: &'static str;
    /// What the step does, in one sentence.
    const DOC: &'static str;
    /// See [`StepKind::PROOF`].
    const PROOF: &'static str;
    /// The kind of what is held, which is also the key that names it in the step.
    const OBJECT: &'static str;
    /// What that key means, in one sentence.
    const OBJECT_DOC: &'static str;
    /// What is held.
    type Object<N: Coordination>: Any + Send + Sync;
    /// One user's way to it.
    type Door<N: Coordination>: Send + Sync + 'static;
    /// What a task has that is in. Dropping it lets the next one in.
    type Held<'a, N: Coordination>: Send;

    /// A way for one more user.
    fn door<N: Coordination>(object: &Arc<Self::Object<N>>) -> Self::Door<N>;

    /// Waits until the task is let in.
    fn enter<N: Coordination>(
        door: &Self::Door<N>,
    ) -> impl Future<Output = Self::Held<'_, N>> + Send;

    /// The task goes out by itself, and not because it is given up.
    fn ends<N: Coordination>(held: &mut Self::Held<'_, N>);
}

/// A task that is run while something is held.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Holding<K> {
    object: Name,
    task: Name,
    #[serde(skip)]
    kind: PhantomData<K>,
}

impl<K: Hold> StepKind for Holding<K> {
    const KEY: &'static str = K::KEY;
    const DOC: &'static str = K::DOC;
    const PROOF: &'static str = K::PROOF;

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let object = op.required(K::OBJECT, K::OBJECT_DOC);
        let task = op.required("task", "The task that is run while it is held.");
        Some(Self { object: object?, task: task?, kind: PhantomData })
    }

    fn shared(&self) -> Option<SharedUse<'_>> {
        Some(SharedUse { name: &self.object, kind: K::OBJECT, touch: Touch::Holds })
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
        let object = site.shared::<K::Object<R::Native>>(&self.object.text)?;
        let child = site.child(&self.task.text)?;
        Ok(site.operation(move || Held::<K, R::Native> {
            door: K::door(&object),
            body: child.build(),
            child: child.clone(),
        }))
    }
}

struct Held<K: Hold, N: Coordination> {
    door: K::Door<N>,
    body: Sequence,
    child: ChildTask,
}

impl<K: Hold, N: Coordination> Operation for Held<K, N> {
    async fn prepare(&mut self) -> StepOutcome {
        self.body.prepare().await
    }

    /// Before anything is held, so that nobody waits for what is opened once.
    async fn open(&mut self, when: Opening) -> StepOutcome {
        self.body.open(when).await
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let held = K::enter::<N>(&self.door).await;
        Inside { held, body: &mut self.body, child: &self.child, runs: false }
            .run(call, K::ends::<N>)
            .await
    }
}

/// A task and what it runs under. Where the call is given up, the task is given up first, and only
/// then what was held is let go.
struct Inside<'a, H> {
    body: &'a mut Sequence,
    child: &'a ChildTask,
    runs: bool,
    held: H,
}

impl<H> Inside<'_, H> {
    /// Runs the task to its end, and says how that was; then `end` lets go.
    async fn run(mut self, call: Call, end: impl FnOnce(&mut H)) -> StepOutcome {
        self.child.asked();
        self.runs = true;
        let outcome = self.body.run(call.of_child(0)).await;
        self.runs = false;
        self.child.returned();
        end(&mut self.held);
        outcome
    }
}

impl<H> Drop for Inside<'_, H> {
    fn drop(&mut self) {
        if self.runs {
            self.body.cancel();
            self.child.returned();
        }
    }
}
