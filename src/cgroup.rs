//! Control groups, version 1 and 2: those of this process, and those of a service or a container
//! that is watched.

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

/// The file called `name` in each group that this process is in, the innermost first. A limit of
/// any of them binds.
pub fn files(name: &str) -> Vec<GroupFile> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let found = folders(&own).into_iter().filter_map(|folder| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        Some(GroupFile { folder, text })
    });
    found.collect()
}

/// The control group of a service or a container: all that runs in it belongs to one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its path, as the kernel names it.
    pub name: String,
    folders: Vec<PathBuf>,
}

impl Service {
    /// That of a process whose CPU time can be read. None where it is only a login's or a
    /// terminal's, or where this process is in it, too: then it holds more than the server.
    pub fn of(pid: u32) -> Option<Self> {
        let groups = |who: &str| fs::read_to_string(format!("/proc/{who}/cgroup")).ok();
        let service = service(&groups(&pid.to_string())?, &groups("self")?)?;
        service.cpu_ns().is_some().then_some(service)
    }

    /// CPU time of all that ran in it since it was made, in ns.
    pub fn cpu_ns(&self) -> Option<u64> {
        let new = || entry(&self.read("cpu.stat")?, "usage_usec").map(|us| us * 1000);
        new().or_else(|| self.read("cpuacct.usage")?.trim().parse().ok())
    }

    /// How many CPUs its quota leaves it; none without a quota.
    pub fn quota(&self) -> Option<f64> {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let new = || {
            let text = self.read("cpu.max")?;
            let (quota, period) = text.split_once(' ')?;
            Some(number(quota)? / number(period)?)
        };
        let old = || {
            Some(
                number(&self.read("cpu.cfs_quota_us")?)?
                    / number(&self.read("cpu.cfs_period_us")?)?,
            )
        };
        // Version 1 says -1 where there is none.
        new().or_else(old).filter(|cpus| *cpus > 0.0)
    }

    /// The processes in it.
    pub fn processes(&self) -> Vec<i32> {
        let text = self.read("cgroup.procs").unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn read(&self, file: &str) -> Option<String> {
        self.folders.iter().find_map(|folder| fs::read_to_string(folder.join(file)).ok())
    }
}

/// The group in the text of `/proc/PID/cgroup` that is a service's or a container's, unless `ours`
/// is in it, too.
fn service(theirs: &str, ours: &str) -> Option<Service> {
    let of = |text| str::lines(text).filter_map(accounting).collect::<Vec<_>>();
    let (theirs, ours) = (of(theirs), of(ours));
    let mut found = Service { name: String::new(), folders: Vec::new() };
    for (controllers, path) in &theirs {
        let Some(name) = one_server(path) else { continue };
        let inside = |own: &str| {
            own.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if ours.iter().any(|(own_controllers, own)| own_controllers == controllers && inside(own)) {
            return None;
        }
        name.clone_into(&mut found.name);
        found.folders.extend(
            roots(controllers).into_iter().map(|root| root.join(name.trim_start_matches('/'))),
        );
    }
    (!found.folders.is_empty()).then_some(found)
}

/// Controllers and path of a line, where they account for CPU time.
fn accounting(line: &str) -> Option<(&str, &str)> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    (controllers.is_empty() || controllers.split(',').any(|name| name == "cpuacct"))
        .then_some((controllers, path))
}

/// The part of a group's path that is one service or one container.
fn one_server(path: &str) -> Option<&str> {
    const CONTAINERS: [&str; 5] = ["docker-", "libpod-", "crio-", "cri-containerd-", "lxc.payload"];
    const FOLDERS_OF_CONTAINERS: [&str; 4] = ["docker", "lxc", "kubepods", "libpod_parent"];
    let mut end = 0;
    for part in path.trim_start_matches('/').split('/') {
        end += 1 + part.len();
        // `user@1000.service` holds all that a user runs.
        let is_service = part.ends_with(".service") && !part.starts_with("user@");
        if is_service || CONTAINERS.iter().any(|start| part.starts_with(start)) {
            return Some(&path[..end]);
        }
        if FOLDERS_OF_CONTAINERS.contains(&part) && end < path.len() {
            return Some(path);
        }
    }
    None
}

/// The number after `key` in a text with one key and number a line.
pub fn entry(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Where the groups named in `/proc/self/cgroup` can be: each with all that contain it. Inside a
/// container the path may be the host's, and only its root is mounted; folders that do not exist
/// are for the caller to skip.
fn folders(own: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        for root in roots(controllers) {
            let within = Path::new(path.trim_start_matches('/'));
            folders.extend(within.ancestors().map(|above| root.join(above)));
        }
    }
    folders
}

/// Where the groups of these controllers are mounted.
fn roots(controllers: &str) -> Vec<PathBuf> {
    match controllers.trim_start_matches("name=") {
        "" => vec![PathBuf::from("/sys/fs/cgroup"), PathBuf::from("/sys/fs/cgroup/unified")],
        some => vec![Path::new("/sys/fs/cgroup").join(some)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_or_a_container_is_one_server_and_a_login_is_not() {
        for (path, expected) in [
            ("/system.slice/nginx.service", Some("/system.slice/nginx.service")),
            ("/system.slice/app.service/worker", Some("/system.slice/app.service")),
            ("/system.slice/docker-1f.scope", Some("/system.slice/docker-1f.scope")),
            ("/docker/1f", Some("/docker/1f")),
            ("/docker", None),
            ("/machine.slice/libpod-1f.scope/container", Some("/machine.slice/libpod-1f.scope")),
            ("/user.slice/user-0.slice/session-3.scope", None),
            (
                "/user.slice/user-0.slice/user@0.service/app.slice/my.service",
                Some("/user.slice/user-0.slice/user@0.service/app.slice/my.service"),
            ),
            ("/user.slice/user-0.slice/user@0.service/app.slice/vte-spawn-1.scope", None),
            ("/", None),
        ] {
            assert_eq!(one_server(path), expected, "{path}");
        }
    }

    #[test]
    fn a_group_that_holds_this_process_too_is_not_the_server_s() {
        let theirs =
            "4:cpu,cpuacct:/docker/a\n3:memory:/docker/a\n0::/system.slice/app.service/x\n";
        let found = service(theirs, "4:cpu,cpuacct:/\n0::/user.slice\n").expect("it is apart");
        assert_eq!(found.name, "/system.slice/app.service");
        let folders: Vec<String> =
            found.folders.iter().map(|folder| folder.display().to_string()).collect();
        let new = [
            "/sys/fs/cgroup/system.slice/app.service",
            "/sys/fs/cgroup/unified/system.slice/app.service",
        ];
        assert_eq!(folders[0], "/sys/fs/cgroup/cpu,cpuacct/docker/a");
        assert_eq!(folders[1..], new);
        assert_eq!(service(theirs, "0::/system.slice/app.service/y\n"), None);
        assert!(service(theirs, "0::/system.slice/app.service-2\n").is_some());
        assert_eq!(service("0::/\n", "0::/\n"), None);
    }

    #[test]
    fn time_and_quota_of_a_group_are_read_of_either_version() {
        let folder = tempfile::tempdir().expect("scratch");
        let group = Service { name: "x".into(), folders: vec![folder.path().to_owned()] };
        let write =
            |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("writes");
        assert_eq!((group.cpu_ns(), group.quota()), (None, None));
        write("cpuacct.usage", "77\n");
        write("cpu.cfs_quota_us", "-1\n");
        write("cpu.cfs_period_us", "100000\n");
        assert_eq!((group.cpu_ns(), group.quota()), (Some(77), None));
        write("cpu.cfs_quota_us", "50000\n");
        assert_eq!(group.quota(), Some(0.5));
        write("cpu.stat", "usage_usec 5\nuser_usec 3\n");
        write("cpu.max", "max 100000\n");
        write("cgroup.procs", "3\n7\n");
        assert_eq!(
            (group.cpu_ns(), group.quota(), group.processes()),
            (Some(5_000), Some(0.5), vec![3, 7])
        );
        write("cpu.max", "150000 100000\n");
        assert_eq!(group.quota(), Some(1.5));
    }

    #[test]
    fn groups_are_those_of_the_process_and_all_above() {
        let names = |own: &str| -> Vec<String> {
            folders(own)
                .iter()
                .map(|folder| folder.display().to_string().trim_end_matches('/').to_owned())
                .collect()
        };
        let new = names("0::/user.slice/app\n");
        assert_eq!(
            new[..3],
            ["/sys/fs/cgroup/user.slice/app", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"]
        );
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
