//! The sink's ways to its endpoints: what the gate of each has said last.

use std::{future::poll_fn, task::Poll};

use tokio::time::Instant;
use tracing::{info, warn};

use super::Engine;
use crate::{
    delivery::{
        gate::{Admission, Entrance, View},
        verdict::Seen,
    },
    http::Transport,
    plugin::Plugin,
};

/// The way through one endpoint's gate.
#[derive(Debug)]
pub(super) struct Passage {
    pub(super) gate: Entrance,
    /// What the gate said last to a call that was ready; none if it let all through.
    pub(super) refused: Option<Admission>,
    /// Whether a call has to wait for its turn: not while the endpoint is closed, to this sink perhaps alone.
    pub(super) waits: bool,
    /// Whether calls are looked for no more in this round.
    pub(super) shut: bool,
    /// Whether the endpoint was down when that was looked at last.
    pub(super) down: bool,
}

impl Passage {
    pub(super) fn new(gate: Entrance) -> Self {
        Self {
            gate,
            refused: None,
            waits: false,
            shut: false,
            down: false,
        }
    }

    /// Whether what other sinks do at the endpoint may change what this one does next.
    pub(super) fn listens(&self) -> bool {
        self.refused.is_some() || self.down
    }

    /// When the gate opens, where that is known.
    pub(super) fn opens(&self) -> Option<Instant> {
        match self.refused {
            Some(Admission::At(until)) => Some(until),
            _ => None,
        }
    }
}

/// Ends when another sink has changed something at an endpoint that [`Passage::listens`].
///
/// # Cancel safety
/// What has changed is not forgotten.
pub(super) async fn changed(passages: &mut [Passage]) {
    if let [only] = passages {
        return only.gate.changed().await;
    }
    let listening = passages.iter_mut().filter(|passage| passage.listens());
    let mut changes: Vec<_> = listening
        .map(|passage| Box::pin(passage.gate.changed()))
        .collect();
    poll_fn(|context| {
        let mut changes = changes.iter_mut();
        match changes.any(|change| change.as_mut().poll(context).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

impl<P: Plugin, T: Transport> Engine<P, T> {
    /// Follows the endpoints that other sinks have changed something at.
    pub(super) fn look_at_gates(&mut self) {
        for way in 0..self.passages.len() {
            if self.passages[way].gate.has_changed() {
                self.look_at_gate(way, None);
            }
        }
    }

    /// Follows an endpoint, which other sinks may use too: when it is back, nothing waits for a back-off that an
    /// outage has stretched.
    pub(super) fn look_at_gate(&mut self, way: usize, last: Option<&Seen>) {
        let View { down, limit } = self.passages[way].gate.view();
        let was_down = std::mem::replace(&mut self.passages[way].down, down);
        let all_down = self.passages.iter().filter(|passage| passage.down).count();
        let (sink, stats) = (&self.sink.id, &self.sink.stats);
        stats.down.set(all_down);
        stats.endpoint_is(way, down, limit);
        if let [_] = &*self.passages {
            stats.concurrency_limit.set(limit.unwrap_or(0));
        }
        let endpoint = self.sink.endpoints.label(way).map(|name| &**name);
        if down && !was_down {
            let last = last.map(tracing::field::display);
            warn!(%sink, endpoint, last, "the endpoint is down: its events are held, and calls go as probes until one is answered");
        }
        if was_down && !down {
            info!(%sink, endpoint, "the endpoint answers again");
            self.wake(way);
        }
    }

    /// Brings back what waits after an attempt at this endpoint.
    fn wake(&mut self, way: usize) {
        for delayed in self.delayed.take_of(way) {
            self.bring_back(delayed);
        }
    }
}
