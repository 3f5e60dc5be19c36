//! Rows that a scenario has as data, and which of them a call uses: `${row:TABLE.COLUMN}`. That is a
//! pure function of the call's task or key, so that the same tasks use the same rows whoever runs
//! them, and in whatever order.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{BuildError, Call, Commons};
use crate::{config::is_name, draw};

/// Keys the draws of rows apart from those of steps, which have numbers from 0.
const ROWS: u64 = 1 << 48;

/// A table of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedRows {
    /// Its name in the scenario.
    pub name: String,
    /// Which row a call uses.
    pub pick: Pick,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Its rows: one at least, each as long as there are columns.
    pub rows: Vec<Vec<String>>,
}

/// Which row of a table a call uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// That of the task's index; after the last row comes the first one again.
    InTurn,
    /// One by a draw of the call's key; all steps of a task have the same.
    Random,
}

/// The tables of a trial.
#[derive(Debug, Clone, Default)]
pub struct RowTables {
    tables: Vec<(Arc<NamedRows>, Vec<bool>)>,
    seed: u64,
}

/// A column of a table, for calls.
#[derive(Debug, Clone)]
pub(super) struct RowColumn {
    table: Arc<NamedRows>,
    column: usize,
    /// Whether all its values are whole numbers, written as they are printed.
    is_whole: bool,
    seed: u64,
}

impl RowTables {
    /// These tables, whose rows are as long as there are columns; `seed` is the trial's.
    pub fn new(tables: &[Arc<NamedRows>], seed: u64) -> Self {
        // Once for each column, and not for each step that uses it.
        let of_numbers = |table: &NamedRows| {
            let column = |at: usize| table.rows.iter().all(|row| is_whole(&row[at]));
            (0..table.columns.len()).map(column).collect()
        };
        let tables = tables.iter().map(|table| (table.clone(), of_numbers(table)));
        Self { tables: tables.collect(), seed }
    }

    /// Gives them to all steps of a trial, before any is built.
    pub fn give(self, commons: &Commons) {
        let _ = commons.shared("rows", || self);
    }

    /// Those of a trial.
    pub(super) fn of(commons: &Commons) -> Arc<Self> {
        commons.shared("rows", Self::default)
    }

    /// The column that stands as `TABLE.COLUMN`.
    pub(super) fn column(&self, name: &str) -> Result<RowColumn, BuildError> {
        let missing = || BuildError(format!("there is no `${{row:{name}}}`"));
        let (table, column) = name.split_once('.').ok_or_else(missing)?;
        let at =
            self.tables.iter().position(|(known, _)| known.name == table).ok_or_else(missing)?;
        let (table, of_numbers) = self.tables[at].clone();
        let column = table.columns.iter().position(|known| known == column).ok_or_else(missing)?;
        let is_whole = of_numbers[column];
        let seed = draw::mix(self.seed, ROWS + at as u64);
        Ok(RowColumn { table, column, is_whole, seed })
    }
}

/// The whole number of 64 bits that a text is, if it is one and written as it is printed: without a
/// `+`, and without a zero in front.
pub(super) fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_printed = text == "0" || digits.starts_with(|first: char| matches!(first, '1'..='9'));
    is_printed.then(|| text.parse().ok()).flatten()
}

fn is_whole(text: &str) -> bool {
    whole(text).is_some()
}

impl RowColumn {
    /// Its value in the row of a call.
    pub(super) fn text(&self, call: &Call) -> &str {
        let count = self.table.rows.len() as u64;
        let row = match self.table.pick {
            Pick::InTurn => call.task % count,
            // The draw scaled to the number of rows, as `uniform` does.
            Pick::Random => {
                let drawn = draw::mix(self.seed, call.key);
                ((u128::from(count) * u128::from(drawn)) >> 64) as u64
            }
        };
        &self.table.rows[row as usize][self.column]
    }

    /// The same as a number, where the whole column is of such.
    pub(super) fn number(&self, call: &Call) -> Option<i64> {
        whole(self.text(call)).filter(|_| self.is_whole)
    }
}

/// The `TABLE.COLUMN` in `row:TABLE.COLUMN`, which is what stands between `${` and `}`.
pub(super) fn row_name(key: &str) -> Option<&str> {
    let name = key.strip_prefix("row:")?;
    name.split_once('.').filter(|(table, column)| is_name(table) && !column.is_empty())?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(pick: Pick, rows: &[[&str; 2]]) -> RowTables {
        let rows = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        let columns = vec!["id".to_owned(), "full name".to_owned()];
        RowTables::new(&[Arc::new(NamedRows { name: "users".into(), pick, columns, rows })], 7)
    }

    fn call(task: u64) -> Call {
        Call { task, key: draw::mix(3, task), ..Call::default() }
    }

    #[test]
    fn rows_come_in_turn_and_then_from_the_beginning_again() {
        let tables = tables(Pick::InTurn, &[["1", "a"], ["2", "b"], ["3", "c"]]);
        let column = tables.column("users.full name").unwrap();
        let seen: Vec<&str> = (0..7).map(|task| column.text(&call(task))).collect();
        assert_eq!(seen, ["a", "b", "c", "a", "b", "c", "a"]);
        assert!(tables.column("users.none").is_err() && tables.column("none.id").is_err());
    }

    #[test]
    fn drawn_rows_are_the_same_in_all_columns_and_depend_on_the_key_alone() {
        let rows: Vec<[String; 2]> = (0..5).map(|at| [at.to_string(), format!("n{at}")]).collect();
        let rows: Vec<[&str; 2]> =
            rows.iter().map(|[id, name]| [id.as_str(), name.as_str()]).collect();
        let tables = tables(Pick::Random, &rows);
        let (id, name) =
            (tables.column("users.id").unwrap(), tables.column("users.full name").unwrap());
        let mut seen = [0_u32; 5];
        for task in 0..1_000 {
            let call = call(task);
            assert_eq!(format!("n{}", id.text(&call)), name.text(&call));
            assert_eq!(id.text(&Call { task: 0, child: 4, issued_ns: 1, ..call }), id.text(&call));
            seen[id.number(&call).unwrap() as usize] += 1;
        }
        assert!(seen.iter().all(|count| (120..=280).contains(count)), "{seen:?}");
    }

    #[test]
    fn a_column_is_of_numbers_only_where_all_of_it_is() {
        let tables = tables(Pick::InTurn, &[["1", "7"], ["-2", "07"], ["3", "8"]]);
        let number = |column: &str, task| tables.column(column).unwrap().number(&call(task));
        assert_eq!((number("users.id", 1), number("users.full name", 0)), (Some(-2), None));
    }

    #[test]
    fn a_whole_number_is_written_as_it_is_printed() {
        for text in ["0", "7", "-12", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(whole(text).map(|number| number.to_string()).as_deref(), Some(text));
        }
        for text in ["", "-", "-0", "+7", "07", "-07", "--7", "7.0", "7 ", "9223372036854775808"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_has_a_table_and_a_column() {
        assert_eq!(row_name("row:users.full name"), Some("users.full name"));
        for other in ["row:users", "row:users.", "row:.id", "users.id", "i"] {
            assert_eq!(row_name(other), None, "{other}");
        }
    }
}
