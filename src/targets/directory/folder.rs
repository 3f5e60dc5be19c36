//! A directory target as steps see it: what is in it, what they write, and how long files must have
//! become.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    Directory, LOG, SEEDED, SeededLog,
    seeded::{fill_random, seeded_file, seeded_log},
};
use crate::draw;

/// What the seeds of the log and of written bytes are mixed with; files have the numbers below.
const LOG_SEED: u64 = 1 << 32;
const CONTENTS_SEED: u64 = 2 << 32;

/// The folder as steps see it.
#[derive(Debug)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// Its description.
    pub spec: Directory,
    /// The xxh3 digest of each seeded file.
    pub digests: Vec<u64>,
    /// The log.
    pub log: SeededLog,
    seed: u64,
    /// What steps write, by length.
    contents: Mutex<HashMap<u64, Arc<Contents>>>,
    /// How often other words than levels occur in the log.
    matches: Mutex<HashMap<String, u64>>,
    /// How long files must be, by name; only where something is appended.
    growths: Mutex<BTreeMap<String, Arc<Growth>>>,
    grows: AtomicBool,
    synced: AtomicBool,
}

/// What steps write.
#[derive(Debug, PartialEq, Eq)]
pub struct Contents {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their xxh3 digest.
    pub digest: u64,
}

/// How long a file must be that steps append to, counted where the writing happens, so that it also
/// counts what is written after the task that wanted it was given up.
#[derive(Debug, Default)]
pub struct Growth {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Growth {
    /// That many bytes are about to be appended.
    pub fn begin(&self, bytes: u64) {
        self.begun.fetch_add(bytes, SeqCst);
    }

    /// They were.
    pub fn end(&self, bytes: u64) {
        self.ended.fetch_add(bytes, SeqCst);
    }

    /// The file has that many bytes, and nobody appends to it now.
    fn restart(&self, bytes: u64) {
        self.begun.store(bytes, SeqCst);
        self.ended.store(bytes, SeqCst);
    }
}

/// The value behind a lock. Nothing that is done under these locks leaves a value half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Folder {
    /// Makes the files in an empty folder.
    pub(super) fn fill(spec: &Directory, path: &Path, seed: u64) -> io::Result<Self> {
        let seeded = |number| {
            seeded_file(
                &path.join(format!("{SEEDED}{number}")),
                spec.bytes.0,
                draw::mix(seed, number),
            )
        };
        let digests: io::Result<_> = (0..spec.files).map(seeded).collect();
        Ok(Self {
            path: path.to_owned(),
            spec: spec.clone(),
            digests: digests?,
            log: seeded_log(&path.join(LOG), spec.lines, draw::mix(seed, LOG_SEED))?,
            seed,
            contents: Mutex::default(),
            matches: Mutex::default(),
            growths: Mutex::default(),
            grows: AtomicBool::new(false),
            synced: AtomicBool::new(false),
        })
    }

    /// Notes that a step waits until the disk has what it writes.
    pub fn will_sync(&self) {
        self.synced.store(true, SeqCst);
    }

    /// Whether some step does.
    pub(super) fn is_synced(&self) -> bool {
        self.synced.load(SeqCst)
    }

    /// The bytes that steps write into a file of this length: the same for all of them.
    pub fn contents(&self, length: u64) -> Arc<Contents> {
        let make = || {
            let mut bytes = vec![0; length as usize];
            fill_random(&mut bytes, draw::mix(self.seed, CONTENTS_SEED));
            Arc::new(Contents { digest: xxh3_64(&bytes), bytes })
        };
        locked(&self.contents).entry(length).or_insert_with(make).clone()
    }

    /// The number of the log's lines that contain `pattern`: known for a level, else counted once.
    pub fn matches(&self, pattern: &str) -> io::Result<u64> {
        let word = pattern.strip_prefix(' ').unwrap_or(pattern);
        let word = word.strip_suffix(' ').unwrap_or(word);
        if let Some(lines) = self.log.levels.get(word) {
            return Ok(*lines);
        }
        let mut matches = locked(&self.matches);
        if let Some(lines) = matches.get(pattern) {
            return Ok(*lines);
        }
        let text = fs::read_to_string(self.path.join(LOG))?;
        let lines = text.lines().filter(|line| line.contains(pattern)).count() as u64;
        matches.insert(pattern.to_owned(), lines);
        Ok(lines)
    }

    /// Says that files of this folder will be appended to, so that writes need to look whether
    /// theirs is one of them.
    pub fn will_grow(&self) {
        self.grows.store(true, SeqCst);
    }

    /// The length that a file must have which is appended to. One that is appended to for the first
    /// time has been written before, or is new.
    pub fn growth(&self, name: &str) -> Arc<Growth> {
        let mut growths = locked(&self.growths);
        if let Some(growth) = growths.get(name) {
            return growth.clone();
        }
        let growth = growths.entry(name.to_owned()).or_default();
        growth.restart(self.length(name));
        growth.clone()
    }

    /// Says that a file was made anew with so many bytes.
    pub fn restarted(&self, name: &str, bytes: u64) {
        if !self.grows.load(SeqCst) {
            return;
        }
        if let Some(growth) = locked(&self.growths).get(name) {
            growth.restart(bytes);
        }
    }

    /// The length of a file; a missing one has none.
    fn length(&self, name: &str) -> u64 {
        fs::metadata(self.path.join(name)).map_or(0, |metadata| metadata.len())
    }

    /// The files that were appended to, and whether they are as long as what was written to them.
    pub(super) fn grown(&self) -> Grown {
        let mut grown = Grown::default();
        for (name, growth) in locked(&self.growths).iter() {
            // A call that was given up may still be writing: the length is between what had ended
            // before it was looked up and what had begun after that.
            let least = growth.ended.load(SeqCst);
            let found = self.length(name);
            let most = growth.begun.load(SeqCst).max(least);
            let expected = found.clamp(least, most);
            grown.files += 1;
            grown.bytes += found;
            if found != expected && grown.wrong.is_none() {
                grown.wrong = Some((name.clone(), expected, found));
            }
        }
        grown
    }
}

/// What became of the files that were appended to.
#[derive(Debug, Default)]
pub(super) struct Grown {
    /// How many there are.
    pub files: u64,
    /// How many bytes they hold.
    pub bytes: u64,
    /// The first one with a wrong length: its name, the length that it must have, and the one that
    /// it has.
    pub wrong: Option<(String, u64, u64)>,
}
