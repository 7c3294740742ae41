//! Tells an endpoint that is down from an event that fails: pure, driven by the caller's clock.
//!
//! An endpoint failure counts against an event only if the endpoint has answered since the event's attempt before; a 429 never
//! counts as one of its attempts, as it speaks of the rate of all calls. When several fail in a row without an answer between
//! them, the endpoint is *down*: calls go one at a time, as probes, until one is answered.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    retry,
    settings::{OnOutage, RetrySettings},
};

/// Endpoint failures in a row that mean an outage.
const DOWN_AFTER: u32 = 5;

/// What a failed attempt counts against its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// Nothing: the endpoint answered nobody meanwhile.
    Nothing,
    /// The time since its first attempt, which `timeout.total` bounds.
    Time,
    /// One of its attempts, and the time.
    Attempts,
}

/// Whether the endpoint answers.
#[derive(Debug, Default)]
pub struct Outage {
    last_answer: Option<Instant>,
    /// Endpoint failures since the last answer, and when the first of them was seen.
    failures: u32,
    since: Option<Instant>,
    /// Time spent without an answer in outages that are over.
    spent: Duration,
    /// When the next probe may go.
    next_probe: Option<Instant>,
    probes: u32,
}

impl Outage {
    /// The endpoint has answered; true if that ends an outage.
    pub fn answered(&mut self, now: Instant) -> bool {
        let was_down = self.is_down();
        if let Some(since) = self.since.take() {
            self.spent += now - since;
        }
        self.last_answer = Some(now);
        self.failures = 0;
        self.probes = 0;
        self.next_probe = None;
        was_down
    }

    /// The endpoint failed on an event whose attempt before ended, or whose first attempt began, at
    /// `before`; `throttled` with a 429. Says what counts against the event of a sink that does as `on_outage` says.
    pub fn failed(
        &mut self,
        now: Instant,
        before: Instant,
        throttled: bool,
        on_outage: OnOutage,
    ) -> Against {
        self.failures = self.failures.saturating_add(1);
        self.since.get_or_insert(now);
        match on_outage {
            OnOutage::DeadLetter => Against::Attempts,
            OnOutage::Hold if self.last_answer.is_none_or(|answer| answer < before) => {
                Against::Nothing
            }
            OnOutage::Hold if throttled => Against::Time,
            OnOutage::Hold => Against::Attempts,
        }
    }

    /// Whether calls go only as probes.
    pub fn is_down(&self) -> bool {
        self.failures >= DOWN_AFTER
    }

    /// When the next call may go, none for at once.
    pub fn next_probe(&self) -> Option<Instant> {
        self.is_down().then_some(self.next_probe).flatten()
    }

    /// A call goes as a probe: the next one waits for its turn.
    pub fn probing(&mut self, now: Instant, retry: &RetrySettings) {
        self.probes = self.probes.saturating_add(1);
        self.next_probe = Some(now + retry::bound(retry, self.probes));
    }

    /// Time since the host started in which the endpoint did not answer.
    pub fn spent(&self, now: Instant) -> Duration {
        self.spent + self.since.map_or(Duration::ZERO, |since| now - since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_failure_counts_only_if_the_endpoint_answered_others_meanwhile() {
        let start = Instant::now();
        let mut outage = Outage::default();

        let never_answered = outage.failed(at(start, 1), start, false, OnOutage::Hold);
        outage.answered(at(start, 2));
        let answered_meanwhile = outage.failed(at(start, 3), at(start, 1), false, OnOutage::Hold);
        let silent_since = outage.failed(at(start, 5), at(start, 3), false, OnOutage::Hold);

        assert_eq!(never_answered, Against::Nothing);
        assert_eq!(answered_meanwhile, Against::Attempts);
        assert_eq!(silent_since, Against::Nothing);
    }

    #[test]
    fn a_429_takes_no_attempt_from_an_event_but_its_time() {
        let start = Instant::now();
        let mut outage = Outage::default();

        let never_answered = outage.failed(at(start, 1), start, true, OnOutage::Hold);
        outage.answered(at(start, 2));
        let answered_meanwhile = outage.failed(at(start, 3), at(start, 1), true, OnOutage::Hold);
        let spelled_out = outage.failed(at(start, 5), at(start, 3), true, OnOutage::DeadLetter);

        assert_eq!(never_answered, Against::Nothing);
        assert_eq!(answered_meanwhile, Against::Time);
        assert_eq!(spelled_out, Against::Attempts);
    }

    #[test]
    fn failures_in_a_row_are_an_outage_until_the_next_answer() {
        let start = Instant::now();
        let retry = RetrySettings::default();
        let mut outage = Outage::default();
        for second in 0..5 {
            assert!(!outage.is_down());
            outage.failed(at(start, second), start, false, OnOutage::Hold);
        }

        outage.probing(at(start, 5), &retry);
        outage.probing(at(start, 6), &retry);

        assert!(outage.is_down());
        assert_eq!(
            outage.next_probe(),
            Some(at(start, 6) + Duration::from_millis(400))
        );
        assert_eq!(outage.spent(at(start, 60)), Duration::from_secs(60));
        assert!(outage.answered(at(start, 60)));
        assert!(!outage.is_down());
        assert_eq!(outage.next_probe(), None);
        assert_eq!(outage.spent(at(start, 90)), Duration::from_secs(60));
    }

    #[test]
    fn dead_letter_counts_always() {
        let start = Instant::now();
        let mut outage = Outage::default();

        let counted: Vec<_> = (0..10)
            .map(|second| outage.failed(at(start, second), start, false, OnOutage::DeadLetter))
            .collect();

        assert_eq!(counted, [Against::Attempts; 10]);
    }

    #[test]
    fn an_answer_as_the_attempt_before_ended_is_one_since_then() {
        let start = Instant::now();
        let mut outage = Outage::default();
        outage.answered(at(start, 1));

        let counts = outage.failed(at(start, 2), at(start, 1), false, OnOutage::Hold);

        assert_eq!(counts, Against::Attempts);
    }

    #[test]
    fn the_time_of_every_outage_is_summed_up_from_its_first_failure() {
        let start = Instant::now();
        let mut outage = Outage::default();

        for (failures, answer) in [([10, 20], 30), ([40, 45], 47)] {
            for second in failures {
                outage.failed(at(start, second), start, false, OnOutage::Hold);
            }
            assert!(!outage.answered(at(start, answer)), "it was never down");
        }
        outage.failed(at(start, 50), start, false, OnOutage::Hold);

        assert_eq!(outage.spent(at(start, 51)), Duration::from_secs(20 + 7 + 1));
    }

    #[test]
    fn no_probe_is_waited_for_before_the_endpoint_is_down() {
        let start = Instant::now();
        let mut outage = Outage::default();
        outage.probing(start, &RetrySettings::default());

        let up = outage.next_probe();
        for _ in 0..5 {
            outage.failed(start, start, false, OnOutage::Hold);
        }

        assert_eq!(up, None);
        assert!(outage.next_probe().is_some());
    }
}
