//! `directory`: a folder with seeded files and a log, for file operations.
//!
//! The folder holds `file-0`, `file-1` … of seeded bytes and `log.txt` with seeded lines, so that
//! whatever is read can be compared with what must be there. All of it has just been written when a
//! trial starts, and so comes from the page cache: what is measured is the way to the file system,
//! not the disk, unless a step asks for `fsync`.

mod file_system;
mod folder;
mod parameters;
mod seeded;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

pub use self::{
    folder::{Contents, Folder, Growth},
    parameters::Directory,
    seeded::{LOG, SEEDED, SeededLog},
};
use super::{Endpoint, Start, Started, TargetError, TargetKind};
use crate::{
    config::Fields,
    measure::{FILE_SYSTEM, ProofLine, TargetReport},
    units::{Size, format_size},
};

const MOST_FILES: u64 = 100_000;
const MOST_LINES: u64 = 10_000_000;
/// Most bytes in all seeded files: a trial must not fill the disk by a slip of the pen.
const MOST_BYTES: u64 = 16 << 30;

impl TargetKind for Directory {
    const KEY: &'static str = "directory";
    const DOC: &'static str =
        "A fresh folder with seeded files and a log, removed after the trial.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let files = fields.or("files", 16, "Number of seeded files, `file-0` and so on.");
        let bytes = fields.or("bytes", Size(16 << 10), "Length of each seeded file.");
        let lines = fields.or("lines", 10_000, "Number of lines of `log.txt`.");
        let path: Option<String> = fields.optional(
            "path",
            "An existing folder in which the fresh one is made, to choose the file system; default: that of temporary files.",
        );
        if files > MOST_FILES {
            fields.reject("files", format!("at most {MOST_FILES} files"), None);
        }
        if files.saturating_mul(bytes.0) > MOST_BYTES {
            let message =
                format!("the seeded files would hold more than {}", format_size(MOST_BYTES));
            fields.reject("bytes", message, Some("lower `files` or `bytes`".to_owned()));
        }
        if lines > MOST_LINES {
            fields.reject("lines", format!("at most {MOST_LINES} lines"), None);
        }
        Some(Self { files, bytes, lines, path: path.map(PathBuf::from) })
    }

    fn has_process(&self) -> bool {
        false
    }

    fn is_embedded(&self) -> bool {
        true
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Started>, TargetError> {
        let error = |reason| TargetError { name: start.name.into(), reason };
        let own = self.path.as_deref().map(|path| fresh(path).map_err(error)).transpose()?;
        let path = own.as_ref().map_or(start.scratch, TempDir::path);
        let folder = Folder::fill(self, path, start.seed).map_err(|why| {
            error(format!("its files cannot be written to {}: {why}", path.display()))
        })?;
        Ok(Box::new(ReadyFolder { name: start.name.into(), folder: Arc::new(folder), _own: own }))
    }
}

/// An empty folder of our own inside one of the user's, removed when dropped.
fn fresh(inside: &Path) -> Result<TempDir, String> {
    let made = tempfile::Builder::new().prefix("regatta-").tempdir_in(inside);
    made.map_err(|why| {
        let inside = inside.display();
        format!("no folder can be made in `{inside}`: {why}; `path` must be an existing folder that you may write to")
    })
}

/// A folder that is ready for a trial.
struct ReadyFolder {
    name: String,
    folder: Arc<Folder>,
    /// The folder inside one of the user's; removed when this is dropped.
    _own: Option<TempDir>,
}

impl Started for ReadyFolder {
    fn endpoint(&self) -> Endpoint {
        self.folder.clone()
    }

    fn facts(&self) -> Vec<(String, String)> {
        let system =
            file_system::of(&self.folder.path).map(|system| system.words(self.folder.is_synced()));
        let words = system.unwrap_or_else(|| "cannot be read here".to_owned());
        vec![(format!("{}{FILE_SYSTEM}", self.name), words)]
    }

    fn report(&mut self) -> Result<TargetReport, TargetError> {
        let unreadable =
            |why| TargetError { name: self.name.clone(), reason: format!("cannot be read: {why}") };
        let (files, bytes) = left(&self.folder.path).map_err(unreadable)?;
        let mut counts =
            BTreeMap::from([("files left".to_owned(), files), ("bytes left".to_owned(), bytes)]);
        let grown = self.folder.grown();
        let mut proof = Vec::new();
        if grown.files > 0 {
            counts.extend([
                ("files appended to".to_owned(), grown.files),
                ("bytes in them".to_owned(), grown.bytes),
            ]);
            let (file, expected, found) = grown.wrong.map_or_else(
                || ("the files appended to".to_owned(), grown.bytes, grown.bytes),
                |(name, expected, found)| (format!("`{name}`"), expected, found),
            );
            let what = format!("target {}: bytes in {file}", self.name);
            proof.push(ProofLine {
                what,
                expected: expected.to_string(),
                found: found.to_string(),
            });
        }
        Ok(TargetReport { name: self.name.clone(), counts, proof, ..TargetReport::default() })
    }
}

/// The number of files in a folder, and their bytes.
fn left(folder: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let metadata = entry?.metadata()?;
        if metadata.is_file() {
            (files, bytes) = (files + 1, bytes + metadata.len());
        }
    }
    Ok((files, bytes))
}

#[cfg(test)]
mod tests;
