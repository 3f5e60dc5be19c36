//! Reading TOML with spans: every error of a file at once, each with its line, column and nearest valid name.
//!
//! A section of a scenario file is read by a function that asks [`Fields`] for its keys. The same function,
//! run in describing mode, yields the section's JSON Schema and its documentation, so that what is accepted,
//! what an editor completes and what FORMAT.md says cannot drift apart. The one rule for such a function:
//! ask for all keys first, and only then give up with `?`.

mod diagnostic;
mod field;
mod node;

pub use diagnostic::{Diagnostic, Diagnostics, nearest};
pub use field::{Field, Fields, Section};
pub use node::{Name, Node, Span, Value, parse};
