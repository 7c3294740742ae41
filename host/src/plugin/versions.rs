//! What can be asked of a sink's plugin while it runs: another version, the one before, and what there is.

use std::{fmt::Debug, future::Future, io, path::PathBuf, pin::Pin, sync::Arc};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LoadError, signature::SignatureKey};

/// Replaces the plugin of a sink that runs.
pub trait Swaps: Debug + Send + Sync {
    /// What can be seen of it.
    fn status(&self) -> PluginStatus;

    /// Loads a version, the component that was sent, under its name, or what the module names now, and lets it serve if nothing
    /// speaks against it.
    fn swap(
        &self,
        sent: Option<(String, Bytes)>,
        how: How,
    ) -> Pin<Box<dyn Future<Output = Result<Swapped, SwapError>> + Send + '_>>;

    /// Goes back to the version before; from one that is tried, to the one that serves.
    fn rollback(&self) -> Pin<Box<dyn Future<Output = Result<Swapped, SwapError>> + Send + '_>>;
}

/// How a version is tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canary {
    /// Of the batches, above 0 and up to 1.
    pub share: f64,
    /// Batches that it must shape before it takes over, at least 1.
    pub batches: u64,
    /// How much more of its batches and calls may fail, be rejected or be tried again than those of the version that
    /// serves, each a share from 0 to 1.
    pub tolerance: f64,
}

/// How a version comes into service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum How {
    /// From the next batch on.
    AtOnce,
    /// On a share of the batches first.
    Canary(Canary),
    /// Not at all: this many batches are shaped by both versions, and what the new one makes of them is compared and
    /// thrown away.
    Shadow(u64),
}

/// What a swap came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Swapped {
    /// The version's number.
    pub generation: u64,
    /// SHA-256, in hexadecimal.
    pub digest: String,
    /// What became of it.
    pub state: SwapState,
    /// Events of the last batch, on which it was rehearsed; none if no batch had come.
    pub rehearsed: Option<usize>,
    /// Where its answer to them differs from that of the version before.
    pub differences: Vec<String>,
}

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SwapState {
    /// It serves already: nothing was done.
    Unchanged,
    /// It serves.
    Serving,
    /// It is tried on a share of the batches.
    Canary,
    /// It is compared.
    Shadow,
    /// It serves on: the one that was tried beside it has gone.
    TrialEnded,
}

/// Why a version does not serve; the one before does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwapError {
    /// One at a time.
    #[error("another version of the plugin of sink `{0}` is being loaded")]
    Busy(Arc<str>),
    /// It was refused before it was asked anything.
    #[error("the new plugin of sink `{sink}` was refused")]
    Load {
        /// The sink's id.
        sink: Arc<str>,
        /// Why.
        #[source]
        source: Box<LoadError>,
    },
    /// It fails on a batch that the serving version can shape.
    #[error(
        "the new plugin of sink `{sink}` fails on the last batch of {events} events, which the serving one shapes: {reason}"
    )]
    Rehearsal {
        /// The sink's id.
        sink: Arc<str>,
        /// In the batch.
        events: usize,
        /// In words.
        reason: String,
    },
    /// It could not be remembered: after a crash another version would come back.
    #[error("the new plugin of sink `{sink}` could not be written to the state directory")]
    Keep {
        /// The sink's id.
        sink: Arc<str>,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It was sent without a signature.
    #[error("the plugin of sink `{0}` must be signed, and what is sent is not")]
    Unsigned(Arc<str>),
    /// The version before was let in without the signature that is asked for now.
    #[error(
        "the plugin of sink `{0}` must be signed, and the version before was let in without a signature of this key"
    )]
    Unverified(Arc<str>),
    /// There is nothing to go back to.
    #[error("the plugin of sink `{0}` has had no version before this one")]
    NoPrevious(Arc<str>),
}

impl SwapError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Busy(_) => Some("wait until it is done".to_owned()),
            Self::Load { source, .. } => source.hint(),
            Self::Rehearsal { .. } => {
                Some("mend the plugin; `--canary` and `--shadow` rehearse first, too".to_owned())
            }
            Self::Keep { .. } => {
                Some("make room in the state directory, and swap again".to_owned())
            }
            Self::Unsigned(_) | Self::Unverified(_) => Some(
                "put it and its signature where the module says, and swap without a file"
                    .to_owned(),
            ),
            Self::NoPrevious(_) => None,
        }
    }
}

/// A version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Version {
    /// Counted for each sink, from 1.
    pub generation: u64,
    /// SHA-256, in hexadecimal.
    pub digest: String,
    /// The file that it was read from.
    pub origin: PathBuf,
    /// When it was accepted (RFC 3339).
    pub accepted: String,
    /// The key that its signature was verified with then; none if none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

impl Version {
    /// Whether it may serve where plugins must be signed with `key`.
    pub fn is_let_in_by(&self, key: Option<&SignatureKey>) -> bool {
        key.is_none_or(|key| self.signed_by.as_ref() == Some(&key.name()))
    }
}

/// What can be seen of a version that is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TrialStatus {
    /// Its number.
    pub generation: u64,
    /// SHA-256, in hexadecimal.
    pub digest: String,
    /// `canary` or `shadow`.
    pub kind: String,
    /// Batches that it has shaped, and those that it must.
    pub batches: u64,
    /// See `batches`.
    pub wanted: u64,
    /// Batches of which its answer differed, where that is looked at.
    pub differing: Option<u64>,
}

/// What can be seen of a sink's plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PluginStatus {
    /// The sink's id.
    pub sink: String,
    /// The version that serves.
    pub serving: Version,
    /// The one that it can go back to.
    pub previous: Option<Version>,
    /// A version that is tried.
    pub trial: Option<TrialStatus>,
    /// What the last trial came to.
    pub last_trial: Option<String>,
}
