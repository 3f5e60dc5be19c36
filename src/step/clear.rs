//! `clear`: clears a shared event, so that whoever comes later waits again.

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Cost, Done, Lookup, Operation, SharedUse, Site, Step, StepKind, StepOutcome,
    Touch,
};
use crate::{
    config::{Fields, Name},
    runtime::{Coordination, Runtime},
    shared::{EventOf, Herald},
    targets::TargetSpec,
};

/// It has not happened any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClearEvent {
    event: Name,
}

impl StepKind for ClearEvent {
    const KEY: &'static str = "clear";
    const DOC: &'static str =
        "Clears a shared event: whoever comes later waits until it is set again.";
    const PROOF: &'static str = "the word beside the event says so after the event does";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        Some(Self { event: op.required("event", "The event that is cleared.")? })
    }

    fn shared(&self) -> Option<SharedUse<'_>> {
        Some(SharedUse { name: &self.event, kind: "event", touch: Touch::Clears })
    }

    /// It does not wait.
    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        false
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let event = site.shared::<EventOf<R::Native>>(&self.event.text)?;
        Ok(site.operation(move || Clearing(event.herald())))
    }
}

struct Clearing<N: Coordination>(Herald<N>);

impl<N: Coordination> Operation for Clearing<N> {
    async fn call(&mut self, _: Call) -> StepOutcome {
        self.0.clear();
        Ok(Done::default())
    }
}

#[cfg(test)]
mod tests {
    use crate::step::testing::errors_of;

    #[test]
    fn the_event_must_be_named() {
        assert!(errors_of("{ clear = {} }")[0].contains("missing key `event`"));
    }
}
