//! What can be chosen of a fan-out by a word.

use serde::{Deserialize, Serialize};

use crate::config::{Diagnostics, Field, Node, choice_schema, read_choice};

/// Whose end is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Until {
    /// That of all children.
    #[default]
    All,
    /// That of any one, however it ends; the others are cancelled where the executor can.
    First,
    /// Those of all that end in time; the others are cancelled.
    Deadline,
}

const UNTILS: &[(&str, Until)] =
    &[("all", Until::All), ("first", Until::First), ("deadline", Until::Deadline)];

impl Field for Until {
    fn schema() -> serde_json::Value {
        choice_schema(UNTILS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, UNTILS, diagnostics)
    }
}

/// What an allowed error or a time-out of a child means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnError {
    /// They go on, and all are counted.
    #[default]
    Collect,
    /// They are cancelled where the executor can, and the task ends.
    FailFast,
}

const ERRORS: &[(&str, OnError)] =
    &[("collect", OnError::Collect), ("fail-fast", OnError::FailFast)];

impl Field for OnError {
    fn schema() -> serde_json::Value {
        choice_schema(ERRORS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, ERRORS, diagnostics)
    }
}

/// In which order the results of children are taken, one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Consume {
    /// In that in which they were started.
    #[default]
    Order,
    /// In that in which they end.
    Completion,
}

const CONSUMES: &[(&str, Consume)] =
    &[("order", Consume::Order), ("completion", Consume::Completion)];

impl Field for Consume {
    fn schema() -> serde_json::Value {
        choice_schema(CONSUMES)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, CONSUMES, diagnostics)
    }
}
