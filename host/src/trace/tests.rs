//! Spans as a collector gets them, and a collector that is not there.

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;

use super::{
    span::{Status, Value},
    *,
};
use crate::{
    http::{Transport, settings::EndpointSettings},
    outcome::{Failure, Outcome, Response},
};

/// Answers each request with the next of its script, and with its last one ever after.
#[derive(Clone)]
struct Collector(Arc<Mutex<(Vec<Outcome>, Vec<Bytes>)>>);

impl Collector {
    fn new(mut script: Vec<Outcome>) -> Self {
        script.reverse();
        Self(Arc::new(Mutex::new((script, Vec::new()))))
    }

    fn requests(&self) -> usize {
        self.0.lock().expect("no panic").1.len()
    }
}

impl Transport for Collector {
    async fn send(&self, request: Request) -> Outcome {
        let mut state = self.0.lock().expect("no panic");
        state.1.extend(request.body);
        match state.0.len() {
            1 => state.0[0].clone(),
            _ => state.0.pop().expect("a script"),
        }
    }
}

fn answer(status: u16, body: Vec<u8>) -> Outcome {
    Ok(Response {
        status,
        headers: HeaderMap::new(),
        body: body.into(),
        truncated: false,
    })
}

fn started(collector: &Collector, sample: f64) -> (Tracer, Exporter, Arc<TraceStats>) {
    let settings = settings::TraceSettings {
        collector: EndpointSettings::new("http://c.test".parse().expect("a URL"), String::new()),
        uri: "http://c.test/v1/traces".parse().expect("a URI"),
        sample,
        resource: Vec::new(),
    };
    let stats = Arc::new(TraceStats::default());
    let (tracer, exporter) = start(&settings, collector.clone(), Arc::clone(&stats));
    let tracer = tracer.of_sink("t/sink", "https://api.test/${Api:path}", Some(&"eu".into()));
    (tracer, exporter, stats)
}

fn request() -> Request {
    Request {
        method: Method::POST,
        uri: "https://api.test/".parse().expect("a URI"),
        headers: HeaderMap::new(),
        body: None,
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_spans_are_sent_when_the_tracers_are_gone() {
    let collector = Collector::new(vec![answer(200, Vec::new())]);
    let (tracer, exporter, stats) = started(&collector, 1.0);

    let batch = tracer.batch(&[]).ended(Ok(1));
    let mut call = tracer.call(batch.as_ref(), &request(), 1);
    let mut sent = request();
    let attempt = call.attempt(&mut sent);
    attempt.ended(&answer(200, Vec::new()));
    call.judged("delivered");
    drop((call, tracer));
    let before = Instant::now();
    exporter.finish().await;

    assert_eq!((stats.exported.get(), stats.dropped.get()), (3, 0));
    assert_eq!(collector.requests(), 1);
    assert_eq!(before.elapsed(), Duration::ZERO, "nothing is waited for");
    let header = sent
        .headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    let header = Context::parse(header.expect("it is sent"), None).expect("it is one");
    assert!(header.sampled && Some(header.trace) != batch.map(|batch| batch.trace));
}

#[tokio::test(start_paused = true)]
async fn what_the_plugin_sets_is_sent_and_is_the_parent() {
    let collector = Collector::new(vec![answer(200, Vec::new())]);
    let (tracer, _exporter, _) = started(&collector, 0.0);
    let own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut shaped = request();
    shaped
        .headers
        .insert("traceparent", HeaderValue::from_static(own));
    shaped
        .headers
        .insert("tracestate", HeaderValue::from_static("a=1"));

    let mut call = tracer.call(None, &shaped, 1);
    let mut sent = shaped.clone();
    let attempt = call.attempt(&mut sent);

    assert_eq!(sent.headers, shaped.headers);
    let span = &attempt.0.as_ref().expect("on").span;
    let parent = &call.0.as_ref().expect("on").live.span;
    assert_eq!(
        format!("{:032x}", span.context.trace),
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(parent.parent, Some(0xb7ad_6b71_6920_3331));
    assert_eq!(span.parent, Some(parent.context.span));
    assert!(
        span.context.sampled,
        "the plugin's trace is recorded: so is this part of it"
    );
    assert_eq!(span.context.state.as_deref(), Some("a=1"));
}

#[tokio::test(start_paused = true)]
async fn the_contexts_of_events_are_linked() {
    let collector = Collector::new(vec![answer(200, Vec::new())]);
    let (tracer, _exporter, _) = started(&collector, 1.0);
    let event = |value: &str| {
        Arc::new(Event {
            id: "t/in:1".into(),
            key: None,
            timestamp_ms: 0,
            attributes: vec![
                ("a".into(), "b".into()),
                ("traceparent".into(), value.into()),
            ],
            data: Bytes::from_static(b"12345"),
        })
    };
    let of = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut events = vec![event("none"), event(of)];

    let two = tracer.batch(&events);
    events.resize(500, event(of));
    let many = tracer.batch(&events);

    let live = two.0.as_ref().expect("on");
    let links: Vec<_> = live.span.links.iter().map(ToString::to_string).collect();
    assert_eq!(links, [of]);
    assert!(
        live.span
            .attributes
            .contains(&("nozzle.batch.bytes", Value::Number(10)))
    );
    assert_eq!(many.0.as_ref().expect("on").span.links.len(), MAX_LINKS);
}

#[tokio::test(start_paused = true)]
async fn what_comes_of_an_attempt_and_its_call_is_in_their_status() {
    let collector = Collector::new(vec![answer(200, Vec::new())]);
    let (tracer, _exporter, _) = started(&collector, 1.0);
    let batch = tracer.batch(&[]).ended(Ok(1));
    let mut call = tracer.call(batch.as_ref(), &request(), 1);
    let status = |call: &CallSpan| call.0.as_ref().expect("on").live.span.status.clone();

    let cut_off = call.attempt(&mut request());
    let begun = cut_off.0.as_ref().expect("on").span.clone();
    call.judged("retry");
    let after_retry = status(&call);
    call.judged("delivered");

    assert_eq!(
        begun.status,
        Status::Error("given up before an answer".to_owned())
    );
    assert!(
        !begun
            .attributes
            .iter()
            .any(|(name, _)| *name == "server.address"),
        "it may be a secret"
    );
    assert_eq!(after_retry, Status::Error("retry".to_owned()));
    assert_eq!(status(&call), Status::Unset);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_recorded_is_passed_on_as_such() {
    let collector = Collector::new(vec![answer(200, Vec::new())]);
    let (tracer, exporter, stats) = started(&collector, 0.0);

    let batch = tracer.batch(&[]).ended(Err("refused"));
    let mut call = tracer.call(batch.as_ref(), &request(), 1);
    let mut sent = request();
    drop(call.attempt(&mut sent));
    drop((call, tracer));
    exporter.finish().await;

    let header = sent
        .headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    assert!(header.expect("it is sent").ends_with("-00"));
    assert_eq!(
        (
            stats.exported.get(),
            stats.dropped.get(),
            collector.requests()
        ),
        (0, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_gone_blocks_nobody_and_costs_a_bounded_queue() {
    let collector = Collector::new(vec![Err(Failure::Timeout)]);
    let (tracer, exporter, stats) = started(&collector, 1.0);

    for _ in 0..10_000 {
        tracer.batch(&[]).ended(Ok(0));
    }
    let at_once = stats.dropped.get();
    // An hour without any span: it gives up on what it has, and does not knock on.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let requests = collector.requests();
    drop(tracer);
    exporter.finish().await;

    assert_eq!(at_once, 10_000 - 2048, "the queue is full");
    assert_eq!((stats.dropped.get(), stats.exported.get()), (10_000, 0));
    // Four batches or five, each for a minute.
    assert!((8..60).contains(&requests), "{requests}");
}

#[tokio::test(start_paused = true)]
async fn a_busy_collector_is_asked_again_and_a_refusal_is_final() {
    let busy = answer(503, Vec::new());
    // `partial_success { rejected_spans: 1 }`.
    let partial = answer(200, vec![0x0a, 0x02, 0x08, 0x01]);
    let collector = Collector::new(vec![busy, partial, answer(400, Vec::new())]);
    let (tracer, exporter, stats) = started(&collector, 1.0);

    tracer.batch(&[]).ended(Ok(0));
    tracer.batch(&[]).ended(Ok(0));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let first = (
        collector.requests(),
        stats.exported.get(),
        stats.dropped.get(),
    );
    tracer.batch(&[]).ended(Ok(0));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let refused = (
        collector.requests(),
        stats.exported.get(),
        stats.dropped.get(),
    );
    drop(tracer);
    exporter.finish().await;

    assert_eq!(first, (2, 1, 1));
    assert_eq!(refused, (3, 1, 2));
    assert_eq!(stats.failures.get(), 2);
}

#[test]
fn off_is_nothing_at_all() {
    let tracer = Tracer::default();
    let batch = tracer.batch(&[]).ended(Ok(1));
    let mut call = tracer.call(batch.as_ref(), &request(), 1);
    let mut sent = request();

    drop(call.attempt(&mut sent));

    assert!(batch.is_none() && call.0.is_none() && sent.headers.is_empty());
    assert_eq!(size_of::<CallSpan>(), size_of::<usize>());
}
