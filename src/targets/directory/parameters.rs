//! What a scenario says of a folder.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::units::Size;

/// A folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Directory {
    /// Number of seeded files.
    pub files: u64,
    /// Length of each.
    pub bytes: Size,
    /// Lines of the log.
    pub lines: u64,
    /// Where the folder is made; none: where the system keeps temporary files.
    pub path: Option<PathBuf>,
}
