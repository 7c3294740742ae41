//! What counts against the buffer.

use std::{sync::Arc, time::Duration};

use super::script::{ScriptedPlugin, single, start, status, whole};
use crate::{
    delivery::settings::{Backoff, DeliverySettings},
    outcome::Outcome,
    plugin::{Handled, PluginVerdict},
};

fn now(outcome: Outcome) -> (Duration, Outcome) {
    (Duration::from_millis(5), outcome)
}

#[tokio::test(start_paused = true)]
async fn dead_letters_that_wait_to_be_written_count_against_the_buffer() {
    let room = 100_000;
    let mut settings = DeliverySettings::default();
    settings.batch.max_records = 10;
    settings.buffer.max_bytes = room;
    let mut sink = start(settings, whole(), |_, _| now(status(400)));
    sink.stop_letters();

    let stats = Arc::clone(&sink.stats);
    let feed = async {
        loop {
            sink.send(["0123456789"; 10]).await;
        }
    };
    let fed = tokio::time::timeout(Duration::from_secs(60), feed).await;
    let (held, bytes) = (stats.buffered.get(), stats.buffered_bytes.get());
    sink.go_on_with_letters();
    let finished = sink.finish().await;

    assert!(fed.is_err(), "its intake stands");
    let letters = finished
        .letters
        .iter()
        .map(|letter| letter.to_string().len());
    let one = letters.min().expect("there are some") as u64;
    assert!(
        held > 0 && held * one <= bytes,
        "{held} letters of {one} in {bytes} bytes"
    );
    assert!(bytes < 2 * room as u64, "{bytes} bytes");
    assert_eq!(finished.stats.buffered_bytes.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn requests_of_calls_in_back_off_take_little_on_top_of_the_buffer() {
    let room = 200_000;
    let mut settings = DeliverySettings::default();
    settings.batch.max_records = 10;
    settings.batch.max_bytes = 20_000;
    settings.in_flight.max_calls = 2;
    settings.buffer.max_bytes = room;
    settings.retry.backoff = Backoff::Fixed {
        delay: Duration::from_secs(20),
    };
    // That it has answered is no outage, so that each call is tried in its turn.
    let plugin = ScriptedPlugin {
        handle: Some(Box::new(|call, _| {
            let verdict = match call.attempt {
                1 => PluginVerdict::Retry(None),
                _ => PluginVerdict::Delivered,
            };
            Ok(Handled {
                verdict,
                results: Vec::new(),
            })
        })),
        ..single()
    };
    let mut sink = start(settings, plugin, |_, _| now(status(200)));

    let stats = Arc::clone(&sink.stats);
    let record = "0123456789".repeat(100);
    let feed = async {
        for _ in 0..100 {
            sink.send([&*record; 10]).await;
        }
    };
    let watch = async {
        let mut most = 0;
        loop {
            most = stats.buffered_bytes.get().max(most);
            tokio::time::sleep(Duration::from_millis(500)).await;
            if stats.delivered.get() > 500 {
                return most;
            }
        }
    };
    let ((), most) = tokio::join!(feed, watch);
    let finished = sink.finish().await;

    assert_eq!(finished.ends(), (1000, 0, 0));
    let room = room as u64;
    assert!(
        (room..room * 3 / 2).contains(&most),
        "{most} bytes of {room}"
    );
}
