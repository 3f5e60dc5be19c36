//! Reading TOML with spans: every error of a file at once, each with its line, column and nearest
//! valid name.
//!
//! A section of a scenario file is read by a function that asks [`Fields`] for its keys. The same
//! function, run in describing mode, yields the section's JSON Schema and its documentation, so
//! that what is accepted, what an editor completes and what FORMAT.md says cannot drift apart. The
//! one rule for such a function: ask for all keys first, and only then give up with `?`.

mod attached;
mod diagnostic;
mod field;
mod fields;
mod node;
mod parse;
mod render;
mod shape;

pub use attached::{AttachedFile, FileFlaw, FileRoom};
pub use diagnostic::{Diagnostic, Diagnostics, Homes, Span, nearest, position, quote, suggest};
pub use field::{
    Field, NAME_HELP, Named, choice_schema, is_name, mismatch, mismatch_with, parameter_schema,
    read_choice, read_name, read_named,
};
pub use fields::{Fields, Section};
pub use node::{Name, Node, Value};
pub use parse::{MOST_BYTES, parse};
pub use render::render;
pub use shape::table_with;
