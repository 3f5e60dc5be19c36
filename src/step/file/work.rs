//! The system calls of file operations, and the comparison of what they did with what they must do.
//!
//! Each call opens its file, as a program does that has many. What is checked: `write` asks the
//! open file for its length afterwards (one `fstat`, under a microsecond), `read` digests what it
//! reads (xxh3, some 10 GB/s), `scan` counts; the length of files that are appended to is compared
//! when the trial has ended. Buffers belong to the slot.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use xxhash_rust::xxh3::Xxh3;

use crate::{
    step::Done,
    targets::directory::{Contents, Folder, Growth, LOG, SEEDED},
};

/// Most bytes of one `read` call. A longer file takes several, so that a slot's memory does not
/// grow with it.
const CHUNK: u64 = 64 << 10;

/// What is done, the same for every instance of a step.
#[derive(Clone)]
pub enum Action {
    /// Makes or empties the file and writes it.
    Write { contents: Arc<Contents>, fsync: bool },
    /// Writes behind the end. `growth` is known beforehand if the name always is the same.
    Append { contents: Arc<Contents>, fsync: bool, growth: Option<Arc<Growth>> },
    /// Reads to the end: a seeded file, or one that a `write` step made.
    Read { made: Option<Arc<Contents>> },
    /// Counts the lines with a pattern.
    Scan { pattern: String },
}

/// An action with its buffers; it moves to the thread that does it, and back.
pub struct FileWork(Box<Inner>);

struct Inner {
    action: Action,
    folder: Arc<Folder>,
    name: String,
    /// The folder's path, and a name that is exchanged for every call.
    path: PathBuf,
    buffers: Buffers,
}

#[derive(Default)]
struct Buffers {
    /// `read`: what one call of the system gives.
    chunk: Vec<u8>,
    digest: Xxh3,
    /// `scan`: std's buffered reader, whose file is exchanged for every call.
    lines: Option<Lines>,
    line: String,
    /// `scan`: how many lines there must be.
    matches: Option<u64>,
}

type Lines = BufReader<OpenedFile>;

/// A file, or none.
#[derive(Default)]
struct OpenedFile(Option<File>);

impl Read for OpenedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Ok(0), |file| file.read(buffer))
    }
}

impl FileWork {
    /// Fresh buffers for an action in a folder.
    pub fn new(folder: Arc<Folder>, action: Action) -> Self {
        // The last part of the path is what `rename` replaces.
        let path = folder.path.join(LOG);
        Self(Box::new(Inner {
            action,
            folder,
            name: LOG.to_owned(),
            path,
            buffers: Buffers::default(),
        }))
    }

    /// The name of the file of this call.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Chooses the file of the next call: `write` appends its name to an empty string.
    pub fn rename(&mut self, write: impl FnOnce(&mut String)) {
        self.0.name.clear();
        write(&mut self.0.name);
        self.0.path.set_file_name(&self.0.name);
    }

    /// Finds out what is expected, and makes the buffers.
    pub fn prepare(&mut self) -> io::Result<()> {
        let Inner { action, folder, buffers, .. } = &mut *self.0;
        match action {
            Action::Scan { pattern } => buffers.get_ready_to_scan(folder, pattern).map(|_| ()),
            Action::Read { made } => {
                let length =
                    made.as_ref().map_or(folder.spec.bytes.0, |made| made.bytes.len() as u64);
                buffers.get_ready_to_read(length);
                Ok(())
            }
            Action::Write { .. } | Action::Append { .. } => Ok(()),
        }
    }

    /// Does it once. An error is one of the system, or says what is wrong with the result.
    pub fn run(&mut self) -> io::Result<Done> {
        let inner = &mut *self.0;
        match &inner.action {
            Action::Write { contents, fsync } => {
                let (contents, fsync) = (contents.clone(), *fsync);
                inner.write(&contents, fsync)
            }
            Action::Append { contents, fsync, growth } => {
                let growth = growth.clone().unwrap_or_else(|| inner.folder.growth(&inner.name));
                append(&inner.path, contents, *fsync, &growth)
            }
            Action::Read { made } => {
                let expected = made.as_ref().map(|made| (made.bytes.len() as u64, made.digest));
                inner.read(expected)
            }
            Action::Scan { pattern } => {
                scan(&inner.path, pattern, &inner.folder, &mut inner.buffers)
            }
        }
    }
}

impl Buffers {
    /// A chunk into which `length` bytes fit, if it may be as long, and one byte more, which shows
    /// that a file is longer.
    fn get_ready_to_read(&mut self, length: u64) {
        let wanted = length.min(CHUNK - 1) as usize + 1;
        if self.chunk.len() < wanted {
            self.chunk.resize(wanted, 0);
        }
    }

    /// The reader, the line, and the number of lines that must contain `pattern`. Done in
    /// preparation, and again by an instance that takes the place of a lost one.
    fn get_ready_to_scan(
        &mut self,
        folder: &Folder,
        pattern: &str,
    ) -> io::Result<(&mut Lines, &mut String, u64)> {
        let matches = match self.matches {
            Some(matches) => matches,
            None => *self.matches.insert(folder.matches(pattern)?),
        };
        Ok((
            self.lines.get_or_insert_with(|| BufReader::new(OpenedFile::default())),
            &mut self.line,
            matches,
        ))
    }
}

/// A result that differs from what it must be.
fn wrong(what: String) -> io::Error {
    io::Error::other(what)
}

impl Inner {
    fn write(&mut self, contents: &Contents, fsync: bool) -> io::Result<Done> {
        let mut file = File::create(&self.path)?;
        file.write_all(&contents.bytes)?;
        if fsync {
            file.sync_all()?;
        }
        let (found, sent) = (file.metadata()?.len(), contents.bytes.len() as u64);
        if found != sent {
            return Err(wrong(format!(
                "is {found} bytes long after {sent} were written: two calls write it at once; put `${{i}}` into `path`, \
                 and `${{j}}` under `parallel`"
            )));
        }
        self.folder.restarted(&self.name, sent);
        Ok(Done { sent, ..Done::default() })
    }

    fn read(&mut self, made: Option<(u64, u64)>) -> io::Result<Done> {
        let expected = made.map_or_else(|| self.seeded(), Ok)?;
        let (mut file, mut received) = (File::open(&self.path)?, 0);
        self.buffers.get_ready_to_read(expected.0);
        let Buffers { chunk, digest, .. } = &mut self.buffers;
        digest.reset();
        loop {
            match file.read(chunk)? {
                0 => break,
                count => {
                    digest.update(&chunk[..count]);
                    received += count as u64;
                }
            }
        }
        let found = (received, digest.digest());
        if found != expected {
            let difference = if found.0 == expected.0 {
                ", and they are not those that were written"
            } else {
                ""
            };
            return Err(wrong(format!(
                "{received} bytes were read, {} are expected{difference}",
                expected.0
            )));
        }
        Ok(Done { received, ..Done::default() })
    }

    /// Length and digest of the seeded file that is named; the number behind `file-` starts again
    /// after the last one.
    fn seeded(&mut self) -> io::Result<(u64, u64)> {
        if self.name == LOG {
            return Ok((self.folder.log.bytes, self.folder.log.digest));
        }
        let digests = &self.folder.digests;
        let number: Option<u64> =
            self.name.strip_prefix(SEEDED).and_then(|number| number.parse().ok());
        let file = number.and_then(|number| number.checked_rem(digests.len() as u64));
        let Some(file) = file else {
            return Err(wrong(format!(
                "there is no such seeded file among {}; see `files` of the target, and `path`",
                digests.len()
            )));
        };
        let expected = (self.folder.spec.bytes.0, digests[file as usize]);
        self.name.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.name, "{SEEDED}{file}");
        self.path.set_file_name(&self.name);
        Ok(expected)
    }
}

fn scan(path: &Path, pattern: &str, folder: &Folder, buffers: &mut Buffers) -> io::Result<Done> {
    let (lines, line, expected) = buffers.get_ready_to_scan(folder, pattern)?;
    // After an error something may be left.
    lines.consume(lines.buffer().len());
    lines.get_mut().0 = Some(File::open(path)?);
    let (mut found, mut received) = (0, 0);
    loop {
        line.clear();
        match lines.read_line(line)? {
            0 => break,
            count => received += count as u64,
        }
        found += u64::from(line.contains(pattern));
    }
    // Closed before the call ends, as any other.
    lines.get_mut().0 = None;
    if found != expected {
        return Err(wrong(format!("{found} lines contain `{pattern}`, {expected} are expected")));
    }
    Ok(Done { received, ..Done::default() })
}

/// What is appended is counted before and after, here on the thread that does it: a call that was
/// given up may be done nonetheless.
fn append(path: &Path, contents: &Contents, fsync: bool, growth: &Growth) -> io::Result<Done> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let sent = contents.bytes.len() as u64;
    growth.begin(sent);
    file.write_all(&contents.bytes)?;
    growth.end(sent);
    if fsync {
        file.sync_all()?;
    }
    Ok(Done { sent, ..Done::default() })
}
