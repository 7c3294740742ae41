//! `admin`, exactly as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where `/metrics`, `/live`, `/ready` and `/status` are served, and `nozzle top` attaches. Whoever reaches the
/// address can read ids and numbers, and change nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct AdminYaml {
    /// An IP address and a port; a port alone is one of this machine only. Default: `127.0.0.1:9464`.
    pub(in crate::config) address: Option<String>,
}
