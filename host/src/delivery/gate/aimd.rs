//! Additive increase, multiplicative decrease, in events: pure.
//!
//! Flink's `AIMDScalingStrategy` under its `CongestionControlRateLimitingStrategy`, and two things of TCP (RFC 5681,
//! sections 3.1 and 3.2): the limit doubles until it is known to be too high, and falls once for all calls that
//! were under way when it fell, not once for each of them.

use tokio::time::Instant;

use super::settings::AimdSettings;

#[derive(Debug)]
pub(super) struct Aimd {
    settings: AimdSettings,
    limit: f64,
    ceiling: f64,
    /// Below it, the limit doubles.
    threshold: f64,
    /// Calls that began before do not lower the limit once more.
    lowered: Option<Instant>,
}

impl Aimd {
    /// `batch` is the largest batch of the sinks, `ceiling` what they may have in flight together, in events.
    pub(super) fn new(settings: AimdSettings, batch: usize, ceiling: usize) -> Self {
        let ceiling = as_f64(ceiling).max(1.0);
        let limit = as_f64(settings.initial.unwrap_or(batch)).clamp(1.0, ceiling);
        Self {
            settings,
            limit,
            ceiling,
            threshold: if settings.slow_start { ceiling } else { 0.0 },
            lowered: None,
        }
    }

    /// The sinks have other settings from now on, as in [`Aimd::new`].
    pub(super) fn fit(&mut self, batch: usize, ceiling: usize) {
        let ceiling = as_f64(ceiling).max(1.0);
        if self.lowered.is_none() && self.settings.initial.is_none() {
            // It has never been too much: another start would begin with that.
            self.limit = self.limit.max(as_f64(batch));
        }
        if self.threshold >= self.ceiling {
            // Nothing has shown yet what is too much.
            self.threshold = ceiling;
        }
        self.ceiling = ceiling;
        self.limit = self.limit.min(ceiling);
    }

    /// Whether a call of `events` may join `in_flight` events. One call always may: a batch is not cut smaller
    /// because its endpoint is throttled, which would make more calls of it.
    pub(super) fn admits(&self, in_flight: usize, events: usize) -> bool {
        in_flight == 0 || as_f64(in_flight + events) <= self.limit
    }

    pub(super) fn succeeded(&mut self, events: usize) {
        let by = if self.limit < self.threshold {
            as_f64(events.max(self.settings.increase))
        } else {
            as_f64(self.settings.increase)
        };
        self.limit = (self.limit + by).min(self.ceiling);
    }

    /// A call that began at `began` was throttled.
    pub(super) fn throttled(&mut self, began: Instant, now: Instant) {
        if self.lowered.is_some_and(|lowered| began < lowered) {
            return;
        }
        self.lowered = Some(now);
        self.limit = (self.limit * self.settings.decrease).max(1.0);
        if self.settings.slow_start {
            self.threshold = self.limit;
        }
    }

    /// The endpoint was out, and is back: what it takes is looked for from below, up to half of what was known.
    pub(super) fn back(&mut self) {
        if self.settings.slow_start {
            self.threshold = (self.ceiling * self.settings.decrease).max(self.threshold);
        }
    }

    /// Events that may be in flight, at least 1.
    pub(super) fn limit(&self) -> f64 {
        self.limit
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of events are far below 2^53"
)]
fn as_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// As Flink has it.
    fn flink() -> AimdSettings {
        AimdSettings {
            slow_start: false,
            ..AimdSettings::default()
        }
    }

    fn close(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 1e-9
    }

    #[test]
    fn it_begins_with_a_batch_gains_ten_and_loses_half_between_one_and_the_ceiling() {
        let start = Instant::now();
        let mut aimd = Aimd::new(flink(), 500, 25_000);

        assert!(close(aimd.limit(), 500.0));
        aimd.succeeded(500);
        assert!(close(aimd.limit(), 510.0));
        aimd.throttled(start, start);
        assert!(close(aimd.limit(), 255.0));
        for second in 1..20 {
            let now = start + Duration::from_secs(second);
            aimd.throttled(now, now);
        }
        assert!(close(aimd.limit(), 1.0));
        for _ in 0..10_000 {
            aimd.succeeded(1);
        }
        assert!(close(aimd.limit(), 25_000.0));
    }

    #[test]
    fn the_limit_doubles_in_a_round_trip_until_a_call_is_throttled() {
        let start = Instant::now();
        let mut aimd = Aimd::new(AimdSettings::default(), 500, 25_000);

        aimd.succeeded(500);
        aimd.succeeded(500);
        aimd.succeeded(500);
        assert!(close(aimd.limit(), 2000.0));
        aimd.throttled(start, start);
        aimd.succeeded(500);

        assert!(close(aimd.limit(), 1010.0));
    }

    #[test]
    fn larger_batches_raise_a_limit_that_was_never_too_high() {
        let start = Instant::now();
        let mut fresh = Aimd::new(flink(), 20, 1000);
        let mut lowered = Aimd::new(flink(), 20, 1000);
        lowered.throttled(start, start);

        for aimd in [&mut fresh, &mut lowered] {
            aimd.fit(500, 25_000);
        }

        assert!(close(fresh.limit(), 500.0), "{}", fresh.limit());
        assert!(close(lowered.limit(), 10.0), "{}", lowered.limit());
    }

    #[test]
    fn calls_that_were_under_way_together_lower_it_once() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let mut aimd = Aimd::new(flink(), 400, 25_000);

        for _ in 0..50 {
            aimd.throttled(start, later);
        }

        assert!(close(aimd.limit(), 200.0));
        aimd.throttled(later, later + Duration::from_secs(1));
        assert!(close(aimd.limit(), 100.0));
    }

    #[test]
    fn a_call_larger_than_the_limit_goes_alone() {
        let aimd = Aimd::new(flink(), 100, 1000);

        assert!(aimd.admits(0, 500));
        assert!(aimd.admits(60, 40));
        assert!(!aimd.admits(60, 41));
    }

    #[test]
    fn a_limit_that_is_written_is_not_raised_by_larger_batches() {
        let settings = AimdSettings {
            initial: Some(30),
            ..flink()
        };
        let mut aimd = Aimd::new(settings, 20, 1000);

        aimd.fit(500, 25_000);
        let raised = aimd.limit();
        aimd.fit(20, 10);

        assert!(close(raised, 30.0), "{raised}");
        assert!(close(aimd.limit(), 10.0), "{}", aimd.limit());
    }

    #[test]
    fn with_more_sinks_the_limit_doubles_on_unless_it_is_known_to_be_too_high() {
        let start = Instant::now();
        let mut fresh = Aimd::new(AimdSettings::default(), 100, 200);
        let mut lowered = Aimd::new(AimdSettings::default(), 100, 200);
        let mut never = Aimd::new(flink(), 100, 200);
        lowered.throttled(start, start);

        for aimd in [&mut fresh, &mut lowered, &mut never] {
            aimd.fit(100, 1000);
            aimd.succeeded(100);
            aimd.succeeded(100);
            aimd.succeeded(100);
        }

        assert!(close(fresh.limit(), 400.0), "{}", fresh.limit());
        assert!(close(lowered.limit(), 80.0), "{}", lowered.limit());
        assert!(close(never.limit(), 130.0), "{}", never.limit());
    }
}
