//! What the sources are told, checked: built by `config`.

use std::{path::PathBuf, time::Duration};

use crate::{
    aws::settings::{AwsSettings, StreamName},
    dead_letter::{Filter, Letter},
};

/// `ingresses[].datagen`.
#[derive(Debug, Clone, PartialEq)]
pub struct DatagenSettings {
    /// Records a second, at least 1; none for as fast as the sinks take them.
    pub rate: Option<u64>,
    /// Records in all; none for no end.
    pub count: Option<u64>,
    /// The same seed gives the same records.
    pub seed: u64,
    /// The field whose value is the record's key.
    pub key: Option<String>,
    /// Records are padded to this many bytes with a field `padding`.
    pub size: Option<usize>,
    /// The fields of a record, in this order.
    pub fields: Vec<(String, Field)>,
}

/// How the value of a field is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// `start`, `start + 1`, …; the source ends behind `end` (Flink: `SequenceGenerator`).
    Sequence {
        /// The first value.
        start: u64,
        /// The last value; none for no end.
        end: Option<u64>,
    },
    /// A whole number, both ends included.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// A number with two decimals.
    Float {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// True or false.
    Boolean,
    /// Lower-case hexadecimal digits.
    String {
        /// The shortest and the longest.
        length: (usize, usize),
    },
    /// One of these.
    Choice {
        /// At least one.
        values: Vec<serde_json::Value>,
    },
    /// A version 4 UUID, made from the seed.
    Uuid,
    /// RFC 3339; the n-th record is n milliseconds after 2026-01-01, so that the same seed gives the same records.
    Timestamp,
    /// A nested object.
    Object {
        /// Its fields.
        fields: Vec<(String, Field)>,
    },
}

/// `ingresses[].file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileIngressSettings {
    /// What is read.
    pub path: FilePath,
}

/// What a file ingress reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePath {
    /// Standard input: read once, without progress.
    Stdin,
    /// A file.
    Path(PathBuf),
}

/// What `nozzle replay` reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterSettings {
    /// Files of dead letters, read one after the other.
    pub files: Vec<PathBuf>,
    /// The sink that they go to.
    pub to: String,
    /// Which of them are meant. Without sinks: those of `to`, and those of no sink.
    pub filter: Filter,
}

/// What a replay does with a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is sent.
    Sent,
    /// Another sink gave up on it.
    OtherSink,
    /// A filter leaves it out.
    Filtered,
    /// It holds a result, and no event that could be sent again.
    Result,
}

impl DeadLetterSettings {
    /// What a replay does with a letter.
    pub fn takes(&self, letter: &Letter) -> Taken {
        let foreign = letter.sink.as_ref().is_some_and(|sink| *sink != self.to);
        if self.filter.sinks.is_empty() && foreign {
            Taken::OtherSink
        } else if !self.filter.takes(letter) {
            Taken::Filtered
        } else if !letter.is_of_an_event() {
            Taken::Result
        } else {
            Taken::Sent
        }
    }
}

/// `ingresses[].kinesis`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KinesisIngressSettings {
    /// What is read.
    pub stream: StreamName,
    /// Where it is.
    pub aws: AwsSettings,
    /// Where a stream begins of which nothing is stored.
    pub start: StreamStart,
    /// How it is read.
    pub reader: StreamReader,
    /// Bytes that may be read ahead of the sinks, about; at least one answer of each shard beyond it.
    pub read_ahead: usize,
    /// Between two looks for new shards.
    pub discovery: Duration,
}

impl KinesisIngressSettings {
    /// The default of `poll-interval`: five reads a second.
    pub const POLL_INTERVAL: Duration = Duration::from_millis(200);
    /// The default of `read-ahead`, in bytes.
    pub const READ_AHEAD: usize = 16 * 1024 * 1024;
    /// The default of `discovery-interval`.
    pub const DISCOVERY: Duration = Duration::from_secs(10);

    /// A stream with the defaults: polling each 200 ms, 16 MiB read ahead, a look for new shards each 10 s.
    pub fn new(stream: StreamName, start: StreamStart) -> Self {
        Self {
            aws: AwsSettings {
                region: stream.region().map(str::to_owned),
                endpoint_url: None,
            },
            stream,
            start,
            reader: StreamReader::Polling {
                interval: Self::POLL_INTERVAL,
            },
            read_ahead: Self::READ_AHEAD,
            discovery: Self::DISCOVERY,
        }
    }
}

/// Where a stream begins of which nothing is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStart {
    /// With what arrives from now on (`LATEST`).
    Latest,
    /// With the oldest records that the stream still has (`TRIM_HORIZON`).
    Earliest,
    /// With what has arrived at or after this time, in milliseconds since the Unix epoch (`AT_TIMESTAMP`).
    AtTimestamp(u64),
}

/// How a stream is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamReader {
    /// `GetRecords`, whose quota all consumers of a shard share.
    Polling {
        /// Between two reads of a shard; the service allows five a second.
        interval: Duration,
    },
    /// `SubscribeToShard`, with a quota of its own.
    EnhancedFanOut {
        /// The registered consumer's name; registered if it is not.
        consumer: String,
    },
}
