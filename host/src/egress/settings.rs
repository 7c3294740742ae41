//! What the writers are told, checked: built by `config`.

use std::path::PathBuf;

/// `egresses[].file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEgressSettings {
    /// The file; it is appended to.
    pub path: PathBuf,
    /// It is moved aside before it grows beyond this many bytes; none for never.
    pub max_bytes: Option<u64>,
    /// How many files that were moved aside are kept; none for all.
    pub keep: Option<usize>,
}
