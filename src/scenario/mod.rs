//! Scenario files: from TOML text to a validated [`Scenario`], with every error of a file at once.

mod model;

pub use model::*;
