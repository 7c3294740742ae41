//! The module file, exactly as it is written. The JSON Schema and `docs/configuration.md` are made from these
//! types and their comments.

pub(super) mod admin;
pub(super) mod auth;
pub(super) mod delivery;
pub(super) mod endpoint;
pub(super) mod grants;
pub(super) mod ingress;
pub(super) mod kinesis;
pub(super) mod network;
pub(super) mod router;
pub(super) mod sink;
pub(super) mod telemetry;

use schemars::JsonSchema;
use serde::Deserialize;

use self::{
    admin::AdminYaml,
    endpoint::NamedEndpointYaml,
    ingress::IngressYaml,
    kinesis::{KinesisEgressYaml, ProgressYaml},
    network::NetworkYaml,
    sink::SinkYaml,
    telemetry::TelemetryYaml,
};
use super::units::Size;

/// A Nozzle module: where events come from, which sinks deliver them, and where results and dead letters go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "Nozzle module")]
pub(super) struct ModuleYaml {
    /// The version of this format: `"1"`.
    #[schemars(extend("x-written-out" = true))]
    pub(super) version: String,
    /// Where events come from.
    pub(super) ingresses: Vec<IngressYaml>,
    /// Endpoints that sinks name: the sinks of one share its connections and limits.
    #[serde(default)]
    pub(super) endpoints: Vec<NamedEndpointYaml>,
    /// What delivers them.
    pub(super) sinks: Vec<SinkYaml>,
    /// Where results and dead letters go.
    #[serde(default)]
    pub(super) egresses: Vec<EgressYaml>,
    /// Which addresses the host may connect to, beside public ones and those that this file writes itself.
    #[serde(default)]
    pub(super) network: NetworkYaml,
    /// Where and how often progress is stored.
    #[serde(default)]
    pub(super) progress: ProgressYaml,
    /// Where metrics, health and status are served. Default: nowhere.
    pub(super) admin: Option<AdminYaml>,
    /// What is sent to others about what the host does. Default: nothing.
    pub(super) telemetry: Option<TelemetryYaml>,
}

/// Where results and dead letters go: exactly one of `file`, `kinesis` and `stdout`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EgressYaml {
    /// `namespace/name`, of lower-case letters, digits and `-`.
    #[schemars(extend("x-written-out" = true))]
    pub(super) id: String,
    /// NDJSON in a file.
    pub(super) file: Option<FileEgressYaml>,
    /// A Kinesis stream.
    pub(super) kinesis: Option<KinesisEgressYaml>,
    /// NDJSON on standard output; write `stdout: {}`.
    pub(super) stdout: Option<EmptyYaml>,
}

/// NDJSON in a file: appended, and synced before an event counts as settled.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FileEgressYaml {
    /// Relative to the module file.
    #[schemars(length(min = 1))]
    pub(super) path: String,
    /// It is moved to `PATH.1` before it grows beyond this. Default: never.
    pub(super) max_bytes: Option<Size>,
    /// How many such files are kept: the oldest is deleted, with all that it holds. Default: all.
    pub(super) keep: Option<usize>,
}

/// Nothing to say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmptyYaml {}
