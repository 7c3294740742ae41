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
mod live;
mod otlp;
pub mod settings;
mod span;

pub use context::Context;
pub use export::{Exporter, start};
pub use live::{AttemptSpan, BatchSpan, CallSpan};

use std::sync::Arc;

use http::HeaderName;
use tokio::sync::mpsc;

use self::{
    live::{Call, Live, count},
    span::{Kind, Span, Value},
};
use crate::{event::Event, http::Request, metrics::TraceStats};

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
    /// What the sink calls the endpoint, where it has several.
    endpoint: Option<Arc<str>>,
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
        let url: url::Url = (!label.contains("${")).then(|| label.parse().ok())??;
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }
}

impl Tracer {
    /// For a sink and one of its endpoints, whose URL is written like this in the module file; `name` is what the sink calls
    /// it, where it has several.
    #[must_use]
    pub fn of_sink(&self, sink: &str, url: &str, name: Option<&Arc<str>>) -> Self {
        Self(self.0.as_ref().map(|inner| {
            Arc::new(Inner {
                queue: inner.queue.clone(),
                stats: Arc::clone(&inner.stats),
                sample: inner.sample,
                sink: sink.into(),
                server: Server::of(url),
                endpoint: name.cloned(),
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
            if let Some(endpoint) = &inner.endpoint {
                live.set("nozzle.endpoint", Value::Text(endpoint.to_string()));
            }
            live.set("nozzle.call.events", count(events));
            Box::new(Call {
                live,
                own_context: own,
                attempts: 0,
            })
        }))
    }
}

#[cfg(test)]
mod tests;
