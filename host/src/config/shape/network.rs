//! `network`, exactly as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

/// Which addresses the host may connect to. Public ones it may; of the others an address or `localhost` that stands itself in a
/// URL of this file is permission for it, if it is this machine's or private, and a name that resolves to one is not.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct NetworkYaml {
    /// What else: `loopback`, `private`, `link-local`, `metadata`, `shared`, `multicast`, `broadcast`, `unspecified`, `benchmarking`,
    /// `reserved`, a network such as `10.1.0.0/16`, or an address. No network holds an address of metadata.
    pub(in crate::config) allow: Vec<String>,
}
