//! Order of calls and of results.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::script::{ScriptedPlugin, by_status, joined, requests, single, start, status, whole};
use crate::{
    batch::BatchBy,
    delivery::settings::{DeliverySettings, Order, ResultsOrder},
    event::Record,
    outcome::Outcome,
};

fn millis(millis: u64, outcome: Outcome) -> (Duration, Outcome) {
    (Duration::from_millis(millis), outcome)
}

/// A call a record; the result is the record's data.
fn echoing() -> ScriptedPlugin {
    ScriptedPlugin {
        handle: Some(Box::new(|call, outcome| {
            let echo = Record {
                key: None,
                attributes: Vec::new(),
                data: Bytes::clone(&call.events[0].data),
            };
            by_status(
                if matches!(outcome, Ok(response) if response.status == 200) {
                    vec![echo]
                } else {
                    Vec::new()
                },
            )
        })),
        ..single()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Under `order: key`, the last attempts of a key's events come in their order, whatever fails meanwhile.
    #[test]
    fn events_of_a_key_are_delivered_in_their_order(
        keys in prop::collection::vec(0_usize..4, 1..60),
        waits in prop::collection::vec(1_u64..400, 20),
        per_batch in 1_usize..10,
        by_key in any::<bool>(),
    ) {
        let records: Vec<String> =
            keys.iter().enumerate().map(|(n, key)| format!("k{key}:k{key} {n}")).collect();
        let mut settings = DeliverySettings { order: Order::Key, ..DeliverySettings::default() };
        settings.batch.max_records = per_batch;
        settings.batch.by = if by_key { BatchBy::Key } else { BatchBy::Any };
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");

        let finished = runtime.block_on(async {
            let mut sink = start(settings, single(), move |body, before| {
                let wait = waits[(body.len() * 31 + usize::from(body.as_bytes()[body.len() - 1]) + before) % waits.len()];
                millis(wait, status(if before == 0 && wait % 3 == 0 { 500 } else { 200 }))
            });
            sink.send(records.iter().map(String::as_str)).await;
            sink.finish().await
        });

        prop_assert_eq!(finished.ends(), (keys.len() as u64, 0, 0));
        for key in 0..4 {
            let prefix = format!("k{key} ");
            let mut order: Vec<usize> = finished.bodies().iter()
                .filter_map(|body| body.strip_prefix(&prefix)?.parse().ok()).collect();
            order.dedup();
            prop_assert!(order.is_sorted(), "{:?}", order);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_keys_go_on_while_one_fails() {
    let settings = DeliverySettings {
        order: Order::Key,
        ..DeliverySettings::default()
    };
    let mut sink = start(settings, single(), |body, before| {
        millis(
            5,
            status(if body == "a1" && before < 5 { 500 } else { 200 }),
        )
    });

    sink.send(["a:a1", "b:b1", "a:a2", "b:b2", "c:c1"]).await;
    let finished = sink.finish().await;

    let bodies = finished.bodies();
    let place = |body: &str| {
        bodies
            .iter()
            .rposition(|other| *other == body)
            .expect("it was sent")
    };
    assert!(
        place("b2") < place("a1") && place("c1") < place("a1") && place("a1") < place("a2"),
        "{bodies:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn strict_makes_one_call_at_a_time() {
    let mut settings = DeliverySettings {
        order: Order::Strict,
        ..DeliverySettings::default()
    };
    settings.batch.max_records = 2;
    let mut sink = start(settings, single(), |body, before| {
        millis(
            100,
            status(if body == "b" && before < 3 { 500 } else { 200 }),
        )
    });

    sink.send(["a", "b", "c", "d", "e"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.bodies(), ["a", "b", "b", "b", "b", "c", "d", "e"]);
    assert!(
        finished
            .seen
            .windows(2)
            .all(|pair| pair[1].at - pair[0].at >= Duration::from_millis(100))
    );
}

#[tokio::test(start_paused = true)]
async fn results_leave_in_the_order_asked_for() {
    let answers = |body: &str, before: usize| match (body, before) {
        ("a", 0) => millis(50, status(500)),
        ("a", _) => millis(400, status(200)),
        ("c", _) => millis(5, status(400)),
        _ => millis(20, status(200)),
    };
    for (order, expected) in [
        (ResultsOrder::Arrival, ["b", "d", "a"]),
        (ResultsOrder::Ingress, ["a", "b", "d"]),
    ] {
        let settings = DeliverySettings {
            results_order: order,
            ..DeliverySettings::default()
        };
        let mut sink = start(settings, echoing(), answers);

        sink.send(["a", "b", "c", "d"]).await;
        let finished = sink.finish().await;

        assert_eq!(finished.results, expected);
        assert_eq!(finished.ends(), (3, 0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn results_in_order_do_not_block_the_event_they_wait_for() {
    let mut settings = DeliverySettings {
        results_order: ResultsOrder::Ingress,
        ..DeliverySettings::default()
    };
    settings.in_flight.max_calls = 2;
    settings.batch.max_records = 3;
    let mut sink = start(settings, echoing(), |body, before| {
        millis(
            10,
            status(if body == "0" && before < 4 { 500 } else { 200 }),
        )
    });
    let records: Vec<String> = (0..30).map(|n| n.to_string()).collect();

    sink.send(records.iter().map(String::as_str)).await;
    let finished = sink.finish().await;

    assert_eq!(finished.results, records);
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_bounded() {
    let mut settings = DeliverySettings::default();
    settings.in_flight.max_calls = 3;
    settings.batch.max_records = 1;
    let mut sink = start(settings, whole(), |_, _| millis(1000, status(200)));

    sink.send(["a", "b", "c", "d", "e", "f", "g"]).await;
    let finished = sink.finish().await;

    let seconds: Vec<u64> = finished.seen.iter().map(|seen| seen.at.as_secs()).collect();
    assert_eq!(seconds, [0, 0, 0, 1, 1, 1, 2]);
}

/// Found by the simulation: full keys leave first, and their results then wait for an event that no call carries yet.
#[tokio::test(start_paused = true)]
async fn results_in_order_do_not_block_the_batches_of_other_keys() {
    for order in [Order::None, Order::Strict] {
        let mut settings = DeliverySettings {
            order,
            results_order: ResultsOrder::Ingress,
            ..DeliverySettings::default()
        };
        settings.in_flight.max_calls = 1;
        settings.batch.max_records = 2;
        settings.batch.by = BatchBy::Key;
        let mut sink = start(settings, echoing(), |_, _| millis(10, status(200)));

        sink.send(["a:0", "b:1", "b:2", "c:3", "c:4"]).await;
        let finished = sink.finish().await;

        assert_eq!(finished.results, ["0", "1", "2", "3", "4"], "{order:?}");
        assert_eq!(finished.ends(), (5, 0, 0));
    }
}

/// Found by the model of `Ready`: the call that waits for an earlier one of its key may wait behind it in the queue.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_two_others_does_not_keep_them() {
    let settings = DeliverySettings {
        order: Order::Key,
        ..DeliverySettings::default()
    };
    let plugin = ScriptedPlugin {
        shape: Box::new(|_| Ok(requests(vec![joined([0]), joined([2]), joined([1, 3])]))),
        handle: None,
    };
    let mut sink = start(settings, plugin, |_, _| millis(10, status(200)));

    sink.send(["a:a0", "b:b1", "a:a2", "a:a3"]).await;
    let finished = sink.finish().await;

    assert_eq!(finished.bodies(), ["a0", "a2", "b1,a3"]);
}
