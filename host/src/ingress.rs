//! Where events come from: the trait, and the sources behind it.
//!
//! An ingress reads and numbers records; it neither buffers nor paces them beyond its own
//! rate. It is polled only while every sink that it feeds has room.

pub mod datagen;
pub mod file;

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
}
