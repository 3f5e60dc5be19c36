//! One run at a time, and one that a signal ends in good order: what comes before anything is
//! measured.

use super::{CliError, signals};
use crate::{
    doctor::{self, RunLock},
    trial::parent::Runner,
};

/// Leave to measure, as long as it lives.
pub(super) struct Leave {
    /// Runs trials.
    pub runner: Runner,
    /// Keeps other runs away, unless they are allowed.
    _only_run: Option<RunLock>,
}

impl Leave {
    /// Hears signals from now on, before anything is written, so that none finds a run that nobody
    /// ends in good order; then keeps other runs away, unless they are allowed.
    pub(super) fn take(allow_other_runs: bool) -> Result<Self, CliError> {
        let (runner, events) = Runner::new().map_err(|source| CliError::System {
            what: "cannot find this program's file",
            source,
        })?;
        signals::forward(events)?;
        Ok(Self { runner, _only_run: only_run(allow_other_runs)? })
    }
}

fn only_run(allow_other_runs: bool) -> Result<Option<RunLock>, CliError> {
    if allow_other_runs { Ok(None) } else { Ok(Some(RunLock::take(&doctor::lock::path())?)) }
}
