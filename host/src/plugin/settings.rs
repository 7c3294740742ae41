//! What the plugin host is told about one plugin, checked: built by `config`.

use std::{path::PathBuf, time::Duration};

pub use super::grants::settings::{EnvGrant, FilesGrant, GrantSettings, HttpGrant, KeyvalueGrant};
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
    /// What it may reach.
    pub grants: GrantSettings,
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
    /// Linear memory of one instance in bytes, over all the memories that it has.
    pub memory: usize,
    /// One call.
    pub time: Duration,
    /// Instances, at least 1; one per core by default.
    pub instances: usize,
    /// Processor time for compiling it.
    pub compile_time: Duration,
    /// Address space of the process that compiles it, in bytes.
    pub compile_memory: u64,
    /// Time on processors that all of its calls together may take, in thousandths of a core, at least 1.
    pub cpu_millis: u32,
    /// What a guest may pass to the host in an answer, or in a call of the host, in bytes: more of it fails.
    pub output: usize,
    /// Results that one call of `handle` may give.
    pub results: usize,
    /// Log lines in a second; what is beyond is counted.
    pub log_lines: u32,
    /// Calls after which an instance is thrown away and made anew; none for never.
    pub recycle_after: Option<u64>,
    /// The component's file in bytes.
    pub size: u64,
}

impl Default for PluginLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            memory: 64 * 1024 * 1024,
            time: Duration::from_secs(1),
            instances: cores,
            // A Python runtime takes 20 s, and less than 1 GiB.
            compile_time: Duration::from_secs(180),
            compile_memory: 4 * 1024 * 1024 * 1024,
            // Half a core is left to the host and to the neighbours, whatever a plugin does.
            cpu_millis: u32::try_from(cores * 1000 - 500).unwrap_or(u32::MAX),
            output: 64 * 1024 * 1024,
            results: 10_000,
            log_lines: 100,
            recycle_after: None,
            size: 64 * 1024 * 1024,
        }
    }
}
