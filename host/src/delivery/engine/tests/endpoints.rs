//! A sink with several endpoints, of which its plugin names one for each call.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
use tokio::time::{Instant, sleep};

use super::script::{Running, ScriptedPlugin, answer, joined, refused, requests, start_to, status};
use crate::{
    delivery::{
        DEFAULT,
        gate::{
            Gate,
            settings::{Concurrency, GateSettings},
        },
        settings::{DeliverySettings, Order, ResultsOrder},
    },
    event::Event,
    http::{Request, Transport},
    outcome::Outcome,
    plugin::{EventVerdict, Handled, PluginVerdict, Shaped},
};

/// What came to the endpoints: when, where, and what.
type Log = Arc<Mutex<Vec<(Duration, &'static str, String)>>>;
type Answers = fn(&str, Duration, usize) -> (u64, Outcome);

/// An endpoint that answers by a call's body, the time, and how often it came before; its answer takes so many milliseconds.
struct Endpoint {
    name: &'static str,
    answers: Answers,
    log: Log,
    started: Instant,
}

impl Transport for Endpoint {
    async fn send(&self, request: Request) -> Outcome {
        let host = request.uri.host().map(str::to_owned);
        assert_eq!(host, Some(format!("{}.test", self.name)));
        let body = request.body.unwrap_or_default().to_vec();
        let body = String::from_utf8(body).expect("tests send text");
        let at = self.started.elapsed();
        let before = bodies(&self.log, self.name);
        let before = before.iter().filter(|other| **other == body).count();
        let (takes, outcome) = (self.answers)(&body, at, before);
        let seen = (at, self.name, body);
        self.log.lock().expect("no panic").push(seen);
        sleep(Duration::from_millis(takes)).await;
        outcome
    }
}

/// A call a record, to the endpoint `eu` where the record begins with `e`.
fn by_name() -> ScriptedPlugin {
    by(|event| event.data.starts_with(b"e"))
}

/// A call a record, to the endpoint `eu` where this is true.
fn by(eu: fn(&Event) -> bool) -> ScriptedPlugin {
    let shape = move |events: &[Arc<Event>]| {
        let one = |(index, event): (u32, &Arc<Event>)| {
            let mut request = joined([index]);
            request.endpoint = eu(event).then(|| "eu".to_owned());
            request
        };
        Ok(requests((0..).zip(events).map(one).collect()))
    };
    ScriptedPlugin {
        shape: Box::new(shape),
        handle: None,
    }
}

/// A sink with a default endpoint and `eu`; each takes all that it is given.
fn start(
    settings: &DeliverySettings,
    plugin: ScriptedPlugin,
    default: Answers,
    eu: Answers,
) -> (Running, Log) {
    let log = Log::default();
    let limits = GateSettings {
        concurrency: Concurrency::Fixed,
        ..GateSettings::default()
    };
    let endpoint = |name, answers| {
        let gate = Gate::new(&limits, [settings], Instant::now());
        let endpoint = Endpoint {
            name,
            answers,
            log: Arc::clone(&log),
            started: Instant::now(),
        };
        (name, gate, endpoint)
    };
    let endpoints = [endpoint(DEFAULT, default), endpoint("eu", eu)];
    (
        start_to(
            endpoints,
            settings.clone(),
            crate::plugin::Slot::new(plugin),
        ),
        log,
    )
}

fn bodies(log: &Log, of: &str) -> Vec<String> {
    let log = log.lock().expect("no panic");
    let of = log.iter().filter(|(_, name, _)| *name == of);
    of.map(|(_, _, body)| body.clone()).collect()
}

fn fine(_: &str, _: Duration, _: usize) -> (u64, Outcome) {
    (10, status(200))
}

fn down_for_ten_minutes(_: &str, at: Duration, _: usize) -> (u64, Outcome) {
    match at.as_secs() < 600 {
        true => (1, refused()),
        false => (1, status(200)),
    }
}

fn seldom() -> DeliverySettings {
    let mut settings = DeliverySettings::default();
    settings.batch.max_records = 4;
    settings.in_flight.max_calls = 2;
    settings
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_down_holds_up_no_calls_to_another() {
    let settings = seldom();
    let (mut sink, log) = start(&settings, by_name(), down_for_ten_minutes, fine);
    let names: Vec<String> = (0..40)
        .flat_map(|n| [format!("a{n}"), format!("e{n}")])
        .collect();

    sink.send(names.iter().map(String::as_str)).await;
    sleep(Duration::from_secs(60)).await;

    assert_eq!(sink.stats.delivered.get(), 40, "all that go to `eu`");
    assert_eq!(sink.stats.down.get(), 1);
    let down: Vec<_> = sink
        .stats
        .endpoints_down
        .all()
        .map(|(name, down)| (name.to_string(), down))
        .collect();
    assert_eq!(down, [("default".to_owned(), 1), ("eu".to_owned(), 0)]);
    let finished = sink.finish().await;
    assert_eq!(finished.ends(), (80, 0, 0));
    assert_eq!(bodies(&log, "eu").len(), 40, "once each");
    let mut tried = bodies(&log, DEFAULT);
    tried.sort_unstable();
    tried.dedup();
    assert_eq!(tried.len(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_one_endpoint_asks_for_is_none_for_another() {
    fn asks_once(body: &str, at: Duration, _: usize) -> (u64, Outcome) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("20"));
        match body == "a0" && at.as_secs() < 6 {
            true => (1, answer(429, headers, "")),
            false => (1, status(200)),
        }
    }
    let (mut sink, log) = start(&seldom(), by_name(), asks_once, fine);

    sink.send(["a0", "e0"]).await;
    sleep(Duration::from_secs(6)).await;
    sink.send(["a1", "e1", "a2", "e2", "a3", "e3"]).await;
    let finished = sink.finish().await;

    let log = log.lock().expect("no panic");
    let of = |name: &str| -> Vec<u64> {
        let of = log.iter().filter(|(_, other, _)| *other == name);
        of.map(|(at, _, _)| at.as_secs()).collect()
    };
    assert_eq!(of(DEFAULT), [5, 25, 25, 25, 25]);
    assert_eq!(of("eu"), [5, 6, 6, 6]);
    assert_eq!(finished.ends(), (8, 0, 0));
}

/// A body's first attempts fail for a while; those of the other endpoint are slow.
fn fails_at_first(_: &str, at: Duration, _: usize) -> (u64, Outcome) {
    let fails = at.as_secs() % 10 < 5;
    (300, status(if fails { 500 } else { 200 }))
}

#[tokio::test(start_paused = true)]
async fn order_holds_across_endpoints() {
    for (order, lanes) in [(Order::Strict, 1), (Order::Key, 2)] {
        let mut settings = seldom();
        settings.order = order;
        settings.in_flight.max_calls = 8;
        settings.retry.max_attempts = None;
        let turns = |event: &Event| event.data.ends_with(b"1");
        let (mut sink, log) = start(&settings, by(turns), fails_at_first, fine);
        let names: Vec<String> = (0..16)
            .map(|n| format!("k{}:{n:02}-{}", n / 2 % lanes, n % 2))
            .collect();

        sink.send(names.iter().map(String::as_str)).await;
        let finished = sink.finish().await;

        assert_eq!(finished.ends(), (16, 0, 0));
        let log = log.lock().expect("no panic");
        for lane in 0..lanes {
            let of_lane = |body: &str| {
                let number: usize = body
                    .split_once('-')
                    .and_then(|(number, _)| number.parse().ok())
                    .expect("a number");
                number / 2 % lanes == lane
            };
            let sent: Vec<&str> = log
                .iter()
                .map(|(_, _, body)| &**body)
                .filter(|body| of_lane(body))
                .collect();
            assert!(sent.is_sorted(), "{order:?}: {sent:?}");
            assert!(sent.len() > 16 / lanes, "some are tried again: {sent:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn results_in_the_order_of_the_ingress_wait_for_an_endpoint_that_is_down_and_no_longer() {
    let mut settings = seldom();
    settings.results_order = ResultsOrder::Ingress;
    let mut plugin = by_name();
    plugin.handle = Some(Box::new(|call, outcome| {
        if outcome.is_err() {
            return super::script::by_status(Vec::new());
        }
        let event = &call.events[0];
        super::script::by_status(vec![crate::event::Record {
            key: None,
            attributes: Vec::new(),
            data: event.data.clone(),
        }])
    }));
    let (mut sink, log) = start(&settings, plugin, down_for_ten_minutes, fine);

    sink.send(["e0", "a1", "e2", "e3", "e4", "e5", "e6", "e7"])
        .await;
    sleep(Duration::from_secs(60)).await;

    assert_eq!(*sink.results.lock().expect("no panic"), ["e0"]);
    let sent = bodies(&log, "eu").len();
    assert_eq!(sent, 3, "`in-flight.max-calls` bounds what is held back");
    let finished = sink.finish().await;
    assert_eq!(
        finished.results,
        ["e0", "a1", "e2", "e3", "e4", "e5", "e6", "e7"]
    );
    assert_eq!(finished.ends(), (8, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_counted_for_an_event_that_goes_elsewhere_after_it() {
    fn busy_at_first(_: &str, _: Duration, before: usize) -> (u64, Outcome) {
        (1, status(if before < 2 { 500 } else { 200 }))
    }
    fn down(_: &str, _: Duration, _: usize) -> (u64, Outcome) {
        (1, refused())
    }
    let mut settings = seldom();
    settings.timeout.total = Duration::from_secs(300);
    settings.retry.max_attempts = Some(1000);
    let started = Instant::now();
    let shape = move |events: &[Arc<Event>]| {
        let mut request = joined(0..events.len() as u32);
        let elsewhere = started.elapsed().as_secs() >= 600;
        request.endpoint = elsewhere.then(|| "eu".to_owned());
        Ok(requests(vec![request]))
    };
    let plugin = ScriptedPlugin {
        shape: Box::new(shape),
        handle: Some(Box::new(|call, outcome| {
            let each = vec![EventVerdict::Retry; call.events.len()];
            let verdict = match outcome {
                Err(_) => PluginVerdict::Each(each),
                Ok(_) => PluginVerdict::ByStatus,
            };
            Ok(Handled {
                verdict,
                results: Vec::new(),
            })
        })),
    };
    let (mut sink, log) = start(&settings, plugin, down, busy_at_first);

    sink.send(["x"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.ends(), (1, 0, 0), "{:?}", finished.letters);
    assert_eq!(bodies(&log, "eu").len(), 3, "its attempts there counted");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_too_large_is_split_and_a_letter_names_the_endpoint_that_it_came_to() {
    fn small(body: &str, _: Duration, _: usize) -> (u64, Outcome) {
        match body {
            "e2" => (1, status(400)),
            body => (1, status(if body.contains(',') { 413 } else { 200 })),
        }
    }
    let whole = ScriptedPlugin {
        shape: Box::new(|events| {
            let mut request = joined(0..events.len() as u32);
            request.endpoint = Some("eu".to_owned());
            Ok(requests(vec![request]))
        }),
        handle: None,
    };
    let (mut sink, log) = start(&seldom(), whole, fine, small);

    sink.send(["e0", "e1", "e2", "e3"]).await;
    let finished = sink.finish().await;

    let mut sent = bodies(&log, "eu");
    sent.sort_unstable();
    assert_eq!(
        sent,
        ["e0", "e0,e1", "e0,e1,e2,e3", "e1", "e2", "e2,e3", "e3"]
    );
    assert_eq!(finished.ends(), (3, 0, 1));
    assert_eq!(finished.letters[0]["endpoint"], "eu");
    let calls: Vec<u64> = finished
        .stats
        .endpoint_calls
        .all()
        .map(|(_, calls)| calls)
        .collect();
    assert_eq!(calls, [0, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_granted_dead_letters_its_events_and_no_others() {
    let shape = |events: &[Arc<Event>]| {
        let one = |(index, event): (u32, &Arc<Event>)| {
            let mut request = joined([index]);
            request.endpoint = Some(String::from_utf8_lossy(&event.data).into_owned());
            request
        };
        Ok::<Shaped, _>(requests((0..).zip(events).map(one).collect()))
    };
    let plugin = ScriptedPlugin {
        shape: Box::new(shape),
        handle: None,
    };
    let (mut sink, _) = start(&seldom(), plugin, fine, fine);

    sink.send(["eu", "us", "default", "eu"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.ends(), (3, 0, 1));
    assert_eq!(finished.dead(), [("contract-violation", "us")]);
    let expected =
        "requests[0] names the endpoint `us`, and the sink grants none but `default`, `eu`";
    assert_eq!(finished.letters[0]["message"], expected);
}
