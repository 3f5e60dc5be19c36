//! The TOML document as a tree of owned values with spans, with parameters substituted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Diagnostics;

/// A byte range in a file's text.
pub type Span = std::ops::Range<usize>;

/// One value of the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// An array.
    Array(Vec<Node>),
    /// A table: keys in file order, each with its span.
    Table(Vec<(Name, Node)>),
}

/// A name and where it stands. Equality and order look at the text alone; stored plans keep only the text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Name {
    /// The name.
    pub text: String,
    /// Where it stands in the scenario file (empty after a plan was stored and read).
    pub span: Span,
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self { text, span: 0..0 }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.text
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Parses a document as far as possible; syntax errors go to `diagnostics`.
pub fn parse(_text: &str, _diagnostics: &mut Diagnostics) -> Node {
    todo!("config helper")
}

impl Node {
    /// A copy in which every string that is exactly `${name}` is replaced by the parameter's value (with the
    /// span of the use). An unknown name is an error. `${i}` and other per-task names inside longer text stay.
    pub fn substitute(&self, _params: &BTreeMap<String, Value>, _diagnostics: &mut Diagnostics) -> Node {
        todo!("config helper")
    }
}
