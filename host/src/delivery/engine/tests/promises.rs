//! The promises that the engine keeps.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::script::{
    ScriptedPlugin, by_status, joined, positions, refused, requests, single, start, status, whole,
};
use crate::{
    delivery::{
        SinkEnd,
        settings::{DeliverySettings, OnGivenUp, StatusAction},
    },
    event::{Position, Record},
    outcome::Outcome,
    plugin::{Handled, PluginError, PluginVerdict},
};

fn settings() -> DeliverySettings {
    DeliverySettings::default()
}

fn now(outcome: Outcome) -> (Duration, Outcome) {
    (Duration::from_millis(5), outcome)
}

/// Runs simulations under a paused clock.
fn simulate<R>(future: impl Future<Output = R>) -> R {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Promises 1 and 2: whatever the endpoint answers, every event has one end, and progress comes to the last.
    #[test]
    fn promise_1_nothing_is_lost_and_promise_2_every_event_has_exactly_one_end(
        rolls in prop::collection::vec(0_usize..10, 50),
        count in 1_usize..60,
        per_batch in 1_usize..9,
        by_batch in any::<bool>(),
    ) {
        let finished = simulate(async move {
            let mut settings = settings();
            settings.batch.max_records = per_batch;
            settings.in_flight.max_calls = 4;
            let plugin = if by_batch { whole() } else { single() };
            let mut sink = start(settings, plugin, move |body, before| {
                let roll = rolls[(body.len() * 7 + before * 13 + usize::from(body.as_bytes()[0])) % rolls.len()];
                now(match roll {
                    0 => status(503), 1 => status(500), 2 => status(429), 3 => refused(),
                    4 => status(400), 5 => status(413), _ => status(200),
                })
            });
            let records: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            sink.send(records.iter().map(String::as_str)).await;
            sink.finish().await
        });

        let (delivered, dropped, dead) = finished.ends();
        prop_assert_eq!(finished.end, SinkEnd::Done);
        prop_assert_eq!(delivered + dropped + dead, count as u64);
        prop_assert_eq!(finished.letters.len() as u64, dead);
        prop_assert_eq!(finished.ledger.unsettled(), 0);
        prop_assert_eq!(positions(&finished.ledger), vec![Position::Count(count as u64)]);
        prop_assert_eq!(finished.stats.buffered_bytes.get(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn promise_1_progress_waits_for_a_call_in_flight_and_for_the_dead_letter() {
    let mut sink = start(settings(), single(), |body, _| match body {
        "slow" => (Duration::from_secs(8), status(200)),
        "bad" => now(status(401)),
        _ => now(status(200)),
    });
    sink.send(["ok", "slow", "bad", "ok2"]).await;
    sink.feeder = None;

    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = positions(&sink.ledger);
    let finished = sink.finish().await;

    assert_eq!(before, [Position::Count(1)]);
    assert_eq!(positions(&finished.ledger), [Position::Count(4)]);
    assert_eq!(
        finished.dead(),
        [("status", "bad")],
        "a 401 is never acknowledged silently"
    );
}

#[tokio::test(start_paused = true)]
async fn promise_2_a_late_response_after_a_timeout_is_ignored() {
    let mut settings = settings();
    settings.timeout.attempt = Duration::from_secs(1);
    // The first attempt would be answered with 400 after the timeout; the second is answered in time.
    let mut sink = start(settings, single(), |_, before| match before {
        0 => (Duration::from_millis(1500), status(400)),
        _ => (Duration::from_millis(900), status(200)),
    });

    sink.send(["a"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.ends(), (1, 0, 0));
    assert_eq!(finished.bodies(), ["a", "a"]);
    assert_eq!(finished.stats.unanswered.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn promise_2_an_index_left_out_repeated_or_invented_refuses_the_whole_answer() {
    let faults: [fn(u32) -> Vec<u32>; 3] = [
        |len| (1..len).collect(),
        |len| (0..len).chain([0]).collect(),
        |len| (0..=len).collect(),
    ];
    for fault in faults {
        let plugin = ScriptedPlugin {
            // It counts wrongly on batches of more than one, and on the record `x`.
            shape: Box::new(move |events| {
                let len = events.len() as u32;
                let wrong = len > 1 || *events[0].data == *b"x";
                Ok(requests(vec![joined(if wrong {
                    fault(len)
                } else {
                    vec![0]
                })]))
            }),
            handle: None,
        };
        let mut sink = start(settings(), plugin, |_, _| now(status(200)));

        sink.send(["a", "x", "b"]).await;
        let finished = sink.finish().await;

        let mut bodies = finished.bodies();
        bodies.sort_unstable();
        assert_eq!(bodies, ["a", "b"], "nothing of a refused answer is sent");
        assert_eq!(finished.dead(), [("contract-violation", "x")]);
    }
}

#[tokio::test(start_paused = true)]
async fn promise_3_memory_is_bounded_while_the_endpoint_is_down_for_a_minute() {
    let mut settings = settings();
    settings.buffer.max_records = 1000;
    settings.batch.max_records = 100;
    // A single failure that counts would dead-letter.
    settings.retry.max_attempts = Some(1);
    let started = tokio::time::Instant::now();
    let mut sink = start(settings, whole(), move |_, _| {
        let down = started.elapsed() < Duration::from_secs(60);
        now(if down { refused() } else { status(200) })
    });

    let chunk = vec!["record"; 50];
    let mut most = 0;
    for _ in 0..200 {
        sink.send(chunk.iter().copied()).await;
        most = most.max(sink.stats.buffered.get());
    }
    let calls_when_up = sink
        .seen()
        .iter()
        .filter(|seen| seen.at < Duration::from_secs(60))
        .count();
    let finished = sink.finish().await;

    assert!(most <= 1000, "{most} events were held");
    assert_eq!(
        finished.ends(),
        (10_000, 0, 0),
        "an outage fills no dead letters"
    );
    assert!(
        calls_when_up < 60,
        "{calls_when_up} calls went to a dead endpoint in a minute"
    );
    let last = finished.seen.last().expect("there were calls").at;
    assert!(
        last < Duration::from_secs(95),
        "it took until {last:?} after the endpoint was back"
    );
}

#[tokio::test(start_paused = true)]
async fn promise_5_the_record_at_fault_is_dead_lettered_and_its_neighbours_are_delivered() {
    let plugin = || ScriptedPlugin {
        shape: Box::new(
            |events| match events.iter().any(|event| *event.data == *b"poison") {
                true => Err(PluginError::Trapped("unreachable".to_owned())),
                false => Ok(requests(vec![joined(0..events.len() as u32)])),
            },
        ),
        handle: None,
    };
    for place in 0..8 {
        let mut records = ["ok"; 8];
        records[place] = "poison";
        let mut sink = start(settings(), plugin(), |_, _| now(status(200)));

        sink.send(records).await;
        let finished = sink.finish().await;

        assert_eq!(finished.ends(), (7, 0, 1), "poison at {place}");
        assert_eq!(finished.dead(), [("plugin-failed", "poison")]);
    }
}

#[tokio::test(start_paused = true)]
async fn promise_5_a_handler_that_fails_on_one_response_does_not_stop_the_others() {
    let plugin = ScriptedPlugin {
        handle: Some(Box::new(|call, _| {
            match call.events.iter().any(|event| *event.data == *b"poison") {
                true => Err(PluginError::Trapped("unreachable".to_owned())),
                false => by_status(Vec::new()),
            }
        })),
        ..whole()
    };
    let mut sink = start(settings(), plugin, |_, _| now(status(200)));

    sink.send(["a", "b", "poison", "c"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.ends(), (3, 0, 1));
    assert_eq!(finished.dead(), [("plugin-failed", "poison")]);
    assert_eq!(
        finished.letters[0]["attempts"], 12,
        "two halvings, then ten attempts on its own"
    );
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_lies_about_a_failure_delivers_nothing() {
    let result = Record {
        key: None,
        attributes: Vec::new(),
        data: Bytes::from_static(b"a lie"),
    };
    let plugin = ScriptedPlugin {
        handle: Some(Box::new(move |_, _| {
            Ok(Handled {
                verdict: PluginVerdict::Delivered,
                results: vec![result.clone()],
            })
        })),
        ..single()
    };
    let mut settings = settings();
    settings.retry.max_attempts = Some(2);
    let mut sink = start(settings, plugin, |_, _| now(refused()));

    sink.send(["a"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.ends(), (0, 0, 1));
    assert!(finished.results.is_empty(), "nothing that it said is used");
}

#[tokio::test(start_paused = true)]
async fn a_halt_settles_nothing() {
    let mut by_code = settings();
    by_code.status.codes.insert(401, StatusAction::Halt);
    let mut by_plugin = settings();
    by_plugin.on_plugin_error = OnGivenUp::Halt;
    let refuses = ScriptedPlugin {
        shape: Box::new(|_| Err(PluginError::Refused("no".to_owned()))),
        handle: None,
    };

    for (settings, plugin) in [(by_code, single()), (by_plugin, refuses)] {
        let mut sink = start(settings, plugin, |_, _| now(status(401)));
        sink.send(["a"]).await;
        let finished = sink.finish().await;

        assert!(matches!(finished.end, SinkEnd::Halted(_)));
        assert_eq!(finished.ends(), (0, 0, 0));
        assert_eq!(finished.ledger.unsettled(), 1);
    }
}
