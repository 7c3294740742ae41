//! What a sink's plugin is granted, checked: built by `config`.

use std::{fmt, path::PathBuf, time::Duration};

use crate::network::HostPattern;

/// `sinks[].grants`: nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantSettings {
    /// Whose grants they are: the sink's id.
    pub sink: String,
    /// Hosts that it may ask.
    pub http: Option<HttpGrant>,
    /// Variables that it sees.
    pub env: Vec<EnvGrant>,
    /// Folders that it may read.
    pub files: Vec<FilesGrant>,
    /// The machine's clocks, in place of ones that stand still.
    pub clock: bool,
    /// Randomness, in place of a sequence that is always the same.
    pub random: bool,
    /// A store of its own.
    pub keyvalue: Option<KeyvalueGrant>,
}

/// `grants.http` and `grants.http-limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// At least one.
    pub hosts: Vec<HostPattern>,
    /// Requests in one call of the plugin.
    pub max_calls: u32,
    /// One request, from its first byte to the last one of its response.
    pub time: Duration,
    /// Bytes of a request's body.
    pub max_request: usize,
    /// Bytes of a response's body.
    pub max_response: usize,
}

impl HttpGrant {
    /// With the default limits.
    pub fn new(hosts: Vec<HostPattern>) -> Self {
        Self {
            hosts,
            max_calls: 10,
            time: Duration::from_millis(500),
            max_request: 64 * 1024,
            max_response: 1024 * 1024,
        }
    }
}

/// A variable of the environment. `Debug` shows its name alone.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvGrant {
    /// Its name, to the plugin too.
    pub name: String,
    /// What it holds.
    pub value: String,
}

impl fmt::Debug for EnvGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A folder, to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesGrant {
    /// Where it is.
    pub path: PathBuf,
    /// Where the plugin finds it.
    pub guest: String,
}

/// `grants.keyvalue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyvalueGrant {
    /// Entries at most.
    pub max_entries: u64,
    /// Bytes of keys and values at most.
    pub max_bytes: u64,
}

impl Default for KeyvalueGrant {
    fn default() -> Self {
        Self {
            max_entries: 100_000,
            max_bytes: 64 * 1024 * 1024,
        }
    }
}
