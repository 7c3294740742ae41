//! When the next call may go: rates, pauses that were asked for, and the pace of calls that are throttled.

use std::num::NonZeroU64;

use super::*;

#[test]
fn the_slower_of_two_rates_says_when_the_next_call_goes() {
    let now = Instant::now();
    let rate = NonZeroU64::new;
    let table = [
        (rate(2), None, 500),
        (None, rate(1000), 900),
        (rate(2), rate(1000), 900),
        (rate(1), rate(1000), 1000),
    ];
    let load = Load {
        events: 1,
        bytes: 999,
    };
    for (calls_per_second, bytes_per_second, wait) in table {
        let limits = GateSettings {
            calls_per_second,
            bytes_per_second,
            ..settings(Concurrency::Fixed)
        };
        let mut entrance = alone(&limits, now);

        let first = admit(&mut entrance, now, load);
        let second = admit(&mut entrance, now, load);

        assert_eq!(first, Admission::Go);
        let Admission::At(then) = second else {
            panic!("{limits:?}: {second:?}");
        };
        assert_eq!((then - now).as_millis(), wait, "{limits:?}");
        assert_eq!(admit(&mut entrance, then, load), Admission::Go);
    }
}

#[test]
fn the_longest_pause_that_was_asked_for_holds_for_every_sink_and_then_no_more() {
    let now = Instant::now();
    let gate = gate(&settings(Concurrency::Fixed), &[sink(20, 10)], now);
    let [mut one, mut other] = [(); 2].map(|()| gate.enter(OnOutage::DeadLetter));
    let asks = |seconds| Attempt {
        pause: Some(Duration::from_secs(seconds)),
        ..answered(now, ONE)
    };
    assert_eq!(go(&mut one, now, ONE), 1000);

    for seconds in [2, 7, 3] {
        one.ended(now, &asks(seconds));
    }

    let until = at(now, 7_000);
    assert_eq!(other.pause(now), Some(until));
    assert_eq!(admit(&mut other, now, ONE), Admission::At(until));
    assert_eq!(other.pause(until), None);
    assert_eq!(admit(&mut other, until, ONE), Admission::Go);
}

#[test]
fn calls_that_are_throttled_one_by_one_go_further_apart() {
    let start = Instant::now();
    let (half, whole) = (LATENCY / 2, LATENCY);
    for (beside, apart) in [(0, whole), (1, half)] {
        let mut entrance = alone(&settings(aimd()), start);
        for _ in 0..=beside {
            assert_eq!(admit(&mut entrance, start, ONE), Admission::Go);
        }
        let now = start + LATENCY;

        entrance.ended(now, &throttled(start, ONE));

        let then = now + apart * 3 / 2;
        assert_eq!(admit(&mut entrance, now, ONE), Admission::At(then));
        assert_eq!(admit(&mut entrance, then, ONE), Admission::Go);
        let next = then + apart * 3 / 2;
        assert_eq!(admit(&mut entrance, then, ONE), Admission::At(next));
    }
}

#[test]
fn calls_that_are_answered_come_closer_again_and_those_that_fail_do_not() {
    let start = Instant::now();
    let now = start + LATENCY;
    let next = |attempt: Attempt| {
        let mut entrance = alone(&settings(aimd()), start);
        assert_eq!(admit(&mut entrance, start, ONE), Admission::Go);
        entrance.ended(now, &throttled(start, ONE));
        let then = now + LATENCY * 3 / 2;
        assert_eq!(admit(&mut entrance, then, ONE), Admission::Go);
        entrance.ended(
            then,
            &Attempt {
                began: then,
                ..attempt
            },
        );
        let later = then + LATENCY * 3;
        assert_eq!(admit(&mut entrance, later, ONE), Admission::Go);
        match admit(&mut entrance, later, ONE) {
            Admission::At(next) => next - later,
            other => panic!("{other:?}"),
        }
    };

    let answered = next(answered(start, ONE));
    let failed = next(failed(start, ONE));

    assert_eq!(failed, LATENCY * 3 / 2);
    assert_eq!(answered, failed.mul_f64(16.0 / 17.0));
}

#[test]
fn fixed_is_not_paced() {
    let start = Instant::now();
    let mut entrance = alone(&settings(Concurrency::Fixed), start);
    assert_eq!(admit(&mut entrance, start, ONE), Admission::Go);

    entrance.ended(start, &throttled(start, ONE));

    assert_eq!(go(&mut entrance, start, ONE), 1000);
}
