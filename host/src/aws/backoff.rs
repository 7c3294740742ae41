//! The pauses between attempts of a service call: exponential with full jitter.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(10);

/// Grows with each failure in a row. The pause is drawn evenly between nothing and its bound (AWS Architecture
/// Blog, "Exponential Backoff and Jitter": full jitter), so that shards that were throttled together part.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after another failure; `random` is in 0 to 1.
    pub fn next(&mut self, random: f64) -> Duration {
        let bound = FIRST
            .saturating_mul(2_u32.saturating_pow(self.failures.min(16)))
            .min(CAP);
        self.failures = self.failures.saturating_add(1);
        bound
            .mul_f64(random.clamp(0.0, 1.0))
            .max(Duration::from_millis(10))
    }

    /// A call has succeeded; true if some had failed since the last success.
    pub fn succeeded(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_start_over() {
        let mut backoff = Backoff::default();

        let bounds: Vec<u128> = (0..9).map(|_| backoff.next(1.0).as_millis()).collect();
        let half = backoff.next(0.5);
        let recovered = backoff.succeeded();

        assert_eq!(
            bounds,
            [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]
        );
        assert_eq!(half, CAP / 2);
        assert!(recovered && !backoff.succeeded());
        assert_eq!(
            backoff.next(0.0),
            Duration::from_millis(10),
            "never without a pause"
        );
    }
}
