//! The folder of a trial for its temporary files. A trial that is killed cannot remove its own; so
//! each folder holds a file that its owner keeps locked, and whoever finds the lock free removes
//! the folder.
//!
//! The kernel frees the lock however the owner ends. A process id in the folder's name would not
//! do: containers that share a folder do not see each other's processes.

use std::{
    env,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    process::geteuid,
};
use tempfile::TempDir;

/// How the folders' names begin.
const PREFIX: &str = "regatta-trial-";
/// The locked file. No target can be called this, so that no target's folder is in its place.
const LOCK: &str = ".lock";
/// A sweeper can take a new folder for an abandoned one before it is locked; not often, and never
/// so often.
const ATTEMPTS: usize = 10;

/// A folder that is removed when this is dropped, or else by somebody's [`sweep`].
pub(super) struct Scratch {
    // Removed before the lock is freed.
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// A new folder in the one for temporary files.
    pub(super) fn new() -> io::Result<Self> {
        Self::in_folder(&env::temp_dir())
    }

    fn in_folder(parent: &Path) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            let lock = File::create_new(folder.path().join(LOCK))?;
            if is_free(&lock) {
                return Ok(Self { folder, _lock: lock });
            }
        }
        Err(io::Error::other("other processes remove every new one"))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Locks the file unless somebody else has done so, or has removed it already.
fn is_free(lock: &File) -> bool {
    flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok()
        && lock.metadata().is_ok_and(|file| file.nlink() > 0)
}

/// Removes the folders whose owners have ended without doing it.
pub(super) fn sweep() {
    sweep_in(&env::temp_dir());
}

/// What cannot be read or removed is somebody else's.
fn sweep_in(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in
        entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
    {
        let ours =
            entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw());
        let lock = if ours { File::open(entry.path().join(LOCK)).ok() } else { None };
        if lock.as_ref().is_some_and(is_free) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(parent: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(parent)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let held = Scratch::in_folder(parent.path()).unwrap();
        let held_name = held.path().file_name().unwrap().to_str().unwrap().to_owned();
        // What a killed process leaves: the same, without anybody who holds the lock.
        let left = parent.path().join("regatta-trial-left");
        fs::create_dir_all(left.join("database")).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        // Not made by this program, whatever it is called.
        fs::create_dir(parent.path().join("regatta-trial-notes")).unwrap();
        fs::create_dir(parent.path().join("other")).unwrap();
        sweep_in(parent.path());
        let mut expected = vec!["other".to_owned(), held_name, "regatta-trial-notes".to_owned()];
        expected.sort();
        assert_eq!(names(parent.path()), expected);
        drop(held);
        assert_eq!(names(parent.path()), ["other", "regatta-trial-notes"]);
    }

    #[test]
    fn a_folder_that_is_being_swept_is_not_free() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join(LOCK);
        let (sweeper, owner) = (File::create(&path).unwrap(), File::open(&path).unwrap());
        assert!(is_free(&sweeper) && !is_free(&owner));
        fs::remove_file(&path).unwrap();
        drop(sweeper);
        assert!(!is_free(&owner));
    }
}
