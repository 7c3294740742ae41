//! How the endpoint misbehaves, and the roll of the dice that decides: pure.

use std::time::Duration;

use fastrand::Rng;

/// How the endpoint misbehaves. Shares are in percent; what they leave is answered with 200.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointOptions {
    /// Statuses and their shares.
    pub statuses: Vec<(u16, f64)>,
    /// The share of calls whose connection is reset without an answer.
    pub resets: f64,
    /// The share of items of a bulk request that fail: half with 429, half with 400.
    pub item_failures: f64,
    /// The shortest and the longest time before an answer.
    pub latency: (Duration, Duration),
    /// `Retry-After` on 429 and 503, in seconds.
    pub retry_after: Option<u64>,
    /// What `x-api-key` must be; others are answered with 401.
    pub api_key: Option<String>,
    /// The field of a record that identifies it.
    pub id_field: String,
    /// The same seed gives the same answers, in the order of arrival.
    pub seed: u64,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            statuses: Vec::new(),
            resets: 0.0,
            item_failures: 0.0,
            latency: (Duration::ZERO, Duration::ZERO),
            retry_after: None,
            api_key: None,
            id_field: "id".to_owned(),
            seed: 1,
        }
    }
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roll {
    /// Answered.
    Status(u16),
    /// Not answered: the connection is reset.
    Reset,
}

impl EndpointOptions {
    /// Rolls the dice for one call.
    pub fn roll(&self, rng: &mut Rng) -> (Roll, Duration) {
        let mut point = rng.f64() * 100.0;
        let mut roll = Roll::Status(200);
        let shares = self
            .statuses
            .iter()
            .map(|(status, share)| (Roll::Status(*status), *share));
        for (candidate, share) in shares.chain([(Roll::Reset, self.resets)]) {
            if point < share {
                roll = candidate;
                break;
            }
            point -= share;
        }
        let (shortest, longest) = self.latency;
        (
            roll,
            shortest + longest.saturating_sub(shortest).mul_f64(rng.f64()),
        )
    }

    /// Rolls the dice for one item of a bulk request.
    pub fn roll_item(&self, rng: &mut Rng) -> u16 {
        let point = rng.f64() * 100.0;
        match point {
            point if point < self.item_failures / 2.0 => 429,
            point if point < self.item_failures => 400,
            _ => 200,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_come_out_and_the_seed_repeats_them() {
        let options = EndpointOptions {
            statuses: vec![(503, 20.0), (400, 5.0)],
            resets: 5.0,
            latency: (Duration::from_millis(5), Duration::from_millis(10)),
            ..EndpointOptions::default()
        };
        let rolls = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..10_000)
                .map(|_| options.roll(&mut rng))
                .collect::<Vec<_>>()
        };

        let first = rolls(7);
        let share = |wanted| first.iter().filter(|(roll, _)| *roll == wanted).count();

        assert_eq!(first, rolls(7));
        assert!((1800..2200).contains(&share(Roll::Status(503))));
        assert!((400..600).contains(&share(Roll::Status(400))));
        assert!((400..600).contains(&share(Roll::Reset)));
        assert!(
            first
                .iter()
                .all(|(_, wait)| (5..=10).contains(&wait.as_millis()))
        );
    }
}
