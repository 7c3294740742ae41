//! `admin`, exactly as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where a host shows what it does (`/metrics`, `/live`, `/ready`, `/status`, `/v1`), and is told to pause, resume and
/// drain. Whoever reaches the address can read ids and numbers; changes need a token, or the right to use the socket.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct AdminYaml {
    /// An IP address and a port, a port alone for this machine only, or `unix:PATH`, relative to the module file. One that
    /// others reach needs `tls` and `token`, or `read-only`. Default: `127.0.0.1:9464`.
    pub(in crate::config) address: Option<String>,
    /// What must be shown as `Authorization: Bearer …`, for everything but `/live` and `/ready`: 16 characters or more. Default:
    /// reading is open, and changes need the token that each start writes to `admin-token` in the state directory.
    pub(in crate::config) token: Option<String>,
    /// Connections are encrypted. Default: they are not.
    pub(in crate::config) tls: Option<AdminTlsYaml>,
    /// Names by which the address is known, beside IP addresses and `localhost`: requests for others are refused. Default: none.
    #[serde(default)]
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) hosts: Vec<String>,
    /// Nothing can be changed by this address. Default: false.
    #[serde(default)]
    pub(in crate::config) read_only: bool,
}

/// What the admin address proves itself with. Both files are read again when they change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct AdminTlsYaml {
    /// A PEM file of the certificate and those that lead to its root; relative to the module file.
    pub(in crate::config) cert_file: String,
    /// A PEM file of its private key; relative to the module file.
    pub(in crate::config) key_file: String,
}
