//! Where results and dead letters go: the writers, and the task that owns one.
//!
//! # Invariants
//! - [`EgressHandle::write`] returns only when the records are durable (file: fsync) or accepted.
//! - A write that fails is tried again with back-off until it succeeds or the host stops: nothing is dropped.

pub mod dead_letter;
pub mod file;
pub mod settings;
pub mod stdout;
pub mod task;

use std::{future::Future, io};

use tokio::sync::{mpsc, oneshot};

use crate::event::Record;

/// A place that records are written to. Owned by one task.
pub trait Egress: Send + 'static {
    /// Writes all of `records`, in order; they are durable or accepted when it returns.
    ///
    /// # Errors
    /// Any record may or may not have been written: the caller writes all of them again.
    fn write(&mut self, records: &[Record])
    -> impl Future<Output = Result<(), EgressError>> + Send;
}

/// Why records could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// A file system call failed.
    #[error("could not {action} `{path}`")]
    Io {
        /// What was tried: `open`, `write to`, `sync`, `rotate`.
        action: &'static str,
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// The egress's task has ended: the host is stopping, and the records were not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the egress has stopped")]
pub struct EgressClosed;

/// Records that wait for one durable write.
#[derive(Debug)]
pub struct WriteRequest {
    /// What to write, in order.
    pub records: Vec<Record>,
    /// Told when the records are durable.
    pub done: oneshot::Sender<()>,
}

/// How sinks reach an egress.
#[derive(Debug, Clone)]
pub struct EgressHandle {
    requests: mpsc::Sender<WriteRequest>,
}

impl EgressHandle {
    /// A handle and the queue that its task (or a test) serves, `depth` requests deep.
    pub fn channel(depth: usize) -> (Self, mpsc::Receiver<WriteRequest>) {
        let (requests, queue) = mpsc::channel(depth);
        (Self { requests }, queue)
    }

    /// Writes `records`; waits until they are durable.
    ///
    /// # Errors
    /// When the egress's task has ended.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the records written.
    pub async fn write(&self, records: Vec<Record>) -> Result<(), EgressClosed> {
        let (done, accepted) = oneshot::channel();
        self.requests
            .send(WriteRequest { records, done })
            .await
            .map_err(|_| EgressClosed)?;
        accepted.await.map_err(|_| EgressClosed)
    }
}

/// Any of the egresses that a module file can name.
#[derive(Debug)]
pub enum AnyEgress {
    /// `file`.
    File(file::FileEgress),
    /// `stdout`.
    Stdout(stdout::StdoutEgress),
}

impl Egress for AnyEgress {
    async fn write(&mut self, records: &[Record]) -> Result<(), EgressError> {
        match self {
            Self::File(file) => file.write(records).await,
            Self::Stdout(stdout) => stdout.write(records).await,
        }
    }
}
