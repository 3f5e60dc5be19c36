//! Shapes of values that several tables of a scenario file share.

use serde_json::{Value as Json, json};

use crate::config::{
    Diagnostics, Field, Fields, Name, Named, Node, Value, mismatch, mismatch_with, read_name,
    read_named,
};

/// A table of declared things, in file order; one that could not be read is still declared.
#[derive(Debug, Clone)]
pub(super) struct Declared<T>(pub Vec<(Name, Option<T>)>);

impl<T> Default for Declared<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Declared<T> {
    /// The declared names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.text.as_str())
    }

    /// Whether `name` is declared.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|declared| declared == name)
    }

    /// What was declared under `name`, if it could be read.
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(declared, _)| declared.text == name)?.1.as_ref()
    }
}

impl<T: Field> Field for Declared<T> {
    fn schema() -> Json {
        let mut schema = Named::<T>::schema();
        schema["propertyNames"] = json!({ "pattern": "^[a-z0-9][a-z0-9_-]*$" });
        schema
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            mismatch(node, "a table", diagnostics);
            return None;
        };
        let mut declared = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            let named = read_name(name, diagnostics);
            declared.push((
                name.clone(),
                read_named(name, value, diagnostics).filter(|_| named.is_some()),
            ));
        }
        Some(Self(declared))
    }
}

/// The items of an array that could be read; the others are reported.
#[derive(Debug, Clone)]
pub(super) struct Readable<T> {
    pub items: Vec<T>,
    pub whole: bool,
}

impl<T: Field> Field for Readable<T> {
    fn schema() -> Json {
        Vec::<T>::schema()
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Value::Array(items) = &node.value else {
            mismatch(node, "an array", diagnostics);
            return None;
        };
        let read: Vec<T> = items.iter().filter_map(|item| T::read(item, diagnostics)).collect();
        Some(Self { whole: read.len() == items.len(), items: read })
    }
}

/// A single value, which a parameter can have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar(pub Node);

impl Field for Scalar {
    fn schema() -> Json {
        json!({ "type": ["string", "number", "boolean"] })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if node.value.is_scalar() {
            return Some(Self(node.clone()));
        }
        let is_list = matches!(node.value, Value::Array(_));
        let help = is_list
            .then(|| "several values, each for cells of its own, stand under [sweep]".to_owned());
        mismatch_with(node, "a single value: a string, a number or a boolean", help, diagnostics);
        None
    }
}

/// The schema of a table with exactly one key out of `table`, each with the keys that `describe`
/// adds.
pub(super) fn one_of_schema(
    doc: &str,
    table: &[(&'static str, &'static str)],
    describe: impl Fn(&'static str, &'static str, &mut Fields<'_>),
) -> Json {
    let schemas = table.iter().map(|(key, doc)| {
        let mut fields = Fields::describing();
        describe(key, doc, &mut fields);
        fields.into_schema(doc)
    });
    json!({ "type": "object", "description": doc, "oneOf": schemas.collect::<Vec<_>>() })
}
