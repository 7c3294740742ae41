//! Probes while the endpoint is down, and what comes behind.

use super::*;
use crate::delivery::outage::Against;

#[test]
fn in_an_outage_one_call_goes_at_a_time_as_a_probe() {
    let start = Instant::now();
    let limits = GateSettings {
        max_calls: Some(2),
        ..settings(Concurrency::Fixed)
    };
    let mut entrance = alone(&limits, start);
    outage(&mut entrance, start);

    // The first probe goes at once, the next ones as retries would.
    let first = admit(&mut entrance, start, ONE);
    let second = admit(&mut entrance, start, ONE);
    let third = admit(&mut entrance, at(start, 200), ONE);
    let beyond = admit(&mut entrance, at(start, 60_000), ONE);
    entrance.ended(at(start, 60_000), &answered(start, ONE));
    let back = admit(&mut entrance, at(start, 60_000), ONE);

    assert_eq!(first, Admission::Go);
    assert_eq!(second, Admission::At(at(start, 200)));
    assert_eq!(third, Admission::Go);
    assert_eq!(beyond, Admission::Later, "a probe counts against max-calls");
    assert_eq!(back, Admission::Go);
    assert_eq!(
        entrance.outage_spent(at(start, 90_000)),
        Duration::from_secs(60)
    );
}

#[test]
fn what_a_rule_has_learnt_says_nothing_of_an_endpoint_that_is_down() {
    let start = Instant::now();
    let mut entrance = alone(&settings(aimd()), start);
    assert_eq!(go(&mut entrance, start, ONE), 10);
    for _ in 0..5 {
        entrance.ended(start, &failed(start, ONE));
    }

    let probe = admit(&mut entrance, start, ONE);

    let down = View {
        down: true,
        limit: Some(1),
    };
    assert_eq!(entrance.view(), down);
    assert_eq!(probe, Admission::Go, "beside five calls that hang");
}

#[test]
fn an_outage_is_none_to_a_sink_that_dead_letters() {
    let start = Instant::now();
    let gate = gate(&settings(Concurrency::Fixed), &[sink(20, 10)], start);
    let mut holds = gate.enter(OnOutage::Hold);
    let mut counts = gate.enter(OnOutage::DeadLetter);

    let mut against = Vec::new();
    for _ in 0..5 {
        assert_eq!(admit(&mut counts, start, ONE), Admission::Go);
        against.push(counts.ended(start, &failed(start, ONE)));
    }
    assert_eq!(admit(&mut holds, start, ONE), Admission::Go);

    assert_eq!(against, [Against::Attempts; 5]);
    assert_eq!((holds.view().down, counts.view().down), (true, false));
    assert_eq!(holds.pause(start), Some(at(start, 200)));
    assert_eq!(counts.pause(start), None);
    assert_eq!(go(&mut counts, start, ONE), 1000);
}

#[test]
fn after_an_outage_aimd_doubles_up_to_half_of_what_sinks_may_send() {
    let start = Instant::now();
    let doubling = Concurrency::Aimd(AimdSettings::default());
    let mut entrance = alone(&settings(doubling), start);
    let fifty = Load {
        events: 50,
        bytes: 0,
    };
    for millis in 0..5 {
        let now = at(start, millis);
        assert_eq!(admit(&mut entrance, now, fifty), Admission::Go);
        entrance.ended(now, &failed(now, fifty));
    }
    assert_eq!(entrance.view().limit, Some(1));

    let mut limits = Vec::new();
    for _ in 0..4 {
        let now = at(start, 10_000);
        assert_eq!(admit(&mut entrance, now, fifty), Admission::Go);
        entrance.ended(now, &answered(now, fifty));
        limits.extend(entrance.view().limit);
    }

    assert_eq!(limits, [51, 101, 111, 121], "of 200 events");
}
