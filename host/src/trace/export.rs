//! The task that sends spans to a collector: OTLP over HTTP, in batches, tried again for a while.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};
use tracing::{info, warn};

use super::{Inner, Tracer, otlp, settings::TraceSettings, span::Span};
use crate::{
    http::{Request, Transport},
    metrics::TraceStats,
    outcome::{Outcome, Response},
};

/// The defaults of OpenTelemetry's batch processor: spans that wait, spans of one request, the longest wait.
const QUEUE: usize = 2048;
const BATCH: usize = 512;
const WAIT: Duration = Duration::from_secs(5);
/// One request.
const LIMIT: Duration = Duration::from_secs(10);
/// All attempts of one request, and the pauses between them.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(20);
/// How long the end of the host may wait for the last spans.
const LAST: Duration = Duration::from_secs(5);

/// The task; it ends, with what is left sent, when every tracer is gone.
#[derive(Debug)]
pub struct Exporter(JoinHandle<()>);

impl Exporter {
    /// Waits for the end, a few seconds at most.
    pub async fn finish(mut self) {
        if timeout(LAST, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}

/// Makes the tracer of which those of the sinks are made, and starts its task.
pub fn start(
    settings: &TraceSettings,
    transport: impl Transport,
    stats: Arc<TraceStats>,
) -> (Tracer, Exporter) {
    let (queue, spans) = mpsc::channel(QUEUE);
    let export = Export {
        transport,
        uri: settings.uri.clone(),
        resource: settings.resource.clone(),
        stats: Arc::clone(&stats),
        failing: false,
    };
    let tracer = Tracer(Some(Arc::new(Inner {
        queue,
        stats,
        sample: settings.sample,
        sink: "".into(),
        server: None,
        endpoint: None,
    })));
    (tracer, Exporter(tokio::spawn(export.run(spans))))
}

struct Export<T> {
    transport: T,
    uri: Uri,
    resource: Vec<(String, String)>,
    stats: Arc<TraceStats>,
    /// A log line says when it begins to fail, and another when it is over.
    failing: bool,
}

impl<T: Transport> Export<T> {
    async fn run(mut self, mut spans: mpsc::Receiver<Span>) {
        while let Some(first) = spans.recv().await {
            let mut batch = vec![first];
            let full = Instant::now() + WAIT;
            while batch.len() < BATCH
                && let Ok(Some(next)) = timeout_at(full, spans.recv()).await
            {
                batch.push(next);
            }
            self.send(&batch, &spans).await;
        }
    }

    async fn send(&mut self, batch: &[Span], spans: &mpsc::Receiver<Span>) {
        let body = Bytes::from(otlp::encode(&self.resource, batch));
        let give_up = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = self.attempt(body.clone()).await;
            let wish = match judge(&outcome) {
                Sent::Accepted { rejected } => {
                    self.stats
                        .exported
                        .add(batch.len().saturating_sub(rejected));
                    self.stats.dropped.add(rejected);
                    if std::mem::take(&mut self.failing) {
                        info!("traces are accepted again");
                    }
                    return;
                }
                Sent::Refused => None,
                Sent::Busy(wish) => Some(wish),
            };
            self.stats.failures.add(1);
            if !std::mem::replace(&mut self.failing, true) {
                let reason = match &outcome {
                    Ok(response) => format!("it answered {}", response.status),
                    Err(failure) => failure.to_string(),
                };
                warn!(%reason, "the collector takes no traces; they are thrown away while it does not");
            }
            let jitter = fastrand::f64().mul_add(0.5, 0.75);
            let wait = wish.map(|wish| wish.unwrap_or_default().max(pause.mul_f64(jitter)));
            // Nobody makes spans any more: the host ends, and does not wait.
            let over = spans.is_closed();
            match wait {
                Some(wait) if !over && Instant::now() + wait < give_up => sleep(wait).await,
                _ => return self.stats.dropped.add(batch.len()),
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    async fn attempt(&self, body: Bytes) -> Outcome {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        );
        let request = Request {
            method: Method::POST,
            uri: self.uri.clone(),
            headers,
            body: Some(body),
        };
        timeout(LIMIT, self.transport.send(request))
            .await
            .unwrap_or(Err(crate::outcome::Failure::Timeout))
    }
}

/// What a collector's answer means, by the specification of OTLP.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    /// All but so many.
    Accepted { rejected: usize },
    /// Never.
    Refused,
    /// Not now; perhaps after this wait.
    Busy(Option<Duration>),
}

fn judge(outcome: &Outcome) -> Sent {
    match outcome {
        Ok(Response { status, body, .. }) if (200..300).contains(status) => Sent::Accepted {
            rejected: otlp::rejected(body),
        },
        Ok(Response {
            status: 429 | 502 | 503 | 504,
            headers,
            ..
        }) => {
            let after = headers.get(RETRY_AFTER);
            let seconds = after.and_then(|after| after.to_str().ok()?.trim().parse().ok());
            Sent::Busy(seconds.map(Duration::from_secs))
        }
        Ok(_) => Sent::Refused,
        Err(_) => Sent::Busy(None),
    }
}
