//! How much a shard is asked for, and how soon again.

use std::time::Duration;

/// A shard gives at most this many bytes a second to all of its polling consumers (Kinesis quotas: 2 MB/s).
const SHARD_BYTES_PER_SECOND: usize = 2 * 1024 * 1024;
/// Five reads a second, of all polling consumers together.
const MIN_INTERVAL: Duration = Duration::from_millis(200);
/// `GetRecords` takes no larger limit.
pub(super) const MAX_LIMIT: usize = 10_000;
/// `GetRecords` gives no more in one answer; the reads behind it must wait until it fits the quota.
pub(super) const MAX_ANSWER: usize = 10 * 1024 * 1024;
/// How much a new average counts.
const WEIGHT: f64 = 0.3;

/// The pace of one shard (Flink: `flink.shard.adaptivereads`): each read asks for what the quota leaves for one
/// interval, by the average size of the records seen so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pace {
    interval: Duration,
    /// Bytes of a record, on average; none before the first.
    average: Option<f64>,
}

impl Pace {
    /// One read in each `interval`; the service allows five a second.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            average: None,
        }
    }

    /// How many records to ask for.
    pub(super) fn limit(&self) -> usize {
        let Some(average) = self.average else {
            // Of records of 1 MiB this is an answer that the quota takes five seconds for.
            return 1_000;
        };
        let budget = match self.has_no_quota() {
            true => MAX_ANSWER as f64,
            false => SHARD_BYTES_PER_SECOND as f64 * self.interval.as_secs_f64(),
        };
        ((budget / average) as usize).clamp(1, MAX_LIMIT)
    }

    /// How many bytes that will be, about.
    pub(super) fn expected(&self) -> usize {
        let average = self.average.unwrap_or(1024.0);
        ((self.limit() as f64 * average) as usize).clamp(1, MAX_ANSWER)
    }

    /// Learns from an answer; gives how long after its request the next may go.
    pub(super) fn answered(&mut self, records: usize, bytes: usize) -> Duration {
        if records > 0 {
            let seen = (bytes as f64 / records as f64).max(1.0);
            self.average = Some(match self.average {
                None => seen,
                Some(average) => (1.0 - WEIGHT) * average + WEIGHT * seen,
            });
        }
        if self.has_no_quota() {
            return self.interval;
        }
        let quota = Duration::from_secs_f64(bytes as f64 / SHARD_BYTES_PER_SECOND as f64);
        quota.max(self.interval)
    }

    /// An interval below what the service allows is for a server without its quotas.
    fn has_no_quota(&self) -> bool {
        self.interval < MIN_INTERVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(200);

    #[test]
    fn the_limit_follows_the_average_size() {
        let mut pace = Pace::new(INTERVAL);

        let first = pace.limit();
        pace.answered(1_000, 200_000);
        let small = pace.limit();
        for _ in 0..50 {
            pace.answered(1, 1024 * 1024);
        }
        let large = pace.limit();
        for _ in 0..50 {
            pace.answered(10_000, 10_000);
        }

        assert_eq!(first, 1_000);
        assert_eq!(small, 2_097, "2 MiB / 5 / 200 bytes");
        assert_eq!(large, 1);
        assert_eq!(pace.limit(), MAX_LIMIT);
        assert!(pace.expected() <= MAX_ANSWER);
    }

    #[test]
    fn a_server_without_quotas_is_asked_for_full_answers() {
        let mut pace = Pace::new(Duration::from_millis(1));

        pace.answered(1_000, 200_000);
        let small = pace.limit();
        for _ in 0..50 {
            pace.answered(1, 1024 * 1024);
        }

        assert_eq!((small, pace.limit()), (MAX_LIMIT, 10));
    }

    #[test]
    fn a_large_answer_is_followed_by_a_pause_that_the_quota_asks_for() {
        let mut pace = Pace::new(INTERVAL);

        let empty = pace.answered(0, 0);
        let usual = pace.answered(100, 300_000);
        let largest = pace.answered(10, MAX_ANSWER);

        assert_eq!((empty, usual), (INTERVAL, INTERVAL));
        assert_eq!(largest, Duration::from_secs(5), "Kinesis API: GetRecords");
        assert_eq!(
            Pace::new(Duration::ZERO).answered(10, MAX_ANSWER),
            Duration::ZERO
        );
    }
}
