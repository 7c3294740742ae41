//! From a file to a plugin that may run: read once, checked, compiled, configured.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use wasmtime::component::Component;

use super::{
    Candidate, Identity, LoadError, LoadedPlugin,
    bindings::exports::nozzle::plugin::{handling, shaping},
    budget::Budget,
    compile::NotCompiled,
    contract,
    engine::PluginHost,
    instance::Recipe,
    output::GuestLog,
    pool::Pool,
    settings::{PluginLimits, PluginSettings, SignatureKey},
};
use crate::oci::Digest;

/// A component as it was read, once: what is checked is what runs.
#[derive(Clone)]
pub struct Binary {
    /// Where it comes from, for messages.
    pub path: PathBuf,
    /// The component.
    pub bytes: Bytes,
    /// Its SHA-256 digest.
    pub digest: Digest,
    /// The key that its signature was verified with, if it was: see [`SignatureKey::name`].
    pub signed_by: Option<String>,
}

impl std::fmt::Debug for Binary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Binary")
            .field("path", &self.path)
            .field("digest", &self.digest.hex())
            .finish_non_exhaustive()
    }
}

impl Binary {
    /// Its digest, in hexadecimal.
    pub fn hex_digest(&self) -> String {
        self.digest.hex()
    }

    /// A component that is at hand.
    pub fn new(path: PathBuf, bytes: Bytes) -> Self {
        Self {
            path,
            digest: Digest::of(&bytes),
            bytes,
            signed_by: None,
        }
    }
}

impl PluginHost {
    /// Loads a plugin for a sink: type-checked before anything of it runs, then configured once, so that a
    /// wrong configuration fails here.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(
        &self,
        sink: &str,
        settings: &PluginSettings,
    ) -> Result<LoadedPlugin, LoadError> {
        let binary = self.read(settings).await?;
        self.load_binary(sink, settings, &binary).await
    }

    /// Reads the component of a sink, pinned and signed as its settings ask.
    ///
    /// # Errors
    /// When it cannot be had, is too large, or is not signed.
    pub async fn read(&self, settings: &PluginSettings) -> Result<Binary, LoadError> {
        let (bytes, path) = (self.bytes(settings).await?, settings.source.label());
        // A Python guest takes a tenth of a second, for which no call is to wait.
        let digested = {
            let bytes = bytes.clone();
            tokio::task::spawn_blocking(move || Digest::of(&bytes)).await
        };
        Ok(Binary {
            digest: digested.unwrap_or_else(|_| Digest::of(&bytes)),
            path,
            bytes,
            signed_by: settings.signature.as_ref().map(SignatureKey::name),
        })
    }

    /// The same, of what was read before.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load_binary(
        &self,
        sink: &str,
        settings: &PluginSettings,
        binary: &Binary,
    ) -> Result<LoadedPlugin, LoadError> {
        let log = Arc::new(GuestLog::new(sink, settings.limits.log_lines));
        let plugin = self.prepare(settings, binary, log).await?;
        plugin.start().await?;
        Ok(plugin)
    }

    /// Loads another version of a plugin; what both count and say is one. Until it is accepted, nothing that it writes lasts.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load_version(
        &self,
        of: &LoadedPlugin,
        settings: &PluginSettings,
        binary: &Binary,
    ) -> Result<Candidate, LoadError> {
        let log = Arc::clone(of.log());
        Candidate::start(self.prepare(settings, binary, log).await?).await
    }

    /// All but its first instance.
    async fn prepare(
        &self,
        settings: &PluginSettings,
        binary: &Binary,
        log: Arc<GuestLog>,
    ) -> Result<LoadedPlugin, LoadError> {
        let path = binary.path.clone();
        let pin = settings.sha256.map(Digest::new);
        if let Some(pinned) = pin.filter(|pinned| *pinned != binary.digest) {
            return Err(LoadError::Digest {
                path,
                found: binary.hex_digest(),
                pinned: pinned.hex(),
            });
        }
        match binary.bytes.get(..8) {
            Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => return Err(LoadError::CoreModule { path }),
            Some([0, b'a', b's', b'm', ..]) => {}
            _ => return Err(LoadError::NotWasm { path }),
        }
        let component =
            self.compile(binary, &settings.limits)
                .await
                .map_err(|error| match error {
                    NotCompiled::AtFault(reason) => LoadError::Compile {
                        path: path.clone(),
                        reason,
                    },
                    NotCompiled::Failed(source) => LoadError::Compiler {
                        path: path.clone(),
                        source,
                    },
                })?;

        contract::check_names(&self.engine, &component, &path, &settings.grants)?;
        let (linker, granted) = self.grant(&settings.grants)?;
        let type_error = |error: wasmtime::Error| LoadError::Type {
            path: path.clone(),
            reason: format!("{error:#}"),
        };
        let pre = linker.instantiate_pre(&component).map_err(type_error)?;
        let shaping = shaping::GuestIndices::new(&pre).map_err(type_error)?;
        let handling = contract::handles(&self.engine, &component)
            .then(|| handling::GuestIndices::new(&pre))
            .transpose()
            .map_err(type_error)?;

        let pool = Pool::new(Recipe {
            pre,
            shaping,
            handling,
            config: settings.config.clone(),
            limits: settings.limits.clone(),
            granted,
            log: Arc::clone(&log),
            budget: Arc::new(Budget::new(settings.limits.cpu_millis)),
        });
        let ticker = Arc::clone(&self.ticker);
        let identity = Identity {
            digest: binary.hex_digest(),
            config: settings.config.clone(),
            grants: settings.grants.clone(),
        };
        Ok(LoadedPlugin::new(
            pool,
            log,
            binary.digest,
            identity,
            path,
            ticker,
        ))
    }

    async fn compile(
        &self,
        binary: &Binary,
        limits: &PluginLimits,
    ) -> Result<Component, NotCompiled> {
        if let Some(compiler) = &self.compiler {
            return compiler.component(&self.engine, binary, limits).await;
        }
        let (engine, bytes) = (self.engine.clone(), binary.bytes.clone());
        let compiled = tokio::task::spawn_blocking(move || Component::new(&engine, bytes)).await;
        compiled
            .map_err(|error| error.to_string())
            .and_then(|component| component.map_err(|error| format!("{error:#}")))
            .map_err(NotCompiled::AtFault)
    }
}
