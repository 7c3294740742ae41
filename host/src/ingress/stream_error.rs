//! Why a Kinesis stream cannot be read, and what to do about it.

use crate::aws::{Failure, OpenError};

/// Why a Kinesis stream cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It was there, and is gone.
    #[error("the stream was deleted while it was read")]
    Deleted(#[source] Failure),
    /// The service does not know the record that progress points at.
    #[error(
        "progress says that `{shard}` is read up to {sequence}, and the stream does not know that record"
    )]
    Foreign {
        /// The shard.
        shard: String,
        /// The sequence number.
        sequence: String,
        /// What the service said.
        #[source]
        failure: Failure,
    },
    /// Progress is of a stream that had this name before.
    #[error(
        "progress says that `{shard}` is read up to {sequence}, but that shard begins at {begins}"
    )]
    Anew {
        /// The shard.
        shard: String,
        /// The stored sequence number.
        sequence: Box<str>,
        /// The smallest of the shard.
        begins: Box<str>,
    },
    /// Progress is of a stream that had this name before: a shard never opens again.
    #[error("progress says that `{shard}` is read to its end, but that shard takes records")]
    Reopened {
        /// The shard.
        shard: String,
    },
    /// A task of the ingress has failed.
    #[error("an internal task failed")]
    Task(#[source] tokio::task::JoinError),
}

impl StreamError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open(error) => error.hint(),
            Self::Foreign { .. } | Self::Anew { .. } | Self::Reopened { .. } => Some(
                "a stream that was deleted and made anew has another history: `nozzle progress reset` makes the ingress \
                 begin as `start` says"
                    .to_owned(),
            ),
            Self::Deleted(_) => Some("what was read is delivered; what was not read is gone with the stream".to_owned()),
            Self::Task(_) => None,
        }
    }
}
