//! What a step does in every call, shared by all its connections in one slot; and the words for
//! what went wrong.

use std::{
    fmt::Display,
    sync::{Arc, OnceLock},
};

use super::{
    arg::Arg,
    copy::Copy,
    statement::{Effect, Statement},
};
use crate::{config::quote, step::Template};

/// The statements of a step, and what must come of them.
#[derive(Debug)]
pub(super) struct SqlWork {
    /// The step's task and name, for messages.
    pub words: String,
    /// In order.
    pub statements: Vec<Statement>,
    /// The effect of each statement.
    pub effects: Vec<Effect>,
    /// The expectation of each statement.
    pub expected: Vec<ExpectedRows>,
    /// Whether they are done together or not at all.
    pub transaction: bool,
    /// Whether all of them are sent before the first answer is waited for.
    pub pipeline: bool,
    /// The rows that the only statement copies, where it does.
    pub copy: Option<Copy>,
    /// Whether arguments are made of values that steps before take.
    pub uses_values: bool,
}

/// All arguments of a step.
pub(super) fn args<'a>(
    statements: &'a [Statement],
    copy: Option<&'a Copy>,
) -> impl Iterator<Item = &'a Arg> {
    let of_statements = statements.iter().flat_map(|statement| &statement.args);
    of_statements.chain(copy.into_iter().flat_map(|copy| &copy.args))
}

/// How many rows a statement must return or change.
#[derive(Debug)]
pub(super) enum ExpectedRows {
    /// So many: as the scenario says, or as it was in preparation, for all slots.
    Rows(Arc<OnceLock<u64>>),
    /// Nobody can say.
    Unknown,
}

impl ExpectedRows {
    /// As the scenario says.
    pub fn known(rows: u64) -> Self {
        Self::Rows(Arc::new(OnceLock::from(rows)))
    }

    /// As it will be in preparation, where all slots find it.
    pub fn learned(found: Arc<OnceLock<u64>>) -> Self {
        Self::Rows(found)
    }

    /// Whether it is still to be learned.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Rows(rows) if rows.get().is_none())
    }
}

impl SqlWork {
    /// Whether all values are there that its arguments are made of.
    pub fn check_values(&self) -> Result<(), String> {
        if !self.uses_values {
            return Ok(());
        }
        let args = args(&self.statements, self.copy.as_ref());
        let lacking = args.filter_map(Arg::template).find_map(Template::lacks);
        lacking.map_or(Ok(()), |name| {
            Err(format!(
                "{}: no step has taken `${{value:{name}}}` in this run of the task; let the step that takes it come \
                 before, and fail or skip",
                self.words
            ))
        })
    }

    /// Whether it may change anything.
    pub fn writes(&self) -> bool {
        self.effects.iter().any(|effect| !effect.is_read())
    }

    /// Compares what a statement returned or changed with what it must, or learns it.
    pub fn compare(&self, at: usize, rows: u64, returned: bool) -> Result<(), String> {
        let ExpectedRows::Rows(expected) = &self.expected[at] else { return Ok(()) };
        let expected = *expected.get_or_init(|| rows);
        if rows == expected {
            return Ok(());
        }
        let verb = if returned { "returned" } else { "changed" };
        Err(self.failed(at, format!("rows {verb}: expected {expected}, found {rows}")))
    }

    /// An error with the names of the step and of the statement.
    pub fn failed(&self, at: usize, why: impl Display) -> String {
        format!("{}: query {}: {why}", self.words, quote(&self.statements[at].query))
    }
}
