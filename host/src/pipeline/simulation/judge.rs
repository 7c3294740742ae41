//! What an outcome means: the plugin's answer, and the world's own judgement of both.

use std::time::Duration;

use super::{
    letters::ResultTruth,
    truth::{State, Why},
    world::World,
};
use crate::{
    delivery::settings::{FailureAction, OnGivenUp, OnOutage, StatusAction, StatusPolicy},
    event::Record,
    outcome::Outcome,
    plugin::{EventVerdict, PluginError, PluginVerdict},
};

/// What a plugin says of an outcome.
pub(super) type Answer = Result<PluginVerdict, PluginError>;

/// What a call comes to.
enum Judged {
    Delivered,
    Again,
    Reject(&'static str),
    Halves,
    Each(Vec<EventVerdict>),
    HandlerFailed,
    Halt,
}

/// What a status means: the policy's line for the code, then its class, then the documented default.
fn action(status: u16, policy: &StatusPolicy) -> StatusAction {
    if let Some(action) = policy.codes.get(&status) {
        return *action;
    }
    if let Some((_, action)) = policy
        .classes
        .iter()
        .find(|(class, _)| u16::from(**class) == status / 100)
    {
        return *action;
    }
    match status {
        413 => StatusAction::Split,
        408 | 425 | 429 | 500.. => StatusAction::Retry,
        200..300 => StatusAction::Delivered,
        _ => StatusAction::Reject,
    }
}

fn judge(
    outcome: &Outcome,
    answer: Option<&Answer>,
    events: usize,
    policy: &StatusPolicy,
) -> Judged {
    let by_status = || match outcome {
        Err(failure) => match policy.failures.get(&failure.kind()) {
            None | Some(FailureAction::Retry) => Judged::Again,
            Some(FailureAction::Reject) => Judged::Reject("failure"),
            Some(FailureAction::Halt) => Judged::Halt,
        },
        Ok(response) => match action(response.status, policy) {
            StatusAction::Delivered => Judged::Delivered,
            StatusAction::Retry => Judged::Again,
            StatusAction::Reject => Judged::Reject("status"),
            StatusAction::Split if events == 1 => Judged::Reject("status"),
            StatusAction::Split => Judged::Halves,
            StatusAction::Halt => Judged::Halt,
        },
    };
    let answered = outcome.is_ok();
    match answer {
        None | Some(Ok(PluginVerdict::ByStatus)) => by_status(),
        Some(Ok(PluginVerdict::Delivered)) if answered => Judged::Delivered,
        Some(Ok(PluginVerdict::Retry(_))) => Judged::Again,
        Some(Ok(PluginVerdict::Reject(_))) => Judged::Reject("rejected-by-verdict"),
        Some(Ok(PluginVerdict::Each(each)))
            if each.len() == events && (answered || !each.contains(&EventVerdict::Delivered)) =>
        {
            Judged::Each(each.clone())
        }
        Some(_) => Judged::HandlerFailed,
    }
}

impl World {
    /// What a call comes to, and with it its events.
    pub(super) fn conclude(&mut self, call: usize, handled: Option<(&Answer, Vec<Record>)>) {
        let now = tokio::time::Instant::now();
        let (sink, events) = (self.calls[call].sink, self.calls[call].events.clone());
        let settings = self.plan.sinks[sink].settings.clone();
        let Some(outcome) = self.calls[call].outcome.clone() else {
            return self.fail("INVENTED", format!("call {call} has no outcome"));
        };
        let before = self.calls[call].before.replace(now).unwrap_or(now);
        let failed = match &outcome {
            Ok(response) => [429, 502, 503, 504].contains(&response.status),
            Err(_) => true,
        };
        let timed = self.endpoint_says(call, failed, before);
        // A 429 speaks of the rate of all calls, not of these events.
        let throttled = outcome
            .as_ref()
            .is_ok_and(|response| response.status == 429);
        let excused = throttled && settings.on_outage == OnOutage::Hold;
        let counts = u32::from(timed && !excused);
        if timed {
            self.time(sink, &events);
        }
        self.pause(call, &outcome);
        let answer = handled.as_ref().map(|(answer, _)| *answer);
        let judged = judge(&outcome, answer, events.len(), &settings.status);
        let void = matches!(judged, Judged::Halt | Judged::HandlerFailed);
        self.note(format_args!(
            "call {call}: {}, counts {counts}",
            name(&judged)
        ));
        self.seen.count(name(&judged));
        let may_be_held = matches!(judged, Judged::HandlerFailed) && self.handler_fails(sink);
        if answer.is_some() && !matches!(judged, Judged::HandlerFailed) {
            self.sinks[sink].handler_worked = Some(now);
        }
        match judged {
            Judged::Delivered => self.release(call, State::Delivered),
            Judged::Reject(cause) => self.release(call, State::Doomed(cause)),
            Judged::Halves => self.release(call, State::Open(Why::Halved)),
            Judged::Again => {
                self.release(call, State::Open(Why::CallAgain));
                self.count(sink, &events, counts);
            }
            Judged::HandlerFailed if events.len() > 1 => {
                self.release(call, State::Open(Why::Halved));
            }
            Judged::HandlerFailed => {
                self.release(call, State::Open(Why::HandlerFailed));
                self.time(sink, &events);
                self.count(sink, &events, u32::from(!may_be_held));
                if may_be_held {
                    self.may_count(sink, &events);
                }
                self.sinks[sink].may_halt |= settings.on_plugin_error == OnGivenUp::Halt;
            }
            Judged::Each(each) => {
                self.release(call, State::Delivered);
                for (event, verdict) in events.iter().zip(each) {
                    let state = match verdict {
                        EventVerdict::Delivered => continue,
                        EventVerdict::Retry => State::Open(Why::ShapeAgain),
                        EventVerdict::Reject(_) => State::Doomed("rejected-by-verdict"),
                    };
                    if let Some(fate) = self.fate(sink, *event) {
                        fate.state = state;
                    }
                    if state == State::Open(Why::ShapeAgain) {
                        self.count(sink, &[*event], counts);
                    }
                }
            }
            Judged::Halt => {
                self.release(call, State::Open(Why::New));
                self.sinks[sink].may_halt = true;
            }
        }
        self.owe(
            call,
            handled.map_or(Vec::new(), |(_, results)| results),
            void,
        );
    }

    /// The events that end with a call are settled only when its results are durable.
    fn owe(&mut self, call: usize, results: Vec<Record>, void: bool) {
        let (sink, events) = (self.calls[call].sink, self.calls[call].events.clone());
        let void = void || !self.plan.sinks[sink].results;
        let seq = |event: &usize| self.sinks[sink].fates[*event].as_ref().map(|fate| fate.seq);
        let first = events.iter().filter_map(seq).min().unwrap_or_default();
        for record in results {
            let number = self.results.len();
            self.results
                .push(ResultTruth::new(sink, first, record.data, void));
            if void {
                continue;
            }
            for &event in &events {
                if let Some(fate) = self.fate(sink, event)
                    && !fate.is_open()
                {
                    fate.owed.insert(number);
                }
            }
        }
    }

    fn count(&mut self, sink: usize, events: &[usize], by: u32) {
        if by == 0 {
            self.seen.count("attempt: not counted");
        }
        for &event in events {
            if let Some(fate) = self.fate(sink, event) {
                fate.counted += by;
                fate.counted_most += by;
            }
        }
    }

    /// The total time holds for these events.
    fn time(&mut self, sink: usize, events: &[usize]) {
        for &event in events {
            if let Some(fate) = self.fate(sink, event) {
                fate.timed = true;
            }
        }
    }

    fn may_count(&mut self, sink: usize, events: &[usize]) {
        self.seen.count("plugin: perhaps held");
        for &event in events {
            if let Some(fate) = self.fate(sink, event) {
                fate.counted_most += 1;
            }
        }
    }

    /// `handle` fails; whether it may be held to fail on everything.
    fn handler_fails(&mut self, sink: usize) -> bool {
        let now = tokio::time::Instant::now();
        let truth = &mut self.sinks[sink];
        if truth.handler_worked.is_some_and(|worked| worked < now) {
            (truth.handler_run, truth.handler_worked) = (0, None);
        }
        truth.handler_run += 1;
        truth.handler_run >= 5
    }

    fn pause(&mut self, call: usize, outcome: &Outcome) {
        let (sink, endpoint) = (self.calls[call].sink, self.calls[call].endpoint);
        let cap = self.plan.sinks[sink].settings.retry.max_delay;
        let Ok(response) = outcome else { return };
        let asked = response.headers.get("retry-after");
        let seconds = asked.and_then(|asked| asked.to_str().ok()?.parse::<u64>().ok());
        if let (Some(seconds), 429 | 503) = (seconds, response.status) {
            let now = tokio::time::Instant::now();
            let until = now + Duration::from_secs(seconds).min(cap);
            let paused = &mut self.endpoints[endpoint].paused;
            if paused.is_none_or(|(_, before)| before < until) {
                *paused = Some((now, until));
            }
            self.seen.count("retry-after");
        }
    }
}

fn name(judged: &Judged) -> &'static str {
    match judged {
        Judged::Delivered => "verdict: delivered",
        Judged::Again => "verdict: retry",
        Judged::Reject(_) => "verdict: reject",
        Judged::Halves => "verdict: split",
        Judged::Each(_) => "verdict: each",
        Judged::HandlerFailed => "verdict: handler failed",
        Judged::Halt => "verdict: halt",
    }
}
