//! `set`: sets a shared event.

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

/// It has happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetEvent {
    event: Name,
}

impl StepKind for SetEvent {
    const KEY: &'static str = "set";
    const DOC: &'static str =
        "Sets a shared event: all who wait for it go on, and whoever comes later does not wait.";
    const PROOF: &'static str = "the word beside the event says so before the event does";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        Some(Self { event: op.required("event", "The event that is set.")? })
    }

    fn shared(&self) -> Option<SharedUse<'_>> {
        Some(SharedUse { name: &self.event, kind: "event", touch: Touch::Sets })
    }

    /// It does not wait. And where a time-out could come before it, those who wait for the event
    /// could wait for ever.
    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        false
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let event = site.shared::<EventOf<R::Native>>(&self.event.text)?;
        Ok(site.operation(move || Setting(event.herald())))
    }
}

struct Setting<N: Coordination>(Herald<N>);

impl<N: Coordination> Operation for Setting<N> {
    async fn call(&mut self, _: Call) -> StepOutcome {
        self.0.set();
        Ok(Done::default())
    }
}

#[cfg(test)]
mod tests {
    use crate::step::testing::errors_of;

    #[test]
    fn the_event_must_be_named() {
        assert!(errors_of("{ set = {} }")[0].contains("missing key `event`"));
    }
}
