//! A case file, exactly as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

type Texts = BTreeMap<String, String>;

/// What a plugin is given, and what it must make of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CaseYaml {
    /// What the case shows.
    pub(super) about: Option<String>,
    /// `plugin.config`. Default: `null`.
    #[serde(default)]
    pub(super) config: Value,
    /// What the sink grants to the plugin. Default: nothing.
    #[serde(default)]
    pub(super) grants: GrantsYaml,
    /// The sink's further endpoints, beside the default one and those that `expect` names.
    #[serde(default)]
    pub(super) endpoints: Vec<String>,
    /// The sink's `order`. Default: `none`.
    #[serde(default)]
    pub(super) order: OrderYaml,
    /// The batch.
    #[serde(default)]
    pub(super) events: Vec<EventYaml>,
    /// In place of `expect`: `configure` is refused, with a message that contains this.
    pub(super) configure_error: Option<WordsYaml>,
    /// What the plugin must make of the batch.
    pub(super) expect: Option<ExpectYaml>,
}

/// What an error or a reason must say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum WordsYaml {
    /// It contains this.
    Part(String),
    /// It is this.
    Whole(WholeYaml),
}

/// The whole of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct WholeYaml {
    /// What it is, word for word.
    pub(super) exactly: String,
}

/// What the sink grants.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct GrantsYaml {
    /// Whether the plugin sees the time.
    pub(super) clock: bool,
    /// Whether it gets random numbers.
    pub(super) random: bool,
    /// Whether it may import wasi:http. Every request fails: a case has no network.
    pub(super) http: bool,
    /// Whether it has a store of its own, by wasi:keyvalue, empty at first.
    pub(super) keyvalue: bool,
    /// Variables that it sees.
    pub(super) env: Texts,
}

/// Which events wait for which.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OrderYaml {
    /// None does.
    #[default]
    None,
    /// Those of a key.
    Key,
    /// All.
    Strict,
}

/// An event: with exactly one of `data`, `base64` and `json`, or without data.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EventYaml {
    /// The record, as text.
    pub(super) data: Option<String>,
    /// The record's bytes.
    pub(super) base64: Option<String>,
    /// The record as JSON, written without spaces.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Value")]
    pub(super) json: Option<Value>,
    /// Default: its index.
    pub(super) id: Option<String>,
    /// Default: none.
    pub(super) key: Option<String>,
    /// Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub(super) timestamp_ms: u64,
    /// Default: none.
    #[serde(default)]
    pub(super) attributes: Texts,
}

/// What the plugin must make of the batch.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ExpectYaml {
    /// In place of everything else: `shape` answers with an error that contains this.
    pub(super) error: Option<WordsYaml>,
    /// Headers of every request; a request's own ones win.
    pub(super) headers: Option<Texts>,
    /// The requests, in order.
    #[serde(default)]
    pub(super) requests: Vec<RequestYaml>,
    /// Events that are dropped, in any order.
    #[serde(default)]
    pub(super) drop: Vec<u32>,
    /// Events that are rejected, in any order.
    #[serde(default)]
    pub(super) reject: Vec<RejectYaml>,
}

/// A request. What is left out is not compared, but for the endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RequestYaml {
    /// The method.
    pub(super) method: Option<MethodYaml>,
    /// The endpoint's name. Default: the default endpoint.
    pub(super) endpoint: Option<String>,
    /// The target, as the plugin writes it.
    pub(super) target: Option<String>,
    /// All headers that the plugin sets.
    pub(super) headers: Option<Texts>,
    /// The body as it is sent, as text.
    pub(super) body: Option<String>,
    /// The body as it is sent.
    pub(super) base64: Option<String>,
    /// The body, compared as JSON.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Value")]
    pub(super) json: Option<Value>,
    /// There is no body.
    #[serde(default)]
    pub(super) empty: bool,
    /// The events that the call delivers, in order.
    pub(super) events: Option<Vec<u32>>,
    /// What may come of the call; each is judged by `handle` alone.
    #[serde(default)]
    pub(super) responses: Vec<ResponseYaml>,
}

/// The methods of the contract.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum MethodYaml {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// An event that is rejected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RejectYaml {
    /// Its index.
    pub(super) event: u32,
    /// A part of the reason.
    pub(super) reason: Option<WordsYaml>,
}

/// What comes of a call: `status`, or `failure`; and what `handle` must say to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ResponseYaml {
    /// The status of a complete response.
    #[schemars(range(min = 100, max = 999))]
    pub(super) status: Option<u16>,
    /// Its headers.
    #[serde(default)]
    pub(super) headers: Texts,
    /// Its body, as text.
    pub(super) body: Option<String>,
    /// Its body.
    pub(super) base64: Option<String>,
    /// Its body as JSON, written without spaces.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Value")]
    pub(super) json: Option<Value>,
    /// Whether the host has cut off its body.
    #[serde(default)]
    pub(super) truncated: bool,
    /// No complete response: `timeout`, or one of `connect`, `tls` and `protocol` with a text.
    pub(super) failure: Option<FailureYaml>,
    /// Which attempt it was. Default: 1.
    #[schemars(range(min = 1))]
    pub(super) attempt: Option<u32>,
    /// `delivered`, `by-status`, `retry`, or one of `retry`, `reject` and `each` with what belongs to it.
    pub(super) verdict: Option<VerdictYaml>,
    /// Records for the results. Default: none.
    #[serde(default)]
    pub(super) results: Vec<ResultYaml>,
}

/// Why no complete response came.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum FailureYaml {
    /// `timeout`.
    Word(String),
    /// With a text.
    With(FailureWithYaml),
}

/// Exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FailureWithYaml {
    pub(super) connect: Option<String>,
    pub(super) tls: Option<String>,
    pub(super) protocol: Option<String>,
}

/// What becomes of a call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum VerdictYaml {
    /// `delivered`, `by-status`, `retry`.
    Word(String),
    /// With what belongs to it.
    With(VerdictWithYaml),
}

/// Exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct VerdictWithYaml {
    /// The call again, after so many milliseconds.
    #[schemars(range(min = 0))]
    pub(super) retry: Option<u64>,
    /// A part of the reason.
    pub(super) reject: Option<WordsYaml>,
    /// For each event of the call.
    pub(super) each: Option<Vec<EachYaml>>,
}

/// What becomes of an event.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum EachYaml {
    /// `delivered`, `retry`.
    Word(String),
    /// With its reason.
    With(EachWithYaml),
}

/// What becomes of an event that is rejected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EachWithYaml {
    /// A part of the reason.
    pub(super) reject: WordsYaml,
}

/// A record for the results. What is left out is not compared.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ResultYaml {
    /// Its key.
    pub(super) key: Option<String>,
    /// All of its attributes.
    pub(super) attributes: Option<Texts>,
    /// The record, as text.
    pub(super) data: Option<String>,
    /// The record.
    pub(super) base64: Option<String>,
    /// The record, compared as JSON.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Value")]
    pub(super) json: Option<Value>,
}

/// A `null` that is written is a value too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
