//! What lets calls through to an endpoint, for all sinks that share it: concurrency, rate, pauses, outages.
//!
//! The rules are pure and stand in files of their own; here is the lock around them, and the turns of the sinks.
//! An [`Entrance`] is one sink's way in: it asks before each attempt, and says afterwards what came of it.

mod adaptive;
mod aimd;
mod bucket;
mod entrance;
mod pace;
pub mod settings;
#[cfg(test)]
mod tests;
mod turns;

pub use entrance::{Entrance, View};

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use self::{
    adaptive::Adaptive,
    aimd::Aimd,
    bucket::Bucket,
    pace::Pace,
    settings::{Concurrency, GateSettings},
    turns::Turns,
};
use super::{
    outage::Outage,
    settings::{DeliverySettings, OnOutage},
};

/// One endpoint's gate; clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when a sink that waits may have its turn.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    rule: Rule,
    pace: Pace,
    max_calls: usize,
    calls: Option<Bucket>,
    bytes: Option<Bucket>,
    outage: Outage,
    paused_until: Option<Instant>,
    in_flight: InFlight,
    turns: Turns,
}

#[derive(Debug)]
enum Rule {
    Fixed,
    Aimd(Aimd),
    Adaptive(Adaptive),
}

#[derive(Debug, Clone, Copy, Default)]
struct InFlight {
    calls: usize,
    events: usize,
}

impl InFlight {
    fn join(&mut self, load: Load) {
        self.calls += 1;
        self.events += load.events;
    }

    fn leave(&mut self, load: Load) {
        self.calls -= 1;
        self.events -= load.events;
    }
}

/// What a call weighs.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Events that it delivers.
    pub events: usize,
    /// Bytes of its body.
    pub bytes: usize,
}

/// Whether a call may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It counts as in flight until [`Entrance::ended`].
    Go,
    /// Not before then.
    At(Instant),
    /// When others have ended, or had their turn: [`Entrance::changed`] says when to ask again.
    Later,
}

/// What came of an attempt, as far as the gate is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// What was admitted.
    pub load: Load,
    /// When it was admitted.
    pub began: Instant,
    /// When the attempt before ended, or the first one began.
    pub before: Instant,
    /// From sending to the last byte of the answer.
    pub latency: Duration,
    /// It was the endpoint's failure: no complete response, 429, 502, 503 or 504.
    pub failed: bool,
    /// It was a 429.
    pub throttled: bool,
    /// Something of it is tried again.
    pub retried: bool,
    /// How long the endpoint asks for a pause.
    pub pause: Option<Duration>,
}

impl Gate {
    /// A gate for the sinks that have these settings.
    pub fn new<'a>(
        settings: &GateSettings,
        sinks: impl IntoIterator<Item = &'a DeliverySettings>,
        now: Instant,
    ) -> Self {
        let Most {
            batch,
            calls,
            events,
        } = Most::of(sinks);
        let max_calls = settings.max_calls.unwrap_or(usize::MAX);
        let rule = match settings.concurrency {
            Concurrency::Fixed => Rule::Fixed,
            Concurrency::Aimd(aimd) => Rule::Aimd(Aimd::new(aimd, batch, events)),
            Concurrency::Adaptive => Rule::Adaptive(Adaptive::new(calls.min(max_calls), now)),
        };
        let state = State {
            rule,
            pace: Pace::default(),
            max_calls,
            calls: settings.calls_per_second.map(|rate| Bucket::new(rate, now)),
            bytes: settings.bytes_per_second.map(|rate| Bucket::new(rate, now)),
            outage: Outage::default(),
            paused_until: None,
            in_flight: InFlight::default(),
            turns: Turns::default(),
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
        }))
    }

    /// Other sinks use it from now on; what was learnt stays.
    pub fn fit<'a>(&self, sinks: impl IntoIterator<Item = &'a DeliverySettings>) {
        let most = Most::of(sinks);
        let mut state = self.0.lock();
        let max_calls = state.max_calls;
        match &mut state.rule {
            Rule::Fixed => {}
            Rule::Aimd(aimd) => aimd.fit(most.batch, most.events),
            Rule::Adaptive(adaptive) => adaptive.fit(most.calls.min(max_calls)),
        }
        self.0.changed.send_replace(());
    }

    /// A way in for a sink that does with outages as `on_outage` says.
    pub fn enter(&self, on_outage: OnOutage) -> Entrance {
        Entrance::new(&self.0, on_outage)
    }
}

/// What sinks may send together, and their largest batch.
struct Most {
    batch: usize,
    calls: usize,
    events: usize,
}

impl Most {
    fn of<'a>(sinks: impl IntoIterator<Item = &'a DeliverySettings>) -> Self {
        let mut most = Self {
            batch: 1,
            calls: 0,
            events: 0,
        };
        for sink in sinks {
            let max = sink.in_flight.max_calls;
            most.batch = most.batch.max(sink.batch.max_records);
            most.calls = most.calls.saturating_add(max);
            let events = max.saturating_mul(sink.batch.max_records);
            most.events = most.events.saturating_add(events);
        }
        most
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Others may have their turn now.
    fn tell(&self, state: &State) {
        if state.turns.shared() {
            self.changed.send_replace(());
        }
    }
}

impl State {
    /// Whether `max-calls` lets a call join what is in flight.
    fn has_place(&self) -> bool {
        self.in_flight.calls < self.max_calls
    }

    /// Whether all rules do.
    fn fits(&mut self, load: Load) -> bool {
        let InFlight { calls, events } = self.in_flight;
        self.has_place()
            && match &mut self.rule {
                Rule::Fixed => true,
                Rule::Aimd(aimd) => aimd.admits(events, load.events),
                Rule::Adaptive(adaptive) => {
                    let fits = calls < adaptive.limit();
                    if !fits {
                        adaptive.limited();
                    }
                    fits
                }
            }
    }

    /// When the buckets let the next call through.
    fn paced(&mut self, now: Instant) -> Instant {
        let buckets = [&mut self.calls, &mut self.bytes];
        let open = buckets
            .into_iter()
            .flatten()
            .map(|bucket| bucket.open_at(now));
        open.fold(self.pace.open_at(now), Instant::max)
    }

    fn take(&mut self, place: usize, load: Load, now: Instant) {
        if let Some(calls) = &mut self.calls {
            calls.take(1);
        }
        if let Some(bytes) = &mut self.bytes {
            bytes.take(load.bytes);
        }
        self.pace.take(now);
        self.in_flight.join(load);
        if let Rule::Adaptive(adaptive) = &mut self.rule {
            adaptive.began(now);
        }
        self.turns.went(place);
    }

    fn learn(&mut self, attempt: &Attempt, now: Instant) {
        let Attempt { began, latency, .. } = *attempt;
        if attempt.throttled && !matches!(self.rule, Rule::Fixed) {
            // How far apart they went until now.
            let side_by_side = u32::try_from(self.in_flight.calls + 1).unwrap_or(u32::MAX);
            self.pace.throttled(began, latency / side_by_side, now);
        } else if !attempt.failed {
            self.pace.succeeded(began);
        }
        match &mut self.rule {
            Rule::Fixed => {}
            Rule::Aimd(aimd) if attempt.failed || attempt.retried => {
                aimd.throttled(began, now);
            }
            Rule::Aimd(aimd) => aimd.succeeded(attempt.load.events),
            Rule::Adaptive(adaptive) => {
                let latency = (!attempt.failed).then_some(latency);
                adaptive.ended(began, latency, now);
            }
        }
    }
}
