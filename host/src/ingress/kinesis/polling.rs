//! The polling reader: `GetShardIterator`, then `GetRecords` at the shard's pace.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::{
    cursor::Cursor,
    pace::Pace,
    reader::{Meaning, ShardReader},
};
use crate::{aws::FailureKind, event::now_ms, ingress::IngressError};

/// Reads on from `cursor` to the shard's end.
pub(super) async fn read(
    reader: &mut ShardReader,
    mut cursor: Cursor,
    interval: Duration,
) -> Result<(), IngressError> {
    let mut pace = Pace::new(interval);
    let mut next_read = Instant::now();
    loop {
        let Some(mut iterator) = iterator(reader, &mut cursor).await? else {
            reader.shard_gone(&mut cursor).await;
            return Ok(());
        };
        loop {
            let room = reader.room(pace.expected()).await;
            sleep_until(next_read).await;
            let asked = Instant::now();
            reader.shared.stats.reads.add(1);
            let answer = match reader.shared.service.records(&iterator, pace.limit()).await {
                Ok(answer) => answer,
                Err(failure) if failure.kind == FailureKind::ExpiredIterator => {
                    debug!(shard = %reader.shard, "the iterator has expired");
                    break;
                }
                Err(failure) => {
                    drop(room);
                    if reader.failed(failure, &cursor).await? == Meaning::ShardGone {
                        reader.shard_gone(&mut cursor).await;
                        return Ok(());
                    }
                    continue;
                }
            };
            reader.trouble.over();
            reader.lag(answer.behind_ms);
            let records = answer.records.len();
            let read = cursor.take_in(answer.records);
            next_read = asked + pace.answered(records, read.bytes);
            let ends = answer.next.is_none();
            if !reader.hand_over(read, ends, room).await || ends {
                return Ok(());
            }
            iterator = answer.next.unwrap_or_default();
        }
        cursor.restart();
    }
}

/// None if the stream has the shard no more.
async fn iterator(
    reader: &mut ShardReader,
    cursor: &mut Cursor,
) -> Result<Option<String>, IngressError> {
    loop {
        let asked = now_ms();
        let service = &reader.shared.service;
        let answer = service.iterator(&reader.shard, cursor.from()).await;
        // If it has failed, what comes meanwhile is to be read, too.
        cursor.begun_at(asked);
        match answer {
            Ok(iterator) => {
                reader.trouble.over();
                return Ok(Some(iterator));
            }
            Err(failure) => {
                if reader.failed(failure, cursor).await? == Meaning::ShardGone {
                    return Ok(None);
                }
            }
        }
    }
}
