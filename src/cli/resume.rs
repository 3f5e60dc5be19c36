//! Resuming a stored run or search: all that is needed for it stands in its run file.

use std::path::{Path, PathBuf};

use clap::{Args, Command as CommandLine};

use super::{CliError, Terminal, header, terminal::Global, unchanged};
use crate::{
    clock,
    plan::{Cell, Plan},
    store::{Line, Run, StoreError, StoredCell, Writer},
};

/// A stored run that is resumed.
pub(super) struct ResumedRun<C> {
    /// Its file.
    pub writer: Writer,
    /// What is in it.
    pub run: Run,
    /// The flags that it began with.
    pub original: C,
}

/// What the command line of a stored run was.
#[derive(Debug, PartialEq, Eq)]
enum Original<C> {
    /// The command that resumes it.
    This(C),
    /// Another one, by its name.
    Other(String),
}

/// Opens a run that `command` has begun; `other` says why one of another command cannot be taken
/// up.
pub(super) fn open<C: Args>(
    folder: &Path,
    command: &'static str,
    other: impl FnOnce(&str) -> &'static str,
) -> Result<ResumedRun<C>, CliError> {
    let (writer, run) = Writer::open_append(folder)?;
    let why = match original(&run.header.command, command) {
        Ok(Original::This(original)) => return Ok(ResumedRun { writer, run, original }),
        Ok(Original::Other(name)) => other(&name),
        Err(_) => "was made by a command line that this program does not understand",
    };
    Err(bad(&writer, why))
}

/// Reads a stored command line as far as it is about one command. What others take is their affair.
fn original<C: Args>(words: &[String], command: &'static str) -> Result<Original<C>, clap::Error> {
    let this = C::augment_args(CommandLine::new(command));
    let all = Global::augment_args(CommandLine::new("regatta"));
    let all = all.subcommand(this).subcommand_required(true).allow_external_subcommands(true);
    match all.try_get_matches_from(words)?.subcommand() {
        Some((name, matches)) if name == command => {
            C::from_arg_matches(matches).map(Original::This)
        }
        found => Ok(Original::Other(found.map(|(name, _)| name.to_owned()).unwrap_or_default())),
    }
}

fn bad(writer: &Writer, reason: &str) -> CliError {
    CliError::BadData { path: writer.path().to_owned(), reason: reason.to_owned() }
}

impl<C> ResumedRun<C> {
    /// Whether trials of now would be like those that are stored: of cells that were planned like
    /// this `before` and are like this `now`, and are these in the plan of `now`.
    pub(super) fn ensure_unchanged<'a>(
        &self,
        before: &[StoredCell],
        now: &[StoredCell],
        cells: impl Iterator<Item = &'a Cell>,
    ) -> Result<(), CliError> {
        let change = unchanged::change(&self.run.header, before, now)
            .or_else(|| unchanged::other_server(&self.run, cells));
        change.map_or(Ok(()), |why| Err(bad(&self.writer, &why)))
    }

    /// Stores that it goes on, with cells that this host has room for after all; and warns of what
    /// may disturb it.
    pub(super) fn goes_on(
        &mut self,
        plan: &Plan,
        cells: Vec<StoredCell>,
        allow_other_runs: bool,
        terminal: &Terminal,
    ) -> Result<(), StoreError> {
        let warnings = header::warnings(&header::check(plan, allow_other_runs), terminal);
        let line = Line::Resumed { at_ms: clock::unix_ms(), cells, warnings };
        self.writer.append(&line)?;
        self.run.take(line);
        Ok(())
    }

    /// Its folder.
    pub(super) fn folder(&self) -> PathBuf {
        let folder = self.writer.path().parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new(".")).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, clap::Args)]
    struct Flags {
        #[arg(long)]
        wide: bool,
        paths: Vec<PathBuf>,
    }

    fn read(line: &str) -> Option<Original<Flags>> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        original(&words, "measure").ok()
    }

    #[test]
    fn a_stored_command_line_is_read_as_it_was_typed() {
        let paths = vec![PathBuf::from("s.toml")];
        let this = |wide| Some(Original::This(Flags { wide, paths: paths.clone() }));
        assert_eq!(read("regatta measure s.toml"), this(false));
        assert_eq!(read("./regatta -v measure s.toml --wide --color never"), this(true));
        assert_eq!(read("regatta other --deep x"), Some(Original::Other("other".into())));
        assert_eq!(read("regatta measure s.toml --deep"), None);
        assert_eq!(read("regatta"), None);
    }
}
