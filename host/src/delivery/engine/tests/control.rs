//! A sink that is told to pause, to drain and to go on.

use std::time::Duration;

use tokio::time::sleep;

use super::script::{positions, single, start, status, whole};
use crate::{
    delivery::{
        SinkEnd,
        control::{Control, Ended, Mode},
        settings::DeliverySettings,
    },
    event::Position,
    outcome::Outcome,
};

fn one_each() -> DeliverySettings {
    let mut settings = DeliverySettings::default();
    settings.batch.max_records = 1;
    settings
}

fn after(seconds: u64, with: u16) -> (Duration, Outcome) {
    (Duration::from_secs(seconds), status(with))
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn behind_a_pause_no_call_begins_and_those_in_flight_end() {
    let mut settings = one_each();
    settings.in_flight.max_calls = 2;
    let mut sink = start(settings, single(), |_, _| after(5, 200));
    sink.send(["a", "b", "c"]).await;
    sleep(Duration::from_secs(1)).await;

    let before = sink.control.set(Mode::Pause).await;
    let in_flight = sink.stats.in_flight.get();
    sink.send(["d"]).await;
    sleep(HOUR).await;
    let (seen, delivered) = (sink.seen().len(), sink.stats.delivered.get());
    let (paused, held) = (sink.stats.paused.get(), sink.stats.buffered.get());
    let again = sink.control.set(Mode::Run).await;
    let finished = sink.finish().await;

    assert_eq!((before, again), (Ok(Mode::Run), Ok(Mode::Pause)));
    assert_eq!((in_flight, seen, delivered), (2, 2, 2));
    assert_eq!((paused, held), (1, 2));
    let bodies: Vec<&str> = finished.seen.iter().map(|seen| &*seen.body).collect();
    assert_eq!(bodies, ["a", "b", "c", "d"]);
    assert_eq!(finished.end, SinkEnd::Done);
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_not_held_against_an_event_that_is_tried_again() {
    let mut settings = one_each();
    settings.timeout.total = Duration::from_secs(60);
    let answers = |_: &str, before: usize| after(1, if before < 3 { 500 } else { 200 });
    let mut sink = start(settings, single(), answers);
    sink.send(["a"]).await;
    sleep(Duration::from_millis(1)).await;

    sink.control.set(Mode::Pause).await.expect("it runs");
    sleep(HOUR).await;
    sink.control.set(Mode::Run).await.expect("it runs");
    let finished = sink.finish().await;

    assert_eq!(finished.letters, Vec::<serde_json::Value>::new());
    assert_eq!(finished.seen.len(), 4);
    assert!(finished.seen[1].at >= HOUR, "{:?}", finished.seen);
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_with_the_intake_only_when_the_host_stops() {
    let mut sink = start(one_each(), single(), |_, _| after(5, 200));
    sink.send(["a", "b"]).await;
    sleep(Duration::from_secs(1)).await;
    sink.control.set(Mode::Pause).await.expect("it runs");
    sink.send(["c"]).await;
    let (control, ledger) = (sink.control.clone(), std::sync::Arc::clone(&sink.ledger));
    let mut finish = tokio::spawn(sink.finish());

    let waits = tokio::time::timeout(HOUR, &mut finish).await;
    control.stop();
    let finished = finish.await.expect("no panic");

    assert!(waits.is_err(), "somebody may let it go on");
    assert_eq!(finished.end, SinkEnd::Paused);
    assert_eq!(finished.seen.len(), 2);
    assert_eq!(
        (ledger.unsettled(), positions(&ledger)),
        (1, vec![Position::Count(2)])
    );
    assert_eq!(control.set(Mode::Run).await, Err(Ended));
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_of_a_paused_sink_does_not_hold_up_the_end() {
    let mut settings = one_each();
    settings.buffer.max_records = 1;
    let mut sink = start(settings, single(), |_, _| after(1, 200));
    sink.control.set(Mode::Pause).await.expect("it runs");
    // One is held, one stands in the queue.
    for record in ["a", "b"] {
        sink.send([record]).await;
    }

    sink.control.stop();
    let finished = tokio::time::timeout(HOUR, sink.finish()).await;

    let finished = finished.expect("it ends");
    assert_eq!((finished.end, finished.seen.len()), (SinkEnd::Paused, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_drains_delivers_at_once_what_it_has_and_takes_in_no_more() {
    let mut settings = DeliverySettings::default();
    settings.batch.max_wait = HOUR;
    let mut sink = start(settings, whole(), |_, _| after(1, 200));
    sink.send(["a", "b"]).await;
    sleep(Duration::from_millis(1)).await;

    sink.control.set(Mode::Drain).await.expect("it runs");
    sink.send(["c"]).await;
    sleep(Duration::from_secs(60)).await;
    let (delivered, held) = (sink.stats.delivered.get(), sink.stats.buffered.get());
    let draining = sink.stats.draining.get();
    sink.control.set(Mode::Run).await.expect("it runs");
    let finished = sink.finish().await;

    assert_eq!((delivered, held, draining), (2, 0, 1));
    let bodies: Vec<&str> = finished.seen.iter().map(|seen| &*seen.body).collect();
    assert_eq!(bodies, ["a,b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_drains_delivers_the_rest_when_the_host_stops() {
    let mut sink = start(one_each(), single(), |_, _| after(1, 200));
    sink.control.set(Mode::Drain).await.expect("it runs");
    sink.send(["a"]).await;

    sink.control.stop();
    let finished = sink.finish().await;

    assert_eq!((finished.end, finished.seen.len()), (SinkEnd::Done, 1));
}

#[tokio::test]
async fn a_sink_that_is_gone_cannot_be_told() {
    let (control, controlled) = Control::new();

    drop(controlled);

    assert!(control.has_ended());
    assert_eq!(control.set(Mode::Pause).await, Err(Ended));
}
