//! Run files on real folders: torn, damaged, full, locked.

use std::{
    fs::{self, File},
    path::Path,
};

use super::{fixture::Fixture, *};

fn demo() -> Run {
    Fixture::batch("threads", 2)
        .cell("threads", &[], &[2e6, 3e6])
        .cell("tokio", &[], &[1e6, 1.5e6])
        .build()
}

fn lines(run: &Run) -> Vec<Line> {
    run.trials.iter().map(|trial| Line::Trial(Box::new(trial.clone()))).collect()
}

/// Writes the run's trials, without an end line, and lets go of the file.
fn write(folder: &Path, run: &Run) {
    let mut writer = Writer::create(folder, &run.header).expect("creates");
    for line in lines(run) {
        writer.append(&line).expect("appends");
    }
}

fn text(folder: &Path) -> String {
    fs::read_to_string(folder.join(FILE_NAME)).expect("reads")
}

#[test]
fn what_is_written_is_read() {
    let scratch = tempfile::tempdir().expect("scratch");
    let folder = scratch.path().join("deep/run");
    let run = demo();
    let mut writer = Writer::create(&folder, &run.header).expect("creates");
    for line in lines(&run) {
        writer.append(&line).expect("appends");
    }
    writer.append(&Line::Finished { at_ms: 9 }).expect("appends");
    assert_eq!(read(&folder).expect("reads the folder"), run);
    assert_eq!(read(writer.path()).expect("reads the file"), run);
}

/// Files that were written before there were lanes have none.
#[test]
fn a_cell_without_a_lane_is_of_the_same_code_lane() {
    let scratch = tempfile::tempdir().expect("scratch");
    let mut run = demo();
    run.header.cells[1].lane = Lane::Idiomatic;
    write(scratch.path(), &run);
    assert_eq!(text(scratch.path()).matches("\"lane\":\"idiomatic\"").count(), 1);
    assert_eq!(text(scratch.path()).matches("\"lane\"").count(), 1);
    assert_eq!(read(scratch.path()).expect("reads").header.cells, run.header.cells);
}

#[test]
fn every_line_is_on_disk_when_append_returns() {
    let scratch = tempfile::tempdir().expect("scratch");
    let run = demo();
    let mut writer = Writer::create(scratch.path(), &run.header).expect("creates");
    for (line, so_far) in lines(&run).iter().zip(1..) {
        writer.append(line).expect("appends");
        assert_eq!(read(scratch.path()).expect("reads").trials.len(), so_far);
    }
}

#[test]
fn a_torn_last_line_is_dropped_with_a_note_and_cut_off_by_the_next_writer() {
    let scratch = tempfile::tempdir().expect("scratch");
    let run = demo();
    write(scratch.path(), &run);
    let whole = text(scratch.path());
    let last_line = whole[..whole.len() - 1].rfind('\n').expect("several lines") + 1;
    for cut in [last_line + 1, last_line + 40, whole.len() - 1] {
        fs::write(scratch.path().join(FILE_NAME), &whole[..cut]).expect("tears");
        let torn = read(scratch.path()).expect("reads");
        assert_eq!(torn.trials, run.trials[..3]);
        assert!(torn.notes[0].contains("torn"), "{:?}", torn.notes);

        let (mut writer, seen) = Writer::open_append(scratch.path()).expect("opens");
        assert_eq!(seen, torn);
        assert_eq!(text(scratch.path()), whole[..last_line]);
        writer.append(&lines(&run)[3]).expect("appends");
        drop(writer);
        assert_eq!(text(scratch.path()), whole);
    }
}

#[test]
fn a_damaged_line_in_the_middle_is_named() {
    let scratch = tempfile::tempdir().expect("scratch");
    write(scratch.path(), &demo());
    let damaged = text(scratch.path()).replacen("\"round\":2", "\"round\":zwei", 1);
    fs::write(scratch.path().join(FILE_NAME), damaged).expect("damages");
    let error = read(scratch.path()).expect_err("is damaged");
    assert!(matches!(error, StoreError::Corrupt { line: 3, .. }), "{error}");
    assert!(error.to_string().contains("run.jsonl:3: the line is damaged"), "{error}");
    // A file that cannot be read must not be changed either.
    let before = text(scratch.path());
    Writer::open_append(scratch.path()).expect_err("is damaged");
    assert_eq!(text(scratch.path()), before);
}

#[test]
fn what_takes_up_a_run_is_what_made_it() {
    let again = |words: &[&str], search: bool| {
        let scratch = tempfile::tempdir().expect("scratch");
        let mut header = demo().header;
        header.command = words.iter().map(ToString::to_string).collect();
        header.search = search.then(|| Search {
            cells: Vec::new(),
            precision: 0.05,
            most_trials: 5,
            highest: 1e6,
        });
        drop(Writer::create(scratch.path(), &header).expect("creates"));
        let text = Writer::create(scratch.path(), &header).expect_err("exists").to_string();
        text.replace(&scratch.path().display().to_string(), "DIR")
    };
    let said = |what: &str| {
        format!("DIR/run.jsonl: there is a run already; {what}, or name another folder with --out")
    };
    let run = said("resume it with `regatta run --resume DIR`");
    assert_eq!(again(&["regatta", "run", "selftest"], false), run);
    assert_eq!(
        again(&["regatta", "find-rate", "s.toml"], true),
        said("resume it with `regatta find-rate --resume DIR`")
    );
    assert_eq!(
        again(&["regatta", "--color", "never", "selftest"], false),
        said("start it again, for a self-test cannot be resumed")
    );
    let full = |resume| {
        let source = std::io::ErrorKind::StorageFull.into();
        StoreError::Write { path: "DIR/run.jsonl".into(), resume, source }.to_string()
    };
    assert!(
        full(Resumer::Search)
            .ends_with("; free space, then resume it with `regatta find-rate --resume DIR`")
    );
    assert!(
        full(Resumer::Never)
            .ends_with("; free space, then start it again, for a self-test cannot be resumed")
    );
}

#[test]
fn a_cell_without_rounds_is_damage() {
    let scratch = tempfile::tempdir().expect("scratch");
    let mut run = demo();
    run.header.cells[0].rounds = 0;
    write(scratch.path(), &run);
    let error = read(scratch.path()).expect_err("is damaged");
    assert!(
        error.to_string().contains("run.jsonl:1: the line is damaged")
            && error.to_string().contains("no rounds")
    );
}

#[test]
fn another_version_is_refused_before_its_fields_are_looked_at() {
    let scratch = tempfile::tempdir().expect("scratch");
    let path = scratch.path().join("run.jsonl");
    fs::write(&path, "{\"regatta_run\":7,\"shape\":\"unheard of\"}\n").expect("writes");
    assert!(matches!(read(&path), Err(StoreError::Version { found: 7, known: VERSION, .. })));
}

#[test]
fn other_files_are_told_from_runs() {
    let scratch = tempfile::tempdir().expect("scratch");
    let path = scratch.path().join("run.jsonl");
    assert!(matches!(read(scratch.path()), Err(StoreError::Read { .. })));
    for text in ["", "{\"regatta_run\":1,\"run\":\"cut"] {
        fs::write(&path, text).expect("writes");
        assert!(matches!(read(&path), Err(StoreError::NoHeader { .. })), "{text}");
    }
    for text in ["schema = 1\nname = \"demo\"\n", "no line feed", "{\"benches\":[]}\n"] {
        fs::write(&path, text).expect("writes");
        assert!(matches!(read(&path), Err(StoreError::NotARun { .. })), "{text}");
    }
}

#[test]
fn an_existing_run_is_not_overwritten() {
    let scratch = tempfile::tempdir().expect("scratch");
    write(scratch.path(), &demo());
    let before = text(scratch.path());
    let error = Writer::create(scratch.path(), &demo().header).expect_err("exists");
    assert!(matches!(error, StoreError::Exists { resume: Resumer::Run, .. }));
    assert!(error.to_string().contains("--resume"), "{error}");
    assert_eq!(text(scratch.path()), before);
}

#[test]
fn a_folder_that_cannot_be_made_is_named_with_a_remedy() {
    let scratch = tempfile::tempdir().expect("scratch");
    let file = scratch.path().join("occupied");
    File::create(&file).expect("creates");
    let error =
        Writer::create(&file.join("run"), &demo().header).expect_err("the parent is a file");
    assert!(matches!(error, StoreError::Create { .. }));
    let text = error.to_string();
    assert!(text.contains("occupied/run") && text.contains("--out"), "{text}");
}

#[test]
fn a_second_writer_is_locked_out_while_the_first_lives() {
    let scratch = tempfile::tempdir().expect("scratch");
    let first = Writer::create(scratch.path(), &demo().header).expect("creates");
    assert!(matches!(Writer::open_append(scratch.path()), Err(StoreError::Locked { .. })));
    drop(first);
    let (second, _) = Writer::open_append(scratch.path()).expect("opens once it is free");
    assert!(matches!(Writer::open_append(scratch.path()), Err(StoreError::Locked { .. })));
    drop(second);
}

#[test]
fn resumed_runs_say_so() {
    let scratch = tempfile::tempdir().expect("scratch");
    write(scratch.path(), &demo());
    let (mut writer, _) = Writer::open_append(scratch.path()).expect("opens");
    let mut finished_after = |line: &Line| {
        writer.append(line).expect("appends");
        read(scratch.path()).expect("reads").finished
    };
    assert!(!finished_after(&Line::Interrupted { signal: "SIGINT".into() }));
    assert!(finished_after(&Line::Finished { at_ms: 1 }));
    assert!(!finished_after(&Line::Resumed { at_ms: 2, cells: Vec::new(), warnings: Vec::new() }));
    assert_eq!(read(scratch.path()).expect("reads").interruptions, ["SIGINT"]);
}

#[test]
fn missing_are_planned_trials_without_a_line_and_those_that_failed() {
    let mut run = Fixture::batch("threads", 4)
        .cell("threads", &[], &[2e6])
        .cell("tokio", &[], &[1e6, 1.5e6, 1e6, 1e6])
        .absent("sequential", &[], Absent::NotApplicable("one task at a time".into()))
        .fail("demo::threads", 2, FailureKind::Crashed, "killed by SIGSEGV")
        .fail("demo::threads", 3, FailureKind::WrongResult, "99 of 100 tasks")
        .build();
    let missing = |run: &Run| {
        run.missing().into_iter().map(|((_, round), attempt)| (round, attempt)).collect::<Vec<_>>()
    };
    assert_eq!(missing(&run), [(2, 1), (4, 0)]);
    let again = |run: &mut Run, kind| {
        let outcome = Outcome::Failed(TrialFailure { kind, reason: "again".into() });
        let attempt = missing(run)[0].1;
        run.trials.push(TrialRecord {
            cell: "demo::threads".into(),
            round: 2,
            attempt,
            outcome,
            ..run.trials[0].clone()
        });
    };
    again(&mut run, FailureKind::Target);
    assert_eq!(missing(&run), [(2, 2), (4, 0)]);
    again(&mut run, FailureKind::WrongResult);
    assert_eq!(missing(&run), [(4, 0)]);
    let reasons: Vec<&str> =
        run.rounds().failures_of("demo::threads").map(|why| why.reason.as_str()).collect();
    assert_eq!(reasons, ["killed by SIGSEGV", "99 of 100 tasks", "again", "again"]);
}

#[test]
fn a_cell_that_was_refused_may_be_planned_when_the_run_is_taken_up() {
    let mut run = Fixture::batch("threads", 2)
        .cell("threads", &[], &[2e6, 2e6])
        .absent("tokio", &[], Absent::Refused("no room".into()))
        .build();
    assert!(run.missing().is_empty());
    let cells = vec![StoredCell { absent: None, ..run.header.cells[1].clone() }];
    run.take(Line::Resumed { at_ms: 2, cells, warnings: vec!["other work".into()] });
    let missing: Vec<((&str, u32), u32)> = run.missing().into_iter().collect();
    assert_eq!(missing, [(("demo::tokio", 1), 0), (("demo::tokio", 2), 0)]);
    assert!(run.header.warnings.contains(&"other work".to_owned()));
}

#[test]
fn of_a_round_that_was_run_again_the_later_trial_counts() {
    let mut run = demo();
    let mut again = run.trials[0].clone();
    again.pid = 77;
    run.trials.push(again);
    let index = run.rounds();
    let rounds: Vec<(u32, u32)> =
        index.of("demo::threads").map(|(round, trial)| (round, trial.pid)).collect();
    assert_eq!((rounds.len(), rounds[0]), (2, (1, 77)));
}

#[test]
fn the_last_attempt_that_was_measured_counts() {
    let mut run = Fixture::batch("tokio", 1).cell("tokio", &[], &[2e6]).build();
    let attempt = |run: &mut Run, number: u32, outcome| {
        let first = run.trials[0].clone();
        run.trials.push(TrialRecord { attempt: number, outcome, ..first });
    };
    let counts = |run: &Run| {
        run.rounds().of("demo::tokio").map(|(_, trial)| trial.attempt).collect::<Vec<_>>()
    };
    let measured = run.trials[0].outcome.clone();
    let failed =
        Outcome::Failed(TrialFailure { kind: FailureKind::Crashed, reason: "a signal".into() });
    attempt(&mut run, 1, failed.clone());
    assert_eq!(counts(&run), [0]);
    attempt(&mut run, 2, measured);
    assert_eq!(counts(&run), [2]);
    run.trials.retain(|trial| trial.attempt == 1);
    assert_eq!(counts(&run), [1]);
}
