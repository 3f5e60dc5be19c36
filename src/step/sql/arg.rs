//! An argument, and its value in one call: filled in from its template, into room that is kept from
//! call to call.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::{
    config::{Diagnostics, Field, Node, Value, mismatch},
    step::{BuildError, Call, RowTables, Template, template::ArgTemplate, value::TakenValue},
};

/// An argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Arg {
    /// A whole number.
    Integer(i64),
    /// Another number.
    Real(f64),
    /// Text; a single key such as `${i}` is a whole number.
    Text(ArgTemplate),
}

impl Arg {
    /// The text with its keys, if it is one.
    pub fn template(&self) -> Option<&Template> {
        if let Self::Text(template) = self { Some(&template.0) } else { None }
    }

    /// Looks at these rows, and at values there, from now on.
    pub fn bind(
        &mut self,
        tables: &RowTables,
        value: &dyn Fn(&str) -> Arc<TakenValue>,
    ) -> Result<(), BuildError> {
        let Self::Text(template) = self else { return Ok(()) };
        template.0.bind(value);
        template.0.bind_rows(tables)
    }

    /// Whether it is the same in every call.
    pub fn is_constant(&self) -> bool {
        if let Self::Text(template) = self { template.0.is_constant() } else { true }
    }
}

impl Field for Arg {
    fn schema() -> Json {
        json!({ "type": ["number", "string"] })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Value::Integer(value) => Some(Self::Integer(*value)),
            Value::Float(value) if value.is_finite() => Some(Self::Real(*value)),
            Value::Text(_) => <ArgTemplate as Field>::read(node, diagnostics).map(Self::Text),
            _ => {
                mismatch(node, "a number or text", diagnostics);
                None
            }
        }
    }
}

/// An argument's value in one call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum BoundValue {
    Integer(i64),
    Real(f64),
    Text(String),
}

impl BoundValue {
    /// Room for an argument's values.
    pub fn new(arg: &Arg) -> Self {
        match arg {
            Arg::Integer(value) => Self::Integer(*value),
            Arg::Real(value) => Self::Real(*value),
            Arg::Text(template) => {
                Self::Text(template.0.constant().unwrap_or_default().into_owned())
            }
        }
    }

    /// The argument's value in a call.
    pub fn fill(&mut self, arg: &Arg, call: &Call, seed: u64) {
        let Arg::Text(ArgTemplate(template)) = arg else { return };
        if template.is_constant() {
            return;
        }
        if let Some(value) = template.value(call, seed) {
            *self = Self::Integer(value);
            return;
        }
        // A value that was a number in the call before has left no room.
        if !matches!(self, Self::Text(_)) {
            *self = Self::Text(String::new());
        }
        if let Self::Text(text) = self {
            text.clear();
            template.render(call, seed, text);
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
