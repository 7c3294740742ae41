//! Why a plugin was refused, and what can be done about it.

use std::path::PathBuf;

use super::{
    GrantError, PluginError, SourceError,
    contract::{SHAPING, VERSION},
};

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
    /// The process that compiles has come to its end without a result.
    #[error("`{}` could not be compiled", path.display())]
    Compiler {
        /// The file.
        path: PathBuf,
        /// How it ended.
        #[source]
        source: super::compile::CompileError,
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
    /// The component imports what is granted, or not.
    #[error("`{}` imports `{import}`, which the sink does not grant", path.display())]
    Ungranted {
        /// The file.
        path: PathBuf,
        /// The interface.
        import: String,
        /// The line that grants it.
        line: &'static str,
    },
    /// What the sink grants cannot be given.
    #[error(transparent)]
    Grant(#[from] GrantError),
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
    /// The key of the sink that is at fault, where it stands below `plugin` without that.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Source(error) => error.key(),
            Self::Digest { .. } => "sha256",
            Self::Grant(_) => "grants",
            Self::Configure { .. } => "config",
            _ => "path",
        }
    }

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
            Self::Ungranted { line, import, .. } => {
                // It imports wasi:http whether the plugin uses it or not.
                let javascript = match import.starts_with("wasi:http/") {
                    true => "; componentize-js leaves it out with `--disable http fetch-event`",
                    false => "",
                };
                return Some(format!(
                    "if it is to have it, add `{line}` to the sink (`docs/grants.md`){javascript}"
                ));
            }
            Self::Grant(_) => "see `docs/grants.md`",
            Self::Import { .. } => {
                "a plugin may import `nozzle:plugin/host`, in the world `sink` `nozzle:plugin/current-call`, and \
                 WASI 0.2; wasi:http and wasi:keyvalue/store where the sink grants them"
            }
            Self::Type { .. } => {
                "«expected» is the host, «found» the plugin: generate its bindings anew from this host's `wit/`"
            }
            Self::Configure { .. } => "change `plugin.config` of the sink",
            Self::Compiler { source, .. } => return source.hint(),
            Self::Compile { .. } | Self::Start(_) => return None,
        };
        Some(hint.to_owned())
    }
}
