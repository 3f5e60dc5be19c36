//! Errors of the command line, each with its exit code.

use std::{io, path::PathBuf};

use crate::{doctor::LockError, exit::Exit, scenario::ScenarioError, store::StoreError};

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// A scenario cannot be used.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Several files are wrong; each was printed already.
    #[error("{0} of {1} scenario files cannot be used")]
    Scenarios(usize, usize),
    /// A run file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The arguments contradict each other or the files.
    #[error("{0}")]
    Usage(String),
    /// Two runs have nothing that could be compared.
    #[error("{0}")]
    NothingInCommon(String),
    /// Nothing is left to do.
    #[error("{0}")]
    NothingMatched(String),
    /// Something could not be read.
    #[error("cannot read {}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that was given is wrong.
    #[error("{}: {reason}", path.display())]
    BadData {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// Something could not be written.
    #[error("cannot write {}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another run is in progress.
    #[error(transparent)]
    Unfit(#[from] LockError),
    /// The system refused something that every run needs.
    #[error("{what}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl CliError {
    /// The exit code.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Scenario(ScenarioError::Override { .. })
            | Self::Usage(_)
            | Self::Store(StoreError::Exists { .. } | StoreError::Locked { .. }) => Exit::Usage,
            Self::Store(StoreError::Create { .. } | StoreError::Write { .. })
            | Self::Output { .. } => Exit::CannotWrite,
            Self::Scenario(_)
            | Self::Scenarios(..)
            | Self::Store(_)
            | Self::Input { .. }
            | Self::NothingInCommon(_)
            | Self::BadData { .. } => Exit::BadData,
            Self::NothingMatched(_) => Exit::NothingMatched,
            Self::Unfit(_) => Exit::Unfit,
            Self::System { .. } => Exit::Incomplete,
        }
    }
}
