//! The calls of the Kinesis service that reading needs, with this module's types.

use aws_sdk_kinesis::{
    operation::subscribe_to_shard::SubscribeToShardOutput,
    primitives::DateTime,
    types::{ConsumerStatus, Record, ShardIteratorType, StartingPosition},
};
use bytes::Bytes;

use super::{cursor::From, lineage::Listed, records::Raw};
use crate::aws::{Failure, FailureKind, Stream};

/// One stream of the service.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) stream: Stream,
}

/// What a `GetRecords` call gave.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) records: Vec<Raw>,
    /// None at the end of a closed shard.
    pub(super) next: Option<String>,
    pub(super) behind_ms: u64,
}

impl Service {
    /// All shards that still have records, or will have.
    pub(super) async fn shards(&self) -> Result<Vec<Listed>, Failure> {
        let mut listed = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let call = self.stream.client.list_shards();
            // A token says the stream; the service refuses both together.
            let call = match next {
                Some(token) => call.next_token(token),
                None => call
                    .set_stream_name(self.stream.name.name())
                    .set_stream_arn(self.stream.name.arn()),
            };
            let output = Box::pin(call.send())
                .await
                .map_err(self.stream.failed("ListShards"))?;
            listed.extend(output.shards.unwrap_or_default().into_iter().map(|shard| {
                let parents = [shard.parent_shard_id, shard.adjacent_parent_shard_id];
                let range = shard.sequence_number_range;
                Listed {
                    id: shard.shard_id,
                    parents: parents.into_iter().flatten().collect(),
                    open: range
                        .as_ref()
                        .is_none_or(|range| range.ending_sequence_number.is_none()),
                    begins: range
                        .map_or_else(String::new, |range| range.starting_sequence_number)
                        .into(),
                }
            }));
            next = output.next_token;
            if next.is_none() {
                return Ok(listed);
            }
        }
    }

    pub(super) async fn iterator(&self, shard: &str, from: &From) -> Result<String, Failure> {
        let (kind, sequence, time) = position(from);
        let call = self
            .stream
            .client
            .get_shard_iterator()
            .set_stream_name(self.stream.name.name())
            .set_stream_arn(self.stream.name.arn())
            .shard_id(shard)
            .shard_iterator_type(kind)
            .set_starting_sequence_number(sequence)
            .set_timestamp(time);
        let output = Box::pin(call.send())
            .await
            .map_err(self.stream.failed("GetShardIterator"))?;
        output
            .shard_iterator
            .ok_or_else(|| Failure::empty("GetShardIterator"))
    }

    pub(super) async fn records(&self, iterator: &str, limit: usize) -> Result<Answer, Failure> {
        let call = self
            .stream
            .client
            .get_records()
            .shard_iterator(iterator)
            .set_stream_arn(self.stream.name.arn())
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let output = Box::pin(call.send())
            .await
            .map_err(self.stream.failed("GetRecords"))?;
        Ok(Answer {
            behind_ms: behind(output.millis_behind_latest.unwrap_or(0)),
            records: output.records.into_iter().map(raw).collect(),
            next: output.next_shard_iterator,
        })
    }

    /// The consumer's ARN; registers it if it is not. `None` while it is being made.
    pub(super) async fn consumer(
        &self,
        stream_arn: &str,
        name: &str,
    ) -> Result<Option<String>, Failure> {
        let described = self
            .stream
            .client
            .describe_stream_consumer()
            .stream_arn(stream_arn)
            .consumer_name(name);
        match Box::pin(described.send())
            .await
            .map_err(self.stream.failed("DescribeStreamConsumer"))
        {
            Ok(output) => {
                let Some(found) = output.consumer_description else {
                    return Err(Failure::empty("DescribeStreamConsumer"));
                };
                let active = found.consumer_status == ConsumerStatus::Active;
                Ok(active.then_some(found.consumer_arn))
            }
            Err(failure) if failure.kind == FailureKind::NotFound => {
                let register = self
                    .stream
                    .client
                    .register_stream_consumer()
                    .stream_arn(stream_arn)
                    .consumer_name(name);
                match Box::pin(register.send())
                    .await
                    .map_err(self.stream.failed("RegisterStreamConsumer"))
                {
                    Ok(_) => Ok(None),
                    // Another host has been faster.
                    Err(failure) if failure.kind == FailureKind::InUse => Ok(None),
                    Err(failure) => Err(failure),
                }
            }
            Err(failure) => Err(failure),
        }
    }

    pub(super) async fn subscribe(
        &self,
        consumer: &str,
        shard: &str,
        from: &From,
    ) -> Result<SubscribeToShardOutput, Failure> {
        let (kind, sequence, time) = position(from);
        let start = StartingPosition::builder()
            .r#type(kind)
            .set_sequence_number(sequence)
            .set_timestamp(time)
            .build();
        let start = start.map_err(|_| Failure::empty("SubscribeToShard"))?;
        let call = self
            .stream
            .client
            .subscribe_to_shard()
            .consumer_arn(consumer)
            .shard_id(shard)
            .starting_position(start);
        Box::pin(call.send())
            .await
            .map_err(self.stream.failed("SubscribeToShard"))
    }
}

fn position(from: &From) -> (ShardIteratorType, Option<String>, Option<DateTime>) {
    let time = |ms: u64| DateTime::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    match from {
        From::Latest => (ShardIteratorType::Latest, None, None),
        From::Beginning => (ShardIteratorType::TrimHorizon, None, None),
        From::Time(ms) => (ShardIteratorType::AtTimestamp, None, Some(time(*ms))),
        From::At(sequence) => (
            ShardIteratorType::AtSequenceNumber,
            Some(sequence.to_string()),
            None,
        ),
        From::After(sequence) => (
            ShardIteratorType::AfterSequenceNumber,
            Some(sequence.to_string()),
            None,
        ),
    }
}

pub(super) fn raw(record: Record) -> Raw {
    let arrived = record
        .approximate_arrival_timestamp
        .and_then(|at| at.to_millis().ok());
    Raw {
        sequence: record.sequence_number.into(),
        key: record.partition_key,
        arrived_ms: arrived.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
        data: Bytes::from(record.data.into_inner()),
    }
}

pub(super) fn behind(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}
