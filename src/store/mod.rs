//! Run files: `run.jsonl`, a versioned header and then one line per trial, appended when the trial
//! ends.
//!
//! The file is the only thing that analysis and report read: a stored run re-renders without
//! executing anything. A line is committed by its line feed. What follows the last line feed is a
//! line that was being written when the process died; readers drop it, and a resumed run cuts it
//! off.

mod error;
#[doc(hidden)]
pub mod fixture;
mod model;
mod reader;
mod run;
mod v1;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{Resumer, StoreError};
pub use model::*;
pub use reader::read;
pub use run::{Rounds, Row, Run, contenders_and_files};
pub use writer::Writer;

use std::path::{Path, PathBuf};

/// The name of the run file in its folder.
pub const FILE_NAME: &str = "run.jsonl";

/// The run file that a path means: the path itself, or the file inside it where it is a folder.
fn run_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() }
}
