//! One run at a time: a lock that the kernel releases however its process ends.

use std::{
    env,
    fs::{self, File, Permissions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

/// Names another lock file: runs with different ones do not see each other.
pub const VARIABLE: &str = "REGATTA_LOCK";

/// A run in progress, as long as it lives.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// Why a run cannot be the only one.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another has the lock.
    #[error(
        "another run is in progress (process {0}), and two would disturb each other; wait for its end, or pass `--allow-other-runs`"
    )]
    Held(String),
    /// The file cannot be used.
    #[error("cannot use the lock file {}: {source}; name another one in REGATTA_LOCK, or pass `--allow-other-runs`", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The lock file of this host: in the folder for temporary files, so that runs of different users
/// see each other.
pub fn path() -> PathBuf {
    let named = env::var_os(VARIABLE).filter(|value| !value.is_empty());
    named.map_or_else(|| env::temp_dir().join("regatta.lock"), PathBuf::from)
}

impl RunLock {
    /// Takes the lock and notes this process in it.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let unusable = |source| LockError::Unusable { path: path.to_owned(), source };
        let mut file = open(path).map_err(unusable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(LockError::Held(named(&mut file))),
            Err(why) => return Err(unusable(why.into())),
        }
        // The lock holds without a note; whoever meets it is then not told by whom.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// The process that holds the lock; none if nobody does. Takes nothing.
pub(super) fn holder(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(rustix::io::Errno::WOULDBLOCK) => Some(named(&mut file)),
        _ => None,
    }
}

/// Opens the file for everybody, and makes it if it is not there. One that only its owner may write
/// can be locked too.
fn open(path: &Path) -> io::Result<File> {
    let writable = || File::options().read(true).write(true).open(path);
    let readable = || File::open(path);
    let created = || {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        // Another user's run notes itself in it, whatever the mask of this one.
        let _ = fs::set_permissions(path, Permissions::from_mode(0o666));
        Ok(file)
    };
    let raced = |error: io::Error| {
        if error.kind() == io::ErrorKind::AlreadyExists { writable() } else { Err(error) }
    };
    writable().or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => created().or_else(raced),
        _ => readable(),
    })
}

fn named(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    let pid = text.trim().parse::<u32>().ok().filter(|_| read.is_ok());
    pid.map_or_else(|| "unknown".into(), |pid| pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_the_lock_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert_eq!(holder(&path), None);
        let own = std::process::id().to_string();
        let first = RunLock::take(&path).unwrap();
        assert_eq!(holder(&path), Some(own.clone()));
        assert!(matches!(RunLock::take(&path), Err(LockError::Held(pid)) if pid == own));
        drop(first);
        assert_eq!(holder(&path), None);
        drop(RunLock::take(&path).unwrap());
        let nowhere = folder.path().join("no/such/folder");
        assert!(matches!(RunLock::take(&nowhere), Err(LockError::Unusable { .. })));
    }
}
