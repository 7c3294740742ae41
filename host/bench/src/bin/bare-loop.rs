//! The yardstick: a bare hyper loop without engine and plugin. It does by hand what a workload does: makes the same
//! records, or reads them with the AWS SDK, joins them, posts them over kept connections, sends again what was
//! answered with 503. It keeps no progress, checks nothing, counts nothing and writes no dead letters.

use std::sync::Arc;

use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use bytes::{Bytes, BytesMut};
use clap::Parser;
use http::{HeaderValue, Request, StatusCode, Uri, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use nozzle::ingress::{Ingress, ReadLimit};
use nozzle_bench::{
    Error,
    kinesis::{self, STREAM},
};
use tokio::{sync::Semaphore, task::JoinSet};
use url::Url;

#[derive(Debug, Parser)]
struct Args {
    #[arg(long)]
    url: Uri,
    #[arg(long)]
    records: u64,
    #[arg(long)]
    per_call: usize,
    #[arg(long)]
    in_flight: usize,
    /// Read the stream of this server, in place of making the records.
    #[arg(long)]
    kinesis: Option<Url>,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let poster = Poster {
        client: Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(args.in_flight)
            .build(connector),
        url: args.url,
        slots: Arc::new(Semaphore::new(args.in_flight)),
    };
    match args.kinesis {
        None => make(poster, args.records, args.per_call).await,
        Some(url) => read(poster, &url, args.per_call).await,
    }
}

/// Makes the records, and posts them.
async fn make(poster: Poster, records: u64, per_call: usize) -> Result<(), Error> {
    let mut source = nozzle_bench::source(records);
    let limit = ReadLimit {
        records: 500,
        bytes: 512 * 1024,
    };
    let mut calls = JoinSet::new();
    while let Some(records) = source.read(limit).await? {
        for chunk in records.chunks(per_call) {
            let body = match chunk {
                [one] => one.event.data.clone(),
                many => join(many.iter().map(|record| &*record.event.data)),
            };
            poster.spawn(&mut calls, body).await?;
        }
    }
    finish(calls).await
}

/// Reads all shards at once, up to what they have now, and posts their records.
async fn read(poster: Poster, url: &Url, per_call: usize) -> Result<(), Error> {
    let client = kinesis::client(url).await?;
    let list = client.list_shards().stream_name(STREAM);
    let listed = Box::pin(list.send()).await?;
    let mut shards = JoinSet::new();
    for shard in listed.shards.unwrap_or_default() {
        let (poster, client) = (poster.clone(), client.clone());
        shards.spawn(read_shard(poster, client, shard.shard_id, per_call));
    }
    finish(shards).await
}

async fn read_shard(
    poster: Poster,
    client: aws_sdk_kinesis::Client,
    shard: String,
    per_call: usize,
) -> Result<(), Error> {
    let first = client
        .get_shard_iterator()
        .stream_name(STREAM)
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon);
    let mut iterator = Box::pin(first.send()).await?.shard_iterator;
    let mut calls = JoinSet::new();
    while let Some(from) = iterator {
        let get = client.get_records().shard_iterator(from);
        let answer = Box::pin(get.send()).await?;
        for chunk in answer.records.chunks(per_call) {
            let body = join(chunk.iter().map(|Record { data, .. }| data.as_ref()));
            poster.spawn(&mut calls, body).await?;
        }
        iterator = answer
            .next_shard_iterator
            .filter(|_| answer.millis_behind_latest != Some(0));
    }
    finish(calls).await
}

async fn finish(mut calls: JoinSet<Result<(), Error>>) -> Result<(), Error> {
    while let Some(done) = calls.join_next().await {
        done??;
    }
    Ok(())
}

fn join<'a>(records: impl Iterator<Item = &'a [u8]>) -> Bytes {
    let mut body = BytesMut::from(&b"["[..]);
    for (index, record) in records.enumerate() {
        if index > 0 {
            body.extend_from_slice(b",");
        }
        body.extend_from_slice(record);
    }
    body.extend_from_slice(b"]");
    body.freeze()
}

/// What all calls share.
#[derive(Debug, Clone)]
struct Poster {
    client: Client<HttpConnector, Full<Bytes>>,
    url: Uri,
    slots: Arc<Semaphore>,
}

impl Poster {
    /// Posts `body` as one of `calls` when a slot is free, and takes the results that are there.
    async fn spawn(
        &self,
        calls: &mut JoinSet<Result<(), Error>>,
        body: Bytes,
    ) -> Result<(), Error> {
        let slot = Arc::clone(&self.slots).acquire_owned().await?;
        let (client, url) = (self.client.clone(), self.url.clone());
        calls.spawn(async move {
            let result = post(&client, &url, body).await;
            drop(slot);
            result
        });
        while let Some(done) = calls.try_join_next() {
            done??;
        }
        Ok(())
    }
}

async fn post(
    client: &Client<HttpConnector, Full<Bytes>>,
    url: &Uri,
    body: Bytes,
) -> Result<(), Error> {
    loop {
        let mut request = Request::post(url.clone()).body(Full::new(body.clone()))?;
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = client.request(request).await?;
        let status = response.status();
        response.into_body().collect().await?;
        match status {
            StatusCode::OK => return Ok(()),
            StatusCode::SERVICE_UNAVAILABLE => {}
            status => return Err(format!("the server answered {status}").into()),
        }
    }
}
