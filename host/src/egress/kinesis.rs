//! Records in a Kinesis stream, by `PutRecords`: only the entries that failed are sent again.

mod pack;

use aws_sdk_kinesis::{primitives::Blob, types::PutRecordsRequestEntry};
use tracing::{info, warn};

pub use self::pack::entry_size;
use self::pack::{pack, partition_key};
use super::{Egress, EgressError, settings::KinesisEgressSettings};
use crate::{
    aws::{Backoff, Failure, FailureKind, Stream},
    event::Record,
};

/// Requests in a row with failed entries that are everyday business: a shard takes 1,000 records a second.
const USUAL_FAILURES: u32 = 5;

/// Writes to a stream.
#[derive(Debug)]
pub struct KinesisEgress {
    id: String,
    stream: Stream,
    max_records: usize,
    max_bytes: usize,
    max_record: usize,
}

impl KinesisEgress {
    /// Looks for the stream.
    ///
    /// # Errors
    /// When it is not there, or the service does not answer.
    pub async fn open(id: String, settings: &KinesisEgressSettings) -> Result<Self, EgressError> {
        let opened = Stream::open(&settings.aws, &settings.stream).await;
        let (stream, summary) = opened.map_err(|error| EgressError::Stream {
            stream: settings.stream.to_string(),
            error: Box::new(error),
        })?;
        Ok(Self {
            id,
            stream,
            max_records: settings.max_records,
            max_bytes: settings.max_bytes,
            max_record: summary.max_record,
        })
    }

    /// Data and key of the largest record that it takes, in bytes.
    pub fn max_record(&self) -> usize {
        self.max_record.min(self.max_bytes)
    }

    /// Sends one request, and its failed entries, until all are accepted.
    async fn put(&self, records: &[Record]) {
        let mut left: Vec<&Record> = records.iter().collect();
        let mut backoff = Backoff::default();
        let mut said = false;
        while !left.is_empty() {
            let Err(failure) = self.put_once(&mut left).await else {
                break;
            };
            let pause = backoff.next(fastrand::f64());
            if backoff.failures() > USUAL_FAILURES && !said {
                said = true;
                warn!(
                    egress = %self.id, stream = %self.stream.name, %failure, entries = left.len(),
                    "the stream does not take these records; trying on, and their events are held"
                );
            }
            tokio::time::sleep(pause).await;
        }
        if said {
            info!(egress = %self.id, stream = %self.stream.name, "the stream takes records again");
        }
    }

    /// Sends one request, and takes what was accepted out of `left`.
    ///
    /// # Errors
    /// When some or all of them were not accepted: why the first was not.
    async fn put_once(&self, left: &mut Vec<&Record>) -> Result<(), Failure> {
        let call = self
            .stream
            .client
            .put_records()
            .set_stream_name(self.stream.name.name())
            .set_stream_arn(self.stream.name.arn())
            .set_records(Some(left.iter().copied().map(entry).collect()));
        let output = Box::pin(call.send())
            .await
            .map_err(self.stream.failed("PutRecords"))?;
        if output.records.len() != left.len() {
            return Err(Failure::empty("PutRecords"));
        }
        let mut results = output
            .records
            .iter()
            .map(|result| result.error_code.is_some());
        left.retain(|_| results.next().unwrap_or(true));
        let first = output
            .records
            .into_iter()
            .find(|result| result.error_code.is_some());
        first.map_or(Ok(()), |result| {
            Err(Failure {
                kind: FailureKind::Throttled,
                call: "PutRecords",
                code: result.error_code,
                message: result.error_message.unwrap_or_default(),
            })
        })
    }
}

fn entry(record: &Record) -> PutRecordsRequestEntry {
    PutRecordsRequestEntry::builder()
        .data(Blob::new(record.data.clone()))
        .partition_key(partition_key(record))
        .build()
        .expect("data and key are set")
}

impl Egress for KinesisEgress {
    /// Returns when the service has accepted all of them, however often an entry must be sent again: given back,
    /// the records would be sent again as a whole.
    async fn write(&mut self, records: &[Record]) -> Result<(), EgressError> {
        for request in pack(records, self.max_records, self.max_bytes) {
            self.put(request).await;
        }
        Ok(())
    }
}
