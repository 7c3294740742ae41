//! A token bucket: pure, driven by the caller's clock.

use std::{num::NonZeroU64, time::Duration};

use tokio::time::Instant;

/// What may be taken at once after a pause, as a time of the rate: long enough that timers of a
/// millisecond lose nothing, short enough that no second sees much more than the rate.
const BURST: Duration = Duration::from_millis(100);

/// Lets through `rate` units a second. A take may exceed what is there: the debt is waited for by the
/// next one, so that a unit larger than the burst passes, and the mean holds.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: f64,
    burst: f64,
    /// Below zero: a debt.
    level: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn new(rate: NonZeroU64, now: Instant) -> Self {
        // More than 2^53 units a second do not exist.
        #[expect(clippy::cast_precision_loss, reason = "rates are far below 2^53")]
        let rate = rate.get() as f64;
        let burst = (rate * BURST.as_secs_f64()).max(1.0);
        Self {
            rate,
            burst,
            level: burst,
            at: now,
        }
    }

    /// When the next take may be made: `now`, or later.
    pub(super) fn open_at(&mut self, now: Instant) -> Instant {
        self.fill(now);
        // One unit, or all that fits: a take of less than a unit's time would let the rate be exceeded.
        let lacking = 1.0_f64.min(self.burst) - self.level;
        if lacking <= 1e-9 {
            return now;
        }
        // Rounded up: a timer that fires a nanosecond early would only be set again.
        now + Duration::from_secs_f64(lacking / self.rate) + Duration::from_nanos(1)
    }

    /// Takes `units`; after [`Bucket::open_at`] has said `now`.
    pub(super) fn take(&mut self, units: usize) {
        #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
        let units = units as f64;
        self.level -= units;
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.rate).min(self.burst);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(rate: u64) -> NonZeroU64 {
        NonZeroU64::new(rate).expect("not zero")
    }

    /// Takes as often as it may; when each take was made.
    fn takes(bucket: &mut Bucket, start: Instant, sizes: &[usize]) -> Vec<Duration> {
        let mut now = start;
        let mut at = Vec::new();
        for size in sizes {
            now = bucket.open_at(now);
            assert_eq!(
                bucket.open_at(now),
                now,
                "the time that it names is late enough"
            );
            bucket.take(*size);
            at.push(now - start);
        }
        at
    }

    #[test]
    fn ten_a_second_go_a_tenth_of_a_second_apart() {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(10), start);

        let at = takes(&mut bucket, start, &[1; 11]);

        let millis: Vec<_> = at.iter().map(Duration::as_millis).collect();
        assert_eq!(
            millis,
            [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]
        );
    }

    #[test]
    fn a_take_beyond_the_burst_passes_and_is_waited_for_afterwards() {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(1000), start);

        let at = takes(&mut bucket, start, &[5000, 1]);

        assert_eq!(at[0], Duration::ZERO);
        assert_eq!(at[1].as_millis(), 4901);
    }

    #[test]
    fn a_long_pause_saves_no_more_than_the_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(100), start);
        let later = start + Duration::from_secs(3600);

        let at = takes(&mut bucket, later, &[1; 30]);

        let at_once = at.iter().filter(|at| at.is_zero()).count();
        assert_eq!(at_once, 10);
        assert_eq!(at[29].as_millis(), 200);
    }

    proptest! {
        #[test]
        fn the_rate_holds_over_any_time_but_for_one_burst_and_one_take(
            per_second in 1_u64..100_000,
            sizes in prop::collection::vec(1_usize..5_000, 1..200),
        ) {
            let start = Instant::now();
            let mut bucket = Bucket::new(rate(per_second), start);

            let at = takes(&mut bucket, start, &sizes);

            let last = at.last().expect("not empty").as_secs_f64();
            let before_the_last: usize = sizes[..sizes.len() - 1].iter().sum();
            let burst = (per_second as f64 / 10.0).max(1.0);
            prop_assert!(before_the_last as f64 <= last * per_second as f64 + burst + 0.01);
        }
    }
}
