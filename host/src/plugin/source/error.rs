//! Why the bytes of a plugin were not had.

use std::{io, path::PathBuf};

use super::super::signature::MinisignError;
use crate::oci::OciError;

/// Why the bytes of a plugin were not had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file, or its signature, cannot be read.
    #[error("could not read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the state directory keeps cannot be read.
    #[error("could not read `{}`, the version that served last", path.display())]
    Kept {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// More than any component has.
    #[error("`{}` has more than {limit} bytes (`limits.size`)", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is read at most.
        limit: u64,
    },
    /// The package cannot be pulled.
    #[error("could not pull `{reference}`")]
    Pull {
        /// The package.
        reference: String,
        /// Why.
        #[source]
        source: Box<OciError>,
    },
    /// A tag alone, which may stand for something else tomorrow.
    #[error("`{reference}` is not pinned to a digest")]
    Unpinned {
        /// The package.
        reference: String,
        /// What the registry has now, as it would be pinned.
        pinned: String,
        /// The component's digest now, in hexadecimal.
        sha256: String,
    },
    /// The package has another component.
    #[error(
        "`{reference}` has a component with the SHA-256 digest {found}, but `plugin.sha256` pins {pinned}"
    )]
    Pin {
        /// The package.
        reference: String,
        /// Its component's digest, in hexadecimal.
        found: String,
        /// The configured one.
        pinned: String,
    },
    /// There is no signature at all.
    #[error("`{}` is not signed, and `plugin.signature` asks for it", path.display())]
    Unsigned {
        /// The file or package.
        path: PathBuf,
        /// Where a signature would be.
        place: String,
    },
    /// The signature is none of the key.
    #[error("`{}` is not signed by the key of `plugin.signature`", path.display())]
    Signature {
        /// The file or package.
        path: PathBuf,
        /// Why.
        #[source]
        source: MinisignError,
    },
}

impl SourceError {
    /// The key of `plugin` that is at fault.
    pub(in crate::plugin) fn key(&self) -> &'static str {
        match self {
            Self::Pin { .. } => "sha256",
            Self::Unsigned { .. } | Self::Signature { .. } => "signature",
            Self::Read { .. }
            | Self::Kept { .. }
            | Self::TooLarge { .. }
            | Self::Pull { .. }
            | Self::Unpinned { .. } => "path",
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "check `plugin.path`: it is relative to the module file's folder; the plugins of this repository \
                 are built by `make guests`, those in Rust by `make rust-guests`"
            }
            Self::Kept { .. } => {
                "it was swapped in by hand; to have the module's file serve, remove the folder that it is in"
            }
            Self::TooLarge { .. } => {
                "a plugin in Rust has less than 1 MiB, one in Python or JavaScript less than 20; if this one is meant, \
                 set `plugin.limits.size`"
            }
            Self::Pull { source, .. } => return source.hint(),
            Self::Unpinned { pinned, sha256, .. } => {
                return Some(format!(
                    "if what it stands for now is meant, write `path: {pinned}`; or add `sha256: {sha256}`"
                ));
            }
            Self::Pin { .. } => "if the new component is meant, change `plugin.sha256`",
            Self::Unsigned { place, .. } => return Some(format!("the signature belongs {place}")),
            Self::Signature {
                source: MinisignError::Legacy,
                ..
            } => "sign it anew, with `minisign -S` of version 0.10 or later",
            Self::Signature { .. } => {
                "check whose key is in `plugin.signature`, and who made this component"
            }
            Self::Read { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
