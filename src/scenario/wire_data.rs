//! What stands in `[data.x]`: rows of a CSV file (RFC 4180).

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord, Trim};
use serde_json::Value as Json;

use crate::{
    config::{
        Diagnostics, Field, Fields, FileFlaw, Node, Section, choice_schema, quote, read_choice,
    },
    step::Pick,
};

/// Largest file of rows, in bytes: every trial is given all of it.
const MOST_BYTES: u64 = 4 << 20;

/// A `[data.x]` table.
#[derive(Debug, Clone)]
pub(super) struct DataTable {
    pub csv: CsvRows,
    pub pick: Pick,
}

const PICKS: &[(&str, Pick)] = &[("in-turn", Pick::InTurn), ("random", Pick::Random)];

impl Field for Pick {
    fn schema() -> Json {
        choice_schema(PICKS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, PICKS, diagnostics)
    }
}

impl Section for DataTable {
    const DOC: &'static str = "Rows of a file, of which each task uses one.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "A CSV file with the names of its columns in the first line; its path goes from the scenario's folder.";
        let csv = fields.required("csv", doc);
        let doc = "Which row a task uses: `in-turn`, by its index; `random`, by a seeded draw.";
        let pick = fields.or("pick", Pick::InTurn, doc);
        Some(Self { csv: csv?, pick })
    }
}

/// The columns and rows of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CsvRows {
    /// Their names.
    pub columns: Vec<String>,
    /// One at least, each as long as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Field for CsvRows {
    fn schema() -> Json {
        String::schema()
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let path = <String as Field>::read(node, diagnostics)?;
        let file = diagnostics.files().file(&path, MOST_BYTES);
        let read = file.and_then(|file| read_rows(&path, &file.content));
        let told = |(message, help)| diagnostics.error(node.span.clone(), message, Some(help));
        read.map_err(told).ok()
    }
}

/// Reads the rows of a file.
fn read_rows(path: &str, content: &[u8]) -> Result<CsvRows, FileFlaw> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    if let Some(line) = open_quote(content) {
        let help = "close it, or write a quote within a value twice".to_owned();
        return Err((format!("{}, line {line}: a quote is not closed", quote(path)), help));
    }
    let mut reader = ReaderBuilder::new().trim(Trim::Headers).from_reader(content);
    let columns = read_columns(path, &mut reader)?;
    let rows = reader.records().map(|row| Ok(texts(&row?)));
    let rows: Vec<Vec<String>> =
        rows.collect::<Result<_, csv::Error>>().map_err(|why| flaw(path, &why))?;
    if rows.is_empty() {
        let help = "add a row below the names of the columns".to_owned();
        return Err((format!("{} has no rows", quote(path)), help));
    }
    Ok(CsvRows { columns, rows })
}

/// The line of a quote that is never closed: all that comes after it would be one value. A quote
/// within a value is written twice, so that their number is even.
fn open_quote(content: &[u8]) -> Option<usize> {
    let (mut line, mut open) = (1, None);
    for byte in content {
        match byte {
            b'"' => open = if open.is_some() { None } else { Some(line) },
            b'\n' => line += 1,
            _ => {}
        }
    }
    open
}

fn read_columns(path: &str, reader: &mut Reader<&[u8]>) -> Result<Vec<String>, FileFlaw> {
    let columns = texts(reader.headers().map_err(|why| flaw(path, &why))?);
    if columns.is_empty() {
        let help =
            "write the names of the columns into the first line, and the rows below".to_owned();
        return Err((format!("{} is empty", quote(path)), help));
    }
    for (at, column) in columns.iter().enumerate() {
        let wrong = if column.is_empty() || column.contains(['{', '}']) {
            format!("column {} has {}, which is no name", at + 1, quote(column))
        } else if columns[..at].contains(column) {
            format!("two columns are called {}", quote(column))
        } else {
            continue;
        };
        let help = "give each column a name of its own, as in id,name".to_owned();
        return Err((format!("{}, line 1: {wrong}", quote(path)), help));
    }
    Ok(columns)
}

fn texts(row: &StringRecord) -> Vec<String> {
    row.iter().map(str::to_owned).collect()
}

/// What is wrong with a file that is no table.
fn flaw(path: &str, why: &csv::Error) -> FileFlaw {
    let line = why.position().map_or(1, csv::Position::line);
    let (wrong, help) = match why.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => (
            format!("expected {expected_len} values as there are columns, found {len}"),
            "give each row as many values; one with a comma stands in quotes".to_owned(),
        ),
        ErrorKind::Utf8 { err, .. } => {
            (format!("value {} is not UTF-8", err.field() + 1), "save the file as UTF-8".to_owned())
        }
        _ => (why.to_string(), "write it as CSV (RFC 4180)".to_owned()),
    };
    (format!("{}, line {line}: {wrong}", quote(path)), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(content: &[u8]) -> String {
        let (message, help) = read_rows("users.csv", content).unwrap_err();
        format!("{message}; {help}")
    }

    #[test]
    fn rows_are_read_as_rfc_4180_has_them() {
        let text = b"\xef\xbb\xbfid, name\r\n7,\"Ann, \"\"A\"\"\"\r\n\r\n8, two\nnot\n";
        let rows = read_rows("users.csv", &text[..text.len() - 4]).unwrap();
        assert_eq!(rows.columns, ["id", "name"]);
        assert_eq!(rows.rows, [["7", "Ann, \"A\""], ["8", " two"]]);
    }

    #[test]
    fn a_file_that_is_no_table_is_told_with_its_line() {
        for (content, said, remedy) in [
            (&b""[..], "`users.csv` is empty", "the first line"),
            (b"id,name\n", "`users.csv` has no rows", "add a row"),
            (
                b"id,name\n1,a\n2\n",
                "`users.csv`, line 3: expected 2 values as there are columns, found 1",
                "as many",
            ),
            (
                b"id,name\n1,a\n2,b,c\n",
                "line 3: expected 2 values as there are columns, found 3",
                "in quotes",
            ),
            (b"id,name\n1,a\n2,\xff\n", "line 3: value 2 is not UTF-8", "as UTF-8"),
            (b"id,name\n1,\"a\n2,b\n", "line 2: a quote is not closed", "close it"),
            (b"id,id\n1,2\n", "line 1: two columns are called `id`", "of its own"),
            (b"id,\n1,2\n", "line 1: column 2 has ``, which is no name", "id,name"),
            (b"id,a}\n1,2\n", "column 2 has `a}`", "id,name"),
        ] {
            let wrong = wrong(content);
            assert!(wrong.contains(said) && wrong.contains(remedy), "{wrong}");
        }
    }
}
