//! How far apart calls go to an endpoint that answers 429 even when one call is in flight at a time: pure, driven by the
//! caller's clock.
//!
//! A window of calls in flight cannot go below one, and one after the other may be too many: at 4 ms a call that is 250 a
//! second. Congestion control has the same floor in networks, and Swift paces below it (Kumar et al., "Swift: Delay is Simple
//! and Effective for Congestion Control in the Datacenter", SIGCOMM 2020). Here the time between the beginnings of two calls
//! grows when one is throttled, and shrinks a little with each one that is not.
//!
//! Where the rate is to blame, slower calls are taken. If calls are throttled before they are as fast again as they were, it
//! is something else, such as the quota of a key, and nothing is won by slowing down further; unless most calls are throttled.

use std::time::Duration;

use tokio::time::Instant;

/// What is shorter is no time: timers have a resolution of a millisecond.
const LEAST: Duration = Duration::from_millis(1);
/// An endpoint that takes less is down, and gets probes.
const MOST: Duration = Duration::from_secs(1);
/// By how much a throttled call lengthens it.
const GROW: f64 = 1.5;
/// By how much a call that was not throttled shortens it: after seven, the rate is what it was before the fall.
const SHRINK: f64 = 16.0 / 17.0;
/// Calls are as fast again as they were if they are no further apart than by this factor.
const AGAIN: f64 = 1.1;
/// The weight of a call in the share that is throttled.
const WEIGHT: f64 = 1.0 / 32.0;

/// The time between the beginnings of two calls.
#[derive(Debug)]
pub(super) struct Pace {
    /// None while nobody has asked for it.
    interval: Option<Duration>,
    /// How far apart calls went when one was throttled last, and was taken for too fast.
    fell: Option<Duration>,
    /// The share of calls that are throttled, of late.
    share: f64,
    open: Option<Instant>,
    /// What calls that began before say is of the pace before.
    slowed: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: None,
            fell: None,
            // Nothing is known: the first calls decide.
            share: 0.5,
            open: None,
            slowed: None,
        }
    }
}

impl Pace {
    /// When the next call may go: `now`, or later.
    pub(super) fn open_at(&self, now: Instant) -> Instant {
        self.open.map_or(now, |open| open.max(now))
    }

    /// A call goes.
    pub(super) fn take(&mut self, now: Instant) {
        self.open = self.interval.map(|interval| now + interval);
    }

    /// A call that began at `began` was throttled. `apart` is how far apart calls go without this.
    pub(super) fn throttled(&mut self, began: Instant, apart: Duration, now: Instant) {
        if self.is_old(began) {
            return;
        }
        self.share += (1.0 - self.share) * WEIGHT;
        let before = self.interval.unwrap_or(apart);
        let was_slower = self.fell.is_some_and(|fell| before > fell.mul_f64(AGAIN));
        if was_slower && self.share < 0.5 {
            return;
        }
        let interval = before.mul_f64(GROW).min(MOST);
        self.interval = Some(interval).filter(|interval| *interval >= LEAST);
        self.fell = self.interval.map(|_| before);
        self.slowed = Some(now);
        self.open = self.interval.map(|interval| now + interval);
    }

    /// A call that began at `began` was answered, and not throttled.
    pub(super) fn succeeded(&mut self, began: Instant) {
        if self.is_old(began) {
            return;
        }
        self.share -= self.share * WEIGHT;
        let shorter = self.interval.map(|interval| interval.mul_f64(SHRINK));
        self.interval = shorter.filter(|interval| *interval >= LEAST);
        self.fell = self.fell.filter(|_| self.interval.is_some());
    }

    fn is_old(&self, began: Instant) -> bool {
        self.slowed.is_some_and(|slowed| began < slowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_millis(4);

    /// A call that began at `now`, alone.
    fn throttle(pace: &mut Pace, now: Instant) {
        pace.throttled(now, CALL, now);
    }

    #[test]
    fn it_leaves_more_than_a_thousand_calls_a_second_to_the_window() {
        let now = Instant::now();
        let mut pace = Pace::default();

        pace.throttled(now, CALL / 50, now);
        pace.take(now);

        assert_eq!(pace.open_at(now), now);
    }

    #[test]
    fn it_grows_while_most_calls_are_throttled_up_to_its_bound_and_falls_back_to_none() {
        let start = Instant::now();
        let mut pace = Pace::default();

        throttle(&mut pace, start);
        assert_eq!(pace.open_at(start), start + CALL * 3 / 2);
        throttle(&mut pace, start);
        assert_eq!(pace.open_at(start), start + CALL * 9 / 4);
        for _ in 0..30 {
            throttle(&mut pace, start);
        }
        assert_eq!(pace.open_at(start), start + MOST);
        for _ in 0..200 {
            pace.succeeded(start);
        }
        pace.take(start);

        assert_eq!(pace.open_at(start), start);
    }

    #[test]
    fn calls_that_are_throttled_at_random_do_not_slow_the_others_down() {
        for percent in [5, 15, 25] {
            let start = Instant::now();
            let mut rng = fastrand::Rng::with_seed(4711);
            let (mut pace, mut slowest) = (Pace::default(), Duration::ZERO);
            throttle(&mut pace, start);

            let mut now = start;
            for _ in 0..10_000 {
                now = pace.open_at(now);
                pace.take(now);
                if rng.u32(0..100) < percent {
                    throttle(&mut pace, now);
                } else {
                    pace.succeeded(now);
                }
                slowest = slowest.max(pace.interval.unwrap_or_default());
            }

            assert!(slowest < CALL * 5, "{percent} %: {slowest:?}");
        }
    }

    #[test]
    fn calls_that_were_under_way_together_slow_it_once() {
        let start = Instant::now();
        let mut pace = Pace::default();

        for _ in 0..10 {
            pace.throttled(start, CALL, start + CALL);
        }

        assert_eq!(pace.open_at(start), start + CALL + CALL * 3 / 2);
    }

    #[test]
    fn a_call_that_is_throttled_while_it_is_slower_than_the_last_one_was_changes_nothing() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for _ in 0..100 {
            pace.succeeded(start);
        }
        throttle(&mut pace, start);
        let slowed = pace.interval;

        throttle(&mut pace, start);
        assert_eq!(pace.interval, slowed);
        for _ in 0..7 {
            pace.succeeded(start);
        }
        let fast_again = pace.interval;
        throttle(&mut pace, start);

        assert!(fast_again < Some(CALL), "{fast_again:?}");
        assert!(pace.interval > fast_again, "{pace:?}");
    }

    #[test]
    fn an_endpoint_that_throttles_three_of_four_calls_is_given_less_and_less() {
        let start = Instant::now();
        let mut pace = Pace::default();

        let mut now = start;
        for call in 0..400 {
            now = pace.open_at(now);
            pace.take(now);
            match call % 4 {
                0 => pace.succeeded(now),
                _ => throttle(&mut pace, now),
            }
        }

        let slowest = pace.interval.expect("it is paced");
        assert!(slowest > MOST.mul_f64(0.9), "{slowest:?}");
    }

    #[test]
    fn calls_that_are_a_tenth_further_apart_count_as_fast_again() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for _ in 0..100 {
            pace.succeeded(start);
        }
        // A tenth more is the bound, which it grows to.
        let apart = Duration::from_nanos(909_090_909);
        pace.throttled(start, apart, start);
        let later = pace.open_at(start);

        pace.throttled(later, apart, later);

        assert_eq!(later, start + MOST);
        assert_eq!(pace.open_at(later), later + MOST, "it is paced anew");
    }
}
