//! `arrive`: waits at a shared barrier until all have come.

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Cost, Done, Lookup, Operation, SharedUse, Site, Step, StepKind, StepOutcome,
    Touch,
};
use crate::{
    config::{Fields, Name},
    runtime::{Coordination, Runtime},
    shared::{BarrierOf, Party},
    targets::TargetSpec,
};

/// A meeting with others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arrive {
    barrier: Name,
}

impl StepKind for Arrive {
    const KEY: &'static str = "arrive";
    const DOC: &'static str = "Waits at a shared barrier until all have come.";
    const PROOF: &'static str = "the first of a meeting finds all of it there, by a word beside the barrier; arrivals \
         are meetings times parties";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        Some(Self { barrier: op.required("barrier", "The barrier that is waited at.")? })
    }

    fn shared(&self) -> Option<SharedUse<'_>> {
        Some(SharedUse { name: &self.barrier, kind: "barrier", touch: Touch::Meets })
    }

    /// The barriers of all executors count who has come and was given up: the others would go on
    /// without it.
    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        false
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let barrier = site.shared::<BarrierOf<R::Native>>(&self.barrier.text)?;
        Ok(site.operation(move || AtBarrier(barrier.party())))
    }
}

struct AtBarrier<N: Coordination>(Party<N>);

impl<N: Coordination> Operation for AtBarrier<N> {
    async fn call(&mut self, _: Call) -> StepOutcome {
        self.0.arrive().await;
        Ok(Done::default())
    }
}

#[cfg(test)]
mod tests {
    use crate::{runtime::EXECUTORS, step::testing::Rig};

    /// Executors that run children at once.
    fn several() -> impl Iterator<Item = &'static str> {
        EXECUTORS.iter().map(|executor| executor.name).filter(|name| *name != "sequential")
    }

    /// Three meet, for the pool of the rig has four threads, and one of them waits for children.
    #[test]
    fn nobody_goes_on_before_all_have_come() {
        let rig = Rig::new(&["{ parallel = { task = 'party', count = 3 } }"])
            .task("party", &["{ repeat = { task = 'round', times = 50 } }"])
            .task("round", &["{ yield = {} }", "{ arrive = { barrier = 'b' } }"])
            .shared("b", "{ barrier = { parties = 3 } }");
        for executor in several() {
            let ran = rig.run(executor, 5);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{executor}");
            assert_eq!(ran.tallies[3].ended, 3 * 50 * 5, "{executor}");
        }
    }

    /// Children of several tasks at once, who meet whoever comes.
    #[test]
    fn those_of_several_tasks_meet_each_other() {
        let rig = Rig::new(&["{ parallel = { task = 'party', count = 4 } }"])
            .task("party", &["{ yield = {} }", "{ arrive = { barrier = 'b' } }"])
            .shared("b", "{ barrier = { parties = 2 } }")
            .slots(2);
        for executor in several() {
            let ran = rig.run(executor, 50);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{executor}");
            assert_eq!(ran.tallies[2].ended, 4 * 50 * 2, "{executor}");
        }
    }
}
