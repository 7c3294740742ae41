//! `telemetry`, exactly as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// What is sent to others about what the host does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct TelemetryYaml {
    /// Traces, to a collector of OpenTelemetry. `otlp: {}` takes all from the environment and the defaults.
    pub(in crate::config) otlp: OtlpYaml,
}

/// A collector of OpenTelemetry, reached by OTLP over HTTP with protobuf. What is not said is taken from the variables
/// that OpenTelemetry names, such as `OTEL_EXPORTER_OTLP_ENDPOINT`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct OtlpYaml {
    /// The collector's base URL; `/v1/traces` is added. Default: `http://127.0.0.1:4318`.
    pub(in crate::config) endpoint: Option<String>,
    /// Headers for every request to it, such as an API key.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, String>,
    /// A PEM file of further root certificates, beside the platform's; relative to the module file.
    pub(in crate::config) ca_file: Option<String>,
    /// The share of batches that are traced, with their calls and attempts: from 0 to 1. Default: 1, all.
    pub(in crate::config) sample: Option<f64>,
    /// What the traces call this host. Default: `nozzle`.
    pub(in crate::config) service_name: Option<String>,
}
