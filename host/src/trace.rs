//! OpenTelemetry traces: a span for a batch, a call and an attempt, and the context that an attempt passes on.
//!
//! A batch's span is a trace of its own, as is a call's, with a link to its batch: a call may be tried for hours, and
//! its attempts are its children. The engine only says what begins and what came of it.
//!
//! # Invariants
//! - Off, a span is `None`: it costs a comparison.
//! - Nothing waits for a collector: the queue is bounded, and what does not fit is counted and thrown away.
//! - A span holds no data of a record, no header and no path: at most names of the module file, and what a failure says.

mod context;
mod export;
mod otlp;
pub mod settings;
mod span;

pub use context::Context;
pub use export::{Exporter, start};

use std::{sync::Arc, time::SystemTime};

use http::{HeaderName, HeaderValue};
use tokio::sync::mpsc;

use self::span::{Kind, Span, Value};
use crate::{
    event::Event,
    http::Request,
    metrics::TraceStats,
    outcome::{Failure, Outcome},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Links of one span: what OpenTelemetry's own libraries keep.
const MAX_LINKS: usize = 128;

/// Makes spans of one sink; off by default.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    queue: mpsc::Sender<Span>,
    stats: Arc<TraceStats>,
    sample: f64,
    /// What each span of the sink says of it.
    sink: Arc<str>,
    server: Option<Server>,
}

/// Where a sink's attempts go, as far as the module file shows it.
#[derive(Debug, Clone)]
struct Server {
    scheme: String,
    host: String,
    port: u16,
}

impl Server {
    /// None for a URL that is filled in from somewhere: it may be a secret.
    fn of(label: &str) -> Option<Self> {
        let url: url::Url = label.parse().ok()?;
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }
}

impl Tracer {
    /// For a sink, whose endpoint is written like this in the module file.
    #[must_use]
    pub fn of_sink(&self, sink: &str, endpoint: &str) -> Self {
        Self(self.0.as_ref().map(|inner| {
            Arc::new(Inner {
                queue: inner.queue.clone(),
                stats: Arc::clone(&inner.stats),
                sample: inner.sample,
                sink: sink.into(),
                server: Server::of(endpoint),
            })
        }))
    }

    /// A batch is given to the plugin.
    pub fn batch(&self, events: &[Arc<Event>]) -> BatchSpan {
        BatchSpan(self.0.as_ref().map(|inner| {
            let context = Context::sampled_at(inner.sample);
            let mut live = Live::new(inner, "shape", Kind::Internal, context, None);
            if live.span.context.sampled {
                let bytes: usize = events.iter().map(|event| event.data.len()).sum();
                live.set("nozzle.batch.events", count(events.len()));
                live.set("nozzle.batch.bytes", count(bytes));
                let attribute = |event: &Arc<Event>| {
                    let mut all = event.attributes.iter();
                    let (_, value) = all.find(|(name, _)| &**name == TRACEPARENT.as_str())?;
                    Context::parse(value, None)
                };
                live.span.links = events
                    .iter()
                    .filter_map(attribute)
                    .take(MAX_LINKS)
                    .collect();
            }
            Box::new(live)
        }))
    }

    /// A call of this batch waits for its first attempt. If the plugin has set `traceparent`, that is its parent.
    pub fn call(&self, batch: Option<&Context>, request: &Request, events: usize) -> CallSpan {
        CallSpan(self.0.as_ref().map(|inner| {
            let text = |name| {
                request
                    .headers
                    .get(name)
                    .and_then(|value| value.to_str().ok())
            };
            let parent =
                text(TRACEPARENT).and_then(|parent| Context::parse(parent, text(TRACESTATE)));
            let (context, own) = match &parent {
                Some(parent) => (parent.child(), true),
                None => {
                    let sampled = batch.is_some_and(|batch| batch.sampled);
                    (
                        Context::root(sampled),
                        request.headers.contains_key(TRACEPARENT),
                    )
                }
            };
            let mut live = Live::new(inner, "call", Kind::Internal, context, parent.as_ref());
            live.span.links.extend(batch.cloned());
            live.set("nozzle.call.events", count(events));
            Box::new(Call {
                live,
                own_context: own,
                attempts: 0,
            })
        }))
    }
}

fn count(number: usize) -> Value {
    Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A span that has begun; it ends when it is dropped.
#[derive(Debug)]
struct Live {
    inner: Arc<Inner>,
    span: Span,
}

impl Live {
    fn new(
        inner: &Arc<Inner>,
        name: &'static str,
        kind: Kind,
        context: Context,
        parent: Option<&Context>,
    ) -> Self {
        let mut live = Self {
            inner: Arc::clone(inner),
            span: Span::new(name, kind, context, parent),
        };
        live.set("nozzle.sink", Value::Text(inner.sink.to_string()));
        live
    }

    fn set(&mut self, name: &'static str, value: Value) {
        if self.span.context.sampled {
            self.span.set(name, value);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.span.context.sampled {
            return;
        }
        self.span.ended = SystemTime::now();
        let span = std::mem::take(&mut self.span);
        if self.inner.queue.try_send(span).is_err() {
            self.inner.stats.dropped.add(1);
        }
    }
}

/// The span of a batch.
#[derive(Debug)]
pub struct BatchSpan(Option<Box<Live>>);

impl BatchSpan {
    /// So many calls came of it, or none, and why. Gives its context for its calls.
    pub fn ended(self, calls: Result<usize, &str>) -> Option<Context> {
        let mut live = self.0?;
        match calls {
            Ok(calls) => live.set("nozzle.batch.calls", count(calls)),
            Err(reason) => live.span.fail(reason),
        }
        Some(live.span.context.clone())
    }
}

/// The span of a call; it ends when it is dropped, with its call.
#[derive(Debug, Default)]
pub struct CallSpan(Option<Box<Call>>);

#[derive(Debug)]
struct Call {
    live: Live,
    /// The plugin has set `traceparent`: what it has set is sent.
    own_context: bool,
    attempts: usize,
}

impl CallSpan {
    /// An attempt begins: `request` is given its context.
    pub fn attempt(&mut self, request: &mut Request) -> AttemptSpan {
        AttemptSpan(self.0.as_mut().map(|call| {
            let parent = &call.live.span.context;
            let context = parent.child();
            if !call.own_context
                && let Ok(value) = HeaderValue::from_str(&context.to_string())
            {
                request.headers.insert(TRACEPARENT, value);
            }
            let inner = &call.live.inner;
            let mut live = Live::new(
                inner,
                span::of_method(&request.method),
                Kind::Client,
                context,
                Some(parent),
            );
            if live.span.context.sampled {
                let method = request.method.as_str().to_owned();
                live.set("http.request.method", Value::Text(method));
                if let Some(server) = &inner.server {
                    live.set("url.scheme", Value::Text(server.scheme.clone()));
                    live.set("server.address", Value::Text(server.host.clone()));
                    live.set("server.port", Value::Number(server.port.into()));
                }
                let body = request.body.as_ref().map_or(0, bytes::Bytes::len);
                live.set("http.request.body.size", count(body));
                if call.attempts > 0 {
                    live.set("http.request.resend_count", count(call.attempts));
                }
                // Unless something comes of it: the host stops, say.
                live.span.fail("given up before an answer");
            }
            call.attempts += 1;
            Box::new(live)
        }))
    }

    /// What the last attempt means for the call.
    pub fn judged(&mut self, verdict: &'static str) {
        if let Some(call) = &mut self.0 {
            call.live
                .set("nozzle.verdict", Value::Text(verdict.to_owned()));
            call.live.set("nozzle.call.attempts", count(call.attempts));
            match verdict {
                "delivered" | "each" => call.live.span.succeed(),
                _ => call.live.span.fail(verdict),
            }
        }
    }
}

/// The span of an attempt; it ends when it is dropped.
#[derive(Debug)]
pub struct AttemptSpan(Option<Box<Live>>);

impl AttemptSpan {
    /// This came of it.
    pub fn ended(mut self, outcome: &Outcome) {
        let Some(live) = self.0.as_mut().filter(|live| live.span.context.sampled) else {
            return;
        };
        match outcome {
            Ok(response) => {
                live.set(
                    "http.response.status_code",
                    Value::Number(response.status.into()),
                );
                if response.status < 400 {
                    live.span.succeed();
                } else {
                    live.set("error.type", Value::Text(response.status.to_string()));
                    live.span.fail("");
                }
            }
            Err(failure) => {
                let kind = match failure {
                    Failure::Timeout => "timeout",
                    Failure::Connect(_) => "connect",
                    Failure::Tls(_) => "tls",
                    Failure::Protocol(_) => "protocol",
                };
                live.set("error.type", Value::Text(kind.to_owned()));
                live.span.fail(&failure.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests;
