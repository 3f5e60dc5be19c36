//! Tests of the directory target.

use super::*;
use crate::step::testing::{read_target, start_target};

fn folder(started: &dyn Started) -> Arc<Folder> {
    started.endpoint().downcast().unwrap()
}

fn small(scratch: &Path) -> Box<dyn Started> {
    start_target("{ directory = { files = 3, bytes = '100KiB', lines = 500 } }", scratch).unwrap()
}

#[test]
fn what_is_in_the_folder_is_what_the_endpoint_says() {
    let scratch = tempfile::tempdir().unwrap();
    let mut started = small(scratch.path());
    let folder = folder(started.as_ref());
    assert_eq!(folder.path, scratch.path());
    for (number, digest) in folder.digests.iter().enumerate() {
        let bytes = fs::read(scratch.path().join(format!("file-{number}"))).unwrap();
        assert_eq!((bytes.len(), xxhash_rust::xxh3::xxh3_64(&bytes)), (100 << 10, *digest));
    }
    let log = fs::read_to_string(scratch.path().join("log.txt")).unwrap();
    assert_eq!(
        (log.len() as u64, xxhash_rust::xxh3::xxh3_64(log.as_bytes())),
        (folder.log.bytes, folder.log.digest)
    );
    assert_eq!((log.lines().count(), folder.log.levels.values().sum()), (500, 500_u64));
    for (level, lines) in &folder.log.levels {
        let found = log.lines().filter(|line| line.contains(&format!(" {level} "))).count() as u64;
        assert!(*lines > 0 && found == *lines, "{level}");
        assert_eq!(log.matches(level).count() as u64, found, "{level} occurs nowhere else");
    }
    let counts = started.report().unwrap().counts;
    assert_eq!((counts["files left"], counts["bytes left"]), (4, (300 << 10) + folder.log.bytes));
    assert_eq!(counts.len(), 2);
}

#[test]
fn the_seed_decides_the_contents() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (small(one.path()), small(two.path()));
    let (first, second) = (folder(first.as_ref()), folder(second.as_ref()));
    assert_eq!(
        (&first.digests, &first.log, first.contents(9)),
        (&second.digests, &second.log, second.contents(9))
    );
    assert_ne!(first.digests[0], first.digests[1]);
    let spec = first.spec.clone();
    let other = tempfile::tempdir().unwrap();
    let other = Folder::fill(&spec, other.path(), 12).unwrap();
    assert_ne!(other.digests[0], first.digests[0]);
    assert_ne!(other.log.digest, first.log.digest);
}

#[test]
fn words_are_counted_levels_are_known() {
    let scratch = tempfile::tempdir().unwrap();
    let started = small(scratch.path());
    let folder = folder(started.as_ref());
    let errors = folder.log.levels["ERROR"];
    assert_eq!(folder.matches("ERROR").unwrap(), errors);
    assert_eq!(folder.matches(" ERROR ").unwrap(), errors);
    assert_eq!(folder.matches("  ERROR").unwrap(), 0);
    assert_eq!(folder.matches(" GET ").unwrap(), 500);
    fs::remove_file(scratch.path().join("log.txt")).unwrap();
    assert_eq!(folder.matches(" GET ").unwrap(), 500);
    assert!(folder.matches("worker-1").is_err());
}

/// What the report says of files that were appended to: what, expected, found.
fn grown(started: &mut dyn Started) -> (String, String, String) {
    let proof = started.report().unwrap().proof;
    assert_eq!(proof.len(), 1);
    (proof[0].what.clone(), proof[0].expected.clone(), proof[0].found.clone())
}

#[test]
fn growth_must_be_found_on_disk() {
    let scratch = tempfile::tempdir().unwrap();
    let mut started = small(scratch.path());
    assert_eq!(started.report().unwrap().proof, []);
    let line = |what: &str, expected: u64, found: u64| {
        (format!("target scratch: bytes in {what}"), expected.to_string(), found.to_string())
    };
    let growth = folder(started.as_ref()).growth("grown.bin");
    growth.begin(10);
    // Begun and not ended: nothing, a part or all of it may be there, but no more.
    for (bytes, expected) in [(0, 0), (7, 7), (10, 10)] {
        fs::write(scratch.path().join("grown.bin"), vec![0; bytes]).unwrap();
        assert_eq!(grown(started.as_mut()), line("the files appended to", expected, expected));
    }
    fs::write(scratch.path().join("grown.bin"), [0; 11]).unwrap();
    assert_eq!(grown(started.as_mut()), line("`grown.bin`", 10, 11));
    growth.end(10);
    fs::write(scratch.path().join("grown.bin"), [0; 9]).unwrap();
    assert_eq!(grown(started.as_mut()), line("`grown.bin`", 10, 9));
    let folder = folder(started.as_ref());
    folder.restarted("grown.bin", 9);
    assert_eq!(
        grown(started.as_mut()),
        line("`grown.bin`", 10, 9),
        "nobody said that files will grow"
    );
    folder.will_grow();
    folder.restarted("grown.bin", 9);
    folder.restarted("another.bin", 9);
    assert_eq!(grown(started.as_mut()), line("the files appended to", 9, 9));
    assert_eq!(started.report().unwrap().counts["files appended to"], 1);
}

#[test]
fn a_folder_in_one_of_the_users_is_fresh_and_goes_again() {
    let users = tempfile::tempdir().unwrap();
    fs::write(users.path().join("file-0"), "mine").unwrap();
    let text = format!("{{ directory = {{ files = 1, path = '{}' }} }}", users.path().display());
    let scratch = tempfile::tempdir().unwrap();
    let started = start_target(&text, scratch.path()).unwrap();
    let made = folder(started.as_ref()).path.clone();
    assert_eq!(made.parent(), Some(users.path()));
    assert!(made.join("file-0").exists());
    fs::write(made.join("out-1.bin"), "more").unwrap();
    drop(started);
    assert!(!made.exists());
    assert_eq!(fs::read_to_string(users.path().join("file-0")).unwrap(), "mine");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn a_missing_path_is_told_with_a_remedy() {
    let scratch = tempfile::tempdir().unwrap();
    let missing = scratch.path().join("missing");
    let text = format!("{{ directory = {{ path = '{}' }} }}", missing.display());
    let Err(error) = start_target(&text, scratch.path()) else { panic!("started") };
    assert!(error.to_string().contains("must be an existing folder"), "{error}");
    assert!(!missing.exists());
}

#[test]
fn sizes_are_bounded() {
    assert!(read_target("{ directory = {} }").is_ok());
    assert!(read_target("{ directory = { files = 0, bytes = 0, lines = 0 } }").is_ok());
    for (keys, wrong) in [
        ("files = 100001, bytes = 1", "at most 100000 files"),
        ("files = 17, bytes = '1GiB'", "more than 16GiB"),
        ("lines = 10000001", "at most 10000000 lines"),
        ("line = 1", "unknown key `line`"),
    ] {
        let errors = read_target(&format!("{{ directory = {{ {keys} }} }}")).unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains(wrong), "{keys}: {errors:?}");
    }
}
