//! `ingresses`, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{EmptyYaml, kinesis::KinesisIngressYaml, router::RouterYaml};
use crate::config::units::Size;

/// A source of events: exactly one of `datagen`, `file` and `kinesis`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct IngressYaml {
    /// `namespace/name`, of lower-case letters, digits and `-`.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) id: String,
    /// Makes records, as Flink's datagen connector does.
    pub(in crate::config) datagen: Option<DatagenYaml>,
    /// Reads NDJSON, a record a line.
    pub(in crate::config) file: Option<FileIngressYaml>,
    /// Reads a Kinesis stream.
    pub(in crate::config) kinesis: Option<KinesisIngressYaml>,
    /// Which sinks its events go to. An event goes to each sink once, however many routers name it.
    pub(in crate::config) routers: Vec<RouterYaml>,
    /// Where events go that no router takes: the id of a sink or of an egress (as dead letters with the cause
    /// `unrouted`), `drop`, or `halt`. They are counted in any case. Default: a file in the state directory.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) unrouted: Option<String>,
}

/// Makes records from a seed: the same seed gives the same records.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct DatagenYaml {
    /// Records a second. Default: as fast as the sinks take them.
    #[schemars(range(min = 1))]
    pub(in crate::config) rate: Option<u64>,
    /// Records in all. Default: no end.
    pub(in crate::config) count: Option<u64>,
    /// Default: 1.
    pub(in crate::config) seed: u64,
    /// The field whose value is the record's key. Default: none.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) key: Option<String>,
    /// Records are padded to this size. Default: not padded.
    #[schemars(extend("x-largest" = "16MiB"))]
    pub(in crate::config) size: Option<Size>,
    /// Fields by name, in the order of their names. Default: `id` (sequence), `user`, `amount`, `at`.
    pub(in crate::config) fields: BTreeMap<String, FieldYaml>,
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
pub(in crate::config) struct FieldYaml {
    /// Counts up; the source ends behind `end`.
    pub(in crate::config) sequence: Option<SequenceYaml>,
    /// A whole number.
    pub(in crate::config) integer: Option<IntegerYaml>,
    /// A number with two decimals.
    pub(in crate::config) float: Option<FloatYaml>,
    /// `true` or `false`; write `boolean: {}`.
    pub(in crate::config) boolean: Option<EmptyYaml>,
    /// Hexadecimal digits.
    pub(in crate::config) string: Option<StringYaml>,
    /// One of these values.
    pub(in crate::config) choice: Option<Vec<Value>>,
    /// A version 4 UUID; write `uuid: {}`.
    pub(in crate::config) uuid: Option<EmptyYaml>,
    /// A time that grows by a millisecond a record; write `timestamp: {}`.
    pub(in crate::config) timestamp: Option<EmptyYaml>,
    /// A nested object.
    pub(in crate::config) object: Option<BTreeMap<String, FieldYaml>>,
}

/// Counts up from `start`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct SequenceYaml {
    /// Default: 0.
    pub(in crate::config) start: u64,
    /// The last value. Default: no end.
    pub(in crate::config) end: Option<u64>,
}

/// A whole number in a range, both ends included.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct IntegerYaml {
    /// The smallest.
    pub(in crate::config) min: i64,
    /// The largest.
    pub(in crate::config) max: i64,
}

/// A number in a range.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct FloatYaml {
    /// The smallest.
    pub(in crate::config) min: f64,
    /// The largest.
    pub(in crate::config) max: f64,
}

/// The longest text that is made up, 1 MiB.
const MAX_LENGTH: usize = 1024 * 1024;

/// A text of a length in a range.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct StringYaml {
    /// The shortest.
    pub(in crate::config) min_length: usize,
    /// The longest.
    #[schemars(range(max = MAX_LENGTH))]
    pub(in crate::config) max_length: usize,
}

/// Reads NDJSON.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct FileIngressYaml {
    /// Relative to the module file; `-` is standard input, which is read once and keeps no progress.
    #[schemars(length(min = 1))]
    pub(in crate::config) path: String,
}
