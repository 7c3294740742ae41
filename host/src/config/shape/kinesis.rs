//! `kinesis` and `dynamodb`, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::{Size, Span};

/// Reads a Kinesis stream: all shards, through splits and merges. Credentials come from the AWS SDK's standard chain.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct KinesisIngressYaml {
    /// The stream's name, or its ARN, which works across accounts.
    pub(in crate::config) stream: String,
    /// Default: the ARN's, else what the AWS SDK's standard chain says (`AWS_REGION`, the profile).
    pub(in crate::config) region: Option<String>,
    /// Another address for the service, such as a local server. Default: AWS.
    pub(in crate::config) endpoint_url: Option<String>,
    /// Where a stream begins of which nothing is stored. Default: `latest`.
    #[serde(default)]
    pub(in crate::config) start: StartYaml,
    /// With `start: at-timestamp`: the time, as in `2026-07-01T12:00:00Z` (RFC 3339).
    pub(in crate::config) timestamp: Option<String>,
    /// How shards are read. Default: `polling`.
    #[serde(default)]
    pub(in crate::config) reader: ReaderYaml,
    /// With `reader: enhanced-fan-out`: the consumer's name; registered if it is not, and left registered.
    pub(in crate::config) consumer: Option<String>,
    /// With `reader: polling`: between two reads of a shard. The service allows five a second, of all consumers
    /// together; less is for servers without that limit. Default: `200ms`.
    #[schemars(extend("x-shortest" = "1ms"))]
    pub(in crate::config) poll_interval: Option<Span>,
    /// What may be read ahead of the sinks, beside one answer of each shard. Default: `16MiB`.
    pub(in crate::config) read_ahead: Option<Size>,
    /// Between two looks for new shards. Default: `10s`.
    pub(in crate::config) discovery_interval: Option<Span>,
}

/// Where a stream begins of which nothing is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum StartYaml {
    /// With what arrives from now on.
    #[default]
    Latest,
    /// With the oldest records that the stream still has.
    Earliest,
    /// With what arrived at or after `timestamp`.
    AtTimestamp,
}

/// How shards are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum ReaderYaml {
    /// GetRecords: a shard's 2 MiB/s are shared by all polling consumers.
    #[default]
    Polling,
    /// SubscribeToShard: 2 MiB/s of each shard for this consumer alone, at a price of its own.
    EnhancedFanOut,
}

/// Writes to a Kinesis stream. A record's key is its partition key; without one it is a hash of the data.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct KinesisEgressYaml {
    /// The stream's name, or its ARN, which works across accounts.
    pub(in crate::config) stream: String,
    /// Default: the ARN's, else what the AWS SDK's standard chain says (`AWS_REGION`, the profile).
    pub(in crate::config) region: Option<String>,
    /// Another address for the service, such as a local server. Default: AWS.
    pub(in crate::config) endpoint_url: Option<String>,
    /// Records in one request. Default: 500, the most that the service takes.
    #[schemars(range(min = 1, max = 500))]
    pub(in crate::config) max_records: Option<usize>,
    /// Data and keys in one request, 10 MiB at most. Default: `5MiB`.
    pub(in crate::config) max_bytes: Option<Size>,
}

/// Where and how often progress is stored.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct ProgressYaml {
    /// Between two stores: what a crash may deliver twice. Default: `1s`.
    pub(in crate::config) interval: Option<Span>,
    /// A DynamoDB table, for hosts that move between machines. Default: a file in the state directory.
    pub(in crate::config) dynamodb: Option<DynamoDbYaml>,
}

/// A DynamoDB table; made if it is not there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct DynamoDbYaml {
    /// The table's name.
    pub(in crate::config) table: String,
    /// Default: what the AWS SDK's standard chain says (`AWS_REGION`, the profile).
    pub(in crate::config) region: Option<String>,
    /// Another address for the service, such as a local server. Default: AWS.
    pub(in crate::config) endpoint_url: Option<String>,
}
