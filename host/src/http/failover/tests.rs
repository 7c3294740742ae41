//! Tables, and a model: URLs that go down and come back under calls side by side.

use proptest::prelude::*;

use super::*;

fn at(start: Instant, milliseconds: u64) -> Instant {
    start + Duration::from_millis(milliseconds)
}

/// One attempt that ends at once; where it went.
fn call(failover: &mut Failover, now: Instant, up: &[bool]) -> usize {
    let ticket = failover.choose(now);
    let sign = match up[ticket.url] {
        true => Sign::Answered,
        false => Sign::Failed,
    };
    failover.settle(&ticket, sign, now);
    ticket.url
}

fn calls(failover: &mut Failover, now: Instant, up: &[bool], count: usize) -> Vec<usize> {
    (0..count).map(|_| call(failover, now, up)).collect()
}

#[test]
fn the_first_url_is_left_after_three_failures_and_taken_again_once_it_answers() {
    let start = Instant::now();
    let mut failover = Failover::new(3, Prefer::First);

    let healthy = calls(&mut failover, start, &[true; 3], 3);
    let down = calls(&mut failover, start, &[false, true, true], 6);
    let early = calls(&mut failover, at(start, 999), &[true; 3], 2);
    let probe = calls(&mut failover, at(start, 1000), &[true; 3], 2);

    assert_eq!(healthy, [0, 0, 0]);
    assert_eq!(down, [0, 0, 0, 1, 1, 1]);
    assert_eq!(early, [1, 1]);
    assert_eq!(probe, [0, 0]);
}

#[test]
fn failures_that_are_not_in_a_row_do_not_count() {
    let start = Instant::now();
    let mut failover = Failover::new(2, Prefer::First);

    let mut places = Vec::new();
    for _ in 0..5 {
        places.extend(calls(&mut failover, start, &[false, true], 2));
        places.extend(calls(&mut failover, start, &[true, true], 1));
    }

    assert_eq!(places, [0; 15]);
}

#[test]
fn the_pauses_before_probes_grow_up_to_the_longest() {
    let start = Instant::now();
    let up = [false, true];
    let mut failover = Failover::new(2, Prefer::First);
    calls(&mut failover, start, &up, 3);

    let mut probes = Vec::new();
    for second in 1..=200 {
        let now = at(start, second * 1000);
        let places = calls(&mut failover, now, &up, 3);
        probes.extend(places.contains(&0).then_some(second));
        assert!(places.iter().filter(|place| **place == 0).count() <= 1);
    }

    assert_eq!(probes, [1, 3, 7, 15, 31, 61, 91, 121, 151, 181]);
}

#[test]
fn one_probe_goes_at_a_time() {
    let start = Instant::now();
    let mut failover = Failover::new(2, Prefer::First);
    calls(&mut failover, start, &[false, true], 3);

    let probe = failover.choose(at(start, 5000));
    let beside = failover.choose(at(start, 60_000));
    let change = failover.settle(&probe, Sign::Answered, at(start, 60_000));
    let behind = failover.choose(at(start, 60_000));

    assert_eq!((probe.url, beside.url, behind.url), (0, 1, 0));
    assert_eq!(change, Some(Change::Healthy));
}

#[test]
fn spread_takes_the_healthy_ones_in_turn() {
    let start = Instant::now();
    let mut failover = Failover::new(3, Prefer::Spread);

    let all = calls(&mut failover, start, &[true; 3], 6);
    let down = calls(&mut failover, start, &[true, false, true], 12);
    let back = calls(&mut failover, at(start, 1000), &[true; 3], 4);

    assert_eq!(all, [0, 1, 2, 0, 1, 2]);
    assert_eq!(down, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 2, 0]);
    assert_eq!(back, [1, 1, 2, 0]);
}

#[test]
fn where_none_is_healthy_each_is_tried_in_turn() {
    let start = Instant::now();
    for prefer in [Prefer::First, Prefer::Spread] {
        let mut failover = Failover::new(3, prefer);
        calls(&mut failover, start, &[false; 3], 9);

        let places: Vec<_> = (1..7)
            .map(|second| call(&mut failover, at(start, second * 40_000), &[false; 3]))
            .collect();

        let mut first: Vec<_> = places[..3].to_vec();
        first.sort_unstable();
        assert_eq!(first, [0, 1, 2], "{prefer:?}: {places:?}");
        assert_eq!(places[..3], places[3..], "{prefer:?}");
    }
}

#[test]
fn what_ends_late_counts_for_nothing() {
    let start = Instant::now();
    let mut failover = Failover::new(2, Prefer::First);
    let many: Vec<_> = (0..50).map(|_| failover.choose(start)).collect();
    let (early, late) = many.split_at(10);

    let mut changes = Vec::new();
    for ticket in early {
        changes.extend(failover.settle(ticket, Sign::Failed, at(start, 10)));
    }
    let probe = failover.choose(at(start, 1010));
    failover.settle(&probe, Sign::Answered, at(start, 1020));
    for ticket in late {
        changes.extend(failover.settle(ticket, Sign::Failed, at(start, 1030)));
    }

    assert_eq!(changes, [Change::Unhealthy]);
    assert_eq!(probe.url, 0, "the pause did not grow with each of the ten");
    assert_eq!(failover.choose(at(start, 1030)).url, 0);
}

/// One attempt that is answered by 503, with a `Retry-After` of so many seconds; where it went.
fn asked_to_wait(failover: &mut Failover, now: Instant, seconds: u64) -> usize {
    let ticket = failover.choose(now);
    failover.settle(&ticket, Sign::Paused(Duration::from_secs(seconds)), now);
    ticket.url
}

#[test]
fn a_url_that_asks_for_a_pause_has_it_and_the_others_go_on() {
    let start = Instant::now();
    for (prefer, then) in [(Prefer::First, [1, 1, 1]), (Prefer::Spread, [1, 2, 1])] {
        let mut failover = Failover::new(3, prefer);

        let first = asked_to_wait(&mut failover, start, 20);
        let open = failover.closed_until(start);
        let meanwhile = calls(&mut failover, at(start, 19_999), &[true; 3], 3);
        let probe = call(&mut failover, at(start, 20_000), &[true; 3]);

        assert_eq!((first, open, probe), (0, None, 0), "{prefer:?}");
        assert_eq!(meanwhile, then, "{prefer:?}");
    }
}

#[test]
fn the_endpoint_is_closed_while_all_urls_ask_for_a_pause_and_then_the_first_to_open_is_asked() {
    let start = Instant::now();
    let mut failover = Failover::new(2, Prefer::First);

    asked_to_wait(&mut failover, start, 20);
    asked_to_wait(&mut failover, at(start, 1_000), 5);
    let closed = failover.closed_until(at(start, 1_000));
    let open = failover.closed_until(at(start, 6_000));
    let next = call(&mut failover, at(start, 6_000), &[true; 2]);
    let behind = call(&mut failover, at(start, 6_000), &[true; 2]);

    assert_eq!(closed, Some(at(start, 6_000)));
    assert_eq!(open, None);
    assert_eq!((next, behind), (1, 1));
}

#[test]
fn no_pause_of_a_url_is_longer_than_that_before_a_probe_can_be() {
    let start = Instant::now();
    let mut failover = Failover::new(2, Prefer::First);

    asked_to_wait(&mut failover, start, 100_000);
    let early = call(&mut failover, at(start, 29_999), &[true; 2]);
    let probe = call(&mut failover, at(start, 30_000), &[true; 2]);

    assert_eq!((early, probe), (1, 0));
}

#[test]
fn a_pause_that_is_asked_for_is_no_shorter_than_that_before_a_probe_which_grows() {
    let start = Instant::now();
    let mut failover = Failover::new(2, Prefer::First);

    asked_to_wait(&mut failover, start, 0);
    let early = call(&mut failover, at(start, 999), &[true; 2]);
    let probe = asked_to_wait(&mut failover, at(start, 1000), 0);
    let early_again = call(&mut failover, at(start, 2999), &[true; 2]);
    let probe_again = call(&mut failover, at(start, 3000), &[true; 2]);

    assert_eq!((early, probe), (1, 0));
    assert_eq!((early_again, probe_again), (1, 0));
}

#[test]
fn a_pause_that_is_asked_for_late_counts_for_nothing() {
    let start = Instant::now();
    let mut failover = Failover::new(2, Prefer::First);
    let [first, second, third] = [(); 3].map(|()| failover.choose(start));
    let asks = |seconds| Sign::Paused(Duration::from_secs(seconds));

    let paused = failover.settle(&first, asks(5), start);
    let beside = failover.settle(&second, asks(20), start);
    let early = call(&mut failover, at(start, 4999), &[true; 2]);
    let probe = call(&mut failover, at(start, 5000), &[true; 2]);
    let late = failover.settle(&third, asks(20), at(start, 5000));

    assert_eq!(
        (paused, beside, late),
        (Some(Change::Unhealthy), None, None)
    );
    assert_eq!((early, probe), (1, 0));
    assert_eq!(failover.choose(at(start, 5000)).url, 0);
}

#[test]
fn of_urls_that_all_ask_for_a_pause_one_whose_pause_is_over_is_asked_first() {
    let start = Instant::now();
    let mut failover = Failover::new(2, Prefer::First);
    asked_to_wait(&mut failover, start, 5);
    asked_to_wait(&mut failover, at(start, 1), 4);

    let next = failover.choose(at(start, 4001));
    let then = failover.choose(at(start, 5000));

    assert_eq!(next.url, 1, "the other's is not over");
    assert_eq!(then.url, 0, "both are, and it failed longer ago");
}

#[test]
fn attempts_that_are_no_probes_put_no_probe_off() {
    let start = Instant::now();
    let mut failover = Failover::new(2, Prefer::First);
    calls(&mut failover, start, &[false; 2], 6);

    // No URL is healthy: all of these are tried in turn.
    let first = failover.choose(at(start, 500));
    failover.settle(&first, Sign::Failed, at(start, 500));
    let second = failover.choose(at(start, 600));
    failover.settle(&second, Sign::Answered, at(start, 600));
    let [third, fourth] =
        [700, 1000].map(|millis| call(&mut failover, at(start, millis), &[true; 2]));

    assert_eq!((first.url, second.url), (0, 1));
    assert_eq!((third, fourth), (1, 0));
}

#[test]
fn a_url_that_was_not_asked_after_all_has_its_probe_again() {
    let start = Instant::now();
    let up = [false, true];
    let mut failover = Failover::new(2, Prefer::First);
    let late = failover.choose(start);
    calls(&mut failover, start, &up, 3);

    let probe = failover.choose(at(start, 1000));
    failover.settle(&late, Sign::Unknown, at(start, 1100));
    let beside = call(&mut failover, at(start, 3000), &up);
    failover.settle(&probe, Sign::Unknown, at(start, 3000));
    let early = call(&mut failover, at(start, 3999), &up);
    let again = call(&mut failover, at(start, 4000), &up);

    assert_eq!((probe.url, beside, early, again), (0, 1, 1, 0));
}

#[test]
fn a_url_that_was_not_asked_while_none_was_healthy_has_its_probe_when_it_was_due() {
    let start = Instant::now();
    let mut failover = Failover::new(2, Prefer::First);
    calls(&mut failover, start, &[false; 2], 6);

    let unasked = failover.choose(at(start, 900));
    failover.settle(&unasked, Sign::Unknown, at(start, 900));
    let failed = failover.choose(at(start, 910));
    failover.settle(&failed, Sign::Failed, at(start, 910));
    let answered = failover.choose(at(start, 920));
    failover.settle(&answered, Sign::Answered, at(start, 920));
    let due = failover.choose(at(start, 1000));

    assert_eq!(
        (unasked.url, failed.url, answered.url, due.url),
        (0, 0, 1, 0)
    );
}

#[test]
fn a_probe_that_fails_after_its_url_has_been_healthy_again_lengthens_no_pause() {
    let start = Instant::now();
    let mut failover = Failover::new(2, Prefer::First);
    let slow = failover.choose(start);
    calls(&mut failover, start, &[false, true], 3);
    let probe = failover.choose(at(start, 1000));

    let healthy = failover.settle(&slow, Sign::Answered, at(start, 1100));
    calls(&mut failover, at(start, 1200), &[false, true], 3);
    failover.settle(&probe, Sign::Failed, at(start, 1300));
    let early = failover.choose(at(start, 2199));
    let due = failover.choose(at(start, 2200));

    assert_eq!((probe.url, healthy), (0, Some(Change::Healthy)));
    assert_eq!((early.url, due.url), (1, 0));
}

#[derive(Debug, Clone)]
enum Act {
    /// So many milliseconds pass.
    Pass(u64),
    /// A call begins.
    Begin,
    /// The n-th call in flight ends.
    End(usize),
    /// A URL goes down, or comes back.
    Turn(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        2 => (0_u64..4000).prop_map(Act::Pass),
        6 => Just(Act::Begin),
        6 => (0_usize..8).prop_map(Act::End),
        1 => (0_usize..4).prop_map(Act::Turn),
    ];
    prop::collection::vec(act, 0..400)
}

proptest! {
    #[test]
    fn an_unhealthy_url_gets_single_probes_and_a_live_one_is_found(
        acts in acts(), urls in 1_usize..5, spread in any::<bool>(),
    ) {
        let prefer = if spread { Prefer::Spread } else { Prefer::First };
        let start = Instant::now();
        let mut now = start;
        let mut failover = Failover::new(urls, prefer);
        let mut up = vec![true; urls];
        let mut flying: Vec<Ticket> = Vec::new();
        let mut unhealthy_since: Vec<Option<Instant>> = vec![None; urls];
        for act in acts {
            match act {
                Act::Pass(milliseconds) => now += Duration::from_millis(milliseconds),
                Act::Turn(url) => up[url % urls] ^= true,
                Act::Begin => {
                    let any_healthy = unhealthy_since.contains(&None);
                    let ticket = failover.choose(now);
                    if let (true, Some(since)) = (any_healthy, unhealthy_since[ticket.url]) {
                        prop_assert!(ticket.is_probe);
                        prop_assert!(now >= since + FIRST_PAUSE);
                        let beside = flying.iter().any(|other| {
                            (other.url, other.epoch, other.is_probe) == (ticket.url, ticket.epoch, true)
                        });
                        prop_assert!(!beside, "two probes of one URL");
                    }
                    if prefer == Prefer::First && any_healthy && !ticket.is_probe {
                        prop_assert_eq!(Some(ticket.url), unhealthy_since.iter().position(Option::is_none));
                    }
                    flying.push(ticket);
                }
                Act::End(place) if !flying.is_empty() => {
                    let ticket = flying.remove(place % flying.len());
                    let sign = if up[ticket.url] { Sign::Answered } else { Sign::Failed };
                    let change = failover.settle(&ticket, sign, now);
                    match change {
                        Some(Change::Healthy) => {
                            prop_assert!(unhealthy_since[ticket.url].is_some() && up[ticket.url]);
                            unhealthy_since[ticket.url] = None;
                        }
                        Some(Change::Unhealthy) => {
                            prop_assert!(unhealthy_since[ticket.url].is_none() && !up[ticket.url]);
                            unhealthy_since[ticket.url] = Some(now);
                        }
                        None => {}
                    }
                }
                Act::End(_) => {}
            }
        }
        // Whatever came before: what lives is found, and with `first`, the first that lives.
        for ticket in std::mem::take(&mut flying) {
            let sign = if up[ticket.url] { Sign::Answered } else { Sign::Failed };
            failover.settle(&ticket, sign, now);
        }
        if let Some(first_up) = up.iter().position(|up| *up) {
            let mut answered = 0;
            for _ in 0..40 {
                now += Duration::from_secs(2);
                answered += usize::from(up[call(&mut failover, now, &up)]);
            }
            prop_assert!(answered > 0);
            let settled: Vec<_> = (0..4).map(|_| call(&mut failover, now, &up)).collect();
            if prefer == Prefer::First {
                prop_assert!(settled.iter().all(|url| *url <= first_up), "{:?} of {:?}", settled, up);
                prop_assert!(settled.contains(&first_up));
            }
        }
    }
}
