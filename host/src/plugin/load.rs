//! From a file to a plugin that may run: read once, checked, compiled, configured.

use std::{path::PathBuf, sync::Arc};

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, types::ComponentItem};

use super::{
    CurrentCall, Handled, Plugin, PluginError, Shaped,
    bindings::exports::nozzle::plugin::{handling, shaping},
    engine::{PluginHost, Ticker},
    instance::{MakeError, Pool},
    lift,
    output::GuestLog,
    settings::PluginSettings,
    source::SourceError,
};
use crate::{event::Event, metrics::PluginStats, outcome::Outcome};

/// The contract's version that this host speaks.
const VERSION: &str = "0.1.0";
const SHAPING: &str = "nozzle:plugin/shaping@0.1.0";
const HANDLING: &str = "nozzle:plugin/handling@0.1.0";

/// Why a plugin was refused. None of its functions was called, but for the last two.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Its bytes were not had, or are not signed as they must be.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file has another digest than configured.
    #[error("`{}` has the SHA-256 digest {found}, but `plugin.sha256` pins {pinned}", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// Its digest, in hexadecimal.
        found: String,
        /// The configured one.
        pinned: String,
    },
    /// No WebAssembly at all.
    #[error("`{}` is no WebAssembly file", path.display())]
    NotWasm {
        /// The file.
        path: PathBuf,
    },
    /// A module, not a component.
    #[error("`{}` is a core WebAssembly module; a plugin is a component", path.display())]
    CoreModule {
        /// The file.
        path: PathBuf,
    },
    /// A component that is damaged, or needs what the engine does not have.
    #[error("`{}` cannot be compiled: {reason}", path.display())]
    Compile {
        /// The file.
        path: PathBuf,
        /// The engine's words.
        reason: String,
    },
    /// The component is for another version of the contract.
    #[error("`{}` was built for `{found}`, and this host speaks version {VERSION} of the contract", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The interface that it exports or imports.
        found: String,
    },
    /// The component does not export `shaping`.
    #[error("`{}` does not export the interface `{SHAPING}`; it exports {}", path.display(), listed(exports))]
    MissingExport {
        /// The file.
        path: PathBuf,
        /// What it exports.
        exports: Vec<String>,
    },
    /// The component imports what is not offered.
    #[error("`{}` imports `{import}`, which this host does not offer to plugins", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// The interface.
        import: String,
    },
    /// An interface has the right name and another type.
    #[error("`{}` does not fit the contract: {reason}", path.display())]
    Type {
        /// The file.
        path: PathBuf,
        /// The engine's words.
        reason: String,
    },
    /// `configure` returned an error.
    #[error("the plugin refuses its configuration: {reason}")]
    Configure {
        /// The plugin's words.
        reason: String,
    },
    /// The first instance could not be made.
    #[error("the plugin could not be started")]
    Start(#[source] PluginError),
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

impl LoadError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Source(error) => return error.hint(),
            Self::Digest { .. } => "if the new file is meant, change `plugin.sha256`",
            Self::NotWasm { .. } => {
                "a plugin is a WebAssembly component, as `cargo build --target wasm32-wasip2` makes it"
            }
            Self::CoreModule { .. } => {
                "build a component: in Rust `cargo build --target wasm32-wasip2` (not wasip1 or unknown-unknown); \
                 otherwise `wasm-tools component new`, componentize-js or componentize-py"
            }
            Self::Version { .. } => "build the plugin against the `wit/` of this host's version",
            Self::MissingExport { .. } => {
                "build the plugin for the world `shaper` or `sink` of `wit/worlds.wit`"
            }
            Self::Import { import, .. }
                if import.starts_with("wasi:http") || import.starts_with("wasi:sockets") =>
            {
                "plugins have no network: return the call from `shape`, and the host makes it"
            }
            Self::Import { .. } => {
                "a plugin may import `nozzle:plugin/host`, in the world `sink` `nozzle:plugin/current-call`, and \
                 WASI 0.2 without http"
            }
            Self::Type { .. } => {
                "«expected» is the host, «found» the plugin: generate its bindings anew from this host's `wit/`"
            }
            Self::Configure { .. } => "change `plugin.config` of the sink",
            Self::Compile { .. } | Self::Start(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// A plugin that was checked and configured, with its instances.
pub struct LoadedPlugin {
    pool: Pool,
    log: Arc<GuestLog>,
    digest: String,
    /// Without epochs nothing would end its loops.
    _ticker: Arc<Ticker>,
}

impl std::fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPlugin")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
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
        let path = settings.source.label();
        let bytes = self.bytes(settings).await?;
        let found = Sha256::digest(&bytes);
        let digest = hex(&found);
        if let Some(pinned) = settings.sha256.filter(|pinned| pinned[..] != found[..]) {
            return Err(LoadError::Digest {
                path,
                found: digest,
                pinned: hex(&pinned),
            });
        }
        match bytes.get(..8) {
            Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => return Err(LoadError::CoreModule { path }),
            Some([0, b'a', b's', b'm', ..]) => {}
            _ => return Err(LoadError::NotWasm { path }),
        }
        let engine = self.engine.clone();
        let compiled = tokio::task::spawn_blocking(move || Component::new(&engine, bytes)).await;
        let component = compiled
            .map_err(|error| error.to_string())
            .and_then(|component| component.map_err(|error| format!("{error:#}")))
            .map_err(|reason| LoadError::Compile {
                path: path.clone(),
                reason,
            })?;

        self.check_names(&component, &path)?;
        let type_error = |error: wasmtime::Error| LoadError::Type {
            path: path.clone(),
            reason: format!("{error:#}"),
        };
        let pre = self
            .linker
            .instantiate_pre(&component)
            .map_err(type_error)?;
        let shaping = shaping::GuestIndices::new(&pre).map_err(type_error)?;
        let handles = component
            .component_type()
            .exports(&self.engine)
            .any(|(name, _)| name == HANDLING);
        let handling = handles
            .then(|| handling::GuestIndices::new(&pre))
            .transpose()
            .map_err(type_error)?;

        let log = Arc::new(GuestLog::new(sink));
        let (config, limits) = (settings.config.clone(), settings.limits.clone());
        let pool = Pool::new(pre, shaping, handling, config, limits, Arc::clone(&log));
        let first = pool.make().await.map_err(|error| match error {
            MakeError::Unfit(error) => type_error(error),
            MakeError::Refused(reason) => LoadError::Configure { reason },
            MakeError::Failed(error) => LoadError::Start(error),
        })?;
        pool.put(first);
        Ok(LoadedPlugin {
            pool,
            log,
            digest,
            _ticker: Arc::clone(&self.ticker),
        })
    }

    /// Names what does not fit, before the engine says it by its types.
    fn check_names(&self, component: &Component, path: &std::path::Path) -> Result<(), LoadError> {
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
        match interfaces.into_iter().find(|name| !is_offered(name)) {
            Some(import) => Err(LoadError::Import {
                path: path(),
                import,
            }),
            None => Ok(()),
        }
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl LoadedPlugin {
    /// The component's SHA-256 digest, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
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
            .map_err(PluginError::Refused)
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
        answer.await.map(lift::handled)
    }
}
