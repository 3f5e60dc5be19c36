//! The folder of a run: the one that was asked for, or a new one under `reports/` that nobody else
//! has.

use std::path::{Path, PathBuf};

use crate::{
    clock,
    scenario::Scenario,
    store::{Header, StoreError, Writer},
    units::file_name,
};

/// Runs of one name that may begin within a second.
const MOST: u32 = 1000;

/// Where a run is to be stored.
#[derive(Debug, Clone)]
pub(super) enum RunFolder {
    /// In this folder, which must not have a run.
    Given(PathBuf),
    /// In a new one in this folder, with this at the end of its name.
    New(PathBuf, String),
}

impl RunFolder {
    /// `--out`, or `reports/2026-11-21T10-02-11Z-NAME`.
    pub(super) fn of(out: Option<&Path>, name: &str) -> Self {
        match out {
            Some(out) => Self::Given(out.to_owned()),
            None => Self::New("reports".into(), file_name(name)),
        }
    }

    /// The same with the scenario's name, if there is only one.
    pub(super) fn of_scenarios(out: Option<&Path>, scenarios: &[Scenario]) -> Self {
        match scenarios {
            [only] => Self::of(out, &only.name),
            several => Self::of(out, &format!("{}-scenarios", several.len())),
        }
    }

    /// Makes the folder and its run file, whose header tells the folder's name. Of runs that begin
    /// within a second, the second and all after it have a number behind their name.
    pub(super) fn create(&self, header: &mut Header) -> Result<(PathBuf, Writer), StoreError> {
        let mut number = 1;
        loop {
            let folder = self.path(header.started_ms, number);
            header.run = folder
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let created = Writer::create(&folder, header);
            let is_taken =
                matches!(created, Err(StoreError::Exists { .. } | StoreError::Locked { .. }));
            if !is_taken || !self.is_new() || number == MOST {
                return created.map(|writer| (folder, writer));
            }
            number += 1;
        }
    }

    fn is_new(&self) -> bool {
        matches!(self, Self::New(..))
    }

    fn path(&self, started_ms: u64, number: u32) -> PathBuf {
        match self {
            Self::Given(folder) => folder.clone(),
            Self::New(parent, name) => {
                let again = if number > 1 { format!("-{number}") } else { String::new() };
                parent.join(format!("{}-{name}{again}", clock::label(started_ms)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, thread};

    use super::*;
    use crate::store::fixture::Fixture;

    #[test]
    fn runs_that_begin_at_once_have_folders_of_their_own() {
        let scratch = tempfile::tempdir().unwrap();
        let header = Fixture::batch("threads", 1).cell("threads", &[], &[2e6]).build().header;
        let folder = RunFolder::New(scratch.path().to_owned(), "demo".into());
        let begin = || {
            let mut header = header.clone();
            let (path, writer) = folder.create(&mut header).unwrap();
            assert!(path.ends_with(&header.run) && writer.path().starts_with(&path));
            header.run
        };
        let names: BTreeSet<String> = thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(names.len(), 8);
        let first = names.first().unwrap();
        assert!(first.ends_with("-demo") && names.contains(&format!("{first}-8")), "{names:?}");
        let given = RunFolder::Given(scratch.path().join(first));
        assert!(matches!(given.create(&mut header.clone()), Err(StoreError::Exists { .. })));
    }

    #[test]
    fn a_long_name_makes_a_short_folder() {
        let RunFolder::New(_, name) = RunFolder::of(None, &"x".repeat(250)) else { panic!("new") };
        assert!(name.len() < 150, "{name}");
        assert!(matches!(RunFolder::of(Some(Path::new("here")), "x"), RunFolder::Given(_)));
    }
}
