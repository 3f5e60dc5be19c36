//! `copy = { into = "log(task, value)", rows = 1000, args = ["${i}", "${j}"] }`: many rows at once,
//! by PostgreSQL's COPY.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::arg::{Arg, BoundValue};
use crate::{
    config::{Fields, Section},
    draw,
    step::Call,
};

/// Rows that are copied into a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Copy {
    /// The table and its columns.
    pub into: String,
    /// How many rows.
    pub rows: u64,
    /// The values of a row; `${j}` is its number, from 0.
    pub args: Vec<Arg>,
}

/// Every call builds all of its rows in memory.
const MOST_ROWS: u64 = 10_000_000;

impl Section for Copy {
    const DOC: &'static str = "Rows that are copied into a table, in PostgreSQL only.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let into: Option<String> =
            fields.required("into", "The table and its columns, such as `log(task, value)`.");
        let rows = fields.required("rows", "How many rows.");
        let args = fields
            .required("args", "The values of a row, in order; `${j}` is the row's number, from 0.");
        let fine = |letter: char| letter.is_ascii_alphanumeric() || "_(), \"".contains(letter);
        if into.as_ref().is_some_and(|into| !into.chars().all(fine) || !into.ends_with(')')) {
            let help = "for example: into = \"log(task, value)\"".to_owned();
            fields.reject("into", "expected a table with its columns in parentheses", Some(help));
        }
        if rows.is_some_and(|rows| rows > MOST_ROWS) {
            fields.reject("rows", format!("expected at most {MOST_ROWS} rows"), None);
        }
        Some(Self { into: into?, rows: rows?, args: args? })
    }
}

impl Copy {
    /// The statement.
    pub fn query(&self) -> String {
        format!("COPY {} FROM STDIN", self.into)
    }

    /// The rows of a call in COPY's text format. `seed` is the step's.
    pub fn body(&self, call: &Call, seed: u64) -> String {
        let mut row: Vec<BoundValue> = self.args.iter().map(BoundValue::new).collect();
        let mut body = String::new();
        for number in 0..self.rows {
            let call = call.of_child(number);
            for (place, (arg, value)) in self.args.iter().zip(&mut row).enumerate() {
                value.fill(arg, &call, draw::mix(seed, place as u64));
                field(value, &mut body);
                body.push(if place + 1 == self.args.len() { '\n' } else { '\t' });
            }
        }
        body
    }
}

/// Writes a value; what would end a field or a line is escaped.
fn field(value: &BoundValue, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match value {
        BoundValue::Integer(value) => write!(out, "{value}"),
        BoundValue::Real(value) => write!(out, "{value}"),
        BoundValue::Text(text) => {
            for letter in text.chars() {
                match letter {
                    '\\' => out.push_str("\\\\"),
                    '\t' => out.push_str("\\t"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    other => out.push(other),
                }
            }
            Ok(())
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::template::ArgTemplate;

    #[test]
    fn rows_are_lines_that_nothing_ends_too_early() {
        let text = |text: &str| Arg::Text(ArgTemplate(text.to_owned().try_into().unwrap()));
        let args = vec![text("${i}"), text("${j}"), text("a\tb\\\n${j}"), Arg::Real(0.5)];
        let copy = Copy { into: "t(a, b, c, d)".into(), rows: 2, args };
        let call = Call { task: 7, ..Call::default() };
        assert_eq!(copy.body(&call, 1), "7\t0\ta\\tb\\\\\\n0\t0.5\n7\t1\ta\\tb\\\\\\n1\t0.5\n");
        assert_eq!(copy.query(), "COPY t(a, b, c, d) FROM STDIN");
    }
}
