//! From a stream of events to batches: pure, driven by the caller's clock.

use std::time::Duration;

/// When a batch is full, and what may share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSettings {
    /// Events in one batch, at least 1 (Flink: maxBatchSize).
    pub max_records: usize,
    /// Sum of the data sizes in bytes, at least 1 (Flink: maxBatchSizeInBytes).
    pub max_bytes: usize,
    /// Age of the oldest event that forces a batch (Flink: maxTimeInBufferMS).
    pub max_wait: Duration,
    /// What may share a batch.
    pub by: BatchBy,
}

/// What may share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchBy {
    /// Any events.
    Any,
    /// Events of one key only; events without a key share batches of their own.
    Key,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            max_records: 500,
            max_bytes: 5 * 1024 * 1024,
            max_wait: Duration::from_secs(5),
            by: BatchBy::Any,
        }
    }
}
