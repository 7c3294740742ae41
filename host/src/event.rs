//! Events and where they stand: plain data that every other module may use.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One record from an ingress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Unique in the module and the same on every redelivery: `ingress/partition:number`.
    pub id: Box<str>,
    /// The record's key (Kinesis: partition key).
    pub key: Option<Box<str>>,
    /// When the record entered the ingress, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// Names and values that the ingress adds.
    pub attributes: Vec<(Box<str>, Box<str>)>,
    /// The record itself: any bytes.
    pub data: Bytes,
}

impl Event {
    /// What this event costs in memory, in bytes: its parts plus a flat share for the
    /// allocations that hold them. Counts against `buffer.max-bytes`.
    pub fn memory(&self) -> usize {
        const ALLOCATIONS: usize = 160;
        let attributes: usize = self
            .attributes
            .iter()
            .map(|(name, value)| name.len() + value.len() + 32)
            .sum();
        let key = self.key.as_ref().map_or(0, |key| key.len());
        ALLOCATIONS + self.id.len() + key + attributes + self.data.len()
    }

    /// The ingress that the id names: its first two parts. None for an id that no ingress has made.
    pub fn origin(&self) -> Option<&str> {
        let (end, _) = self.id.match_indices('/').nth(1)?;
        self.id.get(..end)
    }
}

/// Where a record ends in its partition: reading goes on behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Position {
    /// The number of records made so far (datagen, standard input).
    Count(u64),
    /// A place in a file.
    Line {
        /// Bytes up to and with the record's line end.
        offset: u64,
        /// Lines up to and with the record's own, from 1.
        line: u64,
        /// The CRC-32 of the record's line, without its end: whether it is the same file still.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        crc: Option<u32>,
    },
    /// A place in a Kinesis shard.
    Shard(ShardPosition),
}

/// A place in a Kinesis shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ShardPosition {
    /// In front of the oldest record that the shard still has (`TRIM_HORIZON`).
    Beginning,
    /// In front of the first record that arrived at or after this time, in milliseconds since the Unix epoch
    /// (`AT_TIMESTAMP`).
    Time(u64),
    /// Behind a record.
    Record {
        /// Its sequence number: up to 128 digits.
        sequence: Box<str>,
        /// Behind this user record of an aggregate, from 0; none for behind the whole record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sub: Option<u64>,
        /// When the record arrived, in milliseconds since the Unix epoch.
        arrived_ms: u64,
    },
    /// Behind the last record of a closed shard (KCL: `SHARD_END`).
    End,
}

/// A record as an ingress hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The record.
    pub event: Event,
    /// The partition (shard) it came from: an index into [`Ingress::partitions`].
    ///
    /// [`Ingress::partitions`]: crate::ingress::Ingress::partitions
    pub partition: u32,
    /// Where it ends there.
    pub position: Position,
}

/// The claim of one sink on one event's progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The ingress, by its place in the module.
    pub ingress: u16,
    /// The partition of that ingress.
    pub partition: u32,
    /// The event's number in that partition since the host started, from 0.
    pub ordinal: u64,
}

/// An event on its way to a sink.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The event, shared between the sinks that it is routed to.
    pub event: Arc<Event>,
    /// To be settled exactly once by the sink.
    pub ticket: Ticket,
}

/// A record for an egress: a result or a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The record's key, where it has one.
    pub key: Option<Box<str>>,
    /// Names and values beside the data.
    pub attributes: Vec<(Box<str>, Box<str>)>,
    /// The record itself.
    pub data: Bytes,
}

/// A time in milliseconds since the Unix epoch, as RFC 3339 in UTC.
pub fn rfc3339(ms: u64) -> String {
    /// The last one that RFC 3339 can write: what a source says may be beyond.
    const YEAR_9999: u64 = 253_402_300_799_999;
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms.min(YEAR_9999));
    humantime::format_rfc3339_millis(at).to_string()
}

/// The wall clock, in milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
