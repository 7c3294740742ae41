//! Where results and dead letters go: the writers, and the task that owns one.
//!
//! # Invariants
//! - [`EgressHandle::write`] returns only when the records are durable (file: fsync) or accepted.
//! - A write that fails is tried again with back-off until it succeeds or the host stops: nothing is dropped.

pub mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod kinesis;
pub mod settings;
pub mod stdout;
pub mod task;

use std::{future::Future, io};

use tokio::sync::{mpsc, oneshot};

use crate::{aws::OpenError, event::Record};

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
    /// Standard output is closed, and does not open again.
    #[error("nobody reads standard output any more")]
    NobodyReads,
    /// A stream cannot be opened.
    #[error("the stream `{stream}` cannot be written")]
    Stream {
        /// As the user names it.
        stream: String,
        /// The cause.
        #[source]
        error: Box<OpenError>,
    },
}

impl EgressError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Stream { error, .. } => error.hint(),
            Self::Io { .. } | Self::NobodyReads => None,
        }
    }
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
    /// Bytes of data and key that a record may have; none for any.
    max_record: Option<usize>,
    /// Takes the records that are too large.
    overflow: Option<Box<EgressHandle>>,
}

impl EgressHandle {
    /// A handle and the queue that its task (or a test) serves, `depth` requests deep.
    pub fn channel(depth: usize) -> (Self, mpsc::Receiver<WriteRequest>) {
        let (requests, queue) = mpsc::channel(depth);
        let handle = Self {
            requests,
            max_record: None,
            overflow: None,
        };
        (handle, queue)
    }

    /// The same egress, which takes records of `max` bytes of data and key at most.
    #[must_use]
    pub fn limited(self, max: Option<usize>) -> Self {
        Self {
            max_record: max,
            ..self
        }
    }

    /// The same egress; what is too large for it goes to `other`.
    #[must_use]
    pub fn with_overflow(self, other: Self) -> Self {
        Self {
            overflow: Some(Box::new(other)),
            ..self
        }
    }

    /// The same egress, as long as somebody else has a handle.
    pub fn downgrade(&self) -> WeakEgressHandle {
        WeakEgressHandle {
            requests: self.requests.downgrade(),
            max_record: self.max_record,
        }
    }

    /// Bytes of data and key that a record may have; none for any.
    pub fn max_record(&self) -> Option<usize> {
        self.max_record
    }

    /// Whether a record is small enough.
    pub fn takes(&self, record: &Record) -> bool {
        self.max_record
            .is_none_or(|max| kinesis::entry_size(record) <= max)
    }

    /// Writes `records`; waits until they are durable.
    ///
    /// # Errors
    /// When the egress's task has ended.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the records written.
    pub async fn write(&self, records: Vec<Record>) -> Result<(), EgressClosed> {
        let Some(overflow) = &self.overflow else {
            return self.send(records).await;
        };
        let (fit, large): (Vec<Record>, Vec<Record>) =
            records.into_iter().partition(|record| self.takes(record));
        if !fit.is_empty() {
            self.send(fit).await?;
        }
        if !large.is_empty() {
            overflow.send(large).await?;
        }
        Ok(())
    }

    async fn send(&self, records: Vec<Record>) -> Result<(), EgressClosed> {
        let (done, accepted) = oneshot::channel();
        self.requests
            .send(WriteRequest { records, done })
            .await
            .map_err(|_| EgressClosed)?;
        accepted.await.map_err(|_| EgressClosed)
    }
}

/// An egress, as long as somebody has a handle: it does not keep the egress's task alive. Without its overflow.
#[derive(Debug, Clone)]
pub struct WeakEgressHandle {
    requests: mpsc::WeakSender<WriteRequest>,
    max_record: Option<usize>,
}

impl WeakEgressHandle {
    /// A handle, if there is still another one, and the egress's task has not ended.
    pub fn upgrade(&self) -> Option<EgressHandle> {
        let requests = self.requests.upgrade()?;
        (!requests.is_closed()).then_some(EgressHandle {
            requests,
            max_record: self.max_record,
            overflow: None,
        })
    }
}

/// Any of the egresses that a module file can name.
#[derive(Debug)]
pub enum AnyEgress {
    /// `file`.
    File(file::FileEgress),
    /// `kinesis`.
    Kinesis(Box<kinesis::KinesisEgress>),
    /// `stdout`.
    Stdout(stdout::StdoutEgress),
}

impl AnyEgress {
    /// Bytes of data and key that a record may have; none for any.
    pub fn max_record(&self) -> Option<usize> {
        match self {
            Self::Kinesis(kinesis) => Some(kinesis.max_record()),
            Self::File(_) | Self::Stdout(_) => None,
        }
    }
}

impl Egress for AnyEgress {
    async fn write(&mut self, records: &[Record]) -> Result<(), EgressError> {
        match self {
            Self::File(file) => file.write(records).await,
            Self::Kinesis(kinesis) => kinesis.write(records).await,
            Self::Stdout(stdout) => stdout.write(records).await,
        }
    }
}
