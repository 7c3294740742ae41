//! Order, pauses, probes and bounds: when a call may go.

use tokio::time::Instant;

use super::{truth::Letter, world::World};
use crate::{
    batch::BatchBy,
    delivery::settings::{Backoff, OnOutage, Order, RetrySettings},
};

/// The longest pause that may lie between two probes, after so many.
fn bound(retry: &RetrySettings, probes: u32) -> std::time::Duration {
    let pause = match retry.backoff {
        Backoff::Fixed { delay } => delay,
        Backoff::Exponential {
            initial,
            multiplier,
        } => initial.mul_f64(multiplier.powi(probes as i32 - 1).min(1e9)),
    };
    pause.min(retry.max_delay)
}

impl World {
    /// Under `order`, nothing overtakes an earlier event that has no end.
    pub(super) fn hold_against_order(&mut self, sink: usize, events: &[usize]) {
        for (event, earlier) in self.overtaken(sink, events) {
            let is_busy = self.fate(sink, earlier).is_some_and(|fate| fate.busy);
            if is_busy || !self.is_over(sink, earlier) {
                let what = format!("event {event} goes, and event {earlier} has no end");
                return self.fail("ORDER", what);
            }
            if let Some(fate) = self.fate(sink, earlier) {
                fate.passed_by = true;
            }
        }
    }

    /// Those of a call, each with an earlier one that it had to wait for, and of which the world has seen no end.
    fn overtaken(&self, sink: usize, events: &[usize]) -> Vec<(usize, usize)> {
        let settings = &self.plan.sinks[sink].settings;
        let key = |event: usize| &self.plan.issued[event].event.key;
        // Batches by key leave when they are full: there, `strict` is about what has been tried.
        let in_turn = settings.order == Order::Key || settings.batch.by == BatchBy::Any;
        let truth = &self.sinks[sink];
        let mut all = Vec::new();
        for &event in events {
            let waits = |earlier: usize| match settings.order {
                Order::None => false,
                Order::Key => key(event).is_some() && key(event) == key(earlier),
                Order::Strict => true,
            };
            let tried = |earlier: usize| {
                let fate = truth.fates[earlier].as_ref();
                in_turn || fate.is_some_and(|fate| fate.attempts > 0)
            };
            let seq = truth.fates[event].as_ref().map_or(0, |fate| fate.seq);
            let earlier = truth.arrived.iter().take(seq).copied();
            let overtaken = earlier.filter(|&earlier| {
                waits(earlier)
                    && !events.contains(&earlier)
                    && tried(earlier)
                    && self.is_open(sink, earlier)
            });
            all.extend(overtaken.map(|earlier| (event, earlier)));
        }
        all
    }

    /// Whether the world has seen no end of it: neither an answer nor a letter.
    fn is_open(&self, sink: usize, event: usize) -> bool {
        let fate = self.sinks[sink].fates[event].as_ref();
        fate.is_none_or(|fate| fate.is_open() && fate.letter == Letter::None)
    }

    /// What a later one has passed by under `order` was given up on.
    pub(super) fn hold_against_passing(&mut self, sink: usize, event: usize) {
        if self.fate(sink, event).is_some_and(|fate| fate.passed_by) {
            let what = format!("event {event} goes on, and a later one went before it");
            self.fail("ORDER", what);
        }
    }

    /// Whether a record may have its end, though the world has not seen a letter yet.
    pub(super) fn is_over(&self, sink: usize, event: usize) -> bool {
        let settings = &self.plan.sinks[sink].settings;
        self.plan.data(event).len() > settings.batch.max_bytes
            || self.sinks[sink].fates[event]
                .as_ref()
                .is_some_and(|fate| !fate.is_open() || fate.may_give_up(settings))
    }

    /// Behind a pause nothing begins.
    pub(super) fn hold_against_a_pause(&mut self, sink: usize, what: &str) {
        if self.sinks[sink].paused {
            self.fail(
                "PAUSE",
                format!("{what} of sink {sink} begins in its pause"),
            );
        }
    }

    /// `Retry-After` pauses the endpoint; and in an outage calls go as probes.
    pub(super) fn hold_against_pauses(&mut self, sink: usize, endpoint: usize) {
        let now = Instant::now();
        // What was sent off in the very instant that the answer came could not know of it.
        if let Some((since, until)) = self.endpoints[endpoint].paused
            && since < now
            && now < until
        {
            let what = format!("a call goes {:?} before `Retry-After` is over", until - now);
            self.fail("RETRY", what);
        }
        let settings = self.plan.sinks[sink].settings.clone();
        if settings.on_outage != OnOutage::Hold {
            return;
        }
        let endpoint = &mut self.endpoints[endpoint].outage;
        let Some(since) = endpoint.down_since.filter(|since| *since < now) else {
            return;
        };
        let early = endpoint.next_probe.is_some_and(|next| now < next);
        endpoint.probes += 1;
        endpoint.next_probe = Some(now + bound(&settings.retry, endpoint.probes));
        self.seen.count("outage: probe");
        if early {
            let what = format!("the endpoint is down since {since:?}, and a second probe goes");
            self.fail("BOUND", what);
        }
    }

    /// An endpoint has no more calls at once than it takes, whichever sinks they are of.
    pub(super) fn hold_against_gate(&mut self, endpoint: usize) {
        let calls = self.endpoints[endpoint].in_flight.iter().zip(&self.sinks);
        // What was under way in a sink that has halted is on its way out.
        let runs = calls.filter(|(_, sink)| !sink.may_halt);
        let in_flight: usize = runs.map(|(calls, _)| calls).sum();
        if let Some(max) = self.plan.endpoints[endpoint].max_calls {
            if in_flight == max && self.plan.is_shared(endpoint) {
                self.seen.count("endpoint: full, and shared");
            }
            if in_flight > max {
                let what = format!("endpoint {endpoint} has {in_flight} calls of {max} in flight");
                self.fail("BOUND", what);
            }
        }
    }

    /// What is held, and what is under way, stays within the settings.
    pub(super) fn hold_against_bounds(&mut self, sink: usize) {
        let settings = self.plan.sinks[sink].settings.clone();
        let truth = &self.sinks[sink];
        let open = truth.arrived.iter().filter(|event| {
            truth.fates[**event]
                .as_ref()
                .is_some_and(|fate| fate.is_open() && !fate.may_give_up(&settings))
        });
        let (mut records, mut bytes, mut largest) = (0, 0, 0);
        for event in open {
            let memory = self.plan.issued[*event].event.memory();
            records += 1;
            bytes += memory;
            largest = largest.max(memory);
        }
        // A chunk that waits for room, one in the queue of each that leads here, and the record that fills the buffer.
        let chunks = truth.chunks.iter();
        let outside = chunks.fold((0, 0), |all, chunk| (all.0 + chunk.0, all.1 + chunk.1));
        let reported = truth.stats.buffered.get();
        let (in_flight, max) = (truth.in_flight, settings.in_flight.max_calls);
        if in_flight > max {
            self.fail("BOUND", format!("{in_flight} calls of {max} are in flight"));
        } else if records > settings.buffer.max_records + outside.0
            || reported > settings.buffer.max_records as u64
        {
            self.fail(
                "BOUND",
                format!("sink {sink} holds {records} records ({reported})"),
            );
        } else if bytes > settings.buffer.max_bytes + largest + outside.1 {
            self.fail("BOUND", format!("sink {sink} holds {bytes} bytes"));
        }
    }
}
