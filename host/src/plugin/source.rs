//! The bytes of a plugin: from a file, or from a registry by way of the packages that are kept.
//!
//! # Invariants
//! - What comes from a registry is pinned: by the digest of its manifest, or of the component itself.
//! - What must be signed is verified before anything else looks at it, every time, wherever it comes from.
//! - A pinned package that is kept needs no network.

mod error;

pub use error::SourceError;

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    engine::PluginHost,
    settings::{PackageSettings, PluginSettings, PluginSource},
    signature::{MINISIGN_ANNOTATION, MinisignKey, SignatureKey},
};
use crate::oci::{Cache, Digest, OciError, Registry, Resolved};

/// The largest signature file, in bytes.
const MAX_SIGNATURE: u64 = 64 * 1024;

impl PluginHost {
    /// Keeps what is pulled from registries in `cache`.
    #[must_use]
    pub fn with_packages(mut self, cache: Option<Cache>) -> Self {
        self.packages = cache;
        self
    }

    /// The bytes of a plugin, pinned and signed as its settings ask.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn bytes(&self, settings: &PluginSettings) -> Result<Bytes, SourceError> {
        match &settings.source {
            PluginSource::File(path) => {
                file(path, settings.limits.size, settings.signature.as_ref()).await
            }
            PluginSource::Package(package) => {
                let pull = Pull {
                    package,
                    sha256: settings.sha256.map(Digest::new),
                    key: settings.signature.as_ref(),
                    cache: self.packages.as_ref(),
                };
                let bytes = pull.bytes().await?;
                match bytes.len() as u64 > settings.limits.size {
                    true => Err(SourceError::TooLarge {
                        path: settings.source.label(),
                        limit: settings.limits.size,
                    }),
                    false => Ok(bytes),
                }
            }
        }
    }
}

async fn file(path: &Path, limit: u64, key: Option<&SignatureKey>) -> Result<Bytes, SourceError> {
    let bytes = read(path, limit).await?;
    let Some(SignatureKey::Minisign(key)) = key else {
        return Ok(bytes.into());
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".minisig");
    let signature = match read(Path::new(&beside), MAX_SIGNATURE).await {
        Err(SourceError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(SourceError::Unsigned {
                path: path.to_owned(),
                place: format!(
                    "into `{}`, where `minisign -S` writes it",
                    Path::new(&beside).display()
                ),
            });
        }
        read => read?,
    };
    let signature = String::from_utf8_lossy(&signature);
    let verified = key.verify(&bytes, &signature);
    verified.map_err(|source| SourceError::Signature {
        path: path.to_owned(),
        source,
    })?;
    Ok(bytes.into())
}

async fn read(path: &Path, limit: u64) -> Result<Vec<u8>, SourceError> {
    use tokio::io::AsyncReadExt as _;
    let failed = |source| SourceError::Read {
        path: path.to_owned(),
        source,
    };
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut bytes = Vec::new();
    // The size that the file system says may be none, or another by now.
    let read = file.take(limit + 1).read_to_end(&mut bytes).await;
    match read.map_err(failed)? as u64 > limit {
        true => Err(SourceError::TooLarge {
            path: path.to_owned(),
            limit,
        }),
        false => Ok(bytes),
    }
}

/// One package, and what is asked of it.
struct Pull<'a> {
    package: &'a PackageSettings,
    sha256: Option<Digest>,
    key: Option<&'a SignatureKey>,
    cache: Option<&'a Cache>,
}

impl Pull<'_> {
    async fn bytes(&self) -> Result<Bytes, SourceError> {
        if let Some(bytes) = self.kept().await {
            return Ok(bytes);
        }
        let failed = |source: OciError| SourceError::Pull {
            reference: self.label(),
            source: Box::new(source),
        };
        let PackageSettings {
            reference,
            registry,
        } = self.package;
        let registry = Registry::open(reference, registry).await.map_err(failed)?;
        let resolved = registry.resolve().await.map_err(failed)?;
        self.check_pins(&resolved)?;
        let cosign = match self.key {
            Some(SignatureKey::Cosign(key)) => Some(
                registry
                    .signature(resolved.manifest, key)
                    .await
                    .map_err(failed)?,
            ),
            _ => None,
        };
        let bytes = registry
            .component(&resolved.component)
            .await
            .map_err(failed)?;
        let minisign = resolved.component.annotations.get(MINISIGN_ANNOTATION);
        if let Some(SignatureKey::Minisign(key)) = self.key {
            self.verify(key, &bytes, minisign.map(String::as_str))?;
        }
        if let Some(cache) = self.cache {
            cache.keep(&resolved, &bytes).await;
            if let Some(signature) = minisign {
                cache
                    .keep_minisign(resolved.component.digest, signature)
                    .await;
            }
            if let Some(signature) = cosign {
                cache.keep_signature(resolved.manifest, signature).await;
            }
        }
        Ok(bytes)
    }

    /// The kept bytes, if they are all that is asked for. What is wrong with them, the registry will say.
    async fn kept(&self) -> Option<Bytes> {
        let cache = self.cache?;
        let component = match (self.package.reference.digest(), self.sha256) {
            (Some(pin), sha256) => {
                let component = cache.resolve(pin).await?.component.digest;
                (sha256.is_none_or(|sha256| sha256 == component)).then_some(component)?
            }
            (None, sha256) => sha256?,
        };
        let bytes = cache.get(component).await?;
        match self.key {
            None => {}
            Some(SignatureKey::Minisign(key)) => {
                let signature = cache.minisign(component).await?;
                key.verify(&bytes, &signature).ok()?;
            }
            Some(SignatureKey::Cosign(key)) => {
                let manifest = self.package.reference.digest()?;
                cache.is_signed(manifest, key).await.then_some(())?;
            }
        }
        Some(bytes)
    }

    fn check_pins(&self, resolved: &Resolved) -> Result<(), SourceError> {
        let reference = &self.package.reference;
        let found = resolved.component.digest;
        match self.sha256 {
            Some(pinned) if pinned != found => Err(SourceError::Pin {
                reference: self.label(),
                found: found.hex(),
                pinned: pinned.hex(),
            }),
            None if reference.digest().is_none() => Err(SourceError::Unpinned {
                reference: self.label(),
                pinned: reference.pinned(resolved.manifest).to_string(),
                sha256: found.hex(),
            }),
            _ => Ok(()),
        }
    }

    fn verify(
        &self,
        key: &MinisignKey,
        bytes: &[u8],
        signature: Option<&str>,
    ) -> Result<(), SourceError> {
        let path = || PathBuf::from(self.label());
        let Some(signature) = signature else {
            return Err(SourceError::Unsigned {
                path: path(),
                place: format!(
                    "into the manifest's annotation `{MINISIGN_ANNOTATION}`, where `nozzle plugin push --minisig FILE` writes it"
                ),
            });
        };
        let verified = key.verify(bytes, signature);
        verified.map_err(|source| SourceError::Signature {
            path: path(),
            source,
        })
    }

    fn label(&self) -> String {
        self.package.reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("score.wasm");
        std::fs::write(&path, b"12345").expect("written");

        let fits = read(&path, 5).await;
        let longer = read(&path, 4).await;
        let folder_itself = read(folder.path(), 5).await;

        assert_eq!(fits.expect("it fits"), b"12345");
        assert!(matches!(
            longer,
            Err(SourceError::TooLarge { limit: 4, .. })
        ));
        assert!(matches!(folder_itself, Err(SourceError::Read { .. })));
    }
}
