//! What can go wrong with a run file, each with the path and what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Header, VERSION};

/// What resumes a run that has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumer {
    /// `regatta run`.
    Run,
    /// `regatta find-rate`.
    Search,
    /// Nothing: a self-test is made anew.
    Never,
}

impl Resumer {
    /// That of the run with this header.
    pub(super) fn of(header: &Header) -> Self {
        let mut words = header.command.iter().skip(1).map(String::as_str);
        match words.find(|word| ["run", "find-rate", "selftest"].contains(word)) {
            _ if header.search.is_some() => Self::Search,
            Some("selftest") => Self::Never,
            _ => Self::Run,
        }
    }

    /// What to do with the run in the folder: ``resume it with `regatta run --resume DIR` ``.
    fn words(self, folder: &Path) -> String {
        let folder = folder.display();
        match self {
            Self::Run => format!("resume it with `regatta run --resume {folder}`"),
            Self::Search => format!("resume it with `regatta find-rate --resume {folder}`"),
            Self::Never => "start it again, for a self-test cannot be resumed".into(),
        }
    }
}

/// An error of a run file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder or the file could not be made.
    #[error("{path}: cannot create the run: {source}{}", remedy(source, "start again"), path = path.display())]
    Create {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder has a run already.
    #[error(
        "{path}: there is a run already; {}, or name another folder with --out",
        resume.words(folder(path)), path = path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
        /// What resumes the run that is there.
        resume: Resumer,
    },
    /// Another process is writing the run.
    #[error("{path}: another regatta is writing this run; wait for it to end, or name another folder with --out", path = path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A line could not be written; the lines before it are safe.
    #[error("{path}: cannot write: {source}{}", remedy(source, &resume.words(folder(path))), path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What resumes the run.
        resume: Resumer,
        /// Why.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("{path}: cannot read the run: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file's first line is not the header of a run file.
    #[error("{path}: not a run file: its first line has no version; name a folder or `run.jsonl` that `regatta run` wrote", path = path.display())]
    NotARun {
        /// The file.
        path: PathBuf,
    },
    /// The process that made the run died before the header was written.
    #[error("{path}: the run has no header, so nothing was measured; delete {folder} and run again", path = path.display(), folder = folder(path).display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another version.
    #[error("{path}: format {found}, but this regatta reads format {known}; use the regatta that wrote it, or a newer one", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The file's version.
        found: u32,
        /// The version that this program reads.
        known: u32,
    },
    /// The file can be shown and not gone on with.
    #[error(
        "{path}: this run is of format {found}, and what would be added is of format {VERSION}, so that it cannot be resumed; \
         start anew with another --out, or resume it with the regatta that began it; `regatta report` still shows it",
        path = path.display()
    )]
    Old {
        /// The file.
        path: PathBuf,
        /// The file's version.
        found: u32,
    },
    /// A line is not what it should be.
    #[error("{path}:{line}: the line is damaged: {source}{}", repair(*line), path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

/// The folder of a run file; a bare name is in the current one.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What to do about a failed write; `then` is what comes after that.
fn remedy(source: &io::Error, then: &str) -> String {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("; free space, then {then}")
        }
        io::ErrorKind::FileTooLarge => format!("; raise `ulimit -f`, then {then}"),
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory => "; name a folder that can be written with --out".into(),
        _ => String::new(),
    }
}

/// What to do about a damaged line. Without its header a run is lost; without a trial it can go on.
fn repair(line: usize) -> &'static str {
    if line == 1 { "" } else { "; delete the line, and `--resume` measures its trial again" }
}
