//! The control groups of this process, version 1 and 2: where their files are, and what is in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of one of this process's control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFile {
    /// The group's folder.
    pub folder: PathBuf,
    /// The file's text.
    pub text: String,
}

impl GroupFile {
    /// The number in another file of the same group.
    pub fn beside(&self, name: &str) -> Option<u64> {
        fs::read_to_string(self.folder.join(name)).ok()?.trim().parse().ok()
    }

    /// The number after `key` in another file of the same group, such as `memory.stat`.
    pub fn entry(&self, name: &str, key: &str) -> Option<u64> {
        entry(&fs::read_to_string(self.folder.join(name)).ok()?, key)
    }
}

/// The file called `name` in each group that this process is in, the innermost first. A limit of any of them binds.
pub fn files(name: &str) -> Vec<GroupFile> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let found = folders(&own).into_iter().filter_map(|folder| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        Some(GroupFile { folder, text })
    });
    found.collect()
}

/// The number after `key` in a text with one key and number a line.
pub fn entry(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Where the groups named in `/proc/self/cgroup` can be: each with all that contain it. Inside a container the path
/// may be the host's, and only its root is mounted; folders that do not exist are for the caller to skip.
fn folders(own: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let roots = match controllers.trim_start_matches("name=") {
            "" => vec![PathBuf::from("/sys/fs/cgroup"), PathBuf::from("/sys/fs/cgroup/unified")],
            some => vec![Path::new("/sys/fs/cgroup").join(some)],
        };
        for root in roots {
            let within = Path::new(path.trim_start_matches('/'));
            folders.extend(within.ancestors().map(|above| root.join(above)));
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_those_of_the_process_and_all_above() {
        let names = |own: &str| -> Vec<String> {
            folders(own).iter().map(|folder| folder.display().to_string().trim_end_matches('/').to_owned()).collect()
        };
        let new = names("0::/user.slice/app\n");
        assert_eq!(new[..3], ["/sys/fs/cgroup/user.slice/app", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"]);
        let old = names("4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n");
        assert_eq!(old[0], "/sys/fs/cgroup/cpu,cpuacct/docker/x");
        assert_eq!(old[2..], ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/systemd"]);
        assert!(names("nonsense").is_empty());
    }

    #[test]
    fn entries_are_found_by_their_whole_key() {
        let text = "nr_throttled 3\nnr 7\n";
        assert_eq!(entry(text, "nr"), Some(7));
        assert_eq!(entry(text, "nr_throttled"), Some(3));
        assert_eq!(entry(text, "absent"), None);
    }
}
