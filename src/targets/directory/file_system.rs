//! The file system that a folder is on.

use std::{fs, path::Path};

use procfs::process::Process;

use crate::measure::SYNC_IN_MEMORY;

/// File systems that keep everything in memory.
const IN_MEMORY: [&str; 3] = ["tmpfs", "ramfs", "devtmpfs"];

/// A file system by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileSystem {
    kind: String,
}

impl FileSystem {
    /// Its kind, and what it means for a folder in which steps use `fsync`, or do not.
    pub(super) fn words(&self, is_synced: bool) -> String {
        let kind = &self.kind;
        match (IN_MEMORY.contains(&kind.as_str()), is_synced) {
            (true, true) => format!("{kind}{SYNC_IN_MEMORY}"),
            (true, false) => format!("{kind}, which is in memory"),
            (false, _) => kind.clone(),
        }
    }
}

/// The file system of an existing folder, by what is mounted nearest above it; none where the
/// kernel does not say.
pub(super) fn of(folder: &Path) -> Option<FileSystem> {
    let folder = fs::canonicalize(folder).ok()?;
    let mounts = Process::myself().ok()?.mountinfo().ok()?.0;
    let mounts: Vec<_> =
        mounts.into_iter().map(|mount| (mount.mount_point, mount.fs_type)).collect();
    let kind = nearest(&folder, mounts.iter().map(|(at, kind)| (at.as_path(), kind.as_str())))?;
    Some(FileSystem { kind: kind.to_owned() })
}

/// What is mounted nearest above a folder: the longest of the places that it lies in, and there the
/// last mount.
fn nearest<'a>(
    folder: &Path,
    mounts: impl Iterator<Item = (&'a Path, &'a str)>,
) -> Option<&'a str> {
    let above = mounts.filter(|(at, _)| folder.starts_with(at));
    above.max_by_key(|(at, _)| at.components().count()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_nearest_above_a_folder_is_its_file_system() {
        let mounts = [
            ("/", "overlay"),
            ("/data", "xfs"),
            ("/data/fast", "ext4"),
            ("/data/fast", "tmpfs"),
            ("/database", "nfs4"),
        ];
        let of = |folder: &str| {
            nearest(Path::new(folder), mounts.iter().map(|(at, kind)| (Path::new(*at), *kind)))
        };
        assert_eq!(
            (of("/home/me"), of("/data/slow"), of("/database/x")),
            (Some("overlay"), Some("xfs"), Some("nfs4"))
        );
        assert_eq!(
            of("/data/fast/run"),
            Some("tmpfs"),
            "the last one hides what was mounted there before"
        );
    }

    #[test]
    fn one_in_memory_is_told_and_what_fsync_does_there() {
        let words = |kind: &str, is_synced| FileSystem { kind: kind.into() }.words(is_synced);
        assert_eq!(words("ext4", true), "ext4");
        assert_eq!(words("tmpfs", false), "tmpfs, which is in memory");
        assert_eq!(words("tmpfs", true), "tmpfs, which is in memory: fsync does nothing there");
    }

    #[test]
    fn the_kernel_says_what_a_folder_is_on() {
        assert_eq!(of(Path::new("/proc")).map(|system| system.kind).as_deref(), Some("proc"));
        assert_eq!(of(Path::new("/nowhere/at/all")), None);
    }
}
