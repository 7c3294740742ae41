//! How many may be in flight by each rule.

use super::*;
use crate::delivery::outage::Against;

#[test]
fn max_calls_bounds_what_is_in_flight_over_all_sinks() {
    let now = Instant::now();
    let limits = GateSettings {
        max_calls: Some(3),
        ..settings(Concurrency::Fixed)
    };
    let gate = gate(&limits, &[sink(20, 10), sink(20, 10)], now);
    let [mut one, mut other] = two(&gate);

    let first = go(&mut one, now, ONE);
    let beside = admit(&mut other, now, ONE);
    one.ended(now, &answered(now, ONE));
    let behind = go(&mut other, now, ONE);

    assert_eq!((first, beside, behind), (3, Admission::Later, 1));
}

#[test]
fn aimd_counts_events_and_begins_with_a_batch_of_the_largest_sink() {
    let now = Instant::now();
    let sinks = [sink(20, 10), sink(2, 30)];
    let gate = gate(&settings(aimd()), &sinks, now);
    let mut entrance = gate.enter(OnOutage::Hold);
    let ten = Load {
        events: 10,
        bytes: 0,
    };

    let at_first = go(&mut entrance, now, ten);
    for _ in 0..3 {
        entrance.ended(now, &answered(now, ten));
    }
    let then = entrance.view().limit;
    let more = go(&mut entrance, now, ten);
    for _ in 0..1000 {
        entrance.ended(now, &answered(now, ten));
        assert_eq!(admit(&mut entrance, now, ten), Admission::Go);
    }

    assert_eq!((at_first, then, more), (3, Some(60), 6));
    let all = 20 * 10 + 2 * 30;
    assert_eq!(entrance.view().limit, Some(all), "all that sinks may send");
}

#[test]
fn what_is_tried_again_or_fails_lowers_aimd_and_what_is_answered_raises_it() {
    let now = Instant::now();
    let retried = Attempt {
        retried: true,
        ..answered(now, ONE)
    };
    for (attempt, limit) in [
        (answered(now, ONE), 20),
        (failed(now, ONE), 5),
        (retried, 5),
    ] {
        let mut entrance = alone(&settings(aimd()), now);
        assert_eq!(admit(&mut entrance, now, ONE), Admission::Go);

        let counts = entrance.ended(now, &attempt);

        assert_eq!(entrance.view().limit, Some(limit), "{attempt:?}");
        let expected = match attempt.failed {
            true => Against::Nothing,
            false => Against::Attempts,
        };
        assert_eq!(counts, expected, "{attempt:?}");
    }
}

#[test]
fn fixed_has_no_limit_of_its_own() {
    let now = Instant::now();
    let mut entrance = alone(&settings(Concurrency::Fixed), now);

    let all = go(&mut entrance, now, ONE);

    assert_eq!((all, entrance.view().limit), (1000, None));
}

#[test]
fn adaptive_counts_calls_up_to_what_sinks_and_the_endpoint_allow() {
    let start = Instant::now();
    for (max_calls, most) in [(None, 24), (Some(6), 6)] {
        let limits = GateSettings {
            max_calls,
            ..settings(Concurrency::Adaptive)
        };
        let gate = gate(&limits, &[sink(20, 10), sink(4, 1)], start);
        let mut entrance = gate.enter(OnOutage::Hold);

        let mut now = start;
        let mut seen = Vec::new();
        for _ in 0..7 {
            let calls = go(&mut entrance, now, ONE);
            seen.push(calls);
            let began = now;
            now += LATENCY;
            for _ in 0..calls {
                entrance.ended(now, &answered(began, ONE));
            }
        }
        gate.fit(&[sink(2, 10)]);

        let doubled = [1, 2, 4, 8, 16, 32, 64].map(|calls: usize| calls.min(most));
        assert_eq!(seen, doubled, "{max_calls:?}");
        assert_eq!(entrance.view().limit, Some(2), "the sinks have less now");
    }
}

#[test]
fn adaptive_does_not_grow_without_need_and_falls_when_a_call_fails() {
    let start = Instant::now();
    let mut entrance = alone(&settings(Concurrency::Adaptive), start);

    assert_eq!(admit(&mut entrance, start, ONE), Admission::Go);
    entrance.ended(start + LATENCY, &answered(start, ONE));
    let without_need = entrance.view().limit;
    let mut now = start + LATENCY;
    for _ in 0..3 {
        let (began, calls) = (now, go(&mut entrance, now, ONE));
        now += LATENCY;
        for _ in 0..calls {
            entrance.ended(now, &answered(began, ONE));
        }
    }
    let with_need = entrance.view().limit;
    assert_eq!(admit(&mut entrance, now, ONE), Admission::Go);
    entrance.ended(now, &failed(now, ONE));

    assert_eq!((without_need, with_need), (Some(1), Some(8)));
    assert_eq!(entrance.view().limit, Some(4));
}
