//! When to try again, and when to give up: pure; the caller brings the clock and the dice.

use std::time::Duration;

use super::settings::{Backoff, RetrySettings, TimeoutSettings};

/// The pause before the next attempt, after `tries` failed ones (at least 1). `dice` is uniform in 0..1.
///
/// Full jitter, as in "Exponential Backoff And Jitter" (AWS Architecture Blog): uniform between
/// zero and the bound, so that clients which failed together do not come back together.
pub fn pause(settings: &RetrySettings, tries: u32, dice: f64) -> Duration {
    match settings.backoff {
        Backoff::Fixed { delay } => delay.min(settings.max_delay),
        Backoff::Exponential { .. } => bound(settings, tries).mul_f64(dice.clamp(0.0, 1.0)),
    }
}

/// The upper bound of the pause after `tries` failed attempts.
pub fn bound(settings: &RetrySettings, tries: u32) -> Duration {
    match settings.backoff {
        Backoff::Fixed { delay } => delay.min(settings.max_delay),
        Backoff::Exponential {
            initial,
            multiplier,
        } => {
            let tries = i32::try_from(tries.saturating_sub(1)).unwrap_or(i32::MAX);
            let seconds = initial.as_secs_f64() * multiplier.powi(tries);
            // What is not finite, or no time, is beyond the cap.
            Duration::try_from_secs_f64(seconds)
                .map_or(settings.max_delay, |pause| pause.min(settings.max_delay))
        }
    }
}

/// Why an event is given up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// `retry.max-attempts` counted attempts have failed.
    Attempts,
    /// `timeout.total` is over, outages aside.
    Time,
}

/// Whether an event that failed `counted` times, over `elapsed` since its first attempt, gets no other. `timed`: an attempt
/// failed while the endpoint answered others.
pub fn given_up(
    retry: &RetrySettings,
    timeout: &TimeoutSettings,
    counted: u32,
    timed: bool,
    elapsed: Duration,
) -> Option<GivenUp> {
    if retry.max_attempts.is_some_and(|max| counted >= max) {
        Some(GivenUp::Attempts)
    } else if elapsed >= timeout.total && timed && retry.max_attempts.is_some() {
        Some(GivenUp::Time)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let settings = RetrySettings::default();

        let bounds: Vec<_> = (1..=9)
            .map(|tries| bound(&settings, tries).as_millis())
            .collect();

        assert_eq!(
            bounds,
            [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000]
        );
        assert_eq!(bound(&settings, u32::MAX), millis(30_000));
    }

    #[test]
    fn a_fixed_pause_has_no_jitter_and_keeps_the_cap() {
        let backoff = Backoff::Fixed {
            delay: millis(70_000),
        };
        let settings = RetrySettings {
            backoff,
            ..RetrySettings::default()
        };

        assert_eq!(pause(&settings, 5, 0.1), millis(30_000));
    }

    #[test]
    fn the_last_attempt_and_the_total_time_end_it() {
        let (retry, timeout) = (RetrySettings::default(), TimeoutSettings::default());
        let forever = RetrySettings {
            max_attempts: None,
            ..RetrySettings::default()
        };
        let hour = Duration::from_secs(3600);

        assert_eq!(given_up(&retry, &timeout, 9, true, millis(1)), None);
        assert_eq!(
            given_up(&retry, &timeout, 10, true, millis(1)),
            Some(GivenUp::Attempts)
        );
        for counted in [1, 0] {
            assert_eq!(
                given_up(&retry, &timeout, counted, true, hour),
                Some(GivenUp::Time)
            );
        }
        assert_eq!(
            given_up(&retry, &timeout, 0, false, hour),
            None,
            "nothing counted yet: an outage"
        );
        assert_eq!(given_up(&forever, &timeout, 1000, true, hour), None);
    }

    #[test]
    fn a_pause_is_anywhere_between_nothing_and_its_bound() {
        let settings = RetrySettings::default();

        let pauses = [-1.0, 0.0, 0.25, 0.5, 1.0, 2.0].map(|dice| pause(&settings, 3, dice));

        assert_eq!(pauses, [0, 0, 200, 400, 800, 800].map(millis));
    }

    #[test]
    fn the_total_time_is_over_to_the_millisecond() {
        let (retry, timeout) = (RetrySettings::default(), TimeoutSettings::default());
        let over = timeout.total;

        let before = given_up(&retry, &timeout, 1, true, over - millis(1));
        let at = given_up(&retry, &timeout, 1, true, over);

        assert_eq!((before, at), (None, Some(GivenUp::Time)));
    }

    /// Flink: `ExponentialBackoffDelayRetryStrategy`, whose multiplier is a double.
    #[test]
    fn a_multiplier_need_not_be_whole() {
        let settings = RetrySettings {
            backoff: Backoff::Exponential {
                initial: millis(1000),
                multiplier: 1.5,
            },
            ..RetrySettings::default()
        };

        let bounds: Vec<_> = (1..=4)
            .map(|tries| bound(&settings, tries).as_millis())
            .collect();

        assert_eq!(bounds, [1000, 1500, 2250, 3375]);
    }

    proptest! {
        #[test]
        fn a_pause_is_never_longer_than_the_cap(tries in 1_u32.., dice in 0.0_f64..1.0, initial in 1_u64..100_000, multiplier in 1.0_f64..100.0) {
            let backoff = Backoff::Exponential { initial: millis(initial), multiplier };
            let settings = RetrySettings { backoff, ..RetrySettings::default() };

            prop_assert!(pause(&settings, tries, dice) <= settings.max_delay);
        }
    }
}
