//! `regatta trial`: one trial in this process; and the processes of a target and of a worker.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write as _},
    path::PathBuf,
};

use super::{CliError, Terminal};
use crate::{
    exit::Exit,
    trial::{self, Answer, TrialPlan, child, wire},
};

/// Runs one trial.
#[derive(Debug, clap::Args)]
pub(super) struct TrialFlags {
    /// The plan: a file that `regatta run -v` has written, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// End when standard input ends; the parent passes this.
    #[arg(long, hide = true)]
    die_with_stdin: bool,
}

impl TrialFlags {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let plan = self.read()?;
        if self.die_with_stdin {
            child::die_with_stdin(plan.parent, |ended| {
                if let Ok(text) = serde_json::to_string(ended) {
                    // Without a reader nobody misses it.
                    let _ = writeln!(io::stdout(), "{text}");
                }
            });
        } else {
            child::ensure_environment(&plan).map_err(|source| CliError::System {
                what: "cannot start again with the trial's environment",
                source,
            })?;
        }
        let ended = child::run(&plan);
        if !self.die_with_stdin {
            for left in &ended.left_behind {
                terminal.alert(left);
            }
        }
        let text = serde_json::to_string(&ended).map_err(io::Error::from);
        let text =
            text.map_err(|source| CliError::Output { path: "standard output".into(), source })?;
        terminal.result(&text)?;
        Ok(match ended.answer {
            Answer::Measured(_) => Exit::Fine,
            Answer::Failed(_) => Exit::Incomplete,
        })
    }

    /// The plan is one line, or all of the file.
    fn read(&self) -> Result<TrialPlan, CliError> {
        let unreadable = |source| CliError::Input { path: self.plan.clone(), source };
        let mut text = String::new();
        if self.plan.as_os_str() == "-" {
            io::stdin().lock().read_line(&mut text).map_err(unreadable)?;
        } else {
            let file = File::open(&self.plan).map_err(unreadable)?;
            text = io::read_to_string(BufReader::new(file)).map_err(unreadable)?;
        }
        let bad = |reason: String| CliError::BadData { path: self.plan.clone(), reason };
        let plan: TrialPlan = serde_json::from_str(&text).map_err(|why| {
            bad(format!("no plan of a trial: {why}; `regatta run -v` writes plans"))
        })?;
        if plan.regatta_trial != wire::VERSION {
            let found = plan.regatta_trial;
            return Err(bad(format!(
                "a plan of version {found}; this program reads version {}",
                wire::VERSION
            )));
        }
        Ok(plan)
    }
}

pub(super) fn target() -> Result<Exit, CliError> {
    trial::server::serve()
        .map_err(|source| CliError::System { what: "the embedded server ended", source })?;
    Ok(Exit::Fine)
}

pub(super) fn worker() -> Result<Exit, CliError> {
    trial::work()
        .map_err(|source| CliError::System { what: "the worker process ended", source })?;
    Ok(Exit::Fine)
}
