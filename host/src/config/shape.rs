//! The module file, exactly as it is written. The JSON Schema and `docs/configuration.md` are made from these
//! types and their comments.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::units::{Size, Span};

/// A Nozzle module: where events come from, which sinks deliver them, and where results and dead letters go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "Nozzle module")]
pub(super) struct ModuleYaml {
    /// The version of this format: `"1"`.
    pub(super) version: String,
    /// Where events come from.
    pub(super) ingresses: Vec<IngressYaml>,
    /// What delivers them.
    pub(super) sinks: Vec<SinkYaml>,
    /// Where results and dead letters go.
    #[serde(default)]
    pub(super) egresses: Vec<EgressYaml>,
}

/// A source of events: exactly one of `datagen` and `file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct IngressYaml {
    /// `namespace/name`, of lower-case letters, digits and `-`.
    pub(super) id: String,
    /// Makes records, as Flink's datagen connector does.
    pub(super) datagen: Option<DatagenYaml>,
    /// Reads NDJSON, a record a line.
    pub(super) file: Option<FileIngressYaml>,
    /// Which sinks its events go to. An event goes to each sink once, however many routers name it.
    pub(super) routers: Vec<RouterYaml>,
}

/// Sends all events of its ingress to sinks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RouterYaml {
    /// The sinks' ids.
    pub(super) to: Vec<String>,
}

/// Makes records from a seed: the same seed gives the same records.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DatagenYaml {
    /// Records a second. Default: as fast as the sinks take them.
    #[schemars(range(min = 1))]
    pub(super) rate: Option<u64>,
    /// Records in all. Default: no end.
    pub(super) count: Option<u64>,
    /// Default: 1.
    pub(super) seed: u64,
    /// The field whose value is the record's key. Default: none.
    pub(super) key: Option<String>,
    /// Records are padded to this size. Default: not padded.
    pub(super) size: Option<Size>,
    /// Fields by name, in the order of their names. Default: `id` (sequence), `user`, `amount`, `at`.
    pub(super) fields: BTreeMap<String, FieldYaml>,
}

impl Default for DatagenYaml {
    fn default() -> Self {
        Self {
            rate: None,
            count: None,
            seed: 1,
            key: None,
            size: None,
            fields: BTreeMap::new(),
        }
    }
}

/// How a field's value is made: exactly one key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FieldYaml {
    /// Counts up; the source ends behind `end`.
    pub(super) sequence: Option<SequenceYaml>,
    /// A whole number.
    pub(super) integer: Option<IntegerYaml>,
    /// A number with two decimals.
    pub(super) float: Option<FloatYaml>,
    /// `true` or `false`; write `boolean: {}`.
    pub(super) boolean: Option<EmptyYaml>,
    /// Hexadecimal digits.
    pub(super) string: Option<StringYaml>,
    /// One of these values.
    pub(super) choice: Option<Vec<Value>>,
    /// A version 4 UUID; write `uuid: {}`.
    pub(super) uuid: Option<EmptyYaml>,
    /// A time that grows by a millisecond a record; write `timestamp: {}`.
    pub(super) timestamp: Option<EmptyYaml>,
    /// A nested object.
    pub(super) object: Option<BTreeMap<String, FieldYaml>>,
}

/// Nothing to say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmptyYaml {}

/// Counts up from `start`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SequenceYaml {
    /// Default: 0.
    pub(super) start: u64,
    /// The last value. Default: no end.
    pub(super) end: Option<u64>,
}

/// A whole number in a range, both ends included.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct IntegerYaml {
    /// The smallest.
    pub(super) min: i64,
    /// The largest.
    pub(super) max: i64,
}

/// A number in a range.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FloatYaml {
    /// The smallest.
    pub(super) min: f64,
    /// The largest.
    pub(super) max: f64,
}

/// A text of a length in a range.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StringYaml {
    /// The shortest.
    pub(super) min_length: usize,
    /// The longest.
    pub(super) max_length: usize,
}

/// Reads NDJSON.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FileIngressYaml {
    /// Relative to the module file; `-` is standard input, which is read once and keeps no progress.
    pub(super) path: String,
}

/// Delivers events: a plugin, an endpoint, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SinkYaml {
    /// `namespace/name`, of lower-case letters, digits and `-`.
    pub(super) id: String,
    /// Decides what each call looks like, and what each response means.
    pub(super) plugin: PluginYaml,
    /// Where calls go.
    pub(super) endpoint: EndpointYaml,
    /// When a batch is full.
    #[serde(default)]
    pub(super) batch: BatchYaml,
    /// How much may be held; when it is spent, the ingress waits.
    #[serde(default)]
    pub(super) buffer: BufferYaml,
    /// How many calls run side by side.
    #[serde(default)]
    pub(super) in_flight: InFlightYaml,
    /// How long a call may take.
    #[serde(default)]
    pub(super) timeout: TimeoutYaml,
    /// When and how often a call is tried again.
    #[serde(default)]
    pub(super) retry: RetryYaml,
    /// Whether the failures of an endpoint that is down count against events. Default: `hold`.
    #[serde(default)]
    pub(super) on_outage: OnOutageYaml,
    /// What a status means, by code (`409`) or class (`4xx`), where it differs from the default: 2xx delivered;
    /// 408, 425, 429 and 5xx retry; 413 split; all others reject.
    #[serde(default)]
    pub(super) status: BTreeMap<String, StatusYaml>,
    /// Which events wait for which. Default: `none`.
    #[serde(default)]
    pub(super) order: OrderYaml,
    /// What becomes of the results that the plugin emits. Default: they are thrown away.
    pub(super) results: Option<ResultsYaml>,
    /// The egress for events that are given up on. Default: a file in the state directory.
    pub(super) dead_letters: Option<String>,
    /// What becomes of an event that the plugin fails on. Default: `dead-letter`.
    #[serde(default)]
    pub(super) on_plugin_error: OnPluginErrorYaml,
}

/// A WebAssembly component.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PluginYaml {
    /// The component's file, relative to the module file.
    pub(super) path: String,
    /// The SHA-256 digest that the file must have, 64 hexadecimal digits. Default: any.
    pub(super) sha256: Option<String>,
    /// Passed to the plugin as JSON; it may hold no `${…}`, as a plugin never sees a secret. Default: `null`.
    #[serde(default)]
    pub(super) config: Value,
    /// What it may use.
    #[serde(default)]
    pub(super) limits: LimitsYaml,
}

/// What a plugin may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LimitsYaml {
    /// Memory of one instance. Default: `64MiB`.
    pub(super) memory: Option<Size>,
    /// Running time of one call. Default: `1s`.
    pub(super) time: Option<Span>,
    /// Instances side by side. Default: one for each core.
    #[schemars(range(min = 1))]
    pub(super) instances: Option<usize>,
}

/// Where calls go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EndpointYaml {
    /// The base URL, `http` or `https`: a plugin's targets stand below it and cannot leave its host and port.
    pub(super) url: String,
    /// Headers for every request; a plugin may not set the same ones.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// How requests are authenticated. Default: not at all.
    pub(super) auth: Option<AuthYaml>,
    /// How request bodies are compressed. Default: not at all.
    pub(super) compression: Option<CompressionYaml>,
    /// A PEM file of further root certificates, beside the platform's; relative to the module file.
    pub(super) ca_file: Option<String>,
    /// TCP and TLS together. Default: `5s`.
    pub(super) connect_timeout: Option<Span>,
    /// What is read of a response's head. Default: `64KiB`.
    pub(super) max_response_head: Option<Size>,
    /// What is read of a response's body; the rest is cut off. Default: `1MiB`.
    pub(super) max_response_body: Option<Size>,
}

/// How requests are authenticated.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AuthYaml {
    /// A header with a secret, such as an API key.
    pub(super) header: AuthHeaderYaml,
}

/// A header with a secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AuthHeaderYaml {
    /// The header's name.
    pub(super) name: String,
    /// Its value: `${Group:key}`, `${env:NAME}` or `${file:PATH}` keep it out of this file.
    pub(super) value: String,
}

/// How request bodies are compressed.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CompressionYaml {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// When a batch is full.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BatchYaml {
    /// Events in one batch (Flink: maxBatchSize). Default: 500.
    #[schemars(range(min = 1))]
    pub(super) max_records: Option<usize>,
    /// Data in one batch (Flink: maxBatchSizeInBytes); a larger record is dead-lettered. Default: `5MiB`.
    pub(super) max_bytes: Option<Size>,
    /// Age of the oldest event that forces a batch (Flink: maxTimeInBufferMS). Default: `5s`.
    pub(super) max_wait: Option<Span>,
    /// What may share a batch. Default: any events.
    pub(super) by: Option<BatchByYaml>,
}

/// What may share a batch.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum BatchByYaml {
    /// Events of one key only.
    Key,
}

/// How much may be held between intake and settlement.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BufferYaml {
    /// Events; more than `batch.max-records` (Flink: maxBufferedRequests). Default: 10000.
    #[schemars(range(min = 1))]
    pub(super) max_records: Option<usize>,
    /// Bytes: events, request bodies, results. Default: `64MiB`.
    pub(super) max_bytes: Option<Size>,
}

/// How many calls run side by side.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct InFlightYaml {
    /// Calls; attempts in back-off are not counted (Flink: maxInFlightRequests). Default: 50.
    #[schemars(range(min = 1))]
    pub(super) max_calls: Option<usize>,
}

/// How long a call may take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TimeoutYaml {
    /// One attempt, from connecting to the last byte. Default: `10s`.
    pub(super) attempt: Option<Span>,
    /// All attempts of an event, outages aside; then it is dead-lettered. Default: `10min`.
    pub(super) total: Option<Span>,
}

/// When and how often a call is tried again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RetryYaml {
    /// How the pauses grow. Default: `exponential`, with full jitter.
    pub(super) strategy: StrategyYaml,
    /// The first pause at most; under `fixed`, every pause. Default: `200ms`.
    pub(super) initial_delay: Option<Span>,
    /// What the pause grows by. Default: 2.
    #[schemars(range(min = 1))]
    pub(super) multiplier: Option<u32>,
    /// No pause exceeds this, not even one that the endpoint asks for. Default: `30s`.
    pub(super) max_delay: Option<Span>,
    /// Attempts in all. Default: 10.
    #[schemars(range(min = 1))]
    pub(super) max_attempts: Option<u32>,
    /// Tries without end, which blocks progress: `max-attempts` and `timeout.total` do not count. Default: false.
    pub(super) forever: bool,
}

/// How the pauses between attempts grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StrategyYaml {
    /// By `multiplier`, with full jitter.
    #[default]
    Exponential,
    /// Not at all.
    Fixed,
    /// No second attempt.
    None,
}

/// Whether the failures of an endpoint that is down count.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnOutageYaml {
    /// No response, 429, 502, 503 and 504 are not counted for as long as no call of the endpoint is answered.
    #[default]
    Hold,
    /// Every failure counts.
    DeadLetter,
}

/// What a status means.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StatusYaml {
    /// The events are settled.
    Delivered,
    /// The call is tried again.
    Retry,
    /// The events are dead-lettered.
    Reject,
    /// The events are shaped again in two halves; a single one is dead-lettered.
    Split,
    /// The sink stops, and nothing is settled.
    Halt,
}

/// Which events wait for which.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OrderYaml {
    /// None for any other.
    #[default]
    None,
    /// Events of one key for each other; other keys go on.
    Key,
    /// One call at a time.
    Strict,
}

/// What becomes of results.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ResultsYaml {
    /// The egress's id.
    pub(super) to: String,
    /// In which order they leave. Default: `arrival`.
    #[serde(default)]
    pub(super) order: ResultsOrderYaml,
}

/// In which order results leave.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ResultsOrderYaml {
    /// As calls end (Flink: unorderedWait).
    #[default]
    Arrival,
    /// In the order of the ingress (Flink: orderedWait).
    Ingress,
}

/// What becomes of an event that the plugin fails on.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnPluginErrorYaml {
    /// It is dead-lettered.
    #[default]
    DeadLetter,
    /// The sink stops, and nothing is settled.
    Halt,
    /// It is dropped and counted.
    Drop,
}

/// Where results and dead letters go: exactly one of `file` and `stdout`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EgressYaml {
    /// `namespace/name`, of lower-case letters, digits and `-`.
    pub(super) id: String,
    /// NDJSON in a file.
    pub(super) file: Option<FileEgressYaml>,
    /// NDJSON on standard output; write `stdout: {}`.
    pub(super) stdout: Option<EmptyYaml>,
}

/// NDJSON in a file: appended, and synced before an event counts as settled.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FileEgressYaml {
    /// Relative to the module file.
    pub(super) path: String,
    /// It is moved to `PATH.1` before it grows beyond this. Default: never.
    pub(super) max_bytes: Option<Size>,
    /// How many such files are kept. Default: all.
    pub(super) keep: Option<usize>,
}
