//! What a step of SQL must say, and what it must not say together.

use super::{
    copy::Copy,
    customary::Driver,
    statement::{self, Statement},
};
use crate::config::Fields;

/// What the step does: its one statement, that of the copy, or those of the transaction.
pub(super) fn statements(
    query: Option<Statement>,
    copy: Option<&Copy>,
    transaction: Option<Vec<Statement>>,
    op: &mut Fields<'_>,
) -> Option<Vec<Statement>> {
    let statements = match (query, copy) {
        (None, Some(copy)) => vec![Statement { query: copy.query(), args: Vec::new() }],
        (Some(query), _) => {
            statement::check(&query.query, "query", op)?;
            vec![query]
        }
        (None, None) => transaction?,
    };
    if statements.is_empty() {
        op.reject("transaction", "a transaction needs at least one statement", None);
        return None;
    }
    Some(statements)
}

/// Reports what each key alone cannot see.
pub(super) fn keys(op: &mut Fields<'_>) {
    let help = |text: &str| Some(text.to_owned());
    match (op.has("query"), op.has("transaction")) {
        (true, true) => {
            let message = "expected exactly one of `query` and `transaction`, found both";
            op.reject(
                "transaction",
                message,
                help("move the query into the transaction, or remove one"),
            );
        }
        (true, _) | (_, true) if op.has("copy") => {
            let message = "`copy` stands by itself, beside neither `query` nor `transaction`";
            op.reject("copy", message, help("make it a step of its own"));
        }
        (false, false) if op.has("copy") => {}
        (false, false) if !op.is_describing() => {
            let message = "expected exactly one of `query` and `transaction`, found none";
            op.reject("query", message, help("add query = \"SELECT …\""));
        }
        (false, true) if op.has("args") => {
            op.reject(
                "args",
                "`args` belongs to a query",
                help("give each statement of the transaction its own `args`"),
            );
        }
        _ => {}
    }
    if op.has("pipeline") && !op.has("transaction") {
        op.reject(
            "pipeline",
            "only a transaction has several statements",
            help("write transaction = [{ query = \"…\" }]"),
        );
    }
    if op.has("copy") && op.has("args") {
        op.reject("args", "`args` belongs to a query", help("give `copy` its own `args`"));
    }
}

/// Reports what a customary client does not do.
pub(super) fn driver(driver: Option<Driver>, op: &mut Fields<'_>) {
    for key in ["pipeline", "copy"] {
        if driver == Some(Driver::Customary) && op.has(key) {
            let message = format!("`{key}` is not for `driver = \"customary\"`");
            op.reject(key, message, Some(format!("remove `{key}`, or the `driver`")));
        }
    }
}
