//! From a file to a plugin that may run: read once, checked, compiled, configured.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use wasmtime::component::{Component, types::ComponentItem};

use super::{
    CurrentCall, Handled, LoadError, Plugin, PluginError, Shaped,
    bindings::exports::nozzle::plugin::{handling, shaping},
    compile::NotCompiled,
    engine::{PluginHost, Ticker},
    grants::Needed,
    instance::{MakeError, Pool},
    lift,
    output::{GuestLog, clean},
    settings::{GrantSettings, PluginLimits, PluginSettings},
};
use crate::{event::Event, metrics::PluginStats, oci::Digest, outcome::Outcome};

/// The contract's version that this host speaks.
pub const VERSION: &str = "0.1.0";
pub(super) const SHAPING: &str = "nozzle:plugin/shaping@0.1.0";
const HANDLING: &str = "nozzle:plugin/handling@0.1.0";

/// A plugin that was checked and configured, with its instances.
pub struct LoadedPlugin {
    pool: Pool,
    log: Arc<GuestLog>,
    digest: Digest,
    /// Without epochs nothing would end its loops.
    _ticker: Arc<Ticker>,
}

impl std::fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPlugin")
            .field("digest", &self.digest.hex())
            .finish_non_exhaustive()
    }
}

/// A component as it was read, once: what is checked is what runs.
#[derive(Clone)]
pub struct Binary {
    /// Where it comes from, for messages.
    pub path: PathBuf,
    /// The component.
    pub bytes: Bytes,
    /// Its SHA-256 digest.
    pub digest: Digest,
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
        let bytes = self.bytes(settings).await?;
        Ok(Binary::new(settings.source.label(), bytes))
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
        self.load_with(settings, binary, log).await
    }

    /// Loads another version of a plugin; what both count and say is one.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load_version(
        &self,
        of: &LoadedPlugin,
        settings: &PluginSettings,
        binary: &Binary,
    ) -> Result<LoadedPlugin, LoadError> {
        self.load_with(settings, binary, Arc::clone(&of.log)).await
    }

    async fn load_with(
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

        self.check_names(&component, &path, &settings.grants)?;
        let (linker, granted) = self.grant(&settings.grants)?;
        let type_error = |error: wasmtime::Error| LoadError::Type {
            path: path.clone(),
            reason: format!("{error:#}"),
        };
        let pre = linker.instantiate_pre(&component).map_err(type_error)?;
        let shaping = shaping::GuestIndices::new(&pre).map_err(type_error)?;
        let handles = component
            .component_type()
            .exports(&self.engine)
            .any(|(name, _)| name == HANDLING);
        let handling = handles
            .then(|| handling::GuestIndices::new(&pre))
            .transpose()
            .map_err(type_error)?;

        let (config, limits) = (settings.config.clone(), settings.limits.clone());
        let pool = Pool::new(
            pre,
            shaping,
            handling,
            config,
            limits,
            granted,
            Arc::clone(&log),
        );
        let first = pool.make().await.map_err(|error| match error {
            MakeError::Unfit(error) => type_error(error),
            MakeError::Refused(reason) => LoadError::Configure { reason },
            MakeError::Failed(error) => LoadError::Start(error),
        })?;
        pool.put(first);
        Ok(LoadedPlugin {
            pool,
            log,
            digest: binary.digest,
            _ticker: Arc::clone(&self.ticker),
        })
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

    /// Names what does not fit, before the engine says it by its types.
    fn check_names(
        &self,
        component: &Component,
        path: &std::path::Path,
        grants: &GrantSettings,
    ) -> Result<(), LoadError> {
        let path = || path.to_owned();
        let kind = component.component_type();
        let exports: Vec<String> = kind
            .exports(&self.engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        let imports = kind.imports(&self.engine);
        let interfaces = imports
            .filter(|(_, item)| !matches!(item.ty, ComponentItem::Type(_)))
            .map(|(name, _)| name);
        let interfaces: Vec<String> = interfaces.map(str::to_owned).collect();
        let other_version = exports.iter().chain(&interfaces).find(|name| {
            name.starts_with("nozzle:plugin/") && !name.ends_with(&format!("@{VERSION}"))
        });
        if let Some(found) = other_version {
            return Err(LoadError::Version {
                path: path(),
                found: found.clone(),
            });
        }
        if !exports.iter().any(|name| name == SHAPING) {
            return Err(LoadError::MissingExport {
                path: path(),
                exports,
            });
        }
        for import in interfaces {
            let path = path();
            match Needed::by(&import) {
                Some(needed) if needed.is_given(grants) => {}
                Some(needed) => {
                    let line = needed.line();
                    return Err(LoadError::Ungranted { path, import, line });
                }
                None if is_offered(&import) => {}
                None => return Err(LoadError::Import { path, import }),
            }
        }
        Ok(())
    }
}

fn is_offered(import: &str) -> bool {
    const OURS: [&str; 3] = ["types", "host", "current-call"];
    const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
    let ours = import.strip_prefix("nozzle:plugin/").is_some_and(|rest| {
        OURS.iter().any(|name| {
            rest.strip_prefix(name)
                .is_some_and(|version| version == format!("@{VERSION}"))
        })
    });
    let wasi = import.strip_prefix("wasi:").is_some_and(|rest| {
        rest.contains("@0.2.")
            && WASI.iter().any(|name| {
                rest.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
    });
    ours || wasi
}

impl LoadedPlugin {
    /// The component's SHA-256 digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Linear memory of an instance that is idle, in bytes.
    pub fn memory(&self) -> usize {
        self.pool.memory()
    }

    /// What it counts itself.
    pub fn stats(&self) -> &Arc<PluginStats> {
        self.pool.stats()
    }

    /// What the plugin has counted with `host.count`.
    pub fn counters(&self) -> Vec<(String, u64)> {
        self.log.counters()
    }
}

impl Plugin for LoadedPlugin {
    async fn shape(&self, events: &[Arc<Event>]) -> Result<Shaped, PluginError> {
        let answer = self
            .pool
            .with(&self.pool.stats().shape_time, async |instance| {
                instance.scratch.fill(events.iter().map(|event| &**event))?;
                instance
                    .shaping
                    .call_shape(&mut instance.store, instance.scratch.batch())
                    .await
            });
        answer
            .await?
            .map(lift::shaped)
            .map_err(|reason| PluginError::Refused(clean(&reason)))
    }

    fn handles(&self) -> bool {
        self.pool.handles()
    }

    async fn handle(&self, call: CurrentCall, outcome: Outcome) -> Result<Handled, PluginError> {
        let headers = lift::headers(&outcome);
        let answer = self
            .pool
            .with(&self.pool.stats().handle_time, async |instance| {
                let handling = instance.handling.as_ref();
                let handling = handling
                    .ok_or_else(|| wasmtime::Error::msg("the plugin does not export `handling`"))?;
                instance.store.data_mut().call = Some(call);
                let answer = handling
                    .call_handle(&mut instance.store, lift::outcome(&outcome, &headers))
                    .await;
                instance.store.data_mut().call = None;
                answer
            });
        let handled = answer.await.map(lift::handled)?;
        self.pool.bounded(handled)
    }
}
