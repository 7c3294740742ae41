//! Every attempt that reaches the endpoint, held against what may be sent, and when.

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    truth::{Letter, State, Why},
    world::World,
};
use crate::{delivery::settings::OnOutage, http::Request, outcome::Outcome};

/// A call that a plugin asked for.
#[derive(Debug)]
pub(super) struct CallTruth {
    pub(super) sink: usize,
    /// Where its plugin has sent it.
    pub(super) endpoint: usize,
    /// The records that it carries, in its order.
    pub(super) events: Vec<usize>,
    /// The body that these make.
    pub(super) body: Option<Bytes>,
    /// What was sent the first time.
    pub(super) sent: Option<Request>,
    pub(super) state: CallState,
    /// When its attempt under way began, and when the one before ended or the first one began.
    pub(super) began: Option<Instant>,
    pub(super) before: Option<Instant>,
    /// What came of the last attempt, once that is known.
    pub(super) outcome: Option<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallState {
    /// It may be sent.
    Ready,
    /// An attempt is under way, or its outcome is being judged.
    UnderWay,
    /// It was judged to be tried again.
    Again,
    /// It was judged, and must not be sent again.
    Over,
}

impl World {
    /// An attempt reaches the endpoint: gives the call, if it is one.
    pub(super) fn attempt_begins(
        &mut self,
        sink: usize,
        endpoint: usize,
        request: &Request,
    ) -> Option<usize> {
        let header = |name: &str| request.headers.get(name)?.to_str().ok().map(str::to_owned);
        let call = header("x-call").and_then(|call| call.parse::<usize>().ok());
        let Some(call) =
            call.filter(|call| self.calls.get(*call).is_some_and(|call| call.sink == sink))
        else {
            self.fail(
                "INVENTED",
                format!("sink {sink} sends what no plugin asked for: {request:?}"),
            );
            return None;
        };
        let events = self.calls[call].events.clone();
        self.note(format_args!(
            "sink {sink}: call {call} carries {events:?} to endpoint {endpoint}"
        ));
        let wanted = self.calls[call].endpoint;
        if wanted != endpoint || request.uri.host() != Some(&*format!("e{endpoint}.test")) {
            let uri = &request.uri;
            let what = format!("call {call} goes to endpoint {endpoint} ({uri}), not {wanted}");
            self.fail("ALTERED", what);
        }
        self.hold_against_shape(call, request, header("x-events"));
        for &event in &events {
            self.may_be_sent(sink, call, event);
            self.hold_against_passing(sink, event);
        }
        self.hold_against_a_pause(sink, "an attempt");
        self.hold_against_order(sink, &events);
        self.hold_against_pauses(sink, endpoint);
        let truth = &mut self.calls[call];
        let now = Instant::now();
        truth.state = CallState::UnderWay;
        truth.began = Some(now);
        truth.before.get_or_insert(now);
        truth.outcome = None;
        self.sinks[sink].in_flight += 1;
        self.endpoints[endpoint].in_flight[sink] += 1;
        self.hold_against_bounds(sink);
        self.hold_against_gate(endpoint);
        Some(call)
    }

    /// A call is what its plugin asked for; and tried again, it is the same bytes.
    fn hold_against_shape(&mut self, call: usize, request: &Request, names: Option<String>) {
        let truth = &self.calls[call];
        let expected: Vec<String> = truth.events.iter().map(ToString::to_string).collect();
        if request.body != truth.body || names != Some(expected.join(",")) {
            let what = format!(
                "call {call} is not what its events make: {:?} for {:?}",
                request.body, truth.body
            );
            return self.fail("ALTERED", what);
        }
        let state = truth.state;
        let same = truth.sent.as_ref().is_none_or(|sent| {
            (&sent.method, &sent.uri, &sent.headers, &sent.body)
                == (
                    &request.method,
                    &request.uri,
                    &request.headers,
                    &request.body,
                )
        });
        match state {
            CallState::Ready => {}
            CallState::Again => self.seen.count("retry: same call"),
            CallState::UnderWay | CallState::Over => {
                self.fail(
                    "TWO ENDS",
                    format!("call {call} is sent again, but it is {state:?}"),
                );
            }
        }
        if !same {
            self.fail(
                "RETRY",
                format!("call {call} is sent again with other bytes"),
            );
        }
        self.calls[call].sent.get_or_insert_with(|| request.clone());
    }

    fn may_be_sent(&mut self, sink: usize, call: usize, event: usize) {
        let settings = self.plan.sinks[sink].settings.clone();
        let now = Instant::now();
        let Some(fate) = self.fate(sink, event) else {
            return self.fail(
                "INVENTED",
                format!("event {event} never came to sink {sink}"),
            );
        };
        let (state, busy, letter, spent) =
            (fate.state, fate.busy, fate.letter, fate.is_spent(&settings));
        fate.busy = true;
        fate.call = Some(call);
        fate.attempts += 1;
        fate.first.get_or_insert(now);
        if busy || letter != Letter::None || !matches!(state, State::Open(_)) {
            let what = format!(
                "event {event} is sent, but it is {state:?} (busy: {busy}, letter: {letter:?})"
            );
            self.fail("TWO ENDS", what);
        }
        if spent {
            self.fail(
                "RETRY",
                format!("event {event} is sent, and has no attempts left"),
            );
        }
    }

    /// The attempt is over: with an answer, or without.
    pub(super) fn attempt_ends(&mut self, call: usize, outcome: Outcome) {
        let sink = self.calls[call].sink;
        let endpoint = self.calls[call].endpoint;
        self.sinks[sink].in_flight -= 1;
        self.endpoints[endpoint].in_flight[sink] -= 1;
        let limit = self.plan.sinks[sink].settings.timeout.attempt;
        let took = self.calls[call]
            .began
            .map_or_else(Default::default, |began| began.elapsed());
        let shown = match &outcome {
            Ok(response) => response.status.to_string(),
            Err(failure) => failure.to_string(),
        };
        self.note(format_args!("sink {sink}: call {call}: {shown}"));
        self.seen.outcome(&outcome);
        if outcome.is_ok() && took > limit {
            self.fail(
                "BOUND",
                format!("an attempt takes {took:?}, longer than its timeout"),
            );
        }
        self.calls[call].outcome = Some(outcome);
        if !self.plan.sinks[sink].handles {
            self.conclude(call, None);
        }
    }

    /// The rule of `on-outage`: whether a failure counts against the events of its call.
    pub(super) fn endpoint_says(&mut self, call: usize, failed: bool, before: Instant) -> bool {
        let (sink, endpoint) = (self.calls[call].sink, self.calls[call].endpoint);
        let on_outage = self.plan.sinks[sink].settings.on_outage;
        let now = Instant::now();
        let endpoint = &mut self.endpoints[endpoint].outage;
        if !failed {
            if endpoint.down_since.is_some() {
                self.seen.count("outage: over");
            }
            *endpoint = super::truth::OutageTruth {
                last_answer: Some(now),
                ..Default::default()
            };
            return true;
        }
        endpoint.failures += 1;
        if endpoint.failures >= 5 && endpoint.down_since.is_none() {
            endpoint.down_since = Some(now);
            self.seen.count("outage: begun");
        }
        match on_outage {
            OnOutage::DeadLetter => true,
            OnOutage::Hold => endpoint.last_answer.is_some_and(|answer| answer >= before),
        }
    }

    /// The events of a call are free for what comes next.
    pub(super) fn release(&mut self, call: usize, state: State) {
        let (sink, events) = (self.calls[call].sink, self.calls[call].events.clone());
        for event in events {
            if let Some(fate) = self.fate(sink, event) {
                fate.busy = false;
                fate.state = state;
            }
        }
        self.calls[call].state = if state == State::Open(Why::CallAgain) {
            CallState::Again
        } else {
            CallState::Over
        };
    }
}
