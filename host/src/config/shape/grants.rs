//! `sinks[].grants`, exactly as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::{Size, Span};

/// What a plugin may reach beyond its input. Default: nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct GrantsYaml {
    /// Hosts that it may ask by wasi:http: `host`, `host:port`, `*.name` for what is below a name, over `https`; `http://host` without TLS.
    pub(in crate::config) http: Vec<String>,
    /// Limits of such requests.
    pub(in crate::config) http_limits: Option<HttpLimitsYaml>,
    /// Variables of the host's environment that it sees; none that this file uses as a `${env:…}`.
    pub(in crate::config) env: Vec<String>,
    /// Folders that it may read.
    pub(in crate::config) files: Vec<FilesYaml>,
    /// Whether it sees the time. Default: false, its clocks stand still at the beginning of 1970.
    pub(in crate::config) clock: bool,
    /// Whether it gets random numbers. Default: false, they are the same ones for each instance.
    pub(in crate::config) random: bool,
    /// A store of its own, by wasi:keyvalue; `keyvalue: {}` takes the default limits. Default: none.
    pub(in crate::config) keyvalue: Option<KeyvalueYaml>,
}

/// Limits of a plugin's requests.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct HttpLimitsYaml {
    /// Requests in one call of the plugin. Default: 10.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) calls: Option<u32>,
    /// One request with its response. `limits.time` of the plugin holds for all of its call, so that it must be longer. Default: `500ms`.
    #[schemars(extend("x-shortest" = "1ms"))]
    pub(in crate::config) time: Option<Span>,
    /// A request's body. Default: `64KiB`.
    pub(in crate::config) request: Option<Size>,
    /// A response's body; a larger one is an error. Default: `1MiB`.
    pub(in crate::config) response: Option<Size>,
}

/// A folder that a plugin may read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct FilesYaml {
    /// The folder, relative to the module file.
    #[schemars(length(min = 1))]
    pub(in crate::config) path: String,
    /// Where the plugin finds it, such as `/tables`.
    #[serde(rename = "as")]
    #[schemars(rename = "as")]
    pub(in crate::config) guest: String,
}

/// A plugin's store.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct KeyvalueYaml {
    /// Entries at most. Default: 100000.
    #[schemars(range(min = 1))]
    pub(in crate::config) entries: Option<u64>,
    /// Keys and values together. Default: `64MiB`.
    pub(in crate::config) bytes: Option<Size>,
}
