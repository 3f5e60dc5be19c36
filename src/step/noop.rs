//! `noop`: does nothing. What it measures is the harness and the executor around it.

use serde::{Deserialize, Serialize};

use super::{BuildError, Call, Cost, Done, Lookup, Operation, Site, Step, StepKind, StepOutcome};
use crate::{config::Fields, protocol, runtime::Runtime, targets::TargetSpec};

/// An empty operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Noop {}

impl StepKind for Noop {
    const KEY: &'static str = "noop";
    const DOC: &'static str =
        "Does nothing; what remains is the cost of the harness and the executor.";
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
        Ok(protocol::BriefOperation::Noop {})
    }

    fn heard(operation: &protocol::BriefOperation) -> Option<Result<Self, String>> {
        matches!(operation, protocol::BriefOperation::Noop {}).then_some(Ok(Self {}))
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        Ok(site.operation(|| Nothing))
    }
}

struct Nothing;

impl Operation for Nothing {
    async fn call(&mut self, call: Call) -> StepOutcome {
        std::hint::black_box(call.task);
        Ok(Done::default())
    }
}
