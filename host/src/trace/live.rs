//! Spans that have begun: what came of them is said, and their end is when they are dropped.

use std::{sync::Arc, time::SystemTime};

use http::HeaderValue;

use super::{
    Context, Inner, TRACEPARENT,
    span::{self, Kind, Span, Value},
};
use crate::{http::Request, outcome::Outcome};

pub(super) fn count(number: usize) -> Value {
    Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A span that has begun; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Live {
    inner: Arc<Inner>,
    pub(super) span: Span,
}

impl Live {
    pub(super) fn new(
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

    pub(super) fn set(&mut self, name: &'static str, value: Value) {
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
pub struct BatchSpan(pub(super) Option<Box<Live>>);

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
pub struct CallSpan(pub(super) Option<Box<Call>>);

#[derive(Debug)]
pub(super) struct Call {
    pub(super) live: Live,
    /// The plugin has set `traceparent`: what it has set is sent.
    pub(super) own_context: bool,
    pub(super) attempts: usize,
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
pub struct AttemptSpan(pub(super) Option<Box<Live>>);

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
                let kind = failure.kind().name();
                live.set("error.type", Value::Text(kind.to_owned()));
                live.span.fail(&failure.to_string());
            }
        }
    }
}
