//! Endpoints, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::auth::{AuthYaml, TlsYaml};
use crate::config::units::{Size, Span};

/// An endpoint with a name, which sinks share: its limits hold for all of them together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct NamedEndpointYaml {
    /// `namespace/name`, of lower-case letters, digits and `-`.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) id: String,
    #[serde(flatten)]
    pub(in crate::config) endpoint: EndpointYaml,
}

/// The id of one of `endpoints`, or an endpoint of the sink's own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum EndpointOfSinkYaml {
    /// The id of one of `endpoints`.
    Named(String),
    /// An endpoint of the sink's own.
    Own(Box<EndpointYaml>),
}

/// Where calls go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("x-moved" = { "ca-file": "write `tls: { ca-file: … }`" }))]
pub(in crate::config) struct EndpointYaml {
    /// The base URL, `http` or `https`: a plugin's targets stand below it and cannot leave its host and port. Its query
    /// stands in front of each target's own.
    pub(in crate::config) url: Option<String>,
    /// In place of `url`, several base URLs of one scheme: a call goes to one that is healthy, a retry to the next such one.
    /// What is below the first one's path is below the others' paths.
    pub(in crate::config) urls: Option<Vec<String>>,
    /// Which of the healthy `urls` gets a call. Default: `first`.
    pub(in crate::config) prefer: Option<PreferYaml>,
    /// The proxy before the endpoint: `http://user:password@host:port`, with `https`, `socks5` or `socks5h` too, or `none`.
    /// Default: that of `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` in the environment, but none to this machine.
    pub(in crate::config) proxy: Option<String>,
    /// The version of HTTP. Default: `auto`.
    #[serde(default)]
    pub(in crate::config) http: HttpYaml,
    /// A Unix socket that connections go to, in place of the URL's host and port; relative to the module file.
    pub(in crate::config) unix_socket: Option<String>,
    /// Headers for every request; a plugin may not set the same ones.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, String>,
    /// How requests are authenticated. Default: not at all.
    pub(in crate::config) auth: Option<AuthYaml>,
    /// Headers by which the endpoint knows a call again. Default: none.
    pub(in crate::config) idempotency: Option<IdempotencyYaml>,
    /// How request bodies are compressed. Default: not at all.
    pub(in crate::config) compression: Option<CompressionYaml>,
    /// What is particular about TLS.
    #[serde(default)]
    pub(in crate::config) tls: TlsYaml,
    /// How many calls go side by side, over all sinks of the endpoint.
    #[serde(default)]
    pub(in crate::config) concurrency: ConcurrencyYaml,
    /// How fast calls are made, over all sinks of the endpoint. Default: as fast as they can be.
    #[serde(default)]
    pub(in crate::config) rate: RateYaml,
    /// TCP and TLS together. Default: `5s`.
    #[schemars(extend("x-shortest" = "1ms"))]
    pub(in crate::config) connect_timeout: Option<Span>,
    /// What is read of a response's head. Default: `64KiB`.
    pub(in crate::config) max_response_head: Option<Size>,
    /// What is read of a response's body; the rest is cut off. Default: `1MiB`.
    pub(in crate::config) max_response_body: Option<Size>,
}

/// Headers by which an endpoint knows a call again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct IdempotencyYaml {
    /// The header of a key that is made of the ids of the call's events: the same over all attempts, and when a call of the same events
    /// is made again after a crash. Default: `Idempotency-Key`.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) key_header: Option<String>,
    /// The header of the attempt's number, 1 for the first. Default: none.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) attempt_header: Option<String>,
}

/// How many calls go side by side.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct ConcurrencyYaml {
    /// What finds out how much the endpoint takes. Default: `aimd`.
    pub(in crate::config) strategy: ConcurrencyStrategyYaml,
    /// Calls in flight at most, over all sinks of the endpoint; each keeps its `in-flight.max-calls` too. Default: no other bound.
    #[schemars(range(min = 1, max = super::delivery::MAX_CALLS))]
    pub(in crate::config) max_calls: Option<usize>,
    /// `aimd`: events in flight at first (Flink: initialMaxInFlightMessages). Default: the largest `batch.max-records`.
    #[schemars(range(min = 1))]
    pub(in crate::config) initial: Option<usize>,
    /// `aimd`: events more for a call of which nothing is tried again (Flink: increaseRate). Default: 10.
    #[schemars(range(min = 1))]
    pub(in crate::config) increase: Option<usize>,
    /// `aimd`: what remains when a call is throttled, above 0 and below 1 (Flink: decreaseFactor). Default: 0.5.
    pub(in crate::config) decrease: Option<f64>,
    /// `aimd`: whether events in flight double with every round trip until a call is throttled. Default: true.
    pub(in crate::config) slow_start: Option<bool>,
}

/// What finds out how much an endpoint takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum ConcurrencyStrategyYaml {
    /// More events in flight after each call that succeeds, a part of them after one that is tried again (Flink: AIMDScalingStrategy).
    #[default]
    Aimd,
    /// As many calls as the endpoint works on without a queue, found from the latency of its answers.
    Adaptive,
    /// As many as `in-flight.max-calls` and `max-calls` say.
    Fixed,
}

/// How fast calls are made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RateYaml {
    /// Calls in a second, further attempts too.
    #[schemars(range(min = 1, max = MAX_RATE))]
    pub(in crate::config) calls_per_second: Option<u64>,
    /// Bytes of request bodies in a second, as they are sent.
    pub(in crate::config) bytes_per_second: Option<Size>,
}

/// The fastest rate of calls: beyond it there is nothing to limit.
pub(in crate::config) const MAX_RATE: u64 = 10_000_000;

/// Which of the healthy URLs gets a call.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum PreferYaml {
    /// The first one in their order.
    First,
    /// Each in turn.
    Spread,
}

/// The version of HTTP.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum HttpYaml {
    /// HTTP/2 where TLS agrees on it, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS by prior knowledge.
    Http2,
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
