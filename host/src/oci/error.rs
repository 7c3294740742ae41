//! Why a package was not pulled or pushed.

use super::{CosignError, CredentialsError, Digest, ManifestError};
use crate::{http::ClientError, outcome::Failure};

/// Why a package was not pulled or pushed. No text has credentials or a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OciError {
    /// Connections cannot be made at all.
    #[error("the registry `{registry}` cannot be reached with these settings")]
    Client {
        /// The registry.
        registry: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// No complete answer came.
    #[error("the registry `{registry}` gave no {what}")]
    Failed {
        /// The registry, or where it redirects to.
        registry: String,
        /// What was asked for.
        what: &'static str,
        /// Why.
        #[source]
        source: Failure,
    },
    /// No complete answer came in time.
    #[error("the registry `{registry}` gave no {what} within {seconds} s")]
    TimedOut {
        /// The registry, or where it redirects to.
        registry: String,
        /// What was asked for.
        what: &'static str,
        /// The limit.
        seconds: u64,
    },
    /// There is no such package.
    #[error("the registry `{registry}` has no such {what}{said}")]
    NotFound {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: &'static str,
        /// Its own words, if any.
        said: String,
    },
    /// The registry wants to know who asks, or does not allow it.
    #[error("the registry `{registry}` refuses the {what} with the status {status}{said}")]
    Refused {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: &'static str,
        /// 401 or 403.
        status: u16,
        /// Its own words, if any.
        said: String,
        /// Whether it was told who asks.
        knows: bool,
        /// The credential helper that was not asked.
        helper: Option<String>,
    },
    /// Another answer than the protocol has.
    #[error("the registry `{registry}` answers the {what} with the status {status}{said}")]
    Status {
        /// The registry, or where it redirects to.
        registry: String,
        /// What was asked for.
        what: &'static str,
        /// The status.
        status: u16,
        /// Its own words, if any.
        said: String,
    },
    /// It asks for a token in a way that is not followed.
    #[error("the registry `{registry}` wants a token, but {reason}")]
    Token {
        /// The registry.
        registry: String,
        /// Why there is none.
        reason: String,
    },
    /// It sends elsewhere, and that is not followed.
    #[error("the registry `{registry}` redirects the {what}, but {reason}")]
    Redirect {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: &'static str,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// More than is read.
    #[error("the {what} has more than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        what: &'static str,
        /// What is read at most.
        limit: usize,
    },
    /// Other bytes than were asked for.
    #[error("the {what} has the digest {found}, and not {expected}, by which it was asked for")]
    Digest {
        /// What was asked for.
        what: &'static str,
        /// The digest of what came.
        found: Digest,
        /// The one that it was asked for by.
        expected: Digest,
    },
    /// The manifest is none of a component.
    #[error("`{reference}` cannot be used")]
    Manifest {
        /// The package.
        reference: String,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// The stored credentials cannot be used.
    #[error("the credentials of the registry `{registry}` cannot be used")]
    Credentials {
        /// The registry.
        registry: String,
        /// Why.
        #[source]
        source: CredentialsError,
    },
    /// The package is not signed as it must be.
    #[error("`{reference}` is not signed by the key of `plugin.signature`")]
    Cosign {
        /// The package.
        reference: String,
        /// Why.
        #[source]
        source: CosignError,
    },
}

impl OciError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Refused {
                helper: Some(helper),
                knows: false,
                ..
            } => {
                return Some(format!(
                    "the credential helper `{helper}` of Docker's configuration is not asked: write `plugin.registry.user` \
                     and `password` into the module file"
                ));
            }
            Self::Refused { knows: false, .. } => {
                "run `docker login`, or write `plugin.registry.user` and `password` into the module file"
            }
            Self::Refused { .. } => "check the user, the password, and what the user may do",
            Self::NotFound { .. } => {
                "check the repository and the tag; some registries hide what a user may not see"
            }
            Self::Failed {
                source: Failure::Tls(_),
                ..
            } => {
                "name the root's PEM file as `plugin.registry.ca-file`; for a registry without TLS, write \
                 `plugin.registry.plain-http: true`"
            }
            // What is asked for first: later on, it is known what the registry speaks.
            Self::Failed {
                what: "manifest" | "blob",
                source: Failure::Protocol(_),
                ..
            } => {
                "a registry on this machine is asked without TLS: write `plugin.registry.plain-http: false` if it speaks it"
            }
            Self::Cosign {
                source: CosignError::Missing(_),
                ..
            } => "sign it: `cosign sign --key cosign.key REGISTRY/REPOSITORY@sha256:…`",
            Self::Cosign { .. } => {
                "check whose key is in `plugin.signature`, and who made this package"
            }
            Self::Manifest {
                source:
                    ManifestError::NoWasm(_) | ManifestError::Layer(_) | ManifestError::Layers(_),
                ..
            } => "push it with `nozzle plugin push` or `wkg oci push`",
            Self::Digest { .. } => {
                "somebody changed it on its way, or in the registry: pull it from elsewhere"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
