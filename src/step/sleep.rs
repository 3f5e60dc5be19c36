//! `sleep`: waits with the executor's own timer; what simulated I/O is made of.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::{BuildError, Call, Cost, Done, Lookup, Operation, Outcome, Site, Step, StepKind};
use crate::{
    config::Fields,
    draw,
    runtime::{Native, Runtime},
    target::TargetSpec,
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

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let (time, seed) = (self.time, site.seed());
        Ok(site.operation(move || Wait::<R::Native> { time, seed, native: PhantomData }))
    }
}

struct Wait<N> {
    time: Distribution,
    seed: u64,
    native: PhantomData<fn() -> N>,
}

impl<N: Native> Operation for Wait<N> {
    async fn call(&mut self, call: Call) -> Outcome {
        N::sleep(self.time.sample(draw::mix(self.seed, call.key))).await;
        Ok(Done::default())
    }
}
