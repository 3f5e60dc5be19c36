//! What a directory target is filled with: random bytes and a log, both by seed.

use std::{collections::BTreeMap, fmt::Write as _, fs, io, io::Write as _, path::Path};

use rand_xoshiro::{
    SplitMix64,
    rand_core::{Rng, SeedableRng},
};
use xxhash_rust::xxh3::Xxh3;

use crate::draw;

/// The name of the log.
pub const LOG: &str = "log.txt";
/// What the names of seeded files begin with; their number follows.
pub const SEEDED: &str = "file-";
/// Levels of the log's lines, and how many of a hundred lines have them.
const LEVELS: [(&str, u64); 4] = [("DEBUG", 50), ("INFO", 40), ("WARN", 8), ("ERROR", 2)];
/// Bytes that are made at once.
const CHUNK: u64 = 64 << 10;

/// What is known of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeededLog {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its xxh3 digest.
    pub digest: u64,
    /// The number of lines by level.
    pub levels: BTreeMap<&'static str, u64>,
}

/// Fills `bytes` with what one seed gives.
pub(super) fn fill_random(bytes: &mut [u8], seed: u64) {
    SplitMix64::seed_from_u64(seed).fill_bytes(bytes);
}

/// Writes a file of seeded bytes and returns their digest.
pub(super) fn seeded_file(path: &Path, length: u64, seed: u64) -> io::Result<u64> {
    let mut file = fs::File::create_new(path)?;
    let (mut random, mut digest) = (SplitMix64::seed_from_u64(seed), Xxh3::new());
    let mut chunk = vec![0; length.min(CHUNK) as usize];
    let mut left = length;
    while left > 0 {
        let part = &mut chunk[..left.min(CHUNK) as usize];
        random.fill_bytes(part);
        digest.update(part);
        file.write_all(part)?;
        left -= part.len() as u64;
    }
    Ok(digest.digest())
}

/// Writes a log of seeded lines and returns what is known of it.
pub(super) fn seeded_log(path: &Path, lines: u64, seed: u64) -> io::Result<SeededLog> {
    let mut file = io::BufWriter::new(fs::File::create_new(path)?);
    let mut log =
        SeededLog { levels: LEVELS.map(|(level, _)| (level, 0)).into(), ..SeededLog::default() };
    let (mut digest, mut line) = (Xxh3::new(), String::new());
    for number in 0..lines {
        let drawn = draw::mix(seed, number);
        let level = level(drawn);
        line.clear();
        write_line(&mut line, number, level, draw::mix(drawn, 1));
        *log.levels.entry(level).or_default() += 1;
        log.bytes += line.len() as u64;
        digest.update(line.as_bytes());
        file.write_all(line.as_bytes())?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?;
    log.digest = digest.digest();
    Ok(log)
}

/// A level by a draw.
fn level(drawn: u64) -> &'static str {
    let mut percent = drawn % 100;
    for (level, share) in LEVELS {
        if percent < share {
            return level;
        }
        percent -= share;
    }
    // The shares add up to a hundred, which a test checks.
    LEVELS[0].0
}

/// A line of a web server's log. Apart from the level it has capital letters only in `T`, `Z` and
/// `GET`.
fn write_line(out: &mut String, number: u64, level: &str, drawn: u64) {
    let ms = number * 37;
    let (hour, minute, second) = (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1_000 % 60);
    let (worker, item, took) = (drawn % 8, (drawn >> 8) % 100_000, (drawn >> 32) % 50_000);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "2024-05-17T{hour:02}:{minute:02}:{second:02}.{:03}Z {level} worker-{worker} GET /item/{item} took {took} us",
        ms % 1_000
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_levels_add_up_and_occur() {
        assert_eq!(LEVELS.iter().map(|(_, share)| share).sum::<u64>(), 100);
        let levels: std::collections::BTreeSet<_> = (0..100).map(level).collect();
        assert_eq!(levels.len(), LEVELS.len());
    }

    #[test]
    fn only_the_level_says_what_the_level_is() {
        let mut line = String::new();
        write_line(&mut line, 40_000, "WARN", u64::MAX);
        assert_eq!(line, "2024-05-17T00:24:40.000Z WARN worker-7 GET /item/27935 took 17295 us\n");
    }
}
