//! Sinks of one endpoint: turns, and who is told of what.

use super::*;

#[test]
fn a_sink_that_goes_away_gives_back_what_it_had_in_flight() {
    let now = Instant::now();
    let limits = GateSettings {
        max_calls: Some(3),
        ..settings(aimd())
    };
    let gate = gate(&limits, &[sink(20, 10), sink(20, 10)], now);
    let [mut one, mut other] = two(&gate);
    let load = Load {
        events: 4,
        bytes: 0,
    };
    assert_eq!(go(&mut one, now, load), 2, "eight of ten events");
    one.waits(true);
    assert!(!{
        other.has_changed();
        other.has_changed()
    });

    drop(one);

    assert!(other.has_changed(), "it may have its turn now");
    assert_eq!(go(&mut other, now, load), 2);
}

#[test]
fn sinks_that_come_raise_what_may_be_in_flight_and_whoever_waits_hears_of_it() {
    let now = Instant::now();
    let gate = gate(&settings(aimd()), &[sink(1, 10)], now);
    let mut entrance = gate.enter(OnOutage::Hold);
    entrance.has_changed();
    let before = (entrance.view().limit, entrance.has_changed());

    gate.fit(&[sink(1, 10), sink(2, 40)]);

    assert_eq!(before, (Some(10), false));
    assert_eq!(
        (entrance.view().limit, entrance.has_changed()),
        (Some(40), true)
    );
}

#[test]
fn a_sink_that_waits_has_its_turn_before_the_one_that_went_last() {
    let now = Instant::now();
    let limits = GateSettings {
        max_calls: Some(1),
        ..settings(Concurrency::Fixed)
    };
    let gate = gate(&limits, &[sink(20, 10), sink(20, 10)], now);
    let [mut one, mut other] = two(&gate);
    assert_eq!(admit(&mut one, now, ONE), Admission::Go);
    assert_eq!(admit(&mut other, now, ONE), Admission::Later);
    other.waits(true);

    one.ended(now, &answered(now, ONE));
    let again = admit(&mut one, now, ONE);
    one.has_changed();
    other.waits(false);
    let told = one.has_changed();

    assert_eq!(again, Admission::Later);
    assert!(told, "the other has given up its turn");
    assert_eq!(admit(&mut one, now, ONE), Admission::Go);
}

#[test]
fn whoever_shares_an_endpoint_is_told_of_what_others_do_and_who_is_alone_is_not() {
    let now = Instant::now();
    let gate = gate(&settings(Concurrency::Fixed), &[sink(20, 10)], now);
    let mut one = gate.enter(OnOutage::Hold);
    assert!(one.has_changed(), "nothing of it is known yet");
    assert!(!one.has_changed());

    assert_eq!(admit(&mut one, now, ONE), Admission::Go);
    one.ended(now, &answered(now, ONE));
    one.waits(true);
    one.waits(false);
    let told_itself = one.has_changed();
    let mut other = gate.enter(OnOutage::Hold);
    other.has_changed();
    assert_eq!(admit(&mut one, now, ONE), Admission::Go);
    let told_of_a_call = other.has_changed();
    one.ended(now, &answered(now, ONE));
    let told_of_its_end = other.has_changed();
    one.waits(true);
    one.waits(true);
    let told_of_waiting = other.has_changed();
    one.waits(false);
    let told_of_no_more = other.has_changed();
    one.waits(false);
    let told_twice = other.has_changed();

    assert!(!told_itself);
    assert!(told_of_a_call && told_of_its_end && told_of_no_more);
    assert!(!told_of_waiting && !told_twice);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_waited_for_is_still_to_be_looked_at() {
    let now = Instant::now();
    let gate = gate(&settings(Concurrency::Fixed), &[sink(20, 10)], now);
    let [mut one, mut other] = two(&gate);
    other.has_changed();
    let short = Duration::from_millis(1);

    let before = tokio::time::timeout(short, other.changed()).await;
    assert_eq!(admit(&mut one, now, ONE), Admission::Go);
    let after = tokio::time::timeout(short, other.changed()).await;

    assert!(before.is_err());
    assert!(after.is_ok());
    assert!(other.has_changed());
}
