//! Sinks that share an endpoint, its rate, and its outages.

use std::{
    num::NonZeroU64,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
use nozzle_testkit::log_to;
use tokio::time::{Instant, sleep};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

use super::script::{Running, answer, refused, single, start_at, status, whole};
use crate::{
    delivery::{
        gate::{
            Gate,
            settings::{Concurrency, GateSettings},
        },
        settings::DeliverySettings,
    },
    outcome::Outcome,
};

fn fixed() -> GateSettings {
    GateSettings {
        concurrency: Concurrency::Fixed,
        ..GateSettings::default()
    }
}

fn one_each() -> DeliverySettings {
    let mut settings = DeliverySettings::default();
    settings.batch.max_records = 1;
    settings
}

fn gate(settings: &GateSettings, sinks: &[&DeliverySettings]) -> Gate {
    Gate::new(settings, sinks.iter().copied(), Instant::now())
}

fn millis(millis: u64, outcome: Outcome) -> (Duration, Outcome) {
    (Duration::from_millis(millis), outcome)
}

fn seconds(seen: &[super::script::Seen]) -> Vec<u64> {
    seen.iter().map(|seen| seen.at.as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn sinks_of_an_endpoint_share_its_calls_by_turns() {
    let settings = one_each();
    let limits = GateSettings {
        max_calls: Some(2),
        ..fixed()
    };
    let gate = gate(&limits, &[&settings, &settings]);
    let start = || {
        start_at(&gate, settings.clone(), whole(), |_, _| {
            millis(1000, status(200))
        })
    };
    let (mut one, mut other) = (start(), start());

    one.send(["a", "b", "c", "d", "e", "f"]).await;
    sleep(Duration::from_millis(1)).await;
    other.send(["x", "y"]).await;
    let (one, other) = tokio::join!(one.finish(), other.finish());

    assert_eq!(seconds(&one.seen), [0, 0, 1, 2, 3, 3]);
    assert_eq!(seconds(&other.seen), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_calls_holds_over_all_sinks_and_attempts() {
    let settings = one_each();
    let limits = GateSettings {
        calls_per_second: NonZeroU64::new(4),
        ..fixed()
    };
    let gate = gate(&limits, &[&settings, &settings]);
    let start = || {
        start_at(&gate, settings.clone(), whole(), |_, before| {
            millis(1, status(if before == 0 { 500 } else { 200 }))
        })
    };
    let (mut one, mut other) = (start(), start());

    one.send(["a", "b", "c", "d", "e"]).await;
    other.send(["v", "w", "x", "y", "z"]).await;
    let started = Instant::now();
    let (one, other) = tokio::join!(one.finish(), other.finish());

    let calls = one.seen.len() + other.seen.len();
    assert_eq!(calls, 20);
    let took = started.elapsed().as_millis();
    assert!(
        (4_740..5_000).contains(&took),
        "{took} ms for 20 calls at 4 a second"
    );
    let halfway: Vec<_> = [&one, &other]
        .map(|sink| {
            sink.seen
                .iter()
                .filter(|seen| seen.at.as_secs() < 2)
                .count()
        })
        .into();
    assert_eq!(halfway, [4, 4], "by turns");
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_bytes_holds_on_average_whatever_the_size_of_a_body() {
    let mut settings = DeliverySettings::default();
    settings.batch.max_records = 2;
    let limits = GateSettings {
        bytes_per_second: NonZeroU64::new(100),
        ..fixed()
    };
    let gate = gate(&limits, &[&settings]);
    let large = "x".repeat(99);
    let mut sink = start_at(&gate, settings, whole(), |_, _| millis(1, status(200)));

    // A body of 199 bytes each, with the separator.
    sink.send([&*large; 8]).await;
    let finished = sink.finish().await;

    assert_eq!(seconds(&finished.seen), [0, 1, 3, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_endpoint_asks_of_one_sink_holds_for_the_other() {
    let settings = one_each();
    let gate = gate(&fixed(), &[&settings, &settings]);
    let asks = |body: &str, before: usize| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        match (body, before) {
            ("a", 0) => millis(1, answer(429, headers, "")),
            _ => millis(1, status(200)),
        }
    };
    let mut one = start_at(&gate, settings.clone(), single(), asks);
    let mut other = start_at(&gate, settings.clone(), single(), asks);

    one.send(["a"]).await;
    sleep(Duration::from_secs(1)).await;
    other.send(["x"]).await;
    let (one, other) = tokio::join!(one.finish(), other.finish());

    assert_eq!(seconds(&one.seen), [0, 7]);
    assert_eq!(seconds(&other.seen), [7]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_one_sink_sees_end_is_over_for_the_other() {
    let settings = one_each();
    let gate = gate(&fixed(), &[&settings, &settings]);
    let started = Instant::now();
    let start = || {
        start_at(&gate, settings.clone(), whole(), move |_, _| {
            let down = started.elapsed() < Duration::from_secs(600);
            millis(1, if down { refused() } else { status(200) })
        })
    };
    let (mut one, mut other) = (start(), start());

    one.send(["a", "b", "c", "d", "e", "f", "g", "h"]).await;
    other.send(["s", "t", "u", "v", "w", "x", "y", "z"]).await;
    let (one, other) = tokio::join!(one.finish(), other.finish());

    let took = started.elapsed().as_secs();
    assert!((600..=630).contains(&took), "{took}");
    assert_eq!((one.ends(), other.ends()), ((8, 0, 0), (8, 0, 0)));
    let probes = one.seen.len() + other.seen.len();
    // One probe for both every 30 s, and what it took to find out.
    assert!(probes < 16 + 16 + 32, "{probes} attempts");
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_one_of_the_calls_that_an_endpoint_takes() {
    let settings = one_each();
    let limits = GateSettings {
        max_calls: Some(1),
        ..fixed()
    };
    let gate = gate(&limits, &[&settings, &settings]);
    let started = Instant::now();
    let under_way = Arc::new(Mutex::new((0, 0)));
    // Each call takes longer than the pause between the first probes.
    let start = || {
        let under_way = Arc::clone(&under_way);
        start_at(&gate, settings.clone(), whole(), move |_, _| {
            let (now, most) = &mut *under_way.lock().expect("no panic");
            *now += 1;
            *most = (*most).max(*now);
            let under_way = Arc::clone(&under_way);
            tokio::spawn(async move {
                sleep(Duration::from_millis(2_999)).await;
                under_way.lock().expect("no panic").0 -= 1;
            });
            let down = started.elapsed() < Duration::from_secs(60);
            millis(3_000, status(if down { 503 } else { 200 }))
        })
    };
    let (mut one, mut other) = (start(), start());

    one.send(["a", "b"]).await;
    other.send(["x", "y"]).await;
    let (one, other) = tokio::join!(one.finish(), other.finish());

    assert_eq!(under_way.lock().expect("no panic").1, 1);
    assert_eq!((one.ends(), other.ends()), ((2, 0, 0), (2, 0, 0)));
}

/// Counts what is logged at `info` and above.
struct Lines(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() <= tracing::Level::INFO {
            self.0.fetch_add(1, Relaxed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_outage_costs_no_memory_few_lines_of_log_and_few_calls_and_loses_nothing() {
    let lines = Arc::new(AtomicUsize::new(0));
    let _log = log_to(tracing_subscriber::registry().with(Lines(Arc::clone(&lines))));
    let hour = Duration::from_secs(3600);
    let mut settings = DeliverySettings::default();
    settings.batch.max_records = 10;
    settings.buffer.max_records = 1000;
    let probe_interval = settings.retry.max_delay;
    let gate = gate(&GateSettings::default(), &[&settings]);
    let started = Instant::now();
    let mut sink = start_at(&gate, settings, whole(), move |_, _| {
        let down = started.elapsed() < hour;
        millis(5, if down { refused() } else { status(200) })
    });

    // A source that always has more: it is held back.
    let stats = Arc::clone(&sink.stats);
    let mut sent = 0;
    let feed = async {
        while started.elapsed() < hour {
            sink.send(["0123456789"; 100]).await;
            sent += 100;
        }
    };
    let watch = async {
        let (mut events, mut bytes) = (0, 0);
        while started.elapsed() < hour {
            sleep(Duration::from_secs(1)).await;
            events = events.max(stats.buffered.get());
            bytes = bytes.max(stats.buffered_bytes.get());
        }
        (events, bytes)
    };
    let ((), (most_events, most_bytes)) = tokio::join!(feed, watch);
    let left = wait_until_idle(&sink).await;

    assert!(
        left <= probe_interval + Duration::from_secs(1),
        "{left:?} after its return"
    );
    let finished = sink.finish().await;
    assert!(most_events <= 1000, "{most_events} events");
    assert!(most_bytes <= 1000 * 400, "{most_bytes} bytes");
    assert!(
        finished.seen.len() < 3600 / 30 + 60 + 1000,
        "{} attempts",
        finished.seen.len()
    );
    let during = finished.seen.iter().filter(|seen| seen.at < hour).count();
    assert!(
        during < 3600 / 30 + 60,
        "{during} attempts while it was down"
    );
    assert!(lines.load(Relaxed) < 10, "{} lines", lines.load(Relaxed));
    assert!(finished.ends() == (sent, 0, 0));
    assert_eq!(finished.ledger.unsettled(), 0);
}

/// How long it takes until everything that was sent is delivered.
async fn wait_until_idle(sink: &Running) -> Duration {
    let started = Instant::now();
    while sink.ledger.unsettled() > 0 {
        sleep(Duration::from_millis(100)).await;
    }
    started.elapsed()
}
