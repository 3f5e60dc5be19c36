//! The page of a run, in its folder.

use std::{fs, path::Path};

use super::{CliError, Terminal};
use crate::{analysis::Analysis, report, store::Run};

/// Writes a page so that whoever reads it sees the whole page or the one before it, a full disk or
/// not.
pub(super) fn write(path: &Path, page: &str) -> Result<(), CliError> {
    let beside = path.with_extension("html.new");
    let written = fs::write(&beside, page).and_then(|()| fs::rename(&beside, path));
    written.map_err(|source| {
        // What is left of it takes room, and is of no use.
        let _ = fs::remove_file(&beside);
        CliError::Output { path: path.to_owned(), source }
    })
}

/// Writes the page of a run that was measured into its folder, and says so; `more` tells what is on
/// it.
pub(super) fn write_new(
    folder: &Path,
    run: &Run,
    analysis: &Analysis,
    more: &str,
    terminal: &Terminal,
) -> Result<(), CliError> {
    if run.trials.is_empty() {
        terminal.note("no trial has ended, so there is no page");
        return Ok(());
    }
    let page = folder.join("index.html");
    write(&page, &report::html(&run.header, analysis))?;
    terminal.note(&format!("wrote {}{more}", page.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_whole_or_not_at_all() {
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("index.html");
        write(&path, "first").expect("writes");
        // What cannot be written beside it cannot harm it.
        fs::create_dir(scratch.path().join("index.html.new")).expect("creates");
        assert!(
            matches!(write(&path, "second"), Err(CliError::Output { path: named, .. }) if named == path)
        );
        assert_eq!(fs::read_to_string(&path).expect("is there"), "first");
        fs::remove_dir(scratch.path().join("index.html.new")).expect("is empty");
        write(&path, "third").expect("writes");
        assert_eq!(fs::read_to_string(&path).expect("is there"), "third");
        assert_eq!(fs::read_dir(scratch.path()).expect("reads").count(), 1);
    }
}
