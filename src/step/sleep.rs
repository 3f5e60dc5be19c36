//! `sleep`: waits with the executor's own timer; what simulated I/O is made of.

use serde::{Deserialize, Serialize};

use super::{Cost, StepKind};
use crate::{config::Fields, target::TargetSpec, units::Distribution};

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

    fn cancellable(&self) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost { least: self.time.least(), mean: self.time.mean() }
    }
}
