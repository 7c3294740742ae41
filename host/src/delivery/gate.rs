//! What lets calls through to an endpoint, for all sinks that share it: concurrency, rate, pauses, outages.
//!
//! The rules are pure and stand in files of their own; here is the lock around them, and the turns of the sinks.
//! An [`Entrance`] is one sink's way in: it asks before each attempt, and says afterwards what came of it.

mod adaptive;
mod aimd;
mod bucket;
pub mod settings;
mod turns;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use self::{
    adaptive::Adaptive,
    aimd::Aimd,
    bucket::Bucket,
    settings::{Concurrency, GateSettings},
    turns::Turns,
};
use super::{
    outage::Outage,
    settings::{DeliverySettings, OnOutage, RetrySettings},
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
        let (mut batch, mut calls, mut events) = (1, 0_usize, 0_usize);
        for sink in sinks {
            let max = sink.in_flight.max_calls;
            batch = batch.max(sink.batch.max_records);
            calls = calls.saturating_add(max);
            events = events.saturating_add(max.saturating_mul(sink.batch.max_records));
        }
        let max_calls = settings.max_calls.unwrap_or(usize::MAX);
        let rule = match settings.concurrency {
            Concurrency::Fixed => Rule::Fixed,
            Concurrency::Aimd(aimd) => Rule::Aimd(Aimd::new(aimd, batch, events)),
            Concurrency::Adaptive => Rule::Adaptive(Adaptive::new(calls.min(max_calls), now)),
        };
        let state = State {
            rule,
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

    /// A way in for a sink that does with outages as `on_outage` says.
    pub fn enter(&self, on_outage: OnOutage) -> Entrance {
        Entrance {
            place: self.0.lock().turns.enter(),
            changed: self.0.changed.subscribe(),
            shared: Arc::clone(&self.0),
            on_outage,
            own: InFlight::default(),
        }
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
    /// Whether the rules let a call join what is in flight.
    fn fits(&mut self, load: Load) -> bool {
        let InFlight { calls, events } = self.in_flight;
        calls < self.max_calls
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
        open.fold(now, Instant::max)
    }

    fn take(&mut self, place: usize, load: Load, now: Instant) {
        if let Some(calls) = &mut self.calls {
            calls.take(1);
        }
        if let Some(bytes) = &mut self.bytes {
            bytes.take(load.bytes);
        }
        self.in_flight.join(load);
        if let Rule::Adaptive(adaptive) = &mut self.rule {
            adaptive.began(now);
        }
        self.turns.went(place);
    }

    fn learn(&mut self, attempt: &Attempt, now: Instant) {
        match &mut self.rule {
            Rule::Fixed => {}
            Rule::Aimd(aimd) if attempt.failed || attempt.retried => {
                aimd.throttled(attempt.began, now);
            }
            Rule::Aimd(aimd) => aimd.succeeded(attempt.load.events),
            Rule::Adaptive(adaptive) => {
                let latency = (!attempt.failed).then_some(attempt.latency);
                adaptive.ended(attempt.began, latency, now);
            }
        }
    }
}

/// One sink's way through the gate. Dropping it gives back what it had in flight.
#[derive(Debug)]
pub struct Entrance {
    shared: Arc<Shared>,
    place: usize,
    changed: watch::Receiver<()>,
    on_outage: OnOutage,
    own: InFlight,
}

impl Entrance {
    /// Asks for a call. In an outage what is admitted is a probe; the next one waits as `retry` says.
    pub fn admit(&mut self, now: Instant, load: Load, retry: &RetrySettings) -> Admission {
        let mut state = self.shared.lock();
        let state = &mut *state;
        if let Some(until) = self.closed_until(state, now) {
            return Admission::At(until);
        }
        let probe = self.holds(state);
        if !state.turns.may_go(self.place) || !(probe || state.fits(load)) {
            return Admission::Later;
        }
        let paced = state.paced(now);
        if paced > now {
            return Admission::At(paced);
        }
        state.take(self.place, load, now);
        self.own.join(load);
        if probe {
            state.outage.probing(now, retry);
        }
        self.shared.tell(state);
        Admission::Go
    }

    /// An attempt that was admitted has ended. Says whether a failure of it counts against its events.
    pub fn ended(&mut self, now: Instant, attempt: &Attempt) -> bool {
        let mut state = self.shared.lock();
        state.in_flight.leave(attempt.load);
        self.own.leave(attempt.load);
        let counts = if attempt.failed {
            state.outage.failed(now, attempt.before, self.on_outage)
        } else {
            if state.outage.answered(now)
                && let Rule::Aimd(aimd) = &mut state.rule
            {
                aimd.back();
            }
            true
        };
        if let Some(pause) = attempt.pause {
            state.paused_until = state.paused_until.max(Some(now + pause));
        }
        state.learn(attempt, now);
        self.shared.tell(&state);
        counts
    }

    /// Whether the endpoint is down, and this sink holds its events until it is back.
    pub fn is_down(&self) -> bool {
        self.holds(&self.shared.lock())
    }

    /// Time since the host started in which the endpoint did not answer.
    pub fn outage_spent(&self, now: Instant) -> Duration {
        self.shared.lock().outage.spent(now)
    }

    /// Until when no call may go: the endpoint has asked for a pause, or is down and the next probe's
    /// time has not come. None if calls may go now, as far as these are concerned.
    pub fn pause(&self, now: Instant) -> Option<Instant> {
        self.closed_until(&self.shared.lock(), now)
    }

    /// Says whether there is a call that was not admitted: then the sink has its turn among others.
    pub fn waits(&mut self, waits: bool) {
        let mut state = self.shared.lock();
        if state.turns.waits(self.place, waits) && !waits {
            self.shared.tell(&state);
        }
    }

    /// What has changed until now is known.
    pub fn look(&mut self) {
        self.changed.mark_unchanged();
    }

    /// Ends when another sink has changed something since [`Entrance::look`].
    ///
    /// # Cancel safety
    /// What has changed is not forgotten.
    pub async fn changed(&mut self) {
        let changed = self.changed.changed().await;
        changed.expect("the sender lives in what this holds");
    }

    /// What may be in flight at once, by the rule that looks for it: events (`aimd`) or calls (`adaptive`).
    pub fn limit(&self) -> Option<usize> {
        match &self.shared.lock().rule {
            Rule::Fixed => None,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 1 and a number of events"
            )]
            Rule::Aimd(aimd) => Some(aimd.limit() as usize),
            Rule::Adaptive(adaptive) => Some(adaptive.limit()),
        }
    }

    fn holds(&self, state: &State) -> bool {
        self.on_outage == OnOutage::Hold && state.outage.is_down()
    }

    fn closed_until(&self, state: &State, now: Instant) -> Option<Instant> {
        let probe = match self.on_outage {
            OnOutage::Hold => state.outage.next_probe(),
            OnOutage::DeadLetter => None,
        };
        state.paused_until.max(probe).filter(|until| *until > now)
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        // To `adaptive`, what had begun is a call that is stuck, which it does not count.
        state.in_flight.calls -= self.own.calls;
        state.in_flight.events -= self.own.events;
        state.turns.leave(self.place);
        self.shared.changed.send_replace(());
    }
}
