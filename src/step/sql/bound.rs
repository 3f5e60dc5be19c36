//! The arguments of a call, for each statement of a step.

use super::{arg::BoundValue, statement::Statement, work::SqlWork};
use crate::{draw, step::Call};

/// The arguments of each statement of a step.
#[derive(Debug)]
pub(super) struct Bindings(Vec<Vec<BoundValue>>);

impl Bindings {
    /// Room for the arguments.
    pub fn new(work: &SqlWork) -> Self {
        let of = |statement: &Statement| statement.args.iter().map(BoundValue::new).collect();
        Self(work.statements.iter().map(of).collect())
    }

    /// Fills in the arguments of a call. `seed` is the step's.
    pub fn fill(&mut self, work: &SqlWork, call: &Call, seed: u64) {
        for (at, (statement, bound)) in work.statements.iter().zip(&mut self.0).enumerate() {
            for (place, (arg, value)) in statement.args.iter().zip(bound).enumerate() {
                value.fill(arg, call, draw::mix(draw::mix(seed, at as u64), place as u64));
            }
        }
    }

    /// The arguments of a statement.
    pub fn of(&self, at: usize) -> &[BoundValue] {
        &self.0[at]
    }

    /// How many statements there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
