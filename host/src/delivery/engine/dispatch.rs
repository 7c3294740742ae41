//! Which call goes next, and when.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{Engine, attempt::attempt, passages::Passage};
use crate::{
    delivery::{
        gate::Admission,
        item::{Call, First},
    },
    http::Transport,
    plugin::Plugin,
};

impl<P: Plugin, T: Transport> Engine<P, T> {
    pub(super) fn dispatch(&mut self, now: Instant) {
        for passage in &mut self.passages {
            (passage.refused, passage.waits, passage.shut) = (None, false, false);
        }
        // A plugin whose `handle` fails on everything gets one outcome at a time.
        let failing = self.breakers.handle.next_try();
        let holds = failing.is_some_and(|next| next > now || !self.attempts.is_empty());
        if holds || self.control.is_paused() {
            for passage in &mut self.passages {
                passage.gate.waits(false);
            }
            return;
        }
        while self.attempts.len() < self.sink.settings.in_flight.max_calls {
            let Some(way) = self.ready.first_way(|way| !self.passages[way].shut) else {
                break;
            };
            match self.take(way, now, failing.is_some()) {
                Some(call) if failing.is_some() => {
                    self.attempt(call, now);
                    let cap = self.sink.settings.retry.max_delay;
                    self.breakers.handle.trying(now, cap);
                    break;
                }
                Some(call) => self.attempt(call, now),
                // Nothing can go there now; the calls to other endpoints do not wait for it.
                None => self.passages[way].shut = true,
            }
        }
        for passage in &mut self.passages {
            passage.gate.waits(passage.waits);
        }
    }

    /// The next call to an endpoint, if one may go; `as_probe` has it as small as one can be.
    fn take(&mut self, way: usize, now: Instant, as_probe: bool) -> Option<Call> {
        // Asked for first: then no call has to be looked for.
        if let Some(until) = self.passages[way].gate.pause(now) {
            self.passages[way].refused = Some(Admission::At(until));
            return None;
        }
        let settings = &self.sink.settings;
        let (max_calls, retry) = (settings.in_flight.max_calls, &settings.retry);
        // What the held results wait for may not be in a call yet: then those that are here go first.
        let alone = self.nothing_is_under_way();
        let Passage {
            gate,
            refused,
            waits,
            down,
            ..
        } = &mut self.passages[way];
        let mut admits = |call: &Call| match gate.admit(now, call.load(), retry) {
            Admission::Go => true,
            wait => {
                *refused = Some(wait);
                *waits = true;
                false
            }
        };
        if *down || as_probe {
            return self.ready.pop_probe(way, admits);
        }
        let (reorder, attempts) = (self.reorder.as_ref(), self.attempts.len());
        let alone =
            alone && reorder.is_none_or(|reorder| !self.ready.has_first(reorder.first_open()));
        self.ready.pop(way, |call| {
            reorder.is_none_or(|reorder| {
                attempts + reorder.held() < max_calls || reorder.is_first(call.first_seq()) || alone
            }) && admits(call)
        })
    }

    /// Whether nothing but the calls that are ready can bring the next end.
    fn nothing_is_under_way(&self) -> bool {
        self.attempts.is_empty()
            && self.shaping.is_empty()
            && self.reshape.is_empty()
            && self.delayed.is_empty()
    }

    fn attempt(&mut self, mut call: Call, now: Instant) {
        let (passages, paused) = (&self.passages, self.control.paused(now));
        let spent = |way: usize| passages[way].gate.outage_spent(now) + paused;
        if call.attempts() > 0 {
            self.sink.stats.retried.add(call.items.len());
        }
        for item in &mut call.items {
            item.attempts = item.attempts.saturating_add(1);
            let first = item.first.get_or_insert_with(|| First {
                at: now,
                wall: SystemTime::now(),
                way: call.way,
                outage: spent(call.way),
                excused: Duration::ZERO,
            });
            first.goes_to(call.way, spent);
        }
        call.before.get_or_insert(now);
        let (sink, given_up) = (Arc::clone(&self.sink), self.control.given_up());
        self.attempts.spawn(attempt(sink, call, now, given_up));
    }
}
