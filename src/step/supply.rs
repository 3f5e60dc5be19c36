//! `supply`: supplies tickets for those who wait on a shared condition.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Cost, Done, Lookup, Operation, SharedUse, Site, Step, StepKind, StepOutcome,
    Touch,
};
use crate::{
    config::{Diagnostics, Field, Fields, Name, Node, choice_schema, read_choice},
    runtime::{Coordination, Runtime, Waking},
    shared::{ConditionOf, Ticketer},
    targets::TargetSpec,
};

/// More tickets than this nobody waits for.
const MOST_TICKETS: u64 = 1 << 20;

/// Tickets for those who wait.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Supply {
    condition: Name,
    count: NonZeroU64,
    notify: Waking,
}

const WAKINGS: &[(&str, Waking)] = &[("one", Waking::One), ("all", Waking::All)];

impl Field for Waking {
    fn schema() -> serde_json::Value {
        choice_schema(WAKINGS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, WAKINGS, diagnostics)
    }
}

impl StepKind for Supply {
    const KEY: &'static str = "supply";
    const DOC: &'static str = "Supplies tickets for those who wait on a shared condition.";
    const PROOF: &'static str = "tickets supplied are tickets taken or left, by each side's count and by the number \
         under the mutex";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let condition = op.required("condition", "The condition that they wait on.");
        let count = op.or("count", NonZeroU64::MIN, "How many tickets; 1 048 576 at most.");
        if count.get() > MOST_TICKETS {
            op.reject("count", format!("expected at most {MOST_TICKETS} tickets"), None);
        }
        let notify = op.or(
            "notify",
            Waking::One,
            "`one` wakes one of those who wait for each ticket, `all` wakes all of them.",
        );
        Some(Self { condition: condition?, count, notify })
    }

    fn shared(&self) -> Option<SharedUse<'_>> {
        let touch = Touch::Supplies(self.count.get());
        Some(SharedUse { name: &self.condition, kind: "condition", touch })
    }

    /// It does not wait. And where a time-out could come before it, those who wait could wait for
    /// ever.
    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        false
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let condition = site.shared::<ConditionOf<R::Native>>(&self.condition.text)?;
        let (count, notify) = (self.count.get(), self.notify);
        Ok(site.operation(move || Supplying { supplier: condition.ticketer(), count, notify }))
    }
}

struct Supplying<N: Coordination> {
    supplier: Ticketer<N>,
    count: u64,
    notify: Waking,
}

impl<N: Coordination> Operation for Supplying<N> {
    async fn call(&mut self, _: Call) -> StepOutcome {
        self.supplier.supply(self.count, self.notify);
        Ok(Done::default())
    }
}

#[cfg(test)]
mod tests {
    use crate::step::testing::errors_of;

    #[test]
    fn what_cannot_be_is_told() {
        assert!(errors_of("{ supply = {} }")[0].contains("missing key `condition`"));
        assert!(
            errors_of("{ supply = { condition = 'c', notify = 'some' } }")[0].contains("`some`")
        );
        let many = "{ supply = { condition = 'c', count = 1048577 } }";
        assert!(errors_of(many)[0].contains("expected at most 1048576 tickets"));
    }
}
