//! Endpoints, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::auth::{AuthYaml, TlsYaml};
use crate::config::units::{Size, Span};

/// Where calls go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("x-moved" = { "ca-file": "write `tls: { ca-file: … }`" }))]
pub(in crate::config) struct EndpointYaml {
    /// The base URL, `http` or `https`: a plugin's targets stand below it and cannot leave its host and port.
    pub(in crate::config) url: String,
    /// Headers for every request; a plugin may not set the same ones.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, String>,
    /// How requests are authenticated. Default: not at all.
    pub(in crate::config) auth: Option<AuthYaml>,
    /// How request bodies are compressed. Default: not at all.
    pub(in crate::config) compression: Option<CompressionYaml>,
    /// What is particular about TLS.
    #[serde(default)]
    pub(in crate::config) tls: TlsYaml,
    /// TCP and TLS together. Default: `5s`.
    #[schemars(extend("x-shortest" = "1ms"))]
    pub(in crate::config) connect_timeout: Option<Span>,
    /// What is read of a response's head. Default: `64KiB`.
    pub(in crate::config) max_response_head: Option<Size>,
    /// What is read of a response's body; the rest is cut off. Default: `1MiB`.
    pub(in crate::config) max_response_body: Option<Size>,
}

/// How request bodies are compressed.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum CompressionYaml {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}
