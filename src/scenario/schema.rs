//! The JSON Schema of scenario files, from the same functions that read them.

use serde_json::{Value as Json, json};

use super::wire::File;
use crate::config::Field as _;

/// The schema of a scenario file (JSON Schema, draft 2020-12), for editors and for checking
/// generated files.
pub fn json_schema() -> Json {
    let mut schema = File::schema();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Regatta scenario");
    schema
}
