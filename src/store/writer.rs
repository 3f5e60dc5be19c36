//! Writing a run file: one line, one write.
//!
//! Durability: a line is in the kernel's page cache when `append` returns, so it survives the death
//! of this process and of its group. It is forced to the disk only at the ends (header,
//! interruption, finish): flushing the disk between trials would disturb the I/O that the next
//! trial measures. A power cut may therefore lose the last trials of an unfinished run; what is
//! left is still a valid run, and `--resume` measures the lost ones again.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

use super::{FILE_NAME, Header, Line, Run, StoreError, VERSION, error::Resumer, reader, run_file};

/// Appends to a run file. While it lives, no other writer can open the same run (`flock`, released
/// by the kernel however the process ends).
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    /// Length up to the last whole line. After a failed write the file is cut back to it.
    committed: u64,
    /// What resumes the run where a write fails.
    resume: Resumer,
}

impl Writer {
    /// Makes the folder and in it a run file with its header. A folder that has a run file is an
    /// error.
    pub fn create(folder: &Path, header: &Header) -> Result<Self, StoreError> {
        let path = folder.join(FILE_NAME);
        let failed = |source| StoreError::Create { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let file =
            File::options().append(true).create_new(true).open(&path).map_err(
                |source| match source.kind() {
                    io::ErrorKind::AlreadyExists => taken(&path),
                    _ => failed(source),
                },
            )?;
        let resume = Resumer::of(header);
        lock(&file, &path, resume)?;
        let mut writer = Self { path, file, committed: 0, resume };
        writer.write(header).and_then(|()| writer.sync()).map_err(|error| {
            // A file without a header is of no use and would be in the way of the next attempt.
            let _ = fs::remove_file(&writer.path);
            match error {
                StoreError::Write { path, source, .. } => StoreError::Create { path, source },
                other => other,
            }
        })?;
        Ok(writer)
    }

    /// Opens a run, by its folder or file, to append to it, and reads what is there. A torn last
    /// line is cut off.
    pub fn open_append(path: &Path) -> Result<(Self, Run), StoreError> {
        let path = run_file(path);
        let failed = |source| StoreError::Read { path: path.clone(), source };
        let mut file = File::options().read(true).append(true).open(&path).map_err(failed)?;
        lock(&file, &path, Resumer::Run)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let (run, committed) = reader::parse(&path, &bytes)?;
        if run.header.regatta_run != VERSION {
            return Err(StoreError::Old { path, found: run.header.regatta_run });
        }
        let mut writer = Self { path, file, committed, resume: Resumer::of(&run.header) };
        writer.cut()?;
        Ok((writer, run))
    }

    /// Appends a line. After an error the file holds whole lines only, and appending may be tried
    /// again.
    pub fn append(&mut self, line: &Line) -> Result<(), StoreError> {
        self.write(line)?;
        if matches!(line, Line::Trial(_)) { Ok(()) } else { self.sync() }
    }

    /// The run file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, value: &impl Serialize) -> Result<(), StoreError> {
        let mut bytes = serde_json::to_vec(value).map_err(|error| self.failed(error.into()))?;
        bytes.push(b'\n');
        self.cut()?;
        if let Err(source) = self.file.write_all(&bytes) {
            // Where this fails too, readers drop the torn line and the next write tries again.
            let _ = self.cut();
            return Err(self.failed(source));
        }
        self.committed += bytes.len() as u64;
        Ok(())
    }

    /// Removes what a failed write has left behind the last whole line.
    fn cut(&mut self) -> Result<(), StoreError> {
        let length = self.file.metadata().map_err(|source| self.failed(source))?.len();
        if length > self.committed {
            self.file.set_len(self.committed).map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::Write { path: self.path.clone(), resume: self.resume, source }
    }
}

/// Why there is a run already: somebody is writing it, or has written it.
fn taken(path: &Path) -> StoreError {
    match File::open(path).map(|file| lock(&file, path, Resumer::Run)) {
        Ok(Err(locked @ StoreError::Locked { .. })) => locked,
        _ => StoreError::Exists { path: path.to_owned(), resume: take_up_of(path) },
    }
}

/// What resumes the run in a file; where its header cannot be read, whoever tries will be told so.
fn take_up_of(path: &Path) -> Resumer {
    let mut line = Vec::new();
    let read = File::open(path).and_then(|file| BufReader::new(file).read_until(b'\n', &mut line));
    let header = read.ok().and_then(|_| serde_json::from_slice::<Header>(&line).ok());
    header.map_or(Resumer::Run, |header| Resumer::of(&header))
}

/// Takes the lock of a run file or says who else has it.
fn lock(file: &File, path: &Path, resume: Resumer) -> Result<(), StoreError> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => StoreError::Locked { path: path.to_owned() },
        other => StoreError::Write { path: path.to_owned(), resume, source: other.into() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{fixture::Fixture, read};

    fn writer_to(path: &Path, committed: u64) -> Writer {
        let file = File::options().append(true).open(path).expect("opens");
        Writer { path: path.to_owned(), file, committed, resume: Resumer::Run }
    }

    #[test]
    fn a_full_disk_is_named_with_a_remedy() {
        let mut writer = writer_to(Path::new("/dev/full"), 0);
        let error = writer.append(&Line::Finished { at_ms: 1 }).expect_err("is full");
        let text = error.to_string();
        assert!(text.starts_with("/dev/full: cannot write: "), "{text}");
        assert!(
            text.contains("free space, then resume it with `regatta run --resume /dev`"),
            "{text}"
        );
    }

    #[test]
    fn half_a_line_left_by_a_failed_write_is_removed_before_the_next() {
        let scratch = tempfile::tempdir().expect("scratch");
        let run = Fixture::batch("threads", 1).cell("threads", &[], &[2e6]).build();
        let mut writer = Writer::create(scratch.path(), &run.header).expect("creates");
        writer.file.write_all(b"{\"trial\":{\"cel").expect("half a line");
        writer.append(&Line::Trial(Box::new(run.trials[0].clone()))).expect("appends");
        assert_eq!(read(scratch.path()).expect("reads").trials, run.trials);
    }
}
