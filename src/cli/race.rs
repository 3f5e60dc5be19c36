//! `regatta race`: this program as a racer in a process of its own, for any of its executors.

use std::io::{self, Write as _};

use super::CliError;
use crate::{
    exit::Exit,
    trial::{self, RefereeLine},
};

/// Races as a referee on the other end of standard input and output asks (PROTOCOL.md).
#[derive(Debug, clap::Args)]
pub(super) struct RaceFlags {
    /// The executor that runs the tasks, such as `tokio`.
    #[arg(value_name = "EXECUTOR")]
    executor: String,
}

impl RaceFlags {
    pub(super) fn run(&self) -> Result<Exit, CliError> {
        let say = |text: &str| {
            let mut out = io::stdout().lock();
            // Without a referee nobody misses it.
            let _ = writeln!(out, "{text}").and_then(|()| out.flush());
        };
        trial::race(&self.executor, || RefereeLine::new(say)).map_err(CliError::Usage)?;
        Ok(Exit::Fine)
    }
}
