//! What a directory is on: a run says so, and that `fsync` does nothing on a file system in memory.

use std::{fs, path::Path};

use regatta::store::Outcome;

use super::{bench_dir::BenchDir, skip::skipped};

/// A folder on a file system in memory, where this host has one that can be written to.
fn in_memory() -> Option<String> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let places = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind) = (fields.next()?, fields.next()?);
        (kind == "tmpfs" && tempfile::tempdir_in(place).is_ok()).then(|| place.to_owned())
    });
    places.into_iter().next()
}

/// The fact that a trial stores of a folder there, and the report.
fn told(path: &Path, fsync: bool) -> (String, String) {
    let bench = BenchDir::with(&format!(
        "schema = 1\nname = \"save\"\n[run]\nrounds = 1\nwarmup = \"0s\"\ntimeout = \"60s\"\n[executors]\nuse = [\"threads\"]\n\
         [targets.disk]\ndirectory = {{ path = \"{}\" }}\n[tasks.save]\nsteps = [{{ file = {{ target = \"disk\", op = \"write\", \
         bytes = \"4KiB\", fsync = {fsync} }} }}]\n[load.l]\ntask = \"save\"\nclosed = {{ concurrency = 2, tasks = 20 }}\n",
        path.display()
    ));
    bench.run("run s.toml --out out");
    let run = bench.stored("out");
    let Outcome::Measured(measured) = &run.trials[0].outcome else {
        panic!("{:?}", run.trials[0].outcome)
    };
    let page = bench.run("report out --format markdown").exits(0).out;
    (measured.trial.facts["disk: file system"].clone(), page)
}

#[test]
fn fsync_on_a_file_system_in_memory_is_told() {
    let Some(place) = in_memory() else {
        skipped("no tmpfs here that can be written to");
        return;
    };
    let (fact, page) = told(Path::new(&place), true);
    assert_eq!(fact, "tmpfs, which is in memory: fsync does nothing there");
    // Behind the target's name, whose quotes Markdown escapes.
    let finding = " is on tmpfs, which is in memory: fsync does nothing there; give ";
    assert!(page.contains(finding), "{page}");
    let (fact, page) = told(Path::new(&place), false);
    assert_eq!(fact, "tmpfs, which is in memory");
    assert!(!page.contains("fsync does nothing"), "{page}");
}
