//! How far apart calls go to an endpoint that answers 429 even when one call is in flight at a time: pure, driven by the
//! caller's clock.
//!
//! A window of calls in flight cannot go below one, and one after the other may be too many: at 4 ms a call that is 250 a
//! second. Congestion control has the same floor in networks, and Swift paces below it (Kumar et al., "Swift: Delay is Simple
//! and Effective for Congestion Control in the Datacenter", SIGCOMM 2020). Here the time between the beginnings of two calls
//! grows when one is throttled, and shrinks a little with each one that is not.

use std::time::Duration;

use tokio::time::Instant;

/// What is shorter is no time: timers have a resolution of a millisecond.
const LEAST: Duration = Duration::from_millis(1);
/// An endpoint that takes less is down, and gets probes.
const MOST: Duration = Duration::from_secs(1);
/// By how much a throttled call lengthens it.
const GROW: f64 = 1.5;
/// By how much a call that was not throttled shortens it: after seven, the rate is what it was before the fall. An endpoint
/// that throttles one call in eight whatever the rate, at random, is not slowed down for ever.
const SHRINK: f64 = 16.0 / 17.0;

/// The time between the beginnings of two calls.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// None while nobody has asked for it.
    interval: Option<Duration>,
    open: Option<Instant>,
    /// What calls that began before say is of the pace before.
    slowed: Option<Instant>,
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

    /// A call that began at `began` was throttled. `apart` is how far apart calls went without this.
    pub(super) fn throttled(&mut self, began: Instant, apart: Duration, now: Instant) {
        if self.is_old(began) {
            return;
        }
        let interval = self.interval.unwrap_or(apart).mul_f64(GROW).min(MOST);
        self.interval = Some(interval).filter(|interval| *interval >= LEAST);
        self.slowed = Some(now);
        self.open = self.interval.map(|interval| now + interval);
    }

    /// A call that began at `began` was answered, and not throttled.
    pub(super) fn succeeded(&mut self, began: Instant) {
        if self.is_old(began) {
            return;
        }
        let shorter = self.interval.map(|interval| interval.mul_f64(SHRINK));
        self.interval = shorter.filter(|interval| *interval >= LEAST);
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
    fn it_grows_with_each_throttled_call_up_to_its_bound_and_falls_back_to_none() {
        let start = Instant::now();
        let mut pace = Pace::default();

        throttle(&mut pace, start);
        assert_eq!(pace.open_at(start), start + CALL * 3 / 2);
        throttle(&mut pace, start);
        assert_eq!(pace.open_at(start), start + CALL * 9 / 4);
        for _ in 0..20 {
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
    fn calls_that_were_under_way_together_slow_it_once() {
        let start = Instant::now();
        let mut pace = Pace::default();

        for _ in 0..10 {
            pace.throttled(start, CALL, start + CALL);
        }

        assert_eq!(pace.open_at(start), start + CALL + CALL * 3 / 2);
    }

    #[test]
    fn a_fall_is_made_good_after_seven_calls() {
        let start = Instant::now();
        let mut pace = Pace::default();
        throttle(&mut pace, start);
        let before = pace.interval;

        throttle(&mut pace, start);
        for _ in 0..7 {
            pace.succeeded(start);
        }

        assert!(pace.interval < before, "{pace:?}");
    }
}
