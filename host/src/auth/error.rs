//! What is wrong with a way to authenticate.

use std::path::PathBuf;

/// Why requests cannot be authenticated as they should be. Shows no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// A value that cannot be used.
    #[error("`{field}` {reason}")]
    Value {
        /// The field's name in the module file.
        field: &'static str,
        /// What is wrong with its value, which is not repeated.
        reason: String,
    },
    /// A secret's file.
    #[error("the file `{}` cannot be read", path.display())]
    File {
        /// The file, as `${file:…}` names it.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A request that has no signature.
    #[error("the request cannot be signed: {0}")]
    Request(String),
}

impl AuthError {
    pub(super) fn value(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Value {
            field,
            reason: reason.into(),
        }
    }
}
