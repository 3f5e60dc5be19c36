//! `throttle`: waits until a shared rate limit lets the task pass.

use std::{marker::PhantomData, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Cost, Done, Lookup, Operation, SharedUse, Site, Step, StepKind, StepOutcome,
    Touch,
};
use crate::{
    clock,
    config::{Fields, Name},
    runtime::{NativeTimers, Runtime},
    shared::{Passer, RateLimit},
    targets::TargetSpec,
};

/// A wait for a turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Throttle {
    limit: Name,
}

impl StepKind for Throttle {
    const KEY: &'static str = "throttle";
    const DOC: &'static str = "Waits until a shared rate limit lets the task pass.";
    const PROOF: &'static str =
        "none passes before its turn, and no more in all than the rate and the burst let";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let limit = op.required("limit", "The rate limit that is waited for.");
        Some(Self { limit: limit? })
    }

    fn shared(&self) -> Option<SharedUse<'_>> {
        Some(SharedUse { name: &self.limit, kind: "rate-limit", touch: Touch::Passes })
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    /// How long it waits depends on who else comes.
    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let limit = site.shared::<RateLimit>(&self.limit.text)?;
        Ok(site.operation(move || Throttled::<R::Native> {
            passer: limit.passer(),
            native: PhantomData,
        }))
    }
}

/// Who waits for its time-out does so for this long at least, in ns.
const LEAST_WAIT_NS: u64 = 1_000_000;

struct Throttled<N> {
    passer: Passer,
    native: PhantomData<fn() -> N>,
}

impl<N: NativeTimers> Operation for Throttled<N> {
    async fn call(&mut self, call: Call) -> StepOutcome {
        let deadline_ns = call.deadline_ns.unwrap_or(u64::MAX);
        loop {
            match self.passer.turn(deadline_ns) {
                Ok(turn_ns) => {
                    let left_ns = turn_ns.saturating_sub(clock::now_ns());
                    if left_ns > 0 {
                        N::sleep(Duration::from_nanos(left_ns)).await;
                    }
                    self.passer.pass(turn_ns);
                    return Ok(Done::default());
                }
                // The time-out ends this wait, and is given a chance to where it is late.
                Err(turn_ns) => {
                    let left_ns = turn_ns.saturating_sub(clock::now_ns()).max(LEAST_WAIT_NS);
                    N::sleep(Duration::from_nanos(left_ns)).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        runtime::EXECUTORS,
        step::{OnTimeout, testing::Rig},
    };

    const THROTTLE: &str = "{ throttle = { limit = 'l' } }";

    #[test]
    fn nobody_passes_before_its_turn_under_any_executor() {
        for executor in EXECUTORS {
            let limit = "{ rate-limit = { rate = '2k/s', burst = 3 } }";
            let ran = Rig::new(&[THROTTLE]).shared("l", limit).slots(4).run(executor.name, 20);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            assert_eq!(ran.tallies[0].ended, 80, "{}", executor.name);
        }
    }

    /// As many as there is room for pass in time, however many cannot wait so long.
    #[test]
    fn who_cannot_wait_takes_no_turn() {
        for executor in EXECUTORS {
            let rig = Rig::new(&[THROTTLE])
                .limited(Duration::from_millis(1), OnTimeout::Ignore)
                .shared("l", "{ rate-limit = { rate = '1k/s', burst = 2 } }")
                .slots(8);
            let ran = rig.run(executor.name, 50);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            // All turns would be taken for 400 ms after the first few calls.
            assert!(ran.tallies[0].ended > 10, "{}: {:?}", executor.name, ran.tallies[0]);
        }
    }

    #[test]
    fn who_is_given_up_does_not_pass() {
        for executor in EXECUTORS {
            let rig = Rig::new(&[THROTTLE])
                .limited(Duration::from_millis(1), OnTimeout::Ignore)
                .shared("l", "{ rate-limit = { rate = '1/h' } }")
                .slots(4);
            let ran = rig.run(executor.name, 2);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            let tally = ran.tallies[0];
            assert_eq!((tally.ended, tally.cancelled), (1, 7), "{}", executor.name);
        }
    }
}
