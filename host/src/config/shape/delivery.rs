//! How a sink delivers, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::{Size, Span};

/// The most events in one batch: by far more than any endpoint takes, and twice as many can still be counted.
pub(in crate::config) const MAX_BATCH_RECORDS: usize = 1_000_000;
/// The most calls side by side: beyond the ports that one address has.
pub(in crate::config) const MAX_CALLS: usize = 100_000;

/// When a batch is full.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct BatchYaml {
    /// Events in one batch (Flink: maxBatchSize). Default: 500.
    #[schemars(range(min = 1, max = MAX_BATCH_RECORDS))]
    pub(in crate::config) max_records: Option<usize>,
    /// Data in one batch (Flink: maxBatchSizeInBytes); a larger record is dead-lettered. Default: `5MiB`.
    pub(in crate::config) max_bytes: Option<Size>,
    /// Age of the oldest event that forces a batch (Flink: maxTimeInBufferMS). Default: `5s`.
    pub(in crate::config) max_wait: Option<Span>,
    /// What may share a batch. Default: any events.
    pub(in crate::config) by: Option<BatchByYaml>,
}

/// What may share a batch.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum BatchByYaml {
    /// Events of one key only.
    Key,
}

/// How much may be held between intake and settlement.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct BufferYaml {
    /// Events; more than `batch.max-records` (Flink: maxBufferedRequests). Default: 10000.
    #[schemars(range(min = 1))]
    pub(in crate::config) max_records: Option<usize>,
    /// Bytes: events, request bodies, results. Default: `64MiB`.
    pub(in crate::config) max_bytes: Option<Size>,
}

/// How many calls run side by side.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct InFlightYaml {
    /// Calls; attempts in back-off are not counted (Flink: maxInFlightRequests). Default: 50.
    #[schemars(range(min = 1, max = MAX_CALLS))]
    pub(in crate::config) max_calls: Option<usize>,
}

/// How long a call may take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct TimeoutYaml {
    /// One attempt, from connecting to the last byte. Default: `10s`.
    #[schemars(extend("x-shortest" = "1ms"))]
    pub(in crate::config) attempt: Option<Span>,
    /// All attempts of an event, outages aside; then it is dead-lettered. Default: `10min`.
    #[schemars(extend("x-shortest" = "1ms"))]
    pub(in crate::config) total: Option<Span>,
}

/// When and how often a call is tried again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RetryYaml {
    /// How the pauses grow. Default: `exponential`, with full jitter.
    pub(in crate::config) strategy: StrategyYaml,
    /// The first pause at most; under `fixed`, every pause. Default: `200ms`.
    #[schemars(extend("x-shortest" = "1ms"))]
    pub(in crate::config) initial_delay: Option<Span>,
    /// What the pause grows by, at least 1. Default: 2.
    pub(in crate::config) multiplier: Option<f64>,
    /// No pause exceeds this, not even one that the endpoint asks for. Default: `30s`.
    #[schemars(extend("x-shortest" = "1ms"))]
    pub(in crate::config) max_delay: Option<Span>,
    /// Attempts in all. Default: 10.
    #[schemars(range(min = 1))]
    pub(in crate::config) max_attempts: Option<u32>,
    /// Tries without end, which blocks progress: `max-attempts` and `timeout.total` do not count. Default: false.
    pub(in crate::config) forever: bool,
    /// What becomes of an event whose attempts or time are over. Default: `dead-letter`.
    pub(in crate::config) on_exhausted: OnGivenUpYaml,
}

/// How the pauses between attempts grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum StrategyYaml {
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
pub(in crate::config) enum OnOutageYaml {
    /// No response, 429, 502, 503 and 504 are not counted for as long as no call of the endpoint is answered; a 429 is never
    /// counted as an attempt, only its time.
    #[default]
    Hold,
    /// Every failure counts.
    DeadLetter,
}

/// What a status means.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum StatusYaml {
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

/// What a failure means, by its kind.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct FailuresYaml {
    /// No complete response within `timeout.attempt`. Default: `retry`.
    pub(in crate::config) timeout: Option<FailureYaml>,
    /// No connection, or no name. Default: `retry`.
    pub(in crate::config) connect: Option<FailureYaml>,
    /// The TLS handshake failed. Default: `retry`.
    pub(in crate::config) tls: Option<FailureYaml>,
    /// The connection ended early, or what came was not HTTP. Default: `retry`.
    pub(in crate::config) protocol: Option<FailureYaml>,
    /// There was no token and no key to authenticate with. Default: `retry`.
    pub(in crate::config) auth: Option<FailureYaml>,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum FailureYaml {
    /// The call is tried again.
    Retry,
    /// The events are dead-lettered.
    Reject,
    /// The sink stops, and nothing is settled.
    Halt,
}

/// Which events wait for which.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum OrderYaml {
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
pub(in crate::config) struct ResultsYaml {
    /// The egress's id.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) to: String,
    /// In which order they leave. Default: `arrival`.
    #[serde(default)]
    pub(in crate::config) order: ResultsOrderYaml,
}

/// In which order results leave.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum ResultsOrderYaml {
    /// As calls end (Flink: unorderedWait).
    #[default]
    Arrival,
    /// In the order of the ingress (Flink: orderedWait).
    Ingress,
}

/// What becomes of an event that is given up on.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum OnGivenUpYaml {
    /// It is dead-lettered.
    #[default]
    DeadLetter,
    /// The sink stops, and nothing is settled.
    Halt,
    /// It is dropped and counted.
    Drop,
}
