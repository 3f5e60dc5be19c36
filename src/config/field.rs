//! Typed access to the keys of a table, and the same access turned into a JSON Schema.

use serde_json::Value as Json;

use super::{Diagnostics, Node};

/// A type that a key's value can have.
pub trait Field: Sized {
    /// The JSON Schema of the value.
    fn schema() -> Json;
    /// Reads the value; on failure reports why and returns `None`.
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self>;
}

/// A table with fixed keys. Implementing it makes the type a [`Field`] whose value is that table.
pub trait Section: Sized {
    /// What the table is for, in one sentence; becomes the schema's description.
    const DOC: &'static str;
    /// Asks for every key, then builds the value.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

/// The keys of one table, being read or being described.
pub struct Fields<'a> {
    _todo: std::marker::PhantomData<&'a ()>,
}

impl Fields<'_> {
    /// A key that must be there.
    pub fn required<T: Field>(&mut self, _key: &'static str, _doc: &'static str) -> Option<T> {
        todo!("config helper")
    }

    /// A key that may be missing.
    pub fn optional<T: Field>(&mut self, _key: &'static str, _doc: &'static str) -> Option<T> {
        todo!("config helper")
    }

    /// A key with a default, which the documentation names.
    pub fn or<T: Field + serde::Serialize>(&mut self, _key: &'static str, _default: T, _doc: &'static str) -> T {
        todo!("config helper")
    }

    /// Reports an error about a key's value (or about the table where the key is missing), for rules between keys.
    pub fn reject(&mut self, _key: &'static str, _message: impl Into<String>, _help: Option<String>) {
        todo!("config helper")
    }
}

impl Field for crate::units::Distribution {
    fn schema() -> Json {
        todo!("config helper")
    }
    fn read(_node: &Node, _diagnostics: &mut Diagnostics) -> Option<Self> {
        todo!("config helper")
    }
}
