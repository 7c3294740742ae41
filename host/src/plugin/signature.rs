//! Whose plugins are let in: signatures of minisign and cosign. Pure.

use std::fmt;

use minisign_verify::{PublicKey, Signature};

use crate::oci::CosignKey;

/// The annotation of a package that has the signature of its component, as `minisign -S` writes it.
pub const MINISIGN_ANNOTATION: &str = "dev.nozzle.plugin.minisign";

/// The key that a plugin must be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureKey {
    /// A public key of minisign.
    Minisign(MinisignKey),
    /// A public key of cosign, for packages alone.
    Cosign(CosignKey),
}

impl SignatureKey {
    /// What tells it from every other key.
    pub fn name(&self) -> String {
        match self {
            Self::Minisign(key) => format!("minisign:{}", key.text),
            Self::Cosign(key) => format!("cosign:{}", key.fingerprint()),
        }
    }
}

/// A public key of minisign.
#[derive(Clone, PartialEq, Eq)]
pub struct MinisignKey {
    key: PublicKey,
    /// As it is written, without its comment.
    text: String,
}

impl fmt::Debug for MinisignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no public key of minisign, such as `RWQ…` with 56 characters")]
pub struct SignatureKeyError;

/// Why a component is not signed by a key of minisign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MinisignError {
    /// The signature cannot be read.
    #[error("the signature is none of minisign")]
    Unreadable,
    /// It was made with another key.
    #[error("it was signed with another key")]
    OtherKey,
    /// It was made without hashing, which takes a large component whole.
    #[error("it was signed in the legacy way")]
    Legacy,
    /// It was made of other bytes, or its comment was changed.
    #[error("the signature is not one of these bytes")]
    Wrong,
}

impl MinisignKey {
    /// Reads a key: the line of base64, or a whole `minisign.pub`.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, SignatureKeyError> {
        let text = text.trim().lines().last().unwrap_or_default().trim();
        let key = PublicKey::from_base64(text).map_err(|_| SignatureKeyError)?;
        Ok(Self {
            key,
            text: text.to_owned(),
        })
    }

    /// Whether a text is that of a `.minisig` file, of whatever key and bytes.
    pub fn is_signature(text: &str) -> bool {
        Signature::decode(text).is_ok()
    }

    /// Verifies a signature, which is the text of a `.minisig` file.
    ///
    /// # Errors
    /// When it is none of this key and these bytes.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<(), MinisignError> {
        use minisign_verify::Error::{InvalidSignature, UnexpectedAlgorithm, UnexpectedKeyId};
        let signature = Signature::decode(signature).map_err(|_| MinisignError::Unreadable)?;
        self.key
            .verify(bytes, &signature, false)
            .map_err(|error| match error {
                UnexpectedKeyId => MinisignError::OtherKey,
                UnexpectedAlgorithm => MinisignError::Legacy,
                InvalidSignature => MinisignError::Wrong,
                _ => MinisignError::Unreadable,
            })
    }
}
