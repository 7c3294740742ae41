//! The minimal sink server: counts records, and can delay and fail. Prints its address, then serves until killed.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use clap::Parser;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[derive(Debug, Clone, Copy, Parser)]
struct Args {
    /// The pause before an answer, in milliseconds.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Every so manieth call is answered with 503; 0 for none.
    #[arg(long, default_value_t = 0)]
    fail_every: u64,
}

#[derive(Default)]
struct Counts {
    calls: AtomicU64,
    records: AtomicU64,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let counts = Arc::new(Counts::default());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&counts), args));
            // A client that goes away is nothing to report.
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    counts: Arc<Counts>,
    args: Args,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/stats" {
        let text = format!(
            "{} {}",
            counts.calls.load(Relaxed),
            counts.records.load(Relaxed)
        );
        return Ok(Response::new(Full::new(text.into())));
    }
    let body = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let call = counts.calls.fetch_add(1, Relaxed) + 1;
    if args.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(args.delay_ms)).await;
    }
    let mut response = Response::new(Full::default());
    if args.fail_every > 0 && call.is_multiple_of(args.fail_every) {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    } else {
        // Every record is an object without others in it.
        counts
            .records
            .fetch_add(memchr::memchr_iter(b'{', &body).count() as u64, Relaxed);
    }
    Ok(response)
}
