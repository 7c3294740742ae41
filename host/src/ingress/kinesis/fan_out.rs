//! The enhanced fan-out reader: `SubscribeToShard`, a stream of events that the service ends after five minutes.

use std::time::Duration;

use aws_sdk_kinesis::types::SubscribeToShardEventStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::debug;

use super::{
    cursor::Cursor,
    polling,
    reader::{Meaning, ShardReader},
    service::{Service, behind, raw},
};
use crate::{
    aws::{Backoff, Failure, FailureKind},
    event::now_ms,
    ingress::IngressError,
};

/// A second subscription to a shard is refused this soon after one (Kinesis API: `SubscribeToShard`).
const RENEWAL: Duration = Duration::from_secs(5);
/// The service ends a subscription after five minutes; a new one before that loses no time between the two.
const LIFETIME: Duration = Duration::from_secs(285);
/// An event comes at least this often, empty if there is nothing: the service sends one each five seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// After so long without an event, a subscription begins at the last record: the stream may have given up those behind it.
/// An iterator of the other reader is good for as long.
const STALE: Duration = Duration::from_secs(300);
/// What an event holds at most (2 MiB/s a shard, several events a second).
const EVENT_BYTES: usize = 512 * 1024;
/// Of a closed shard, a last event tells the end. If it does not come within so many empty ones, as the event was
/// lost or the server has none, polling finds the end.
const IDLE_EVENTS: u32 = 3;
/// Between two of those reads.
const END_INTERVAL: Duration = Duration::from_millis(200);
/// How long a new consumer may take to become active.
const ACTIVATION: Duration = Duration::from_secs(120);

/// The consumer's ARN, registered and active.
///
/// # Errors
/// When the service refuses it, or it does not become active in time.
pub(super) async fn consumer(
    service: &Service,
    stream_arn: &str,
    name: &str,
) -> Result<String, Failure> {
    let mut backoff = Backoff::default();
    let until = Instant::now() + ACTIVATION;
    loop {
        let failure = match service.consumer(stream_arn, name).await {
            Ok(Some(arn)) => return Ok(arn),
            Ok(None) => Failure {
                kind: FailureKind::InUse,
                call: "DescribeStreamConsumer",
                code: None,
                message: format!(
                    "the consumer `{name}` did not become active within {ACTIVATION:?}"
                ),
            },
            Err(failure) if failure.may_pass() => failure,
            Err(failure) => return Err(failure),
        };
        if Instant::now() >= until {
            return Err(failure);
        }
        tokio::time::sleep(backoff.next(1.0).min(Duration::from_secs(2))).await;
    }
}

/// How a subscription ended.
enum Ended {
    /// It is to be renewed.
    Over,
    /// The stream's listing says that the shard is closed, and the subscription has nothing more of it.
    Closed,
    /// The shard has no more, or the ingress is gone.
    Done,
}

/// Reads on from `cursor` to the shard's end, or until the ingress is gone.
pub(super) async fn read(
    reader: &mut ShardReader,
    mut cursor: Cursor,
    consumer: &str,
) -> Result<(), IngressError> {
    let mut last_event = Instant::now();
    loop {
        let renewal = Instant::now() + RENEWAL;
        match subscription(reader, &mut cursor, consumer, &mut last_event).await {
            Ok(Ended::Done) => return Ok(()),
            Ok(Ended::Over) => {
                if last_event.elapsed() >= STALE {
                    cursor.restart();
                }
                debug!(shard = %reader.shard, "the subscription is over; renewing it");
                sleep_until(renewal).await;
            }
            Ok(Ended::Closed) => {
                debug!(shard = %reader.shard, "reading the end of a closed shard by polling");
                return polling::read(reader, cursor, END_INTERVAL).await;
            }
            Err(failure) => {
                if reader.failed(failure, &cursor).await? == Meaning::ShardGone {
                    reader.shard_gone(&mut cursor).await;
                    return Ok(());
                }
            }
        }
    }
}

async fn subscription(
    reader: &mut ShardReader,
    cursor: &mut Cursor,
    consumer: &str,
    last_event: &mut Instant,
) -> Result<Ended, Failure> {
    let begun = now_ms();
    reader.shared.stats.reads.add(1);
    let output = reader
        .shared
        .service
        .subscribe(consumer, &reader.shard, cursor.from())
        .await;
    // If it has failed, what comes meanwhile is to be read, too.
    cursor.begun_at(begun);
    let mut output = output?;
    let until = Instant::now() + LIFETIME;
    let mut idle = 0;
    loop {
        // Without room the stream is not read: HTTP/2 makes the service wait.
        let room = reader.room(EVENT_BYTES).await;
        let silent = until.min(Instant::now() + SILENCE);
        let event = match timeout_at(silent, output.event_stream.recv()).await {
            Err(_) | Ok(Ok(None)) => return Ok(Ended::Over),
            Ok(Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)))) => event,
            Ok(Ok(Some(_))) => continue,
            Ok(Err(error)) => {
                let failed = reader.shared.service.stream.failed("SubscribeToShard");
                return Err(failed(error));
            }
        };
        reader.trouble.over();
        *last_event = Instant::now();
        reader.lag(behind(event.millis_behind_latest));
        let at_tip = event.records.is_empty() && event.millis_behind_latest == 0;
        idle = if at_tip && reader.is_closed() {
            idle + 1
        } else {
            0
        };
        let read = cursor.take_in(event.records.into_iter().map(raw).collect());
        // Without a sequence number to go on from, the shard is at its end.
        let ends = event.continuation_sequence_number.is_empty();
        if !ends {
            cursor.go_on_behind(event.continuation_sequence_number.into());
        }
        if !reader.hand_over(read, ends, room).await || ends {
            return Ok(Ended::Done);
        }
        if idle >= IDLE_EVENTS {
            return Ok(Ended::Closed);
        }
    }
}
