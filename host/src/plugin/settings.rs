//! What the plugin host is told about one plugin, checked: built by `config`.

use std::{path::PathBuf, time::Duration};

pub use super::signature::{SignatureKey, SignatureKeyError};
use crate::oci::{Reference, settings::RegistrySettings};

/// One plugin of one sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginSettings {
    /// The component.
    pub source: PluginSource,
    /// The digest that the component must have.
    pub sha256: Option<[u8; 32]>,
    /// The key that the component must be signed with.
    pub signature: Option<SignatureKey>,
    /// `plugin.config` as JSON text, `null` without one.
    pub config: String,
    /// What it may use.
    pub limits: PluginLimits,
}

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginSource {
    /// A file.
    File(PathBuf),
    /// A registry.
    Package(Box<PackageSettings>),
}

/// A component in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSettings {
    /// Which it is.
    pub reference: Reference,
    /// How its registry is reached.
    pub registry: RegistrySettings,
}

impl PluginSource {
    /// What messages call it: the file, or the reference in place of one.
    pub fn label(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Package(package) => package.reference.to_string().into(),
        }
    }
}

/// What a plugin may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginLimits {
    /// Linear memory of one instance in bytes.
    pub memory: usize,
    /// One call.
    pub time: Duration,
    /// Instances, at least 1; one per core by default.
    pub instances: usize,
    /// What one call may copy between guest and host, in bytes: an answer above it fails.
    pub output: usize,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory: 64 * 1024 * 1024,
            time: Duration::from_secs(1),
            instances: std::thread::available_parallelism().map_or(1, usize::from),
            output: 128 * 1024 * 1024,
        }
    }
}
