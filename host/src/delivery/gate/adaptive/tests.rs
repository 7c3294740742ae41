use super::*;

const BASE: Duration = Duration::from_millis(100);

/// So many calls go at the same time, and end together.
fn calls(adaptive: &mut Adaptive, now: &mut Instant, number: usize, latency: Duration) {
    let began = *now;
    (0..number).for_each(|_| adaptive.began(began));
    *now += latency;
    (0..number).for_each(|_| adaptive.ended(began, Some(latency), *now));
}

/// As many calls as may go, and one more that has to wait; each in `BASE` times what is too much for so many `workers`.
fn trip(adaptive: &mut Adaptive, now: &mut Instant, workers: usize) -> usize {
    let number = adaptive.limit();
    adaptive.limited();
    let share = as_f64(number.max(workers)) / as_f64(workers);
    calls(adaptive, now, number, BASE.mul_f64(share));
    number
}

fn trips<const N: usize>(adaptive: &mut Adaptive, now: &mut Instant, workers: usize) -> [usize; N] {
    [(); N].map(|()| trip(adaptive, now, workers))
}

#[test]
fn the_limit_doubles_up_to_the_ceiling_while_nothing_waits() {
    let mut now = Instant::now();
    let mut adaptive = Adaptive::new(20, now);

    let limits = trips(&mut adaptive, &mut now, 1000);

    assert_eq!(limits, [1, 2, 4, 8, 16, 20, 20]);
}

#[test]
fn the_limit_stays_where_it_kept_no_call_from_going() {
    let mut now = Instant::now();
    let mut adaptive = Adaptive::new(20, now);

    for _ in 0..10 {
        calls(&mut adaptive, &mut now, 1, BASE);
    }

    assert_eq!(adaptive.limit(), 1);
}

#[test]
fn the_limit_is_never_below_one_call_nor_beyond_its_ceiling() {
    let mut now = Instant::now();
    let mut none = Adaptive::new(0, now);
    let mut lowered = Adaptive::new(20, now);
    trips::<5>(&mut lowered, &mut now, 1000);

    lowered.fit(3);
    let fitted = lowered.limit();
    lowered.fit(0);

    assert_eq!(trips(&mut none, &mut now, 1000), [1, 1, 1]);
    assert_eq!((fitted, lowered.limit()), (3, 1));
    lowered.fit(4);
    assert_eq!(lowered.limit(), 1, "it grows by itself");
    assert_eq!(trips(&mut lowered, &mut now, 1000), [1, 2, 4, 4]);
}

/// Of 8 calls to 4 workers 4 wait, which is too many; of 5, one, which is not. What was too much is tried again after
/// 16 times two round trips.
#[test]
fn it_settles_a_little_above_what_the_endpoint_works_on() {
    let mut now = Instant::now();
    let mut adaptive = Adaptive::new(100, now);

    let doubling = trips(&mut adaptive, &mut now, 4);
    let found = trips(&mut adaptive, &mut now, 4);
    let calm: [usize; 32] = trips(&mut adaptive, &mut now, 4);
    let again = trips(&mut adaptive, &mut now, 4);

    assert_eq!(doubling, [1, 2, 4, 8]);
    assert_eq!(found, [5, 5, 6, 6]);
    assert_eq!(calm, [5; 32]);
    assert_eq!(again, [5, 5, 6, 6, 5]);
}

#[test]
fn a_call_that_is_throttled_halves_the_limit_while_it_doubles_and_then_takes_a_tenth() {
    let mut now = Instant::now();
    let mut adaptive = Adaptive::new(100, now);
    trips::<5>(&mut adaptive, &mut now, 1000);
    assert_eq!(adaptive.limit(), 32);

    let mut limits = Vec::new();
    for _ in 0..3 {
        adaptive.began(now);
        adaptive.ended(now, None, now);
        limits.push(adaptive.limit());
    }
    for _ in 0..100 {
        adaptive.began(now);
        adaptive.ended(now, None, now);
    }

    assert_eq!(limits, [16, 14, 12]);
    assert_eq!(adaptive.limit(), 1);
}

/// One call was too much: two are not tried for 16 times two round trips.
#[test]
fn an_endpoint_that_fails_on_the_first_call_is_found_out_later() {
    let mut now = Instant::now();
    let mut adaptive = Adaptive::new(100, now);
    adaptive.began(now);
    adaptive.ended(now, None, now);

    let calm: [usize; 34] = trips(&mut adaptive, &mut now, 1000);
    let then = trips(&mut adaptive, &mut now, 1000);

    assert_eq!(calm, [1; 34]);
    assert_eq!(then, [2, 2, 3, 3, 4, 4]);
}

#[test]
fn a_call_that_met_the_limit_of_before_says_nothing_of_this_one() {
    let mut now = Instant::now();
    let mut adaptive = Adaptive::new(100, now);
    trips::<4>(&mut adaptive, &mut now, 1000);
    let began = now - Duration::from_millis(1);
    adaptive.began(began);

    adaptive.ended(began, None, now);

    assert_eq!(adaptive.limit(), 16);
}

#[test]
fn an_endpoint_that_has_become_slower_for_good_is_measured_again_with_half_the_calls() {
    let mut now = Instant::now();
    let mut adaptive = Adaptive::new(16, now);
    trips::<6>(&mut adaptive, &mut now, 1000);
    let slow = BASE * 2;
    let fast = adaptive.limit();

    let mut limits = Vec::new();
    let measured = now + REMEASURE;
    while now < measured {
        let number = adaptive.limit();
        adaptive.limited();
        calls(&mut adaptive, &mut now, number, slow);
        limits.push(number);
    }
    // What was learnt of it before is wrong: it seems that calls wait.
    let before = adaptive.limit();
    let mut after = Vec::new();
    for _ in 0..100 {
        let number = adaptive.limit();
        adaptive.limited();
        calls(&mut adaptive, &mut now, number, slow);
        after.push(number);
    }

    assert_eq!(fast, 16);
    assert_eq!((before, limits.last()), (1, Some(&1)), "{limits:?}");
    assert_eq!(after.last(), Some(&16), "{after:?}");
}

#[test]
fn a_call_that_hangs_is_taken_for_none_that_waits() {
    let mut now = Instant::now();
    let mut adaptive = Adaptive::new(64, now);
    calls(&mut adaptive, &mut now, 1, BASE);
    adaptive.began(now);
    now += BASE * 7;

    calls(&mut adaptive, &mut now, 1, BASE);
    let limits = trips(&mut adaptive, &mut now, 1000);

    assert_eq!(limits, [1, 2, 4, 8, 16]);
}

#[test]
fn a_call_of_which_nothing_became_known_is_in_flight_no_longer() {
    let mut now = Instant::now();
    let mut adaptive = Adaptive::new(64, now);
    calls(&mut adaptive, &mut now, 1, BASE);
    for _ in 0..3 {
        adaptive.began(now);
    }

    for _ in 0..3 {
        adaptive.gone(now, now);
    }
    adaptive.gone(now, now);

    assert_eq!((adaptive.calls, adaptive.in_flight.len()), (0, 0));
    assert_eq!(trips(&mut adaptive, &mut now, 1000), [1, 2, 4, 8]);
}

#[test]
fn t0_is_measured_every_30_seconds_with_half_the_calls_for_one_round_trip() {
    let mut now = Instant::now();
    let mut adaptive = Adaptive::new(16, now);
    let measured = now + REMEASURE;
    trips::<5>(&mut adaptive, &mut now, 1000);

    let mut limits = Vec::new();
    while now < measured + BASE * 4 {
        limits.push(trip(&mut adaptive, &mut now, 1000));
    }

    let halved: Vec<_> = limits.iter().filter(|limit| **limit != 16).collect();
    assert_eq!(halved, [&8], "{limits:?}");
}

#[test]
fn the_latency_of_a_round_trip_is_the_mean_of_its_own_calls() {
    let mut window = Window::new(Instant::now());
    let before = window.latency();
    (window.own, window.latencies) = (4, 6.0);

    assert_eq!((before, window.latency()), (None, Some(1.5)));
}

#[test]
fn answers_to_calls_of_before_end_no_round_trip() {
    let mut now = Instant::now();
    let mut adaptive = Adaptive::new(100, now);
    trips::<2>(&mut adaptive, &mut now, 1000);
    let began = now;
    (0..4).for_each(|_| adaptive.began(began));
    now += BASE / 10;
    adaptive.window = Window::new(now);
    adaptive.limited();
    now += BASE;

    (0..4).for_each(|_| adaptive.ended(began, Some(BASE), now));

    assert_eq!(adaptive.limit(), 4);
}

/// At a limit of 16, few are 2 and many 2.6; each call needs a second.
#[test]
fn the_limit_follows_how_many_wait() {
    let now = Instant::now();
    let at_16 = |too_high| Adaptive {
        limit: 16.0,
        base: Some(1.0),
        too_high,
        ..Adaptive::new(100, now)
    };
    let waited = |waiting: f64| Window {
        area: waiting,
        until: now + Duration::from_secs(1),
        limited: true,
        ..Window::new(now)
    };
    let many = 1.3 * 2.0;
    let high = |limit| Some((limit, CALM));
    #[rustfmt::skip]
    let table = [
        (0.9, None, 32, true, "next to none: it doubles"),
        (1.0, None, 17, false, "half of few: it doubles no more"),
        (1.9, None, 17, false, "fewer than few"),
        (2.0, None, 16, false, "few"),
        (many, None, 16, false, "many"),
        (many + 1e-6, None, 16, false, "many, but for the rounding of a sum"),
        (many + 0.1, None, 15, false, "more than many: at least one is let go of"),
        (6.0, None, 12, false, "those beyond the bound, 3.4"),
        (16.0, None, 8, false, "all: no more than half"),
        (1.0, high(17.5), 16, false, "two more is beyond what was too high"),
        (1.0, high(18.0), 17, false, "two more is what was too high"),
        (1.0, Some((16.0, 0)), 17, false, "what was too high is tried again"),
    ];

    for (waiting, too_high, limit, doubling, why) in table {
        let mut adaptive = at_16(too_high);
        adaptive.adapt(&waited(waiting));
        assert_eq!(
            (adaptive.limit(), adaptive.doubling),
            (limit, doubling),
            "{waiting}: {why}"
        );
    }
}
