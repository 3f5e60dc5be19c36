//! Reading a run file, whole or torn.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Header, Run, StoreError, VERSION, run_file, v1::Loads};

/// The part of a header that every version has.
#[derive(Deserialize)]
struct Versioned {
    regatta_run: u32,
}

/// Reads a run from its folder or its file; `-` is standard input.
///
/// A torn last line (no line feed) is dropped, and [`Run::notes`] says so. A damaged line anywhere
/// else is an error that names it: skipping it would change the figures silently.
pub fn read(path: &Path) -> Result<Run, StoreError> {
    let (path, bytes) = match path.as_os_str().to_str() {
        Some("-") => ("<stdin>".into(), stdin()),
        _ => (run_file(path), fs::read(run_file(path))),
    };
    let bytes = bytes.map_err(|source| StoreError::Read { path: path.clone(), source })?;
    Ok(parse(&path, &bytes)?.0)
}

fn stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Parses a run file's content; also gives the length in bytes up to its last line feed.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<(Run, u64), StoreError> {
    let committed = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let mut lines = bytes[..committed].split_inclusive(|&byte| byte == b'\n').zip(1..);
    let Some((first, _)) = lines.next() else {
        return Err(headless(path, bytes));
    };
    let (header, loads) = header(path, first)?;
    let mut run = Run::new(header);
    for (text, number) in lines {
        run.take(match &loads {
            None => json(path, number, text)?,
            Some(loads) => value(path, number, loads.line(json(path, number, text)?))?,
        });
    }
    if committed < bytes.len() {
        run.notes.push(torn(path, bytes.len() - committed));
    }
    Ok((run, committed as u64))
}

/// Reads the first line: first its version, and only then what this version has in it. The loads
/// are those of a file of version 1.
fn header(path: &Path, line: &[u8]) -> Result<(Header, Option<Loads>), StoreError> {
    let Ok(Versioned { regatta_run: found }) = serde_json::from_slice(line) else {
        return Err(StoreError::NotARun { path: path.to_owned() });
    };
    let (header, loads): (Header, _) = match found {
        VERSION => (json(path, 1, line)?, None),
        1 => {
            let header: Value = json(path, 1, line)?;
            let loads = Loads::of(&header);
            (value(path, 1, loads.header(header))?, Some(loads))
        }
        _ => return Err(StoreError::Version { path: path.to_owned(), found, known: VERSION }),
    };
    if let Some(cell) = header.cells.iter().find(|cell| cell.rounds == 0) {
        let source = serde::de::Error::custom(format!("the cell {} has no rounds", cell.name));
        return Err(StoreError::Corrupt { path: path.to_owned(), line: 1, source });
    }
    Ok((header, loads))
}

fn value<T: DeserializeOwned>(path: &Path, line: usize, value: Value) -> Result<T, StoreError> {
    serde_json::from_value(value).map_err(|source| corrupt(path, line, source))
}

fn json<T: DeserializeOwned>(path: &Path, line: usize, text: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(text).map_err(|source| corrupt(path, line, source))
}

fn corrupt(path: &Path, line: usize, source: serde_json::Error) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), line, source }
}

/// A file without a line feed: a torn header, or no run file at all.
fn headless(path: &Path, bytes: &[u8]) -> StoreError {
    let path = path.to_owned();
    if bytes.is_empty() || bytes.starts_with(b"{") {
        StoreError::NoHeader { path }
    } else {
        StoreError::NotARun { path }
    }
}

fn torn(path: &Path, bytes: usize) -> String {
    format!(
        "{}: the last line is torn ({bytes} bytes without an end) and was dropped",
        path.display()
    )
}
