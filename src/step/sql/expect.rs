//! `expect = { rows = 1 }`, beside the operation: how many rows each statement returns or changes.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::config::{Diagnostics, Field, Fields, Node, Section, Value};

/// What the answer must be.
#[derive(Debug)]
pub(super) struct SqlExpect {
    rows: RowNumbers,
}

/// `allow`: what is counted as an error and goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SqlAllow {
    /// Faults of a server: a refused or lost connection, a deadlock, a time limit.
    pub errors: bool,
}

impl SqlAllow {
    /// The documentation of the key.
    pub const USE: &'static str =
        "What is counted as an error and does not fail the trial; of a server only.";

    /// Whether nothing is allowed.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Section for SqlAllow {
    const DOC: &'static str = "What is counted as an error and does not fail the trial.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "Whether refused and lost connections, deadlocks, time limits and the like are counted, each by its name.";
        Some(Self { errors: fields.or("errors", false, doc) })
    }
}

/// Numbers of rows.
#[derive(Debug)]
enum RowNumbers {
    /// Of the only statement.
    One(u64),
    /// Of each statement of a transaction.
    Each(Vec<u64>),
}

impl SqlExpect {
    /// The documentation of the key.
    pub const USE: &'static str = "What must come of it: `{ rows = 1 }`, the number of rows that a query returns or a \
        write changes; in a transaction one number per statement.";
}

impl Section for SqlExpect {
    const DOC: &'static str = "What must come of a query or a transaction.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let rows = fields.required(
            "rows",
            "Rows returned or changed; in a transaction a list, one for each statement.",
        );
        Some(Self { rows: rows? })
    }
}

impl Field for RowNumbers {
    fn schema() -> Json {
        let one = <u64 as Field>::schema();
        json!({ "anyOf": [one, { "type": "array", "items": one }] })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if matches!(node.value, Value::Array(_)) {
            return <Vec<u64> as Field>::read(node, diagnostics).map(Self::Each);
        }
        <u64 as Field>::read(node, diagnostics).map(Self::One)
    }
}

/// The expectation of each statement; one that does not fit is reported at the step's `expect`.
pub(super) fn by_statement(
    expect: Option<SqlExpect>,
    statements: usize,
    transaction: bool,
    step: &mut Fields<'_>,
) -> Option<Vec<Option<u64>>> {
    match expect.map(|expect| expect.rows) {
        None => Some(vec![None; statements]),
        Some(RowNumbers::One(rows)) if !transaction => Some(vec![Some(rows)]),
        Some(RowNumbers::Each(rows)) if transaction && rows.len() == statements => {
            Some(rows.into_iter().map(Some).collect())
        }
        Some(RowNumbers::Each(_)) if !transaction => {
            step.reject(
                "expect",
                "a query has one number of rows, not a list",
                Some("write { rows = 1 }".to_owned()),
            );
            None
        }
        Some(_) => {
            let help = format!("write {{ rows = [{}] }}", vec!["1"; statements].join(", "));
            let message =
                format!("expected one number of rows for each of the {statements} statements");
            step.reject("expect", message, Some(help));
            None
        }
    }
}
