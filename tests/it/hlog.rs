//! The export of histograms, read back by an implementation that is not ours: the Python package
//! `hdrhistogram`.

use std::{collections::BTreeMap, path::Path, process::Command};

use regatta::{
    measure::{Histo, Measurements},
    store::{self, Outcome, Run},
};

/// Whether there is a Python with the package; where CI runs, there must be.
fn has_package() -> bool {
    let found = Command::new("python3").args(["-c", "import hdrh.log"]).output();
    let found = found.is_ok_and(|done| done.status.success());
    if !found {
        crate::skip::skipped(
            "no python3 with the package hdrhistogram on this machine: pip install hdrhistogram",
        );
    }
    found
}

/// A line of the script.
struct Interval<'a> {
    tag: &'a str,
    start_ms: u64,
    length_ms: u64,
    count: u64,
    /// p50, p99 and max.
    values: [u64; 3],
}

fn interval(line: &str) -> Interval<'_> {
    let fields: Vec<&str> = line.split('\t').collect();
    let number = |at: usize| fields[at].parse().unwrap_or_else(|why| panic!("{why}: {line}"));
    Interval {
        tag: fields[0],
        start_ms: number(1),
        length_ms: number(2),
        count: number(3),
        values: [number(4), number(5), number(6)],
    }
}

/// What the run file holds of the trials that count, by tag and start: a disturbed one was run
/// again. Rounds of one cell never start in the same millisecond.
fn stored(run: &Run) -> BTreeMap<(String, u64), (Histo, u64)> {
    let (mut stored, rounds) = (BTreeMap::new(), run.rounds());
    for (_, trial) in run.header.cells.iter().flat_map(|cell| rounds.of(&cell.name)) {
        let Outcome::Measured(measured) = &trial.outcome else { continue };
        for (kind, histo) in kinds(&measured.loads[0]) {
            if histo.count() > 0 {
                let tag = format!("{}/{kind}", trial.cell.replace(',', "%2C"));
                stored.insert(
                    (tag, trial.started_ms),
                    (histo.clone(), measured.loads[0].window_ns / 1_000_000),
                );
            }
        }
    }
    stored
}

fn kinds(measured: &Measurements) -> Vec<(String, &Histo)> {
    let task = [("latency", &measured.task.latency), ("service", &measured.task.service)];
    let task = task
        .into_iter()
        .chain([("lateness", &measured.task.lateness)])
        .map(|(kind, h)| (kind.to_owned(), h));
    let steps = measured.steps.iter().flat_map(|step| {
        let stream = &step.stream;
        let kinds = [
            ("latency", &stream.latency),
            ("service", &stream.service),
            ("lateness", &stream.lateness),
        ];
        kinds.map(|(kind, histo)| (format!("{}/{kind}", step.name.replace(' ', "%20")), histo))
    });
    let pacer = measured.arrivals.iter().map(|arrivals| ("pacer".to_owned(), &arrivals.pacer));
    task.chain(steps).chain(pacer).collect()
}

#[test]
fn the_python_package_reads_what_was_measured() {
    if !has_package() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sample = root.join("reports/sample/run.jsonl");
    let exported = Command::new(env!("CARGO_BIN_EXE_regatta"))
        .args(["report", "--format", "hlog"])
        .arg(&sample)
        .output()
        .unwrap();
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("sample.hlog");
    std::fs::write(&log, exported.stdout).unwrap();

    let read =
        Command::new("python3").arg(root.join("tests/it/hlog/read.py")).arg(&log).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let text = String::from_utf8(read.stdout).unwrap();
    let mut left = stored(&store::read(&sample).unwrap());
    for found in text.lines().map(interval) {
        let key = (found.tag.to_owned(), found.start_ms);
        let (histo, window_ms) =
            left.remove(&key).unwrap_or_else(|| panic!("{key:?} is not in the run"));
        assert_eq!(found.count, histo.count(), "{key:?}");
        assert!(
            found.length_ms.abs_diff(window_ms) <= 1,
            "{key:?}: {} and {window_ms} ms",
            found.length_ms
        );
        let ours = [histo.0.value_at_quantile(0.5), histo.0.value_at_quantile(0.99), histo.0.max()];
        for (theirs, ours) in found.values.into_iter().zip(ours) {
            assert!(
                histo.0.equivalent(theirs, ours),
                "{key:?}: {theirs} and {ours} are in different buckets"
            );
        }
    }
    assert!(left.is_empty(), "not in the log: {:?}", left.keys().collect::<Vec<_>>());
}
