//! What the plugin host is told about one plugin, checked: built by `config`.

use std::{path::PathBuf, time::Duration};

pub use super::grants::settings::{EnvGrant, FilesGrant, GrantSettings, HttpGrant, KeyvalueGrant};

/// One plugin of one sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginSettings {
    /// The component.
    pub path: PathBuf,
    /// The digest that the file must have.
    pub sha256: Option<[u8; 32]>,
    /// `plugin.config` as JSON text, `null` without one.
    pub config: String,
    /// What it may use.
    pub limits: PluginLimits,
    /// What it may reach.
    pub grants: GrantSettings,
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
