//! Files that a scenario names because their content is a part of its work. They are read when the
//! scenario is, once each, and what they hold then is what every trial uses.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};

use crate::units::format_size;

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedFile {
    /// Its path from the current folder.
    pub path: PathBuf,
    /// What it holds.
    pub content: Arc<[u8]>,
}

impl AttachedFile {
    /// The SHA-256 of its content, in hexadecimal.
    pub fn sha256(&self) -> String {
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(&self.content) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// What is wrong with a file, and the remedy.
pub type FileFlaw = (String, String);

/// The folder of a scenario, and the files that were read there. Clones share what was read.
#[derive(Debug, Clone, Default)]
pub struct FileRoom {
    folder: PathBuf,
    read: Arc<Mutex<BTreeMap<PathBuf, Result<AttachedFile, FileFlaw>>>>,
}

impl FileRoom {
    /// The folder of this scenario file.
    pub fn beside(scenario: &Path) -> Self {
        let folder = scenario.parent().unwrap_or(Path::new("")).to_owned();
        Self { folder, read: Arc::default() }
    }

    /// The file of this path, which goes from the folder of the scenario; of at most so many bytes.
    pub fn file(&self, path: &str, most: u64) -> Result<AttachedFile, FileFlaw> {
        let path = self.folder.join(path);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let file =
            read.entry(path.clone()).or_insert_with(|| attach(path.clone(), most)).clone()?;
        if file.content.len() as u64 > most { Err(too_large(&path, most)) } else { Ok(file) }
    }

    /// All files that were read, by path.
    pub fn all(&self) -> Vec<AttachedFile> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.values().filter_map(|file| file.clone().ok()).collect()
    }
}

fn too_large(path: &Path, most: u64) -> FileFlaw {
    let message = format!("{} has more than {}", shown(path), format_size(most));
    (message, "use a smaller file: every trial is given all of it".to_owned())
}

/// Reads a file.
fn attach(path: PathBuf, most: u64) -> Result<AttachedFile, FileFlaw> {
    let unreadable = |why: io::Error| {
        let help = "a path goes from the folder of the scenario file".to_owned();
        (format!("cannot read {}: {why}", shown(&path)), help)
    };
    // A pipe would be waited for.
    if !fs::metadata(&path).map_err(unreadable)?.is_file() {
        let help = "name a file".to_owned();
        return Err((format!("{} is no regular file", shown(&path)), help));
    }
    let mut content = Vec::new();
    let file = fs::File::open(&path).map_err(unreadable)?;
    // One byte more than allowed is enough to see that it is too much.
    file.take(most + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > most {
        return Err(too_large(&path, most));
    }
    Ok(AttachedFile { content: content.into(), path })
}

/// A path in a message.
fn shown(path: &Path) -> String {
    format!("`{}`", path.display().to_string().escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(folder: &Path) -> FileRoom {
        FileRoom::beside(&folder.join("race.toml"))
    }

    #[test]
    fn a_file_is_read_once_and_known_by_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "abc").unwrap();
        let room = room(folder.path());
        let first = room.file("a.txt", 3).unwrap();
        assert_eq!(
            (first.content.as_ref(), first.sha256().as_str()),
            (&b"abc"[..], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        // Whoever asks later is given the same, whatever has become of it.
        fs::write(folder.path().join("a.txt"), "another").unwrap();
        assert_eq!(room.clone().file("a.txt", 3), Ok(first.clone()));
        assert_eq!(room.all(), [first]);
        assert!(room.file("a.txt", 2).unwrap_err().0.contains("has more than 2B"));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_told_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("long"), "abcd").unwrap();
        let room = room(folder.path());
        for (path, said, remedy) in [
            ("none", "none`: No such file", "the folder of the scenario"),
            (".", "is no regular file", "name a file"),
            ("long", "long` has more than 3B", "a smaller file"),
        ] {
            let (message, help) = room.file(path, 3).unwrap_err();
            assert!(message.contains(said) && help.contains(remedy), "{message}; {help}");
        }
        assert!(room.all().is_empty());
    }
}
