//! What the benchmark's programs share: the workloads, and the records.

pub mod kinesis;
pub mod measure;
pub mod module;

use nozzle::ingress::{
    datagen::Datagen,
    settings::{DatagenSettings, Field},
};

/// What the benchmark's programs fail with.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// One workload.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// As in the table.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Where the records come from.
    pub from: From,
    /// The plugin, without its ending.
    pub plugin: &'static str,
    /// Records in one call.
    pub per_call: usize,
    /// Calls in flight.
    pub in_flight: usize,
    /// The server's pause before an answer, in milliseconds.
    pub delay_ms: u64,
    /// Every so manieth call is answered with 503; 0 for none.
    pub fail_every: u64,
    /// The part of `--records` that it takes.
    pub share: u64,
}

/// Where the records of a workload come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Each program makes them.
    Datagen,
    /// A stream of so many shards, filled before the first round.
    Kinesis {
        /// In the stream.
        shards: i32,
    },
}

/// All workloads.
pub const WORKLOADS: [Workload; 6] = [
    Workload {
        name: "W1",
        about: "a call a record, 64 in flight",
        from: From::Datagen,
        plugin: "per_record",
        per_call: 1,
        in_flight: 64,
        delay_ms: 0,
        fail_every: 0,
        share: 1,
    },
    Workload {
        name: "W2",
        about: "100 records a call",
        from: From::Datagen,
        plugin: "json_batch",
        per_call: 100,
        in_flight: 64,
        delay_ms: 0,
        fail_every: 0,
        share: 10,
    },
    Workload {
        name: "W3",
        about: "50 ms latency, 1,000 in flight",
        from: From::Datagen,
        plugin: "per_record",
        per_call: 1,
        in_flight: 1000,
        delay_ms: 50,
        fail_every: 0,
        share: 1,
    },
    Workload {
        name: "W4",
        about: "10 % of the calls answered 503",
        from: From::Datagen,
        plugin: "per_record",
        per_call: 1,
        in_flight: 64,
        delay_ms: 0,
        fail_every: 10,
        share: 1,
    },
    Workload {
        name: "K1",
        about: "a Kinesis stream of one shard, 100 records a call",
        from: From::Kinesis { shards: 1 },
        plugin: "json_batch",
        per_call: 100,
        in_flight: 64,
        delay_ms: 0,
        fail_every: 0,
        share: 2,
    },
    Workload {
        name: "K8",
        about: "a Kinesis stream of eight shards, 100 records a call",
        from: From::Kinesis { shards: 8 },
        plugin: "json_batch",
        per_call: 100,
        in_flight: 64,
        delay_ms: 0,
        fail_every: 0,
        share: 2,
    },
];

/// Bytes in one record.
pub const RECORD: usize = 200;

/// The records of every workload, for the host and for the bare loop alike.
pub fn datagen(count: u64) -> DatagenSettings {
    DatagenSettings {
        rate: None,
        count: Some(count),
        seed: 7,
        key: None,
        size: Some(RECORD),
        fields: vec![
            (
                "amount".to_owned(),
                Field::Float {
                    min: 0.0,
                    max: 1000.0,
                },
            ),
            (
                "id".to_owned(),
                Field::Sequence {
                    start: 1,
                    end: None,
                },
            ),
            ("token".to_owned(), Field::String { length: (16, 16) }),
        ],
    }
}

/// A source of those records.
pub fn source(count: u64) -> Datagen {
    Datagen::new("bench/in", datagen(count))
}
