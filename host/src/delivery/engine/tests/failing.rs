//! Plugins that fail on everything, and plugins that fail on much.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use nozzle_testkit::log_to;
use tokio::time::Instant;
use tracing::Subscriber;
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

use super::script::{ScriptedPlugin, by_status, joined, requests, start, start_to, status, whole};
use crate::{
    delivery::{
        DEFAULT, SinkEnd,
        gate::{Gate, settings::GateSettings},
        settings::{DeliverySettings, OnGivenUp, Order},
    },
    event::Event,
    http::{Request, Transport},
    metrics::SinkStats,
    outcome::Outcome,
    plugin::{Generation, PluginError, Shaped, Slot},
};

fn settings(per_batch: usize) -> DeliverySettings {
    let mut settings = DeliverySettings::default();
    settings.batch.max_records = per_batch;
    settings.batch.max_wait = Duration::from_millis(10);
    settings
}

fn trap() -> PluginError {
    PluginError::Trapped("unreachable".to_owned())
}

fn all(events: &[Arc<Event>]) -> Result<Shaped, PluginError> {
    Ok(requests(vec![joined(0..events.len() as u32)]))
}

/// Traps on all batches that `fails` says it fails on; counts the calls.
fn shaper(
    calls: &Arc<AtomicUsize>,
    fails: impl Fn(&[Arc<Event>]) -> bool + Send + Sync + 'static,
) -> ScriptedPlugin {
    let calls = Arc::clone(calls);
    let shape = move |events: &[Arc<Event>]| {
        calls.fetch_add(1, Relaxed);
        if fails(events) {
            Err(trap())
        } else {
            all(events)
        }
    };
    ScriptedPlugin {
        shape: Box::new(shape),
        handle: None,
    }
}

fn records(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("r{n}")).collect()
}

fn ok(_: &str, _: usize) -> (Duration, Outcome) {
    (Duration::from_millis(5), status(200))
}

fn after(started: Instant, seconds: u64) -> bool {
    started.elapsed() >= Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_fails_on_everything_is_waited_for_and_fills_no_dead_letters() {
    for order in [Order::None, Order::Key, Order::Strict] {
        let (started, calls) = (Instant::now(), Arc::default());
        let plugin = shaper(&calls, move |_| !after(started, 100));
        let mut settings = settings(100);
        settings.order = order;
        let mut sink = start(settings, plugin, ok);
        let records = records(1000);

        sink.send(records.iter().map(String::as_str)).await;
        tokio::time::sleep(Duration::from_secs(90)).await;
        let (tries, failing) = (calls.load(Relaxed), sink.stats.plugin_failing.get());
        let (unsettled, letters) = (sink.ledger.unsettled(), sink.stats.dead_lettered.get());
        let stats = Arc::clone(&sink.stats);
        let finished = sink.finish().await;

        assert_eq!(failing, 1, "{order:?}");
        assert!(
            tries < 60,
            "{order:?}: {tries} calls of a plugin that fails"
        );
        assert_eq!((letters, unsettled), (4, 996), "{order:?}: nothing is lost");
        assert_eq!(finished.ends(), (996, 0, 4), "{order:?}");
        assert_eq!(finished.end, SinkEnd::Done);
        assert_eq!(stats.plugin_failing.get(), 0);
    }
}

/// What the gauge says while the sink logs.
struct Gauge {
    stats: Arc<SinkStats>,
    said: Arc<Mutex<Vec<u64>>>,
}

impl<S: Subscriber> Layer<S> for Gauge {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() <= tracing::Level::INFO {
            let mut said = self.said.lock().expect("no panic");
            said.push(self.stats.plugin_failing.get());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_reads_in_the_log_that_a_plugin_fails_finds_it_in_the_gauge() {
    let (started, said) = (Instant::now(), Arc::default());
    let plugin = shaper(&Arc::default(), move |_| !after(started, 100));
    let mut sink = start(settings(100), plugin, ok);
    let gauge = Gauge {
        stats: Arc::clone(&sink.stats),
        said: Arc::clone(&said),
    };
    let _log = log_to(tracing_subscriber::registry().with(gauge));

    sink.send(["a"; 100]).await;
    sink.finish().await;

    // The last of the four events that the plugin fails on, that it fails on everything, and that it works again.
    let said = said.lock().expect("no panic");
    assert_eq!(said.last_chunk(), Some(&[0, 1, 0]), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_on_everything_is_waited_for_and_not_every_event_is_sent_again() {
    let started = Instant::now();
    let plugin = ScriptedPlugin {
        handle: Some(Box::new(move |_, _| {
            if after(started, 100) {
                by_status(Vec::new())
            } else {
                Err(trap())
            }
        })),
        ..whole()
    };
    let mut settings = settings(10);
    settings.retry.max_attempts = Some(2);
    let mut sink = start(settings, plugin, ok);
    let records = records(1000);

    sink.send(records.iter().map(String::as_str)).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    let (calls, failing) = (sink.stats.calls.get(), sink.stats.plugin_failing.get());
    let finished = sink.finish().await;

    assert_eq!(failing, 1);
    assert!(calls < 70, "{calls} calls, and no outcome could be judged");
    assert_eq!(finished.ends(), (1000, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn many_bad_events_in_a_row_are_dead_lettered_and_all_others_delivered() {
    let bad = |event: &Event| event.data.starts_with(b"bad");
    for (before, run, behind) in [(0, 100, 300), (250, 57, 0), (3, 500, 500)] {
        let (started, calls) = (Instant::now(), Arc::default());
        let plugin = shaper(&calls, move |events| events.iter().any(|event| bad(event)));
        let mut sink = start(settings(100), plugin, ok);
        let good = |count| (0..count).map(|n| format!("good{n}"));
        let records: Vec<String> = good(before)
            .chain((0..run).map(|n| format!("bad{n}")))
            .chain(good(behind))
            .collect();

        sink.send(records.iter().map(String::as_str)).await;
        let finished = sink.finish().await;

        let good = (before + behind) as u64;
        assert_eq!(
            finished.ends(),
            (good, 0, run as u64),
            "{before}, {run}, {behind}"
        );
        let letters = finished.dead();
        assert!(letters.iter().all(|(_, data)| data.starts_with("bad")));
        // Nobody can tell five bad batches from a plugin that is broken but by trying others.
        assert!(!after(started, 120), "it took {:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_events_that_all_fail_have_their_end_though_nothing_shows_that_the_plugin_works() {
    let calls = Arc::default();
    let mut sink = start(settings(100), shaper(&calls, |_| true), ok);

    sink.send(["a", "b", "c", "d"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.ends(), (0, 0, 4));
    assert_eq!(finished.stats.plugin_failing.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_fails_on_everything_drops_no_stream_either() {
    let (started, calls) = (Instant::now(), Arc::default());
    let mut settings = settings(100);
    settings.on_plugin_error = OnGivenUp::Drop;
    let plugin = shaper(&calls, move |_| !after(started, 20));
    let mut sink = start(settings, plugin, ok);
    let records = records(500);

    sink.send(records.iter().map(String::as_str)).await;
    let finished = sink.finish().await;

    assert_eq!(finished.ends(), (496, 4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_plugin_without_an_instance_costs_no_event() {
    let started = Instant::now();
    let plugin = ScriptedPlugin {
        shape: Box::new(move |events| match after(started, 60) {
            false => Err(PluginError::Instance("`configure` refused".to_owned())),
            true => all(events),
        }),
        handle: None,
    };
    let mut sink = start(settings(100), plugin, ok);
    let records = records(300);

    sink.send(records.iter().map(String::as_str)).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let failing = sink.stats.plugin_failing.get();
    let finished = sink.finish().await;

    assert_eq!(failing, 1);
    assert_eq!(finished.ends(), (300, 0, 0));
    assert!(finished.stats.plugin_failures.get() < 12);
    assert!(!after(started, 95), "it took {:?}", started.elapsed());
}

/// Answers at once, and always.
struct Fine;

impl Transport for Fine {
    async fn send(&self, _: Request) -> Outcome {
        status(200)
    }
}

#[tokio::test(start_paused = true)]
async fn another_plugin_is_taken_at_once() {
    let slot = Slot::new(shaper(&Arc::default(), |_| true));
    let settings = settings(100);
    let gate = Gate::new(&GateSettings::default(), [&settings], Instant::now());
    let mut sink = start_to([(DEFAULT, gate, Fine)], settings, Arc::clone(&slot));
    let records = records(500);
    sink.send(records.iter().map(String::as_str)).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(sink.stats.plugin_failing.get(), 1);

    let swapped_at = Instant::now();
    slot.serve(Arc::new(Generation {
        number: 2,
        plugin: whole(),
        tally: Default::default(),
    }));
    let finished = sink.finish().await;

    assert_eq!(finished.ends(), (496, 0, 4));
    assert!(swapped_at.elapsed() < Duration::from_secs(1));
}
