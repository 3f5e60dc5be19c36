//! The arguments of a call: filled in from their templates, into room that is kept from call to call.

use super::{
    statement::{Arg, Statement},
    work::Work,
};
use crate::{draw, step::Call};

/// An argument's value in one call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bound {
    Integer(i64),
    Real(f64),
    Text(String),
}

/// The arguments of each statement of a step.
#[derive(Debug)]
pub(super) struct Bindings(Vec<Vec<Bound>>);

impl Bindings {
    /// Room for the arguments.
    pub fn new(work: &Work) -> Self {
        let of = |statement: &Statement| statement.args.iter().map(Bound::new).collect();
        Self(work.statements.iter().map(of).collect())
    }

    /// Fills in the arguments of a call. `seed` is the step's.
    pub fn fill(&mut self, work: &Work, call: &Call, seed: u64) {
        for (at, (statement, bound)) in work.statements.iter().zip(&mut self.0).enumerate() {
            for (place, (arg, value)) in statement.args.iter().zip(bound).enumerate() {
                value.fill(arg, call, draw::mix(draw::mix(seed, at as u64), place as u64));
            }
        }
    }

    /// The arguments of a statement.
    pub fn of(&self, at: usize) -> &[Bound] {
        &self.0[at]
    }

    /// How many statements there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Bound {
    /// Room for an argument's values.
    pub fn new(arg: &Arg) -> Self {
        match arg {
            Arg::Integer(value) => Self::Integer(*value),
            Arg::Real(value) => Self::Real(*value),
            Arg::Text(template) => Self::Text(template.constant().unwrap_or_default().into_owned()),
        }
    }

    /// The argument's value in a call.
    pub fn fill(&mut self, arg: &Arg, call: &Call, seed: u64) {
        let Arg::Text(template) = arg else { return };
        if template.is_constant() {
            return;
        }
        match (template.value(call, seed), &mut *self) {
            (Some(value), _) => *self = Self::Integer(value),
            (None, Self::Text(text)) => {
                text.clear();
                template.render(call, seed, text);
            }
            // A template that is no single key has room for text from the beginning.
            (None, _) => {}
        }
    }

    /// Takes over another's value, and keeps its own room for text.
    pub fn assign(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Text(room), Self::Text(text)) => room.clone_from(text),
            _ => *self = other.clone(),
        }
    }

    /// Its length in bytes; a number has 8.
    pub fn length(&self) -> u64 {
        match self {
            Self::Integer(_) | Self::Real(_) => 8,
            Self::Text(text) => text.len() as u64,
        }
    }
}
