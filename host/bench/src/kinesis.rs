//! The stream of a Kinesis workload: its client, and how it is filled.

use std::time::Duration;

use aws_sdk_kinesis::{
    Client,
    primitives::Blob,
    types::{PutRecordsRequestEntry, StreamStatus},
};
use nozzle::{
    aws::{connect, settings::AwsSettings},
    ingress::{Ingress, ReadLimit},
};
use tokio::task::JoinSet;
use url::Url;

use crate::Error;

/// The stream's name.
pub const STREAM: &str = "bench";
/// Entries of one `PutRecords`: the most that the service takes.
const ENTRIES: usize = 500;
/// `PutRecords` under way.
const WRITERS: usize = 4;

/// A client of the server at `url`, with the host's own settings of the SDK.
///
/// # Errors
/// When the SDK cannot be set up.
pub async fn client(url: &Url) -> Result<Client, Error> {
    let settings = AwsSettings {
        region: None,
        endpoint_url: Some(url.clone()),
    };
    Ok(Client::new(&connect(&settings).await?))
}

/// Makes the stream, and writes `records` of the benchmark's records to it, spread over its shards by their numbers.
///
/// # Errors
/// When a call fails, or an entry is refused.
pub async fn fill(url: &Url, shards: i32, records: u64) -> Result<(), Error> {
    let client = client(url).await?;
    let create = client
        .create_stream()
        .stream_name(STREAM)
        .shard_count(shards);
    Box::pin(create.send()).await?;
    while !is_active(&client).await? {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut source = crate::source(records);
    let limit = ReadLimit {
        records: ENTRIES,
        bytes: ENTRIES * crate::RECORD,
    };
    let mut writers = JoinSet::new();
    let mut number = 0_u64;
    while let Some(read) = source.read(limit).await? {
        let mut entries = Vec::with_capacity(read.len());
        for record in read {
            let entry = PutRecordsRequestEntry::builder()
                .data(Blob::new(record.event.data))
                .partition_key(number.to_string());
            entries.push(entry.build()?);
            number += 1;
        }
        writers.spawn(put(client.clone(), entries));
        if writers.len() >= WRITERS
            && let Some(done) = writers.join_next().await
        {
            done??;
        }
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(())
}

async fn is_active(client: &Client) -> Result<bool, Error> {
    let describe = client.describe_stream_summary().stream_name(STREAM);
    let output = Box::pin(describe.send()).await?;
    let summary = output.stream_description_summary;
    Ok(summary.is_some_and(|summary| summary.stream_status == StreamStatus::Active))
}

async fn put(client: Client, entries: Vec<PutRecordsRequestEntry>) -> Result<(), Error> {
    let put = client
        .put_records()
        .stream_name(STREAM)
        .set_records(Some(entries));
    match Box::pin(put.send()).await?.failed_record_count {
        None | Some(0) => Ok(()),
        Some(failed) => Err(format!("the server refused {failed} entries").into()),
    }
}
