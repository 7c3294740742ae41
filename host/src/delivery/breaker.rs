//! Tells a plugin that fails on everything from an event that it fails on: pure, driven by the caller's clock.
//!
//! What fails is the event's own fault if the plugin has succeeded since it was first seen to fail. Where it has not,
//! `AFTER` failures of different events in a row are the plugin's: then the breaker is open, nothing counts against
//! events, and the plugin is tried at growing intervals until it succeeds (docs/decisions/012-a-breaker-for-plugins.md).

use std::time::Duration;

use tokio::time::Instant;

/// So many failures in a row, of different events, are the plugin's fault.
const AFTER: u32 = 5;

/// Between the first two tries of a plugin that fails; each further interval is twice as long.
const BASE: Duration = Duration::from_secs(1);

/// How often the plugin had succeeded at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The event's: it counts against it.
    Event,
    /// The plugin's: the event is held.
    Plugin,
}

/// Whether the plugin works at all.
#[derive(Debug, Default)]
pub struct Breaker {
    successes: u64,
    /// Failures of different events since the last success.
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    next: Instant,
    tries: u32,
}

impl Breaker {
    /// How often the plugin has succeeded by now.
    pub fn mark(&self) -> Mark {
        Mark(self.successes)
    }

    /// The plugin has succeeded; true if that closes the breaker.
    pub fn succeeded(&mut self) -> bool {
        self.successes += 1;
        self.failures = 0;
        self.open.take().is_some()
    }

    /// The plugin has failed on what was first seen to fail at `since`; `is_new` says whether it was not counted yet.
    pub fn failed(&mut self, since: Mark, is_new: bool, now: Instant) -> Blame {
        if self.open.is_some() {
            return Blame::Plugin;
        }
        if since < self.mark() {
            return Blame::Event;
        }
        self.failures += u32::from(is_new);
        if self.failures < AFTER {
            return Blame::Event;
        }
        self.broke(now);
        Blame::Plugin
    }

    /// The plugin has failed whatever the event.
    pub fn broke(&mut self, now: Instant) {
        self.open.get_or_insert(Open {
            next: now,
            tries: 0,
        });
    }

    /// When the plugin may be tried next, if it fails on everything.
    pub fn next_try(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.next)
    }

    /// It is tried: the next time is later, by `cap` at most.
    pub fn trying(&mut self, now: Instant, cap: Duration) {
        if let Some(open) = &mut self.open {
            let pause = BASE.saturating_mul(1 << open.tries.min(20));
            open.tries = open.tries.saturating_add(1);
            open.next = now + pause.min(cap);
        }
    }

    /// Another plugin serves: nothing is known of it.
    pub fn reset(&mut self) {
        self.failures = 0;
        self.open = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: Duration = Duration::from_secs(30);

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn blames(breaker: &mut Breaker, failures: usize) -> Vec<Blame> {
        let (since, now) = (breaker.mark(), Instant::now());
        (0..failures)
            .map(|_| breaker.failed(since, true, now))
            .collect()
    }

    #[test]
    fn four_failures_in_a_row_are_of_events_and_the_fifth_is_the_plugins() {
        let mut breaker = Breaker::default();

        let blames = blames(&mut breaker, 6);

        use Blame::{Event, Plugin};
        assert_eq!(blames, [Event, Event, Event, Event, Plugin, Plugin]);
        assert!(breaker.next_try().is_some());
    }

    #[test]
    fn a_success_between_them_is_all_the_difference() {
        let mut breaker = Breaker::default();

        for _ in 0..100 {
            assert_eq!(blames(&mut breaker, 4), [Blame::Event; 4]);
            assert!(!breaker.succeeded());
        }

        assert_eq!(breaker.next_try(), None);
    }

    #[test]
    fn what_failed_before_the_last_success_is_at_fault_itself() {
        let mut breaker = Breaker::default();
        let since = breaker.mark();
        blames(&mut breaker, 5);
        assert!(breaker.succeeded());

        let blames: Vec<_> = (0..100)
            .map(|_| breaker.failed(since, true, Instant::now()))
            .collect();

        assert_eq!(blames, [Blame::Event; 100]);
        assert_eq!(breaker.next_try(), None);
    }

    #[test]
    fn the_same_event_again_is_no_further_evidence() {
        let mut breaker = Breaker::default();
        let (since, now) = (breaker.mark(), Instant::now());

        let first = breaker.failed(since, true, now);
        let again: Vec<_> = (0..20).map(|_| breaker.failed(since, false, now)).collect();

        assert_eq!(first, Blame::Event);
        assert_eq!(again, [Blame::Event; 20]);
    }

    #[test]
    fn it_is_tried_at_once_then_at_growing_intervals_up_to_the_cap() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        breaker.broke(start);

        let mut now = start;
        let mut intervals = Vec::new();
        for _ in 0..7 {
            breaker.trying(now, CAP);
            let next = breaker.next_try().expect("it is open");
            intervals.push((next - now).as_secs());
            now = next;
            breaker.broke(now);
        }

        assert_eq!(intervals, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn another_plugin_is_tried_at_once() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        breaker.broke(start);
        breaker.trying(start, CAP);
        assert_eq!(breaker.next_try(), Some(at(start, 1)));

        breaker.reset();

        assert_eq!(breaker.next_try(), None);
        assert_eq!(blames(&mut breaker, 1), [Blame::Event]);
    }
}
