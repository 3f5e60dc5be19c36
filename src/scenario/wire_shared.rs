//! What stands in `[shared.x]`.

use serde_json::Value as Json;

use super::wire_value::one_of_schema;
use crate::{
    config::{Diagnostics, Field, Fields, Node},
    shared::SharedSpec,
};

/// The schema of the table under a kind's key.
fn kind_schema(key: &str, doc: &str) -> Json {
    let mut kind = Fields::describing();
    let _ = SharedSpec::read(key, &mut kind);
    kind.into_schema(doc)
}

impl Field for SharedSpec {
    fn schema() -> Json {
        one_of_schema("A shared object, by exactly one kind.", Self::TABLE, |key, doc, object| {
            object.describe(key, kind_schema(key, doc), true);
        })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut object = Fields::of(node, diagnostics)?;
        let chosen = object.one_of(Self::TABLE, "kind of shared object", "kinds of shared objects");
        object.finish(diagnostics);
        let (key, value) = chosen?;
        let mut kind = Fields::under(key, value, || kind_schema(key, ""), diagnostics)?;
        let spec = SharedSpec::read(key, &mut kind);
        kind.finish(diagnostics);
        spec
    }
}
