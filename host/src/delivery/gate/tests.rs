//! The gate by itself: what it lets through, what it learns, and whom it tells.

use std::num::NonZeroU64;

use super::{settings::AimdSettings, *};
use crate::delivery::{outage::Against, settings::RetrySettings};

const ONE: Load = Load {
    events: 1,
    bytes: 100,
};
const LATENCY: Duration = Duration::from_millis(100);

fn sink(max_calls: usize, batch: usize) -> DeliverySettings {
    let mut settings = DeliverySettings::default();
    settings.in_flight.max_calls = max_calls;
    settings.batch.max_records = batch;
    settings
}

fn settings(concurrency: Concurrency) -> GateSettings {
    GateSettings {
        concurrency,
        ..GateSettings::default()
    }
}

fn aimd() -> Concurrency {
    Concurrency::Aimd(AimdSettings {
        slow_start: false,
        ..AimdSettings::default()
    })
}

fn gate(settings: &GateSettings, sinks: &[DeliverySettings], now: Instant) -> Gate {
    Gate::new(settings, sinks, now)
}

/// Of one sink with calls of ten events, 20 calls at most.
fn alone(settings: &GateSettings, now: Instant) -> Entrance {
    gate(settings, &[sink(20, 10)], now).enter(OnOutage::Hold)
}

fn at(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

fn admit(entrance: &mut Entrance, now: Instant, load: Load) -> Admission {
    entrance.admit(now, load, &RetrySettings::default())
}

/// How many calls go at once.
fn go(entrance: &mut Entrance, now: Instant, load: Load) -> usize {
    (0..1000)
        .take_while(|_| admit(entrance, now, load) == Admission::Go)
        .count()
}

/// An attempt that was admitted at this time, and was answered.
fn answered(began: Instant, load: Load) -> Attempt {
    Attempt {
        load,
        began,
        before: began,
        latency: LATENCY,
        failed: false,
        throttled: false,
        retried: false,
        pause: None,
    }
}

fn failed(began: Instant, load: Load) -> Attempt {
    Attempt {
        failed: true,
        ..answered(began, load)
    }
}

fn throttled(began: Instant, load: Load) -> Attempt {
    Attempt {
        throttled: true,
        ..failed(began, load)
    }
}

/// Five calls that go and fail, one after the other: the endpoint is down.
fn outage(entrance: &mut Entrance, now: Instant) {
    for _ in 0..5 {
        assert_eq!(admit(entrance, now, ONE), Admission::Go);
        entrance.ended(now, &failed(now, ONE));
    }
}

#[test]
fn max_calls_bounds_what_is_in_flight_over_all_sinks() {
    let now = Instant::now();
    let limits = GateSettings {
        max_calls: Some(3),
        ..settings(Concurrency::Fixed)
    };
    let gate = gate(&limits, &[sink(20, 10), sink(20, 10)], now);
    let [mut one, mut other] = [(); 2].map(|()| gate.enter(OnOutage::Hold));

    let first = go(&mut one, now, ONE);
    let beside = admit(&mut other, now, ONE);
    one.ended(now, &answered(now, ONE));
    let behind = go(&mut other, now, ONE);

    assert_eq!((first, beside, behind), (3, Admission::Later, 1));
}

#[test]
fn a_sink_that_goes_away_gives_back_what_it_had_in_flight() {
    let now = Instant::now();
    let limits = GateSettings {
        max_calls: Some(3),
        ..settings(aimd())
    };
    let gate = gate(&limits, &[sink(20, 10), sink(20, 10)], now);
    let [mut one, mut other] = [(); 2].map(|()| gate.enter(OnOutage::Hold));
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

#[test]
fn a_sink_that_waits_has_its_turn_before_the_one_that_went_last() {
    let now = Instant::now();
    let limits = GateSettings {
        max_calls: Some(1),
        ..settings(Concurrency::Fixed)
    };
    let gate = gate(&limits, &[sink(20, 10), sink(20, 10)], now);
    let [mut one, mut other] = [(); 2].map(|()| gate.enter(OnOutage::Hold));
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
    let [mut one, mut other] = [(); 2].map(|()| gate.enter(OnOutage::Hold));
    other.has_changed();
    let short = Duration::from_millis(1);

    let before = tokio::time::timeout(short, other.changed()).await;
    assert_eq!(admit(&mut one, now, ONE), Admission::Go);
    let after = tokio::time::timeout(short, other.changed()).await;

    assert!(before.is_err());
    assert!(after.is_ok());
    assert!(other.has_changed());
}
