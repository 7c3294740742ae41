//! One sink's way through an endpoint's gate.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{Admission, Attempt, InFlight, Load, Rule, Shared, State};
use crate::delivery::{
    outage::Against,
    settings::{OnOutage, RetrySettings},
};

/// Why a channel is not closed.
const SENDER: &str = "the sender lives in what this holds";

/// One sink's way through the gate. Dropping it gives back what it had in flight.
#[derive(Debug)]
pub struct Entrance {
    shared: Arc<Shared>,
    place: usize,
    changed: watch::Receiver<()>,
    on_outage: OnOutage,
    own: InFlight,
    waits: bool,
}

/// What a sink sees of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Whether the endpoint is down, and this sink holds its events until it is back.
    pub down: bool,
    /// What may be in flight at once, by the rule that looks for it: events (`aimd`) or calls (`adaptive`).
    pub limit: Option<usize>,
}

impl Entrance {
    pub(super) fn new(shared: &Arc<Shared>, on_outage: OnOutage) -> Self {
        let mut changed = shared.changed.subscribe();
        // Nothing of it is known yet.
        changed.mark_changed();
        Self {
            place: shared.lock().turns.enter(),
            changed,
            shared: Arc::clone(shared),
            on_outage,
            own: InFlight::default(),
            waits: false,
        }
    }

    /// Asks for a call. In an outage what is admitted is a probe; the next one waits as `retry` says.
    pub fn admit(&mut self, now: Instant, load: Load, retry: &RetrySettings) -> Admission {
        let mut state = self.shared.lock();
        let state = &mut *state;
        if let Some(until) = self.closed_until(state, now) {
            return Admission::At(until);
        }
        let probe = self.holds(state);
        // What a rule has learned says nothing of an endpoint that is down; what is written holds.
        let fits = match probe {
            true => state.has_place(),
            false => state.fits(load),
        };
        if !state.turns.may_go(self.place) || !fits {
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

    /// An attempt that was admitted has ended. Says what a failure of it counts against its events.
    pub fn ended(&mut self, now: Instant, attempt: &Attempt) -> Against {
        let mut state = self.shared.lock();
        state.in_flight.leave(attempt.load);
        self.own.leave(attempt.load);
        let counts = if attempt.failed {
            let Attempt {
                before, throttled, ..
            } = *attempt;
            state.outage.failed(now, before, throttled, self.on_outage)
        } else {
            if state.outage.answered(now)
                && let Rule::Aimd(aimd) = &mut state.rule
            {
                aimd.back();
            }
            Against::Attempts
        };
        if let Some(pause) = attempt.pause {
            state.paused_until = state.paused_until.max(Some(now + pause));
        }
        state.learn(attempt, now);
        self.shared.tell(&state);
        counts
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
        if std::mem::replace(&mut self.waits, waits) == waits {
            return;
        }
        let mut state = self.shared.lock();
        state.turns.waits(self.place, waits);
        if !waits {
            self.shared.tell(&state);
        }
    }

    /// Whether another sink has changed something since this was asked last. [`Entrance::ended`] may have, too.
    pub fn has_changed(&mut self) -> bool {
        let has_changed = self.changed.has_changed();
        self.changed.mark_unchanged();
        has_changed.expect(SENDER)
    }

    /// Ends when another sink has changed something since [`Entrance::has_changed`].
    ///
    /// # Cancel safety
    /// What has changed is not forgotten.
    pub async fn changed(&mut self) {
        self.changed.changed().await.expect(SENDER);
        // It is still to be looked at.
        self.changed.mark_changed();
    }

    /// What is to be seen now.
    pub fn view(&self) -> View {
        let state = self.shared.lock();
        let limit = match &state.rule {
            Rule::Fixed => None,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 1 and a number of events"
            )]
            Rule::Aimd(aimd) => Some(aimd.limit() as usize),
            Rule::Adaptive(adaptive) => Some(adaptive.limit()),
        };
        View {
            down: self.holds(&state),
            limit,
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
