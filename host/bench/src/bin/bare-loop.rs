//! The yardstick: a bare hyper loop without engine and plugin. It does by hand what a workload does: makes the same
//! records, joins them, posts them over kept connections, sends again what was answered with 503. It keeps no
//! progress, checks nothing, counts nothing and writes no dead letters.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use clap::Parser;
use http::{HeaderValue, Request, StatusCode, Uri, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use nozzle::ingress::{Ingress, ReadLimit};
use tokio::{sync::Semaphore, task::JoinSet};

type Error = Box<dyn std::error::Error + Send + Sync>;

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
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(args.in_flight)
        .build(connector);
    let slots = Arc::new(Semaphore::new(args.in_flight));
    let mut source = nozzle_bench::source(args.records);
    let limit = ReadLimit {
        records: 500,
        bytes: 512 * 1024,
    };
    let mut calls = JoinSet::new();
    while let Some(records) = source.read(limit).await? {
        for chunk in records.chunks(args.per_call) {
            let body = match chunk {
                [one] => one.event.data.clone(),
                many => join(many.iter().map(|record| &record.event.data)),
            };
            let slot = Arc::clone(&slots).acquire_owned().await?;
            let (client, url) = (client.clone(), args.url.clone());
            calls.spawn(async move {
                let result = post(&client, &url, body).await;
                drop(slot);
                result
            });
            while let Some(done) = calls.try_join_next() {
                done??;
            }
        }
    }
    while let Some(done) = calls.join_next().await {
        done??;
    }
    Ok(())
}

fn join<'a>(records: impl Iterator<Item = &'a Bytes>) -> Bytes {
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
