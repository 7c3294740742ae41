//! Where events come from: the trait, and the sources behind it.
//!
//! An ingress reads and numbers records; it neither buffers nor paces them beyond its own
//! rate. It is polled only while every sink that it feeds has room.

pub mod datagen;
pub mod dead_letters;
pub mod file;
pub mod kinesis;
pub mod lines;
pub mod paths;
pub mod settings;
mod stream_error;

pub use stream_error::StreamError;

use std::{future::Future, io};

use crate::event::{Incoming, Position};

/// At most this much is read in one go; it bounds what is held outside a sink's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimit {
    /// Records in one read.
    pub records: usize,
    /// Bytes of data in one read; a single larger record is still read.
    pub bytes: usize,
}

/// A source of events.
pub trait Ingress: Send + 'static {
    /// The names of the partitions, by the index that [`Incoming::partition`] holds. Grows, never shrinks.
    fn partitions(&self) -> &[String];

    /// Reads on: waits for the first record, then takes what is there, within `limit`.
    /// `None` is the end of the source.
    ///
    /// # Errors
    /// When the source cannot be read, after the ingress's own retries; what it returned before stays valid.
    ///
    /// # Cancel safety
    /// A read that is dropped has taken nothing.
    fn read(
        &mut self,
        limit: ReadLimit,
    ) -> impl Future<Output = Result<Option<Vec<Incoming>>, IngressError>> + Send;

    /// How many partitions are being read: they share the sinks' buffers.
    fn active(&self) -> usize {
        self.partitions().len()
    }

    /// Partitions of which the next reads take nothing, by index; those beyond the list are free. An ingress of one
    /// partition is not read at all while it is held.
    fn hold(&mut self, _held: &[bool]) {}

    /// Positions that were reached without a record, such as the end of a shard: they lie behind all that
    /// [`Ingress::read`] has returned so far. Each is given once.
    fn passed(&mut self) -> Vec<(u32, Position)> {
        Vec::new()
    }
}

/// Where an ingress starts: the stored progress by partition name.
pub type Start = Vec<(String, Position)>;

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngressError {
    /// Opening or reading failed.
    #[error("could not read `{path}`")]
    Read {
        /// The file, `-` for standard input.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file is shorter than the stored progress, or it has been changed.
    #[error(
        "`{path}` has {len} bytes, but progress says that {offset} are delivered: it was cut or replaced"
    )]
    Shrunk {
        /// The file.
        path: String,
        /// Its length in bytes.
        len: u64,
        /// The stored offset in bytes.
        offset: u64,
    },
    /// The line that was delivered last is not where it was: another file has taken the name.
    #[error(
        "`{path}` does not hold the line that was delivered last, line {line} up to byte {offset}: it was replaced"
    )]
    Replaced {
        /// The file.
        path: String,
        /// The stored offset in bytes.
        offset: u64,
        /// The stored line.
        line: u64,
    },
    /// The last line had no end when it was delivered, and goes on now.
    #[error("line {line} of `{path}` had no end when it was delivered, and has grown since")]
    Grown {
        /// The file.
        path: String,
        /// The line.
        line: u64,
    },
    /// A line that no sink could take.
    #[error("line {line} of `{path}` is longer than {max} bytes")]
    LongLine {
        /// The file, `-` for standard input.
        path: String,
        /// The line, from 1.
        line: u64,
        /// The most, in bytes.
        max: usize,
    },
    /// What is not there to be read a second time.
    #[error("`{path}` is no regular file")]
    NoFile {
        /// As the user names it.
        path: String,
    },
    /// No router takes an event, and `unrouted` is `halt`.
    #[error("no router takes the event `{event}`")]
    Unrouted {
        /// The event's id.
        event: String,
    },
    /// A Kinesis stream cannot be read.
    #[error("the stream `{stream}` cannot be read")]
    Stream {
        /// As the user names it.
        stream: String,
        /// The cause.
        #[source]
        error: Box<StreamError>,
    },
}

impl IngressError {
    /// A stream, as the user names it, cannot be read.
    pub(crate) fn stream(stream: &str, error: impl Into<StreamError>) -> Self {
        Self::Stream {
            stream: stream.to_owned(),
            error: Box::new(error.into()),
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Shrunk { .. } | Self::Replaced { .. } => Some(
                "to deliver the new file from its start, give it another name, or forget its progress with \
                 `nozzle progress reset`; for a replay, pass --again"
                    .to_owned(),
            ),
            Self::Grown { .. } => Some(
                "what writes the file must append whole lines while it is read; to deliver it again from its start, forget its \
                 progress with `nozzle progress reset`"
                    .to_owned(),
            ),
            Self::LongLine { .. } => Some("the file ingress reads NDJSON: one record a line".to_owned()),
            Self::Stream { error, .. } => error.hint(),
            Self::NoFile { .. } => Some(
                "a replay that was interrupted reads on where it stopped, which a pipe cannot: write it to a file first"
                    .to_owned(),
            ),
            Self::Unrouted { .. } => Some(
                "everything before it is delivered. Add a router that takes it, or say under `unrouted` where such \
                 events go; the next start goes on with it"
                    .to_owned(),
            ),
            Self::Read { .. } => None,
        }
    }
}

/// Any of the sources that a module file can name.
#[derive(Debug)]
pub enum AnyIngress {
    /// `datagen`.
    Datagen(datagen::Datagen),
    /// `file`.
    File(Box<file::FileIngress>),
    /// `kinesis`.
    Kinesis(Box<kinesis::KinesisIngress>),
    /// Dead letters, of `nozzle replay`.
    DeadLetters(Box<dead_letters::DeadLetters>),
}

impl AnyIngress {
    /// Whether a restart can read on where this run has settled everything.
    pub fn keeps_progress(&self) -> bool {
        match self {
            Self::Datagen(_) => false,
            Self::File(file) => file.keeps_progress(),
            Self::Kinesis(_) | Self::DeadLetters(_) => true,
        }
    }

    /// Whether its events came to Nozzle through another ingress, which their ids name.
    pub fn relays(&self) -> bool {
        matches!(self, Self::DeadLetters(_))
    }

    /// Where partitions begin that had no progress; to be stored before the first read.
    pub fn opening(&self) -> &[(String, Position)] {
        match self {
            Self::Datagen(_) | Self::File(_) | Self::DeadLetters(_) => &[],
            Self::Kinesis(kinesis) => kinesis.opening(),
        }
    }

    /// Says that reading begins, once [`AnyIngress::opening`] is stored.
    pub fn announce(&self) {
        match self {
            Self::Datagen(_) | Self::File(_) | Self::DeadLetters(_) => {}
            Self::Kinesis(kinesis) => kinesis.announce(),
        }
    }

    /// Partitions with progress that the source has no more.
    pub fn forgotten(&self) -> &[String] {
        match self {
            Self::Datagen(_) | Self::File(_) | Self::DeadLetters(_) => &[],
            Self::Kinesis(kinesis) => kinesis.forgotten(),
        }
    }
}

impl Ingress for AnyIngress {
    fn partitions(&self) -> &[String] {
        match self {
            Self::Datagen(datagen) => datagen.partitions(),
            Self::File(file) => file.partitions(),
            Self::Kinesis(kinesis) => kinesis.partitions(),
            Self::DeadLetters(letters) => letters.partitions(),
        }
    }

    async fn read(&mut self, limit: ReadLimit) -> Result<Option<Vec<Incoming>>, IngressError> {
        match self {
            Self::Datagen(datagen) => datagen.read(limit).await,
            Self::File(file) => file.read(limit).await,
            Self::Kinesis(kinesis) => kinesis.read(limit).await,
            Self::DeadLetters(letters) => letters.read(limit).await,
        }
    }

    fn active(&self) -> usize {
        match self {
            Self::Datagen(datagen) => datagen.active(),
            Self::File(file) => file.active(),
            Self::Kinesis(kinesis) => kinesis.active(),
            Self::DeadLetters(letters) => letters.active(),
        }
    }

    fn hold(&mut self, held: &[bool]) {
        match self {
            Self::Datagen(_) | Self::File(_) => {}
            Self::Kinesis(kinesis) => kinesis.hold(held),
            Self::DeadLetters(letters) => letters.hold(held),
        }
    }

    fn passed(&mut self) -> Vec<(u32, Position)> {
        match self {
            Self::Datagen(_) | Self::File(_) => Vec::new(),
            Self::Kinesis(kinesis) => kinesis.passed(),
            Self::DeadLetters(letters) => letters.passed(),
        }
    }
}
