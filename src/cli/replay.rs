//! How a trial can be replayed by hand: its plan in a file, and the command line for it.

use std::{
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::{CliError, Terminal};
use crate::trial::TrialPlan;

/// Writes the plans of trials into a folder, where that was asked for. Where one cannot be written
/// the others are not tried.
pub(super) struct Plans<'a> {
    folder: Option<PathBuf>,
    written: Result<(), CliError>,
    terminal: &'a Terminal,
}

impl<'a> Plans<'a> {
    /// Below the folder of a run.
    pub(super) fn new(run: &Path, terminal: &'a Terminal) -> Self {
        let folder = terminal.verbose.then(|| run.join("plans"));
        Self { folder, written: Ok(()), terminal }
    }

    /// A trial begins.
    pub(super) fn begins(&mut self, sequence: u32, plan: &TrialPlan) {
        if let Some(folder) = self.folder.as_deref().filter(|_| self.written.is_ok()) {
            self.written = write(folder, sequence, plan, self.terminal);
        }
    }

    /// Why one could not be written.
    pub(super) fn end(self) -> Result<(), CliError> {
        self.written
    }
}

/// Writes a trial's plan and says how to replay it.
fn write(
    folder: &Path,
    sequence: u32,
    plan: &TrialPlan,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let path = folder.join(format!("{sequence:04}.json"));
    let text = serde_json::to_string_pretty(plan).map_err(std::io::Error::from);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text?))
        .map_err(|source| CliError::Output { path: path.clone(), source })?;
    terminal.command(&format!(
        "replay: {} trial --plan {}",
        quoted(&program()),
        quoted(&absolute(&path))
    ));
    Ok(())
}

/// This program as a shell finds it from any folder.
fn program() -> PathBuf {
    let called = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    // A bare name was found in PATH, and will be again.
    if called.components().count() == 1 && !called.is_absolute() {
        called
    } else {
        absolute(&called)
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A path as one word of a shell's command line.
fn quoted(path: &Path) -> String {
    if path.to_str().is_none() {
        // Bytes that are no text have no other way into a shell's words.
        return format!("$'{}'", path.as_os_str().as_bytes().escape_ascii());
    }
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=,".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_is_one_word_of_a_shell() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
        let said = |bytes: &[u8]| quoted(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(said(b"a/b.json"), "a/b.json");
        assert_eq!(said(b"it's"), r"'it'\''s'");
        assert_eq!(said(b"x\xff'y"), r"$'x\xff\'y'");
    }
}
