//! What the writers are told, checked: built by `config`.

use std::path::PathBuf;

use crate::aws::settings::{AwsSettings, StreamName};

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

/// `egresses[].kinesis`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KinesisEgressSettings {
    /// Where records go.
    pub stream: StreamName,
    /// Where it is.
    pub aws: AwsSettings,
    /// Records in one request, 500 at most.
    pub max_records: usize,
    /// Bytes of data and keys in one request, 10 MiB at most.
    pub max_bytes: usize,
}
