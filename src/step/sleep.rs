//! `sleep`: waits with the executor's own timer; what simulated I/O is made of.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::{BuildError, Call, Cost, Done, Lookup, Operation, Site, Step, StepKind, StepOutcome};
use crate::{
    config::Fields,
    draw, protocol,
    runtime::{NativeTimers, Runtime},
    targets::TargetSpec,
    units::Distribution,
};

/// A wait.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sleep {
    time: Distribution,
}

impl StepKind for Sleep {
    const KEY: &'static str = "sleep";
    const DOC: &'static str = "Waits with the executor's own timer.";
    const PROOF: &'static str = "no task is shorter than its constant sleeps";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let time = op.required("time", "How long: a duration or a distribution.");
        Some(Self { time: time? })
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost { least: self.time.least(), mean: self.time.mean(), ..Cost::default() }
    }

    fn told(&self) -> Result<protocol::BriefOperation, String> {
        Ok(protocol::BriefOperation::Sleep { time: self.time.into() })
    }

    fn heard(operation: &protocol::BriefOperation) -> Option<Result<Self, String>> {
        let protocol::BriefOperation::Sleep { time } = operation else { return None };
        Some(Ok(Self { time: (*time).into() }))
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let (time, seed) = (self.time, site.seed());
        Ok(site.operation(move || SleepState::<R::Native> { time, seed, native: PhantomData }))
    }
}

struct SleepState<N> {
    time: Distribution,
    seed: u64,
    native: PhantomData<fn() -> N>,
}

impl<N: NativeTimers> Operation for SleepState<N> {
    async fn call(&mut self, call: Call) -> StepOutcome {
        N::sleep(self.time.sample(draw::mix(self.seed, call.key))).await;
        Ok(Done::default())
    }
}
