//! A sink that hands over to its next incarnation.

use std::time::Duration;

use tokio::time::sleep;

use super::script::{single, start, status, whole};
use crate::{
    delivery::{
        SinkEnd,
        settings::{DeliverySettings, Order, ResultsOrder},
    },
    outcome::Outcome,
};

/// Events of four keys.
fn names() -> Vec<String> {
    let name = |number: u8| format!("{}:{}", number % 4, char::from(b'a' + number));
    (0..24).map(name).collect()
}

fn settings(order: Order, results: ResultsOrder) -> DeliverySettings {
    let mut settings = DeliverySettings::default();
    settings.batch.max_records = 3;
    settings.batch.max_wait = Duration::from_millis(500);
    settings.in_flight.max_calls = 4;
    settings.order = order;
    settings.results_order = results;
    settings
}

/// Each call takes a second, and every other one fails at first.
fn answers(body: &str, before: usize) -> (Duration, Outcome) {
    let first = body.bytes().next().unwrap_or_default();
    let failed = usize::from(first % 2) * 3;
    (
        Duration::from_secs(1),
        status(if before < failed { 500 } else { 200 }),
    )
}

#[tokio::test(start_paused = true)]
async fn whenever_it_hands_over_all_that_is_not_settled_is_handed_over_in_order() {
    let orders = [Order::None, Order::Key, Order::Strict];
    let results = [ResultsOrder::Arrival, ResultsOrder::Ingress];
    let (names, mut in_part) = (names(), 0);
    for (order, results) in orders
        .iter()
        .flat_map(|order| results.map(|it| (*order, it)))
    {
        for tenths in 0..60 {
            let plugin = if tenths % 2 == 0 { whole() } else { single() };
            let mut sink = start(settings(order, results), plugin, answers);
            sink.send(names.iter().map(String::as_str)).await;
            sleep(Duration::from_millis(100 * tenths + 1)).await;

            sink.control.hand_over();
            let (finished, rest) = sink.left().await;

            let case = format!("{order:?}, {results:?}, {tenths}");
            assert_eq!(finished.end, SinkEnd::Done, "{case}");
            let rest = rest.unwrap_or_else(|| panic!("{case}: nothing was handed over"));
            let ordinals: Vec<u64> = rest.arrivals.iter().map(|it| it.ticket.ordinal).collect();
            assert!(ordinals.is_sorted(), "{case}: {ordinals:?}");
            let unsettled = finished.ledger.unsettled();
            assert_eq!(ordinals.len(), unsettled, "{case}");
            let (read, delivered) = (finished.stats.read.get(), finished.stats.delivered.get());
            assert_eq!(read, delivered + rest.counted as u64, "{case}");
            assert_eq!(delivered + unsettled as u64, 24, "{case}");
            in_part += usize::from(delivered > 0 && unsettled > 0);
        }
    }
    assert!(in_part > 100, "{in_part} in the middle");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_leaves_delivers_what_it_has_and_takes_in_no_more() {
    let mut sink = start(
        settings(Order::None, ResultsOrder::Arrival),
        whole(),
        answers,
    );
    sink.send(["a", "b"]).await;
    sleep(Duration::from_millis(1)).await;

    sink.control.leave();
    sleep(Duration::from_millis(1)).await;
    sink.send(["c"]).await;
    let (finished, rest) = sink.left().await;

    let mut rest = rest.expect("it has handed over");
    assert_eq!(finished.stats.delivered.get(), 2);
    assert!(rest.arrivals.is_empty());
    let chunk = rest
        .intake
        .take_now()
        .expect("what came later is in its queue");
    assert_eq!((chunk.len(), chunk[0].ticket.ordinal), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn an_egress_that_takes_nothing_keeps_no_sink_from_handing_over() {
    let mut sink = start(
        settings(Order::None, ResultsOrder::Arrival),
        whole(),
        |_, _| (Duration::from_secs(1), status(400)),
    );
    sink.stop_letters();
    sink.send(["a", "b", "c", "d"]).await;
    sleep(Duration::from_secs(60)).await;

    sink.control.hand_over();
    sleep(Duration::from_secs(60)).await;
    let waits = !sink.has_ended();
    sink.control.cut_off();
    let (finished, rest) = sink.left().await;

    assert!(waits, "its letters may be written yet");
    assert_eq!(rest.map(|rest| rest.arrivals.len()), Some(4));
    assert_eq!(finished.ledger.unsettled(), 4);
}
