//! When calls are tried again, with what, and when not.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
use tokio::time::Instant;

use super::script::{ScriptedPlugin, answer, refused, single, start, start_over, status, whole};
use crate::{
    delivery::{
        SinkEnd,
        gate::{Gate, settings::GateSettings},
        settings::{Backoff, DeliverySettings, OnGivenUp, OnOutage},
    },
    http::{Request, Transport},
    outcome::Outcome,
    plugin::{EventVerdict, Handled, PluginVerdict},
};

fn now(outcome: Outcome) -> (Duration, Outcome) {
    (Duration::from_millis(5), outcome)
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_the_same_request_and_goes_ahead_of_new_ones() {
    let mut settings = DeliverySettings::default();
    settings.batch.max_records = 2;
    settings.in_flight.max_calls = 1;
    settings.retry.backoff = Backoff::Fixed {
        delay: Duration::ZERO,
    };
    let mut sink = start(settings, whole(), |body, before| match (body, before) {
        ("a,b", 0) => now(status(500)),
        _ => now(status(200)),
    });

    sink.send(["a", "b", "c", "d", "e", "f"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.bodies(), ["a,b", "a,b", "c,d", "e,f"]);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_and_the_last_response_is_kept() {
    let mut settings = DeliverySettings::default();
    settings.retry.max_attempts = Some(3);
    let mut sink = start(settings, single(), |_, _| {
        now(answer(500, HeaderMap::new(), "out of order"))
    });

    sink.send(["a"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.dead(), [("attempts-exhausted", "a")]);
    let letter = &finished.letters[0];
    assert_eq!(
        (&letter["attempts"], &letter["last-status"]),
        (&3.into(), &500.into())
    );
    assert_eq!(letter["last-response"], "out of order");
    assert_eq!(finished.stats.retried.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_total_time_ends_it_too() {
    let mut settings = DeliverySettings::default();
    settings.retry.backoff = Backoff::Fixed {
        delay: Duration::from_secs(20),
    };
    settings.timeout.total = Duration::from_secs(50);
    let mut sink = start(settings, single(), |_, _| now(status(500)));

    sink.send(["a"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.dead(), [("timed-out", "a")]);
    assert_eq!(finished.letters[0]["attempts"], 4);
}

#[tokio::test(start_paused = true)]
async fn each_sends_again_only_the_events_that_are_named() {
    let plugin = ScriptedPlugin {
        handle: Some(Box::new(|call, _| {
            let verdict =
                |event: &std::sync::Arc<crate::event::Event>| match (&*event.data, call.attempt) {
                    (b"again", 1) => EventVerdict::Retry,
                    (b"never", _) => EventVerdict::Reject("no such item".to_owned()),
                    _ => EventVerdict::Delivered,
                };
            let each = call.events.iter().map(verdict).collect();
            Ok(Handled {
                verdict: PluginVerdict::Each(each),
                results: Vec::new(),
            })
        })),
        ..whole()
    };
    let mut sink = start(DeliverySettings::default(), plugin, |_, _| now(status(200)));

    sink.send(["a", "again", "never", "b", "again"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.bodies(), ["a,again,never,b,again", "again,again"]);
    assert_eq!(finished.ends(), (4, 0, 1));
    assert_eq!(finished.dead(), [("rejected-by-verdict", "never")]);
    assert_eq!(finished.letters[0]["message"], "no such item");
}

#[tokio::test(start_paused = true)]
async fn retry_after_pauses_the_endpoint_and_not_only_the_call() {
    let mut settings = DeliverySettings::default();
    settings.in_flight.max_calls = 1;
    let mut sink = start(settings, single(), |body, before| match (body, before) {
        ("a", 0) => {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("20"))]);
            now(answer(429, headers, ""))
        }
        _ => now(status(200)),
    });

    sink.send(["a", "b"]).await;
    let finished = sink.finish().await;

    assert!(
        finished.seen[1..]
            .iter()
            .all(|seen| seen.at >= Duration::from_secs(20)),
        "{:?}",
        finished.seen
    );
    assert_eq!(finished.ends(), (2, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_capped() {
    let mut sink = start(
        DeliverySettings::default(),
        single(),
        |_, before| match before {
            0 => {
                let headers = HeaderMap::from_iter([(
                    RETRY_AFTER,
                    HeaderValue::from_static("99999999999999999999"),
                )]);
                now(answer(503, headers, ""))
            }
            _ => now(status(200)),
        },
    );

    sink.send(["a"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.seen[1].at.as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_413_halves_the_batch_until_it_fits() {
    let mut sink = start(DeliverySettings::default(), whole(), |body, _| {
        now(status(if body.contains("huge") || body.len() > 7 {
            413
        } else {
            200
        }))
    });

    sink.send(["aa", "bb", "cc", "dd", "huge"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.ends(), (4, 0, 1));
    assert_eq!(finished.dead(), [("status", "huge")]);
}

#[tokio::test(start_paused = true)]
async fn a_record_larger_than_a_batch_is_dead_lettered_with_its_size() {
    let mut settings = DeliverySettings::default();
    settings.batch.max_bytes = 5;
    let mut sink = start(settings, whole(), |_, _| now(status(200)));

    sink.send(["aa", "too large", "bb"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.dead(), [("too-large", "too large")]);
    let message = "the record has 9 bytes, more than `batch.max-bytes` (5) allows";
    assert_eq!(finished.letters[0]["message"], message);
    assert_eq!(finished.ends(), (2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_while_others_succeed_is_counted_even_if_it_looks_like_an_outage() {
    let mut settings = DeliverySettings::default();
    settings.batch.max_wait = Duration::from_millis(10);
    let mut sink = start(settings, single(), |body, _| {
        now(if body == "bad" {
            refused()
        } else {
            status(200)
        })
    });

    sink.send(["bad"]).await;
    for _ in 0..300 {
        sink.send(["ok"]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let finished = sink.finish().await;

    assert_eq!(finished.dead(), [("attempts-exhausted", "bad")]);
    assert_eq!(finished.ends(), (300, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn on_outage_dead_letter_counts_always() {
    let settings = DeliverySettings {
        on_outage: OnOutage::DeadLetter,
        ..DeliverySettings::default()
    };
    let mut sink = start(settings, single(), |_, _| now(refused()));

    sink.send(["a", "b"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.ends(), (0, 0, 2));
    assert_eq!(finished.seen.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_an_event_whose_attempts_are_over_is_said_by_on_exhausted() {
    let run = async |on_exhausted| {
        let mut settings = DeliverySettings::default();
        settings.retry.max_attempts = Some(2);
        settings.retry.on_exhausted = on_exhausted;
        let mut sink = start(settings, single(), |body, _| {
            now(status(if body == "a" { 500 } else { 200 }))
        });
        sink.send(["a", "b"]).await;
        sink.finish().await
    };

    let [dead, dropped, halted] = [
        run(OnGivenUp::DeadLetter).await,
        run(OnGivenUp::Drop).await,
        run(OnGivenUp::Halt).await,
    ];

    assert_eq!(dead.ends(), (1, 0, 1));
    assert_eq!(dropped.ends(), (1, 1, 0));
    assert_eq!(halted.ends(), (1, 0, 0));
    assert!(matches!(halted.end, SinkEnd::Halted(why) if why.contains("2 attempts failed")));
    assert_eq!(halted.ledger.unsettled(), 1);
}

/// Notes the key and the number of each attempt, by body.
#[derive(Clone, Default)]
struct Headers(Arc<Mutex<Vec<(String, String, String)>>>);

impl Transport for Headers {
    async fn send(&self, request: Request) -> Outcome {
        let body = String::from_utf8_lossy(&request.body.unwrap_or_default()).into_owned();
        let header = |name| {
            let value: Option<&HeaderValue> = request.headers.get(name);
            let value = value.and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let seen = (body, header("idempotency-key"), header("x-attempt"));
        let mut all = self.0.lock().expect("no panic");
        let before = all.iter().filter(|(body, ..)| *body == seen.0).count();
        let part = seen.0 == "a,b";
        all.push(seen);
        match (part, before) {
            (true, 1) => status(413),
            (_, 0) => status(503),
            _ => status(200),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_has_one_key_over_its_attempts_and_another_for_other_events() {
    let mut settings = DeliverySettings::default();
    settings.retry.backoff = Backoff::Fixed {
        delay: Duration::from_millis(10),
    };
    let gate = Gate::new(&GateSettings::default(), [&settings], Instant::now());
    let run = async || {
        let seen = Headers::default();
        let mut sink = start_over(&gate, settings.clone(), whole(), seen.clone());
        sink.send(["a", "b"]).await;
        sink.finish().await;
        let seen = seen.0.lock().expect("no panic");
        seen.clone()
    };

    let (seen, again) = (run().await, run().await);

    let attempts: Vec<_> = seen
        .iter()
        .map(|(body, _, number)| format!("{body} {number}"))
        .collect();
    assert_eq!(attempts, ["a,b 1", "a,b 2", "a 3", "b 3", "a 4", "b 4"]);
    let key = |index: usize| &*seen[index].1;
    assert_eq!(key(0), key(1));
    assert_eq!((key(2), key(3)), (key(4), key(5)));
    let keys: std::collections::BTreeSet<_> = (0..6).map(key).collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert_eq!(again[0].1, key(0), "the same events, in another run");
}
