//! Why a trial could not be measured, and whose failure that is.

use std::io;

use crate::{
    load::LoadError,
    step::{BuildError, Failure},
    store::{FailureKind, TrialFailure},
    targets::TargetError,
};

/// Nobody sees the exit code of a process whose parent is gone.
pub(super) const FATHERLESS: i32 = 1;

/// Why a trial could not be measured.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrialError {
    #[error("{0}")]
    Target(#[from] TargetError),
    #[error("{0}")]
    Build(#[from] BuildError),
    #[error("{0}")]
    Load(#[from] LoadError),
    #[error("{0}")]
    Step(Failure),
    #[error("{0}")]
    Wrong(String),
    #[error(
        "no task completed in the measured window of {window}{took}; raise `duration` to several times what a task takes"
    )]
    TooShort { window: String, took: String },
    /// Nothing has ended, and will not.
    #[error("{0}")]
    Hangs(String),
    /// A worker process has ended.
    #[error("{0}")]
    Worker(String),
    /// A racer in a process of its own.
    #[error("{}", .0.reason)]
    Racer(TrialFailure),
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
}

impl TrialError {
    pub(super) fn kind(&self) -> FailureKind {
        match self {
            Self::Target(_) => FailureKind::Target,
            Self::Load(LoadError::Thread { .. }) | Self::System { .. } => FailureKind::Refused,
            Self::Load(LoadError::Prepare(failure)) | Self::Step(failure) => kind(failure),
            Self::Load(LoadError::Lost(_)) | Self::Wrong(_) => FailureKind::WrongResult,
            Self::TooShort { .. } => FailureKind::TooShort,
            Self::Hangs(_) => FailureKind::TimedOut,
            Self::Racer(failure) => failure.kind,
            Self::Build(_) | Self::Worker(_) => FailureKind::Crashed,
        }
    }
}

/// A step's failure is that of whoever did not do his part.
fn kind(failure: &Failure) -> FailureKind {
    match failure {
        Failure::Target(_) => FailureKind::Target,
        Failure::Refused(_) => FailureKind::Refused,
        Failure::Skipped(_) | Failure::Wrong(_) => FailureKind::WrongResult,
    }
}

impl From<TrialFailure> for TrialError {
    fn from(failure: TrialFailure) -> Self {
        Self::Racer(failure)
    }
}
