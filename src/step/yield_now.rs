//! `yield`: gives way once to whatever else the executor has to run; what a switch between tasks
//! costs.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::{BuildError, Call, Cost, Done, Lookup, Operation, Site, Step, StepKind, StepOutcome};
use crate::{
    config::Fields,
    protocol,
    runtime::{NativeWork, Runtime},
    targets::TargetSpec,
};

/// A switch to another task, if there is one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Yield {}

impl StepKind for Yield {
    const KEY: &'static str = "yield";
    const DOC: &'static str =
        "Gives way once to other tasks: the executor's own yield, or the kernel's under threads.";
    const PROOF: &'static str = "calls that began are calls that ended or were given up";

    fn read(_op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        Some(Self {})
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        false
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn told(&self) -> Result<protocol::BriefOperation, String> {
        Ok(protocol::BriefOperation::Yield {})
    }

    fn heard(operation: &protocol::BriefOperation) -> Option<Result<Self, String>> {
        matches!(operation, protocol::BriefOperation::Yield {}).then_some(Ok(Self {}))
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        Ok(site.operation(|| GiveWay::<R::Native>(PhantomData)))
    }
}

struct GiveWay<N>(PhantomData<fn() -> N>);

impl<N: NativeWork> Operation for GiveWay<N> {
    async fn call(&mut self, _: Call) -> StepOutcome {
        N::yield_now().await;
        Ok(Done::default())
    }
}

#[cfg(test)]
mod tests {
    use crate::step::testing::{EXECUTORS, Rig};

    #[test]
    fn every_executor_comes_back() {
        for executor in EXECUTORS {
            let ran = Rig::new(&["{ yield = {} }", "{ yield = {} }"]).slots(2).run(executor, 50);
            assert_eq!(ran.wrong(), None, "{executor}");
            assert!(
                ran.tallies.iter().all(|tally| tally.started == 100 && tally.ended == 100),
                "{executor}: {ran:?}"
            );
        }
    }
}
