//! `join`: waits for the end of a task that a `spawn` of the same task has started.

use std::{marker::PhantomData, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Cost, Done, HandleTouch, HandleUse, Lookup, Operation, Site, Step, StepKind,
    StepOutcome,
    background::Handle,
    child::{fold, until_time_is_up},
};
use crate::{
    config::{Fields, Name},
    runtime::Runtime,
    targets::TargetSpec,
};

/// Waiting for a background task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Join {
    handle: Name,
}

impl StepKind for Join {
    const KEY: &'static str = "join";
    const DOC: &'static str = "Waits for the end of a task that was started in the background.";
    const PROOF: &'static str =
        "each task that was started was joined or cancelled once, or is in flight at the end";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let handle = op.required("handle", "The name that its `spawn` gave it.");
        Some(Self { handle: handle? })
    }

    fn handle(&self) -> Option<HandleUse<'_>> {
        Some(HandleUse { name: &self.handle, touch: HandleTouch::Joins })
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let handle = site.commons.shared(&self.handle.text, Handle::<R>::default);
        Ok(site.operation(move || Joining { handle: handle.clone(), runtime: PhantomData }))
    }
}

struct Joining<R: Runtime> {
    handle: Arc<Handle<R>>,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime> Operation for Joining<R> {
    async fn call(&mut self, _: Call) -> StepOutcome {
        ended::<R>(self.handle.join(self.handle.take()?).await).await
    }
}

/// What the end of a background task is to the one that has started it.
pub(super) async fn ended<R: Runtime>(outcome: Option<StepOutcome>) -> StepOutcome {
    let Some(outcome) = outcome else {
        until_time_is_up::<R::Native>().await;
        return Ok(Done::default());
    };
    let (mut done, mut wrong) = (Done::default(), None);
    fold(&mut done, &mut wrong, outcome);
    wrong.map_or(Ok(done), Err)
}
