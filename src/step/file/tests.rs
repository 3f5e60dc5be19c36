//! Tests of file operations: under real executors, on a real folder, with damage done to it.

use std::{collections::BTreeMap, fs, path::Path};

use super::*;
use crate::{
    step::{
        StepSpec,
        testing::{EXECUTORS, Ran, Rig, errors_of, read_step, start_target},
    },
    targets::{Started, directory::Folder},
};

/// A folder and steps that act on it.
struct Bench {
    folder: Arc<Folder>,
    started: Box<dyn Started>,
    scratch: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let text = "{ directory = { files = 3, bytes = '70KiB', lines = 300 } }";
        let started = start_target(text, scratch.path()).unwrap();
        Self { folder: started.endpoint().downcast().unwrap(), started, scratch }
    }

    fn rig(&self, steps: &[&str]) -> Rig {
        let steps: Vec<String> = steps
            .iter()
            .map(|keys| format!("{{ file = {{ target = 'scratch', {keys} }} }}"))
            .collect();
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        Rig::new(&steps).endpoint("scratch", self.started.endpoint())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path().join(name)
    }

    /// The target's account, and whether its own check held.
    fn report(&mut self) -> (BTreeMap<String, u64>, bool) {
        let report = self.started.report().unwrap();
        let holds = report.proof.iter().all(|line| line.expected == line.found);
        (report.counts, holds)
    }
}

/// Runs a step on a fresh folder under every executor, inline and offloaded, and looks at what came
/// of it.
fn everywhere(keys: &str, look: impl Fn(&mut Bench, &Ran)) {
    for executor in EXECUTORS {
        for blocking in ["inline", "offload", "own-pool"] {
            let mut bench = Bench::new();
            let ran =
                bench.rig(&[&format!("{keys}, blocking = '{blocking}'")]).slots(3).run(executor, 5);
            assert_eq!(
                (ran.wrong(), ran.outcomes.len()),
                (None, 15),
                "{executor}, {keys}, {blocking}"
            );
            look(&mut bench, &ran);
        }
    }
}

fn len(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[test]
fn writes_leave_the_files_that_they_say() {
    everywhere("op = 'write', path = 'out-${i}.bin', bytes = 5000", |bench, ran| {
        assert_eq!((ran.tallies[0].done.sent, ran.tallies[0].done.received), (75_000, 0));
        for task in 0..15 {
            let written = fs::read(bench.path(&format!("out-{task}.bin"))).unwrap();
            assert_eq!(written, bench.folder.contents(5_000).bytes);
        }
        assert_eq!(bench.report().0["files left"], 4 + 15);
    });
    everywhere("op = 'write', fsync = true", |bench, _| {
        assert_eq!(len(&bench.path("out-14-0.bin")), 4_096);
    });
}

#[test]
fn a_write_empties_what_was_there() {
    let bench = Bench::new();
    fs::write(bench.path("out.bin"), [7; 9_000]).unwrap();
    assert_eq!(
        bench.rig(&["op = 'write', path = 'out.bin', bytes = 10"]).run("sequential", 1).wrong(),
        None
    );
    assert_eq!(len(&bench.path("out.bin")), 10);
}

#[test]
fn a_write_sees_a_file_of_another_length() {
    for executor in EXECUTORS {
        let bench = Bench::new();
        std::os::unix::fs::symlink("/dev/null", bench.path("out.bin")).unwrap();
        let ran = bench.rig(&["op = 'write', path = 'out.bin', bytes = 10"]).run(executor, 1);
        assert!(
            ran.wrong().unwrap().contains("is 0 bytes long after 10 were written"),
            "{executor}: {ran:?}"
        );
    }
}

#[test]
fn reads_start_again_after_the_last_seeded_file() {
    everywhere("op = 'read'", |_, ran| {
        assert_eq!((ran.tallies[0].done.sent, ran.tallies[0].done.received), (0, 15 * (70 << 10)));
    });
    let bench = Bench::new();
    fs::remove_file(bench.path("file-1")).unwrap();
    let ran = bench.rig(&["op = 'read'"]).run("sequential", 6);
    let failed: Vec<usize> = (0..6).filter(|task| ran.outcomes[*task].is_err()).collect();
    assert_eq!(failed, [1, 4]);
    assert!(ran.wrong().unwrap().contains("file `file-1`: No such file"), "{ran:?}");
}

#[test]
fn the_log_and_written_files_can_be_read() {
    everywhere("op = 'read', path = 'log.txt'", |bench, ran| {
        assert_eq!(ran.tallies[0].done.received, 15 * bench.folder.log.bytes);
    });
    let bench = Bench::new();
    let steps = [
        "op = 'write', path = 'o-${i}', bytes = '1KiB'",
        "op = 'read', path = 'o-${i}', bytes = '1KiB'",
    ];
    let ran = bench.rig(&steps).slots(2).run("tokio", 4);
    assert_eq!((ran.wrong(), ran.tallies[1].done.received), (None, 8 << 10));
}

#[test]
fn reads_see_any_difference() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("not those that were written", |bytes| bytes[65_600] ^= 1),
        ("71679 bytes were read, 71680 are expected", |bytes| bytes.truncate(71_679)),
        ("71681 bytes were read", |bytes| bytes.push(0)),
        ("0 bytes were read", Vec::clear),
    ];
    for (wrong, damage) in damages {
        for executor in EXECUTORS {
            let bench = Bench::new();
            let mut bytes = fs::read(bench.path("file-2")).unwrap();
            damage(&mut bytes);
            fs::write(bench.path("file-2"), bytes).unwrap();
            let ran = bench.rig(&["op = 'read'"]).run(executor, 3);
            assert!(ran.outcomes[..2].iter().all(Result::is_ok), "{executor}: {ran:?}");
            assert!(ran.wrong().unwrap().contains(wrong), "{executor}: {ran:?}");
        }
    }
}

#[test]
fn a_read_of_a_file_that_nobody_seeded_says_so() {
    let bench = Bench::new();
    let ran = bench.rig(&["op = 'read', path = 'file-${i}x'"]).run("sequential", 1);
    assert!(ran.wrong().unwrap().contains("no such seeded file among 3"), "{ran:?}");
    let scratch = tempfile::tempdir().unwrap();
    let empty = start_target("{ directory = { files = 0 } }", scratch.path()).unwrap();
    let rig = Rig::new(&["{ file = { target = 'scratch', op = 'read' } }"])
        .endpoint("scratch", empty.endpoint());
    assert!(rig.run("sequential", 1).wrong().unwrap().contains("among 0"));
}

#[test]
fn appends_add_up() {
    everywhere("op = 'append', bytes = 300", |bench, ran| {
        assert_eq!((ran.tallies[0].done.sent, len(&bench.path("append.bin"))), (4_500, 4_500));
        let (counts, holds) = bench.report();
        assert_eq!((counts["bytes in them"], holds), (4_500, true));
        fs::write(bench.path("append.bin"), [0; 4_200]).unwrap();
        assert!(!bench.report().1);
    });
    everywhere("op = 'append', path = 'a-${i}', fsync = true", |bench, _| {
        let (counts, holds) = bench.report();
        assert_eq!(
            (counts["files appended to"], len(&bench.path("a-9")), holds),
            (15, 4_096, true)
        );
    });
}

#[test]
fn a_file_may_be_written_and_then_appended_to() {
    for (path, files) in [("w", 1), ("w-${i}", 4)] {
        let mut bench = Bench::new();
        let write = format!("op = 'write', path = '{path}', bytes = 10");
        let append = format!("op = 'append', path = '{path}', bytes = 5");
        let ran = bench
            .rig(&[&write, &append, &append, "op = 'write', path = 'other'"])
            .run("sequential", 4);
        let (counts, holds) = bench.report();
        assert_eq!(
            (ran.wrong(), counts["files appended to"], counts["bytes in them"]),
            (None, files, files * 20)
        );
        assert!(holds);
    }
}

#[test]
fn scans_count_what_is_there() {
    for pattern in ["ERROR", " WARN ", "worker-3", "T00:00:0", "nowhere"] {
        everywhere(&format!("op = 'scan', pattern = '{pattern}'"), |bench, ran| {
            assert_eq!(ran.tallies[0].done.received, 15 * bench.folder.log.bytes);
        });
    }
}

#[test]
fn scans_see_a_changed_line() {
    for executor in EXECUTORS {
        let bench = Bench::new();
        let log = fs::read_to_string(bench.path("log.txt")).unwrap();
        fs::write(bench.path("log.txt"), log.replacen(" INFO ", " ERROR ", 1)).unwrap();
        let ran = bench.rig(&["op = 'scan'"]).run(executor, 2);
        let expected = bench.folder.log.levels["ERROR"];
        let wrong = format!("{} lines contain `ERROR`, {expected} are expected", expected + 1);
        assert!(ran.wrong().unwrap().contains(&wrong), "{executor}: {ran:?}");
        // The reader can be used again after an error.
        fs::write(bench.path("log.txt"), b"\xff\xfe no text").unwrap();
        assert!(bench.rig(&["op = 'scan'"]).run(executor, 2).wrong().unwrap().contains("UTF-8"));
    }
}

#[test]
fn an_instance_that_takes_the_place_of_a_lost_one_works_unprepared() {
    let bench = Bench::new();
    for action in [
        Action::Scan { pattern: "worker-3".into() },
        Action::Read { made: None },
        Action::Append { contents: bench.folder.contents(9), fsync: false, growth: None },
    ] {
        let name = if matches!(action, Action::Append { .. }) { "grown" } else { LOG };
        let mut work = FileWork::new(bench.folder.clone(), action);
        work.rename(|out| out.push_str(name));
        let done = work.run().unwrap();
        assert_eq!(done.received + done.sent, if name == LOG { bench.folder.log.bytes } else { 9 });
    }
}

fn errors(keys: &str) -> Vec<String> {
    errors_of(&format!("{{ file = {{ target = 'scratch', {keys} }} }}"))
}

#[test]
fn a_file_is_not_in_another_process() {
    let found = errors("op = 'read', blocking = 'process-pool'");
    assert_eq!(found.len(), 1, "{found:?}");
    let parts = ["`process-pool` is for `cpu` only", "write \"own-pool\""];
    assert!(parts.iter().all(|part| found[0].contains(part)), "{found:?}");
    let query = "{ sql = { target = 'db', query = 'SELECT 1', blocking = 'process-pool' } }";
    assert!(errors_of(query)[0].contains("`process-pool` is for `cpu` only"));
}

#[test]
fn paths_stay_in_the_folder() {
    for op in ["write", "append", "read"] {
        for path in ["../x", "..", ".", "/etc/passwd", "a/b", "", "x/../../y", "${i}/x"] {
            let found = errors(&format!("op = '{op}', path = '{path}'"));
            assert_eq!(found.len(), 1, "{op} {path}: {found:?}");
            assert!(
                found[0].contains("would leave the target's folder; name a file"),
                "{op} {path}: {found:?}"
            );
        }
    }
    assert!(errors("op = 'write', path = 'x${k}'")[0].contains("unknown name in `${k}`"));
    assert_eq!(errors("op = 'write', path = '..a${uniform(1,2)}'"), [""; 0]);
}

#[test]
fn seeded_files_are_only_read() {
    for path in ["file-1", "file-${i}", "log.txt", "file${uniform(-9,-1)}"] {
        for op in ["write", "append"] {
            let found = errors(&format!("op = '{op}', path = '{path}'"));
            assert!(
                found.len() == 1 && found[0].contains("other steps may read"),
                "{op} {path}: {found:?}"
            );
        }
    }
    assert!(errors("op = 'read', path = 'out-${i}.bin'")[0].contains("give the `bytes`"));
    assert!(errors("op = 'read', path = 'file-${i}', bytes = 5")[0].contains("remove `bytes`"));
    for fine in ["path = 'log.txt'", "path = 'file-${zipf(9,1.1)}'", "path = 'out', bytes = 5"] {
        assert_eq!(errors(&format!("op = 'read', {fine}")), [""; 0]);
    }
}

#[test]
fn keys_must_go_with_the_operation() {
    let all = "path = 'x', bytes = 1, pattern = 'E', fsync = true";
    for (op, strangers) in [
        ("write", vec!["`pattern`"]),
        ("append", vec!["`pattern`"]),
        ("read", vec!["`pattern`", "`fsync`"]),
        ("scan", vec!["`path`", "`bytes`", "`fsync`"]),
    ] {
        let found = errors(&format!("op = '{op}', {all}"));
        assert_eq!(found.len(), strangers.len(), "{op}: {found:?}");
        for (error, stranger) in found.iter().zip(strangers) {
            assert!(
                error.starts_with(&format!(
                    "{stranger} does not go with `op = \"{op}\"`; remove it"
                )),
                "{error}"
            );
        }
    }
    assert!(errors("op = 'wirte'")[0].contains("did you mean `write`?"));
    assert!(errors("op = 'write', bytes = '2GiB'")[0].contains("at most 1GiB"));
    assert!(errors("op = 'scan', pattern = ''")[0].contains("not empty"));
    assert_eq!(errors("pattern = 'E'").len(), 1);
}

#[test]
fn costs_are_estimated_from_the_target() {
    let target =
        crate::step::testing::read_target("{ directory = { bytes = '20kB', lines = 1000 } }")
            .unwrap();
    let cost = |keys: &str| {
        let Ok(StepSpec::File(file)) =
            read_step(&format!("{{ file = {{ target = 't', {keys} }} }}"))
        else {
            panic!("{keys}")
        };
        file.cost(&|name| (name == "t").then_some(&target))
    };
    let micros = |mean, cpu| Cost {
        least: Duration::ZERO,
        mean: Duration::from_micros(mean),
        cpu: Duration::from_micros(cpu),
    };
    assert_eq!(cost("op = 'read'"), micros(25, 25));
    assert_eq!(cost("op = 'scan'"), micros(95, 95));
    assert_eq!(cost("op = 'write', bytes = '2kB', fsync = true"), micros(2_016, 16));
}
