//! Finds how many calls an endpoint takes side by side, from the latency of its answers: pure.
//!
//! By Little's law, an endpoint that answers `x` calls a second and needs `t0` for each without a queue works on `x t0` of the `n`
//! in flight, and `n - x t0` wait: the estimate of TCP Vegas (Brakmo and Peterson, 1995), over all calls of a round trip,
//! those too that are not answered yet. The limit is raised while fewer wait than half its square root (a quarter of it,
//! below four), and lowered when three tenths more than that do: enough in the queue that the endpoint never idles, and few
//! against what it works on. Where Vector's controller compares the latency with its own recent mean, which follows a
//! queue that grows slowly, this one measures `t0` again from time to time, with half the calls.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// How often `t0` is measured anew, as an endpoint may have become slower for good.
const REMEASURE: Duration = Duration::from_secs(30);
/// A call that takes so many times as long as one without a queue is stuck: it stands in no queue.
const STUCK: f64 = 6.0;
/// Round trips for which a limit that was too high is not tried again.
const CALM: u32 = 16;
/// What remains of the limit after a round trip in which a call was throttled.
const DECREASE: f64 = 0.9;

#[derive(Debug)]
pub(super) struct Adaptive {
    limit: f64,
    ceiling: f64,
    /// When the calls in flight began, and how many at the same time.
    in_flight: BTreeMap<Instant, usize>,
    calls: usize,
    /// Until the limit is known to be too high, it doubles.
    doubling: bool,
    /// The limit that was too high last, and for how many round trips it is not tried again.
    too_high: Option<(f64, u32)>,
    /// Latency without a queue, in seconds.
    base: Option<f64>,
    measured: Instant,
    /// While `t0` is measured, the limit that comes back afterwards.
    measuring: Option<f64>,
    window: Window,
}

/// One or two round trips: what is learnt under one limit.
#[derive(Debug)]
struct Window {
    began: Instant,
    /// Calls in flight that are not stuck, summed up over time, in seconds; until when that is.
    area: f64,
    until: Instant,
    /// Calls that were answered, and of those that began in it the number and the sum of the latencies in seconds.
    answered: usize,
    own: usize,
    latencies: f64,
    /// Whether the limit kept a call from going.
    limited: bool,
    throttled: bool,
}

impl Window {
    fn new(now: Instant) -> Self {
        Self {
            began: now,
            area: 0.0,
            until: now,
            answered: 0,
            own: 0,
            latencies: 0.0,
            limited: false,
            throttled: false,
        }
    }

    fn advance(&mut self, in_flight: usize, now: Instant) {
        self.area += as_f64(in_flight) * now.saturating_duration_since(self.until).as_secs_f64();
        self.until = now;
    }

    /// The mean of its own calls.
    fn latency(&self) -> Option<f64> {
        (self.own > 0).then(|| self.latencies / as_f64(self.own))
    }

    /// Of the calls in flight, those that waited, if each needs `base` seconds.
    fn waiting(&self, base: f64) -> f64 {
        let seconds = self
            .until
            .saturating_duration_since(self.began)
            .as_secs_f64();
        if seconds <= 0.0 {
            return 0.0;
        }
        (self.area - as_f64(self.answered) * base) / seconds
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of calls are far below 2^53"
)]
fn as_f64(number: usize) -> f64 {
    number as f64
}

impl Adaptive {
    /// `ceiling`: the most calls that may ever be in flight.
    pub(super) fn new(ceiling: usize, now: Instant) -> Self {
        let ceiling = as_f64(ceiling.max(1));
        Self {
            limit: 1.0,
            in_flight: BTreeMap::new(),
            calls: 0,
            ceiling,
            doubling: true,
            too_high: None,
            base: None,
            measured: now,
            measuring: None,
            window: Window::new(now),
        }
    }

    /// This many calls may be in flight at most from now on.
    pub(super) fn fit(&mut self, ceiling: usize) {
        self.ceiling = as_f64(ceiling.max(1));
        self.limit = self.limit.min(self.ceiling);
    }

    /// Calls that may be in flight, at least 1.
    pub(super) fn limit(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and a number of calls"
        )]
        let calls = self.limit as usize;
        calls
    }

    /// A call had to wait for the limit.
    pub(super) fn limited(&mut self) {
        self.window.limited = true;
    }

    /// A call begins.
    pub(super) fn began(&mut self, now: Instant) {
        self.advance(now);
        *self.in_flight.entry(now).or_default() += 1;
        self.calls += 1;
    }

    /// A call that began at `began` is in flight no longer, and nothing is known of it.
    pub(super) fn gone(&mut self, began: Instant, now: Instant) {
        self.advance(now);
        if let Some(calls) = self.in_flight.get_mut(&began) {
            *calls -= 1;
            self.calls -= 1;
            if *calls == 0 {
                self.in_flight.remove(&began);
            }
        }
    }

    fn advance(&mut self, now: Instant) {
        let limit = self.base.map(|base| Duration::from_secs_f64(STUCK * base));
        let stuck = limit
            .and_then(|limit| now.checked_sub(limit))
            .map_or(0, |before| {
                self.in_flight.range(..before).map(|(_, calls)| calls).sum()
            });
        let calls = self.calls - stuck;
        self.window.advance(calls, now);
    }

    /// A call that began at `began` has ended; `latency` is none if it was throttled, or not answered.
    pub(super) fn ended(&mut self, began: Instant, latency: Option<Duration>, now: Instant) {
        self.gone(began, now);
        let window = &mut self.window;
        let own = began >= window.began;
        match latency {
            Some(latency) => {
                window.answered += 1;
                if own {
                    window.own += 1;
                    window.latencies += latency.as_secs_f64();
                }
            }
            // What began before may have met the limit of before.
            None => window.throttled |= own,
        }
        // Calls that began together end together: where one trip is counted, or half of the next, makes a difference.
        let trips = if self.doubling { 1 } else { 2 };
        let limit = self.limit();
        let window = &self.window;
        if (window.own > 0 && window.answered >= trips * limit) || window.throttled {
            self.close(now);
        }
    }

    fn close(&mut self, now: Instant) {
        let window = std::mem::replace(&mut self.window, Window::new(now));
        let latency = window.latency();
        if let Some(latency) = latency {
            let base = self.base.get_or_insert(latency);
            *base = base.min(latency);
        }
        if let Some(limit) = self.measuring.take() {
            self.base = latency.or(self.base);
            self.measured = now;
            self.limit = limit;
            return;
        }
        self.adapt(&window);
        if now.saturating_duration_since(self.measured) >= REMEASURE {
            self.measuring = Some(self.limit);
            self.limit = (self.limit / 2.0).max(1.0);
        }
    }

    fn adapt(&mut self, window: &Window) {
        if window.throttled {
            let factor = if self.doubling { 0.5 } else { DECREASE };
            self.doubling = false;
            self.too_high = Some((self.limit, CALM));
            self.limit = (self.limit * factor).max(1.0);
            return;
        }
        let Some(base) = self.base else { return };
        let waiting = window.waiting(base);
        let few = (self.limit.sqrt() / 2.0).min(self.limit / 4.0);
        let many = 1.3 * few;
        self.doubling &= waiting < few / 2.0;
        if waiting > many + 1e-6 {
            self.too_high = Some((self.limit, CALM));
            // What waits beyond the bound is let go of, at most half of all in one round trip.
            self.limit = (self.limit - (waiting - many).max(1.0)).max(self.limit / 2.0);
        } else if waiting < few && window.limited && self.may_grow() {
            self.limit += if self.doubling { self.limit } else { 1.0 };
        }
        self.limit = self.limit.clamp(1.0, self.ceiling);
    }

    fn may_grow(&mut self) -> bool {
        match &mut self.too_high {
            Some((limit, calm)) if self.limit + 2.0 > *limit && *calm > 0 => {
                *calm -= 1;
                false
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests;
