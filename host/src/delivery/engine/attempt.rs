//! One attempt at a call: the transport under its timeout, then the plugin, then the judgement.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::HeaderValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    delivery::{
        Sink,
        item::{Call, LastAttempt},
        letters::EXCERPT,
        tap::Judged,
        verdict::{Seen, Verdict, judge},
    },
    event::Record,
    fail_point::FailPoint,
    http::Transport,
    metrics::SinkStats,
    outcome::{Failure, Outcome, retry_after},
    plugin::{CurrentCall, Handled, Plugin},
};

/// What came of one attempt.
pub(super) struct Attempted {
    pub(super) call: Call,
    pub(super) began: Instant,
    /// From sending to the last byte of the answer.
    pub(super) latency: Duration,
    pub(super) last: LastAttempt,
    /// What `Retry-After` asks of the endpoint.
    pub(super) retry_after: Option<Duration>,
    pub(super) verdict: Verdict,
    pub(super) results: Vec<Record>,
}

/// Sends the call once.
pub(super) async fn attempt<P: Plugin, T: Transport>(
    sink: Arc<Sink<P, T>>,
    mut call: Call,
    began: Instant,
    given_up: CancellationToken,
) -> Attempted {
    let body = call.request.body.as_ref().map_or(0, Bytes::len);
    sink.stats.request_bytes.add(body);
    let mut request = call.request.clone();
    if let Some(name) = &sink.endpoints.get(call.way).attempt_header {
        let number = HeaderValue::from(call.attempts());
        request.headers.insert(name, number);
    }
    let span = call.trace.attempt(&mut request);
    FailPoint::BeforeSend.pass();
    let transport = &sink.ways[call.way].transport;
    let sending = tokio::time::timeout(sink.settings.timeout.attempt, transport.send(request));
    // A response that comes after the timeout has nobody to take it: it is ignored.
    let outcome = tokio::select! {
        biased;
        sent = sending => sent.unwrap_or(Err(Failure::Timeout)),
        () = given_up.cancelled() => Err(Failure::Timeout),
    };
    FailPoint::AfterSend.pass();
    let latency = began.elapsed();
    sink.stats.latency(latency);
    span.ended(&outcome);
    let seen = Seen::of(&outcome);
    let retry_after = outcome.as_ref().ok().and_then(|response| {
        let asked = retry_after::from_headers(&response.headers, SystemTime::now())?;
        transport.pause(response.status, asked)
    });
    let handles = call.shaped_by.handles();
    let excerpt = excerpt(&outcome, handles);
    let _held = ResponseMemory::hold(&sink.stats, &outcome);
    let taped = call.tape.is_some().then(|| outcome.clone());
    let (handled, results) = if handles {
        let current = CurrentCall {
            attempt: call.attempts(),
            request: Arc::clone(&call.shaped),
            events: call
                .items
                .iter()
                .map(|item| Arc::clone(&item.arrival.event))
                .collect(),
        };
        match call.shaped_by.handle(current, outcome).await {
            Ok(handled) => (Some(Ok(handled.verdict)), handled.results),
            Err(error) => (Some(Err(error)), Vec::new()),
        }
    } else {
        (None, Vec::new())
    };
    let taped = taped.map(|outcome| {
        let said = handled.as_ref().and_then(|said| said.as_ref().ok());
        Judged {
            attempt: call.attempts(),
            outcome,
            handled: said.map(|verdict| Handled {
                verdict: verdict.clone(),
                results: results.clone(),
            }),
        }
    });
    let verdict = judge(&seen, handled, call.items.len(), &sink.settings.status);
    // Nothing that a plugin said is used where its verdict is not.
    let is_used = !matches!(verdict, Verdict::PluginFailed(_));
    if let (Some(tape), Some(judged)) = (&call.tape, taped) {
        tape.judged(is_used.then_some(judged));
    }
    let results = match is_used && sink.results.is_some() {
        true => results,
        false => Vec::new(),
    };
    Attempted {
        call,
        began,
        latency,
        last: LastAttempt { seen, excerpt },
        retry_after,
        verdict,
        results,
    }
}

/// The memory of a response while it is judged; given back when dropped, however the call ends.
struct ResponseMemory<'a> {
    stats: &'a SinkStats,
    bytes: usize,
}

impl<'a> ResponseMemory<'a> {
    fn hold(stats: &'a SinkStats, outcome: &Outcome) -> Self {
        let bytes = outcome.as_ref().map_or(0, |response| response.body.len());
        stats.response_bytes.add(bytes);
        Self { stats, bytes }
    }
}

impl Drop for ResponseMemory<'_> {
    fn drop(&mut self) {
        self.stats.response_bytes.sub(self.bytes);
    }
}

/// The start of the body for a dead letter, copied so that the whole is let go of. A plain success
/// that no plugin reads can have none.
fn excerpt(outcome: &Outcome, handled: bool) -> Bytes {
    match outcome {
        Ok(response) if handled || !(200..300).contains(&response.status) => {
            Bytes::copy_from_slice(response.body.get(..EXCERPT).unwrap_or(&response.body))
        }
        _ => Bytes::new(),
    }
}
