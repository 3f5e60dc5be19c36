//! What is read of the host: texts of the kernel's files, some of them twice, and a few things that
//! must be tried.

use std::{
    collections::BTreeMap,
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::thread::set_current_timer_slack;

use super::lock;
use crate::{
    cgroup, clock,
    limits::Limits,
    runtime::{self, EXECUTORS, ExecutorInfo},
    trial,
};

/// Files, by the pattern under which a check asks for them: `*` stands for any part of a name, and
/// `cgroup:` for the folder of each of this process's control groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<String, Vec<(String, String)>>);

/// Everything that the checks look at.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// The files now.
    pub now: Files,
    /// The counters among them some time ago.
    pub before: Files,
    /// How long ago, in ns.
    pub wall_ns: u64,
    /// CPU time that this process used since then, in ns.
    pub own_cpu_ns: u64,
    /// How late a sleeping thread woke in 99 of 100 cases, in ns; none if it was not tried.
    pub lateness_ns: Option<u64>,
    /// CPUs that this process may use.
    pub cpus: Vec<usize>,
    /// Limits on threads, files, ports and memory.
    pub limits: Limits,
    /// The process of another run in progress.
    pub other_run: Option<String>,
    /// Executors that this host does not let run, and why.
    pub unavailable: Vec<(String, String)>,
    /// Whether this program was built without optimisation.
    pub debug_build: bool,
}

impl Files {
    /// Reads all files that match the patterns; what is not there is left out.
    pub fn read<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        Self(patterns.into_iter().map(|pattern| (pattern.to_owned(), matching(pattern))).collect())
    }

    /// The text of the only file, without its line's end.
    pub fn one(&self, pattern: &str) -> Option<&str> {
        self.all(pattern).first().map(|(_, text)| text.trim()).filter(|text| !text.is_empty())
    }

    /// Path and text of each file.
    pub fn all(&self, pattern: &str) -> &[(String, String)] {
        self.0.get(pattern).map_or(&[], Vec::as_slice)
    }
}

impl Host {
    /// Reads the host: all of these files at its end, and the counters among them at the beginning
    /// of `window`, too.
    pub fn read<'a>(
        window: Duration,
        counters: impl IntoIterator<Item = &'a str>,
        all: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let start_ns = clock::now_ns();
        let before = Files::read(counters);
        let own = clock::process_cpu_ns();
        // Where the system refuses a thread, lateness is unknown.
        let napper = thread::Builder::new().spawn(lateness).ok();
        let lateness_ns = napper.and_then(|thread| thread.join().ok().flatten());
        clock::sleep_until(start_ns + window.as_nanos() as u64);
        let own_cpu_ns = clock::process_cpu_ns().saturating_sub(own);
        let now = Files::read(all);
        Self {
            now,
            before,
            wall_ns: clock::now_ns() - start_ns,
            own_cpu_ns,
            lateness_ns,
            cpus: trial::allowed_cpus(),
            limits: Limits::read(),
            other_run: lock::holder(&lock::path()),
            unavailable: unavailable(),
            debug_build: env!("REGATTA_OPT") == "0",
        }
    }
}

fn unavailable() -> Vec<(String, String)> {
    let why = |info: &ExecutorInfo| Some((info.name.to_owned(), runtime::unavailable(info.name)?));
    EXECUTORS.iter().filter_map(why).collect()
}

/// Naps whose lateness is looked at, 1 ms each.
const NAPS: usize = 100;

/// How late a thread wakes that sleeps, in 99 of 100 cases, in ns. Its timer slack is 1 ns, so that
/// the kernel's habit of collecting wake-ups (50 µs) is not in it. Run on a thread of its own,
/// because the slack stays.
fn lateness() -> Option<u64> {
    set_current_timer_slack(NonZero::new(1)).ok()?;
    let nap = |_| {
        let due = clock::now_ns() + 1_000_000;
        clock::sleep_until(due);
        clock::now_ns().saturating_sub(due)
    };
    let mut late: Vec<u64> = (0..NAPS).map(nap).collect();
    late.sort_unstable();
    late.get(NAPS * 99 / 100).copied()
}

fn matching(pattern: &str) -> Vec<(String, String)> {
    if let Some(name) = pattern.strip_prefix("cgroup:") {
        let files = cgroup::files(name).into_iter();
        return files
            .map(|file| (file.folder.join(name).display().to_string(), file.text))
            .collect();
    }
    let read = |path: PathBuf| Some((path.display().to_string(), fs::read_to_string(&path).ok()?));
    expand(Path::new(pattern)).into_iter().filter_map(read).collect()
}

/// The paths that a pattern means, sorted; `*` may stand once in each part.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str().to_string_lossy();
        paths = match part.split_once('*') {
            None => paths.into_iter().map(|path| path.join(&*part)).collect(),
            Some((start, end)) => paths.iter().flat_map(|path| entries(path, start, end)).collect(),
        };
    }
    paths
}

fn entries(folder: &Path, start: &str, end: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let fits = |name: &str| {
        name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
    };
    let mut paths: Vec<PathBuf> = names
        .filter(|name| name.to_str().is_some_and(fits))
        .map(|name| folder.join(name))
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_the_files_that_match() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["cpu0", "cpu1", "other", "cpu"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("x"), format!("{name}\n")).unwrap();
        }
        fs::remove_file(folder.path().join("cpu1/x")).unwrap();
        let pattern = format!("{}/cpu*/x", folder.path().display());
        let files = Files::read([pattern.as_str(), "/nowhere/at/all"]);
        let texts: Vec<&str> = files.all(&pattern).iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["cpu\n", "cpu0\n"]);
        assert_eq!(files.one("/nowhere/at/all"), None);
    }
}
