//! `sinks`, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    delivery::{
        BatchYaml, BufferYaml, FailuresYaml, InFlightYaml, OnGivenUpYaml, OnOutageYaml, OrderYaml,
        ResultsYaml, RetryYaml, StatusYaml, TimeoutYaml,
    },
    endpoint::EndpointOfSinkYaml,
    grants::GrantsYaml,
};
use crate::config::units::{Size, Span};

/// Delivers events: a plugin, an endpoint, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct SinkYaml {
    /// `namespace/name`, of lower-case letters, digits and `-`.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) id: String,
    /// Decides what each call looks like, and what each response means.
    pub(in crate::config) plugin: PluginYaml,
    /// What the plugin may reach beyond its input: hosts, files, the time. Default: nothing.
    #[serde(default)]
    pub(in crate::config) grants: GrantsYaml,
    /// Where calls go: the id of one of `endpoints`, or an endpoint of the sink's own.
    pub(in crate::config) endpoint: Option<EndpointOfSinkYaml>,
    /// Further endpoints, each under a name by which the plugin may send a call there; `endpoint` is for the calls that name none.
    #[serde(default)]
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) endpoints: BTreeMap<String, EndpointOfSinkYaml>,
    /// When a batch is full.
    #[serde(default)]
    pub(in crate::config) batch: BatchYaml,
    /// How much may be held; when it is spent, the ingress waits.
    #[serde(default)]
    pub(in crate::config) buffer: BufferYaml,
    /// How many calls run side by side.
    #[serde(default)]
    pub(in crate::config) in_flight: InFlightYaml,
    /// How long a call may take.
    #[serde(default)]
    pub(in crate::config) timeout: TimeoutYaml,
    /// When and how often a call is tried again.
    #[serde(default)]
    pub(in crate::config) retry: RetryYaml,
    /// Whether the failures of an endpoint that is down count against events. Default: `hold`.
    #[serde(default)]
    pub(in crate::config) on_outage: OnOutageYaml,
    /// What a status means, by code (`409`) or class (`4xx`), where it differs from the default: 2xx delivered;
    /// 408, 425, 429, 5xx and beyond retry; 413 split; all others reject.
    #[serde(default)]
    pub(in crate::config) status: BTreeMap<String, StatusYaml>,
    /// What it means that no complete response came, by the kind of failure.
    #[serde(default)]
    pub(in crate::config) failures: FailuresYaml,
    /// Which events wait for which. Default: `none`.
    #[serde(default)]
    pub(in crate::config) order: OrderYaml,
    /// What becomes of the results that the plugin emits. Default: they are thrown away.
    pub(in crate::config) results: Option<ResultsYaml>,
    /// The egress for events that are given up on, or another sink, which they go to as events. Default: a file in the
    /// state directory.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) dead_letters: Option<String>,
    /// What becomes of an event that the plugin fails on. Default: `dead-letter`.
    #[serde(default)]
    pub(in crate::config) on_plugin_error: OnGivenUpYaml,
}

/// A WebAssembly component.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct PluginYaml {
    /// The component's file, relative to the module file; or a package in a registry, `oci://registry/repository:tag`, which must be
    /// pinned: by the digest of its manifest behind it (`@sha256:…`), or by `sha256`.
    #[schemars(length(min = 1))]
    pub(in crate::config) path: String,
    /// The SHA-256 digest that the component must have, 64 hexadecimal digits. Default: any.
    pub(in crate::config) sha256: Option<String>,
    /// How the registry of a package is reached.
    pub(in crate::config) registry: Option<RegistryYaml>,
    /// The key that the component must be signed with. Default: it need not be signed.
    pub(in crate::config) signature: Option<SignatureYaml>,
    /// Passed to the plugin as JSON; it may hold no `${…}`, as a plugin never sees a secret. Default: `null`.
    #[serde(default)]
    pub(in crate::config) config: Value,
    /// What it may use.
    #[serde(default)]
    pub(in crate::config) limits: LimitsYaml,
}

/// How a registry is reached.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RegistryYaml {
    /// Who asks. Default: what `docker login` has stored for the registry, if anything.
    pub(in crate::config) user: Option<String>,
    /// The user's password, or a token in its place.
    pub(in crate::config) password: Option<String>,
    /// A PEM file with further roots, beside the platform's.
    pub(in crate::config) ca_file: Option<String>,
    /// Whether TLS is not spoken. Default: `true` for a registry on this machine without `ca-file`, else `false`.
    pub(in crate::config) plain_http: Option<bool>,
}

/// The key that a component must be signed with: exactly one of `minisign` and `cosign`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct SignatureYaml {
    /// A public key of minisign. The signature of a file stands beside it (`FILE.minisig`), that of a package in its manifest.
    pub(in crate::config) minisign: Option<String>,
    /// A public key of cosign in PEM, for packages pinned by `@sha256:…`: `${file:cosign.pub}` reads it from a file.
    pub(in crate::config) cosign: Option<String>,
}

/// The most instances of a plugin: more than any machine has cores.
pub(in crate::config) const MAX_INSTANCES: usize = 1024;

/// What a plugin may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct LimitsYaml {
    /// Memory of one instance. One that has grown half way to it since it was configured is made anew between two calls.
    /// Default: `64MiB`.
    pub(in crate::config) memory: Option<Size>,
    /// Running time of one call. Default: `1s`.
    #[schemars(extend("x-shortest" = "1ms"))]
    pub(in crate::config) time: Option<Span>,
    /// Processor time for compiling it, which a second process does. Default: `3m`.
    #[schemars(extend("x-shortest" = "1s"))]
    pub(in crate::config) compile_time: Option<Span>,
    /// Memory of the process that compiles it, as address space. Default: `4GiB`.
    pub(in crate::config) compile_memory: Option<Size>,
    /// Instances side by side. Default: one for each core.
    #[schemars(range(min = 1, max = MAX_INSTANCES))]
    pub(in crate::config) instances: Option<usize>,
    /// Cores that all of its calls together may take, such as `0.5`: when that is spent, the next ones wait.
    /// Default: all but half a core.
    pub(in crate::config) cpu: Option<f64>,
    /// What one answer, or one call of the host, may hold. Default: `64MiB`.
    pub(in crate::config) output: Option<Size>,
    /// Results that one response may give. Default: 10000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) results: Option<usize>,
    /// Log lines in a second, of 64 KiB in all; what is beyond is left out and counted. Default: 100.
    #[schemars(range(max = 100_000))]
    pub(in crate::config) log_lines: Option<u32>,
    /// Calls after which an instance is made anew. Default: never.
    #[schemars(range(min = 1))]
    pub(in crate::config) recycle_after: Option<u64>,
    /// The component's file. Default: `64MiB`.
    pub(in crate::config) size: Option<Size>,
}
